"""The servers of live speech on this machine: how many there are, and which version each runs."""

import os
from collections.abc import Mapping

FEWEST, MOST = 2, 8
"""Of the stable version: two, so that a session survives its server; and as many as have ports."""


def asr(environ: Mapping[str, str] | None = None) -> dict[str, str]:
    """The parts that run `asr`, each with its version: AI2TEXT_ASR_REPLICAS (2) of the stable one, and the next.

    Each is a process that can use about one core: machines with many cores, or a GPU, want more of them. Raises
    ValueError when the number is none from 2 to 8.
    """
    given = (os.environ if environ is None else environ).get("AI2TEXT_ASR_REPLICAS", "") or str(FEWEST)
    if not (given.isascii() and given.isdigit() and FEWEST <= int(given) <= MOST):
        raise ValueError(f"AI2TEXT_ASR_REPLICAS must be a number from {FEWEST} to {MOST}, not {given!r}")
    return {f"asr-{number}": "stable" for number in range(1, int(given) + 1)} | {"asr-canary": "canary"}


def port(replica: str) -> str:
    """The name in Ports of the port that a part listens on."""
    return replica.replace("-", "_")
