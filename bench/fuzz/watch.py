"""The parts of the mesh while they are fuzzed: who began anew, and who complained in its log."""

import json
import re
from collections.abc import Mapping
from pathlib import Path

from mesh import starts
from mesh.home import Home
from mesh.logs import Tail

FOREIGN = re.compile(r"Traceback \(most recent call last\)|\]\[critical\]|\bPANIC\b|\bpanic: ")
"""What no part should write, whatever its log is like: a traceback; the end of Envoy, of Postgres, of a Go program."""
OF_TRITON = re.compile(r"^E\d{4} ")
"""An error of Triton. The object store writes such lines too, of every upload that is left."""
MOST_SHOWN = 600


class Watch:
    """What has happened since this object was made, or since it was last asked."""

    def __init__(self, home: Home, parts: Mapping[str, Path]) -> None:
        self._home = home
        self._tails = {part: Tail(path) for part, path in parts.items()}
        self._counts = self._started()

    def _started(self) -> dict[str, tuple[int, int]]:
        return {part: (start.pid, start.count) for part, start in starts.read_all(self._home).items()}

    def close(self) -> None:
        """Let the logs go."""
        for tail in self._tails.values():
            tail.close()

    def restarted(self) -> list[str]:
        """The parts that are not the process that they were."""
        before, self._counts = self._counts, self._started()
        return [f"{part} was restarted" for part, now in self._counts.items() if before.get(part) != now]

    def complaints(self) -> list[str]:
        """The lines of the logs that tell of something unexpected."""
        return [
            f"{part}: {line[:MOST_SHOWN]}"
            for part, tail in self._tails.items()
            for line in tail.new_lines()
            if complains(part, line)
        ]


def complains(part: str, line: str) -> bool:
    """Whether a line of a part's log tells of something unexpected."""
    try:
        entry = json.loads(line)
    except ValueError:
        entry = None
    if not isinstance(entry, dict) or "level" not in entry:
        return bool(FOREIGN.search(line)) or (part == "triton" and bool(OF_TRITON.search(line)))
    return entry["level"] in ("error", "critical") or "exception" in entry
