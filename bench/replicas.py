"""The replicas of asr on this machine: which one serves, and how to kill it."""

import urllib.request

import psutil

from mesh import replicas, starts
from mesh.home import Home
from mesh.ports import HOST, Ports
from mesh.supervision import Supervisor

SESSIONS = "ai2text_asr_sessions"
"""The gauge of open sessions, as Prometheus reads it."""


def serving(ports: Ports) -> list[str]:
    """The replicas that have a session now."""
    return [replica for replica in replicas.asr() if sessions(ports, replica)]


def sessions(ports: Ports, replica: str) -> int:
    """How many sessions a replica has; 0 when it does not answer."""
    port = getattr(ports, f"{replicas.port(replica)}_metrics")
    try:
        with urllib.request.urlopen(f"http://{HOST}:{port}/metrics", timeout=2) as answer:
            lines = answer.read().decode().splitlines()
    except OSError:
        return 0
    return sum(round(float(line.rpartition(" ")[2])) for line in lines if line.startswith(SESSIONS))


def kill(home: Home, ports: Ports, replica: str) -> None:
    """kill -9; the supervisor starts it anew."""
    Supervisor(home, ports).signal(replica, "KILL")


def memory_mib(home: Home, replica: str) -> float:
    """What a replica has in memory; NaN when it does not run."""
    start = starts.read(home, replica)
    process = start.process() if start else None
    try:
        return process.memory_info().rss / (1 << 20) if process else float("nan")
    except psutil.NoSuchProcess:
        return float("nan")
