"""What the running Envoy can be told: the keys of its runtime, which go before its configuration until it ends."""

import json
from http.client import HTTPConnection, HTTPException

from mesh.ports import HOST, Ports

DEADLINE_S = 5.0


class EdgeAway(Exception):
    """Envoy does not answer, or not as it should."""


def value(ports: Ports, key: str) -> str:
    """What it goes by. Raises EdgeAway; KeyError when it knows no such key."""
    entries = json.loads(_ask(ports, "GET", "/runtime?format=json"))["entries"]
    return str(entries[key]["final_value"])


def tell(ports: Ports, key: str, value: int) -> None:
    """Have it go by a value, for what begins from now on. Raises EdgeAway."""
    _ask(ports, "POST", f"/runtime_modify?{key}={value}")


def forget(ports: Ports, key: str) -> None:
    """Have it go by its configuration again. Raises EdgeAway."""
    _ask(ports, "POST", f"/runtime_modify?{key}=")


def _ask(ports: Ports, method: str, path: str) -> bytes:
    connection = HTTPConnection(HOST, ports.envoy_admin, timeout=DEADLINE_S)
    try:
        connection.request(method, path)
        answer = connection.getresponse()
        said = answer.read()
    except (OSError, HTTPException) as error:
        raise EdgeAway(f"Envoy does not answer on port {ports.envoy_admin} ({error}): `make status`") from error
    finally:
        connection.close()
    if answer.status != 200:
        raise EdgeAway(f"Envoy answers {answer.status}: {said.decode(errors='replace').strip()}")
    return said
