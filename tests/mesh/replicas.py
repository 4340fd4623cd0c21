"""Which replica of asr has a session."""

import urllib.request

from mesh.parts import ASR_REPLICAS
from tests.mesh.running_mesh import RunningMesh


def sessions(running: RunningMesh) -> dict[str, float]:
    """How many sessions each replica has; those that do not answer are left out."""
    found = {}
    for replica in ASR_REPLICAS:
        address = running.ports.address(f"{replica.replace('-', '_')}_metrics")
        try:
            with urllib.request.urlopen(f"http://{address}/metrics", timeout=2) as answer:
                lines = answer.read().decode().splitlines()
        except OSError:
            continue
        found[replica] = sum(float(line.split()[-1]) for line in lines if line.startswith("ai2text_asr_sessions{"))
    return found


def newcomer(running: RunningMesh, before: dict[str, float]) -> str:
    """The replica that has a session more than before; empty when none has. Sessions of other clients may end."""
    grown = {replica: count - before.get(replica, 0) for replica, count in sessions(running).items()}
    most = max(grown, key=lambda replica: grown[replica], default="")
    return most if most and grown[most] > 0 else ""
