"""How much comes in at a time: so many files, and no more bytes than there is room for."""

import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from servers.common.errors import Overloaded


def free_bytes(folder: Path) -> int:
    """The room on the disk of a folder."""
    return shutil.disk_usage(folder).free


class Places:
    """Places for files that are being taken; one tenant has at most half of them."""

    def __init__(self, folder: Path, most: int, reserve_bytes: int, free: Callable[[Path], int] = free_bytes) -> None:
        self._folder = folder
        self._most = most
        self._reserve = reserve_bytes
        self._free = free
        self._taken: Counter[str] = Counter()
        """By tenant."""
        self._awaited = 0

    @contextmanager
    def place(self, tenant: str) -> Iterator[None]:
        """One of the places, until the end of the block. Overloaded when there is none for the tenant."""
        if self._taken.total() >= self._most:
            raise Overloaded("too many files are coming in at the moment")
        if self._taken[tenant] >= max(1, self._most // 2):
            raise Overloaded("too many files of this tenant are coming in at the moment")
        self._taken[tenant] += 1
        try:
            yield
        finally:
            self._taken[tenant] -= 1
            if not self._taken[tenant]:
                del self._taken[tenant]

    @contextmanager
    def room(self, size_bytes: int) -> Iterator[None]:
        """So much of the disk, until the end of the block. Overloaded when that is too much.

        What others were promised and have written already is counted twice, which errs on the safe side.
        """
        if self._free(self._folder) - self._awaited - size_bytes < self._reserve:
            raise Overloaded("there is no room for the file at the moment")
        self._awaited += size_bytes
        try:
            yield
        finally:
            self._awaited -= size_bytes
