"""Which replica of asr somebody speaks to."""

import urllib.request

from mesh import replicas
from tests.mesh.running_mesh import RunningMesh, eventually

STREAMS = ("/StreamingRecognize", "/WatchSession")
"""The calls that last as long as somebody speaks. A count of sessions would not do: it has the parked ones too."""


def serving(running: RunningMesh) -> list[str]:
    """The replicas that are answering a live stream."""
    return [part for part in replicas.asr() if streams(running, part)]


def streams(running: RunningMesh, part: str) -> float:
    """How many live streams a replica is answering; 0 where it does not run."""
    address = running.ports.address(f"{replicas.port(part)}_metrics")
    try:
        with urllib.request.urlopen(f"http://{address}/metrics", timeout=2) as answer:
            lines = answer.read().decode().splitlines()
    except OSError:
        return 0
    in_flight = [line for line in lines if line.startswith("ai2text_rpc_in_flight")]
    return sum(float(line.split()[-1]) for line in in_flight if any(f'{stream}"' in line for stream in STREAMS))


def wait_until_nobody_speaks(running: RunningMesh) -> None:
    """So that the next one to be served is the one that the test begins."""
    eventually(lambda: serving(running), lambda parts: not parts, within_s=60)


def the_serving_one(running: RunningMesh) -> str:
    """The one replica that is answering a live stream, as soon as there is one."""
    (part,) = eventually(lambda: serving(running), bool)
    return str(part)
