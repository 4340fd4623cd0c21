"""Ports for servers that a test starts, and stops, and starts again."""

import os
import random
from collections.abc import Iterator

from mesh.ports import SPAN, Ports
from mesh.processes import holders

_FIRST, _BEHIND = 12_000, 32_000
"""Below those from which the kernel takes ports for outgoing connections: one of these would have it while its server
is down, and a client that asks for its server all the time would at last be connected to itself."""

_WORKERS = 8
"""So many processes of one run of tests have ports of their own."""


def free_port() -> int:
    """A TCP port that nobody listens on, and that no test of this run was given lately."""
    return next(port for port in _walk if not holders([port]))


def free_ports() -> Ports:
    """The same for a whole mesh."""
    while True:
        base = next(_walk)
        ports = Ports.from_base(base)
        for _ in range(SPAN):
            next(_walk)
        if not holders(ports.names().values()):
            return ports


def _own() -> Iterator[int]:
    """The share of this process, round and round. It begins anywhere: another run may be under way."""
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % _WORKERS
    size = (_BEHIND - _FIRST) // _WORKERS
    bases = size - SPAN  # the ports of a mesh lie above its base
    at = random.SystemRandom().randrange(bases)
    while True:
        yield _FIRST + worker * size + at
        at = (at + 1) % bases


_walk = _own()
