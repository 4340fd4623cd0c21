"""The indexes that are open, of those that there may be: too many to have all of them in memory."""

import threading
from collections import Counter, OrderedDict
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from typing import Generic, TypeVar

Name = TypeVar("Name", bound=Hashable)
Index = TypeVar("Index")


class OpenIndexes(Generic[Name, Index]):
    """Each is opened when it is asked for; when too many are, the one unused for longest is let go of.

    Never one that somebody uses: it would be opened again beside itself, and each would remove the other's files. Any
    thread may call any method, and none takes longer than `opened`.
    """

    def __init__(self, opened: Callable[[Name], Index], most: int) -> None:
        """More than `most` are open only while all are in use."""
        self._opened = opened
        self._most = most
        self._all: OrderedDict[Name, Index] = OrderedDict()
        self._users = Counter[Name]()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._all)

    def names(self) -> list[Name]:
        """Of those that are open, the one unused for longest first."""
        with self._lock:
            return list(self._all)

    @contextmanager
    def using(self, name: Name) -> Iterator[Index]:
        """An index, which stays open until the end of the block."""
        with self._lock:
            index = self._all.get(name)
            if index is None:
                index = self._all[name] = self._opened(name)
            self._all.move_to_end(name)
            self._users[name] += 1
            if len(self._all) > self._most:
                self._close_one()
        try:
            yield index
        finally:
            self._leave(name)

    @contextmanager
    def using_if_open(self, name: Name) -> Iterator[Index | None]:
        """The same of one that is open, which counts as no use of it; None when it is not open any more."""
        with self._lock:
            index = self._all.get(name)
            if index is not None:
                self._users[name] += 1
        try:
            yield index
        finally:
            if index is not None:
                self._leave(name)

    def _leave(self, name: Name) -> None:
        with self._lock:
            self._users[name] -= 1
            if not self._users[name]:
                del self._users[name]

    def _close_one(self) -> None:
        unused = (name for name in self._all if name not in self._users)
        if (oldest := next(unused, None)) is not None:
            del self._all[oldest]
