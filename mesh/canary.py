"""How much of what begins goes to the canary of asr: a weight that the running edge can be told.

It is the key `ai2text.canary_weight` in the runtime of `envoy/envoy.yaml`. What was told is kept in the home until
`make down`, so that an Envoy that had to be restarted goes on with it.
"""

import os
from collections.abc import Mapping
from pathlib import Path

from mesh import runtime
from mesh.home import Home
from mesh.percent import percent
from mesh.ports import Ports

RUNTIME_KEY = "ai2text.canary_weight"
DEFAULT_WEIGHT = 10


def weight(home: Home, environ: Mapping[str, str] | None = None) -> int:
    """The weight with which Envoy has to start, in per cent: what it was last told, else AI2TEXT_CANARY_WEIGHT.

    Raises ValueError when that is no whole number from 0 to 100.
    """
    env = os.environ if environ is None else environ
    told = _record(home)
    given = told.read_text(encoding="utf-8") if told.is_file() else env.get("AI2TEXT_CANARY_WEIGHT", "")
    return percent("AI2TEXT_CANARY_WEIGHT", given) if given else DEFAULT_WEIGHT


def current(ports: Ports) -> int:
    """The weight by which the running Envoy goes. Raises EdgeAway."""
    return int(runtime.value(ports, RUNTIME_KEY))


def change(home: Home, ports: Ports, weight: int) -> None:
    """Tells the running Envoy a weight from 0 to 100; only what begins from now on goes by it. Raises EdgeAway."""
    runtime.tell(ports, RUNTIME_KEY, weight)
    _record(home).write_text(str(weight), encoding="utf-8")


def forget(home: Home) -> None:
    """Let the next Envoy start with the weight of the environment."""
    _record(home).unlink(missing_ok=True)


def _record(home: Home) -> Path:
    return home.run / "canary_weight"
