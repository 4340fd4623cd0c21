"""The logs of the parts, one or several at once, from the end or as they grow."""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO

from mesh.lifecycle import last_lines

POLL_S = 0.3


def show(paths: Mapping[str, Path], lines: int) -> None:
    """Prints the last lines of each log; with several, each line begins with the part's name."""
    for name, path in paths.items():
        for line in last_lines(path, lines):
            print(_labelled(name, line, len(paths) > 1))


def follow(paths: Mapping[str, Path], lines: int) -> None:
    """The same, and then each new line as it is written, across rotations, until interrupted."""
    show(paths, lines)
    tails = {name: Tail(path) for name, path in paths.items()}
    while True:
        for name, tail in tails.items():
            for line in tail.new_lines():
                print(_labelled(name, line, len(paths) > 1), flush=True)
        time.sleep(POLL_S)


def _labelled(name: str, line: str, several: bool) -> str:
    return f"{name:<10} {line}" if several else line


class Tail:
    """What is written to a file after this object was made."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: BinaryIO | None = None
        self._rest = b""
        self._open(at_end=True)

    def _open(self, at_end: bool) -> None:
        if self._path.exists():
            self._file = self._path.open("rb")
            self._file.seek(0, 2 if at_end else 0)

    def new_lines(self) -> list[str]:
        """The whole lines since the last call; the file may have been rotated meanwhile."""
        if self._file is None:
            self._open(at_end=False)
        if self._file is None:
            return []
        *whole, self._rest = (self._rest + self._file.read()).split(b"\n")
        if self._rotated():
            self.close()
        return [line.decode(errors="replace") for line in whole]

    def close(self) -> None:
        """Lets the file go; the next call opens what then has its name, from the beginning."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _rotated(self) -> bool:
        return (
            self._file is not None
            and self._path.exists()
            and self._path.stat().st_ino != Path(f"/proc/self/fd/{self._file.fileno()}").stat().st_ino
        )
