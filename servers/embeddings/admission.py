"""Who goes to the model next: a bounded number at a time, queries before passages, and a bounded number waits."""

import asyncio
import heapq
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from servers.common.errors import Overloaded


class Admission:
    """Lets `at_once` in. A person waits for a query, nobody for a passage: so queries never queue behind passages."""

    def __init__(self, at_once: int, most_waiting: int) -> None:
        self._free = at_once
        self._most_waiting = most_waiting
        self._order = itertools.count()
        self._waiting: list[tuple[bool, int, asyncio.Future[None]]] = []

    @asynccontextmanager
    async def entered(self, urgent: bool) -> AsyncIterator[None]:
        """Holds a place for as long as the block lasts; Overloaded when too many wait already."""
        await self._enter(urgent)
        try:
            yield
        finally:
            self._leave()

    async def _enter(self, urgent: bool) -> None:
        if self._free:
            self._free -= 1
            return
        if len(self._waiting) >= self._most_waiting:
            raise Overloaded("too many texts wait to be embedded")
        entry = (not urgent, next(self._order), asyncio.get_running_loop().create_future())
        heapq.heappush(self._waiting, entry)
        try:
            await entry[2]
        except asyncio.CancelledError:
            self._forget(entry)
            raise

    def _leave(self) -> None:
        """Give the place to the first who still wants it."""
        while self._waiting:
            turn = heapq.heappop(self._waiting)[2]
            if not turn.done():
                turn.set_result(None)
                return
        self._free += 1

    def _forget(self, entry: tuple[bool, int, asyncio.Future[None]]) -> None:
        """Take a cancelled one out of the queue, or pass on the place that it had just been given."""
        if not entry[2].cancelled():
            self._leave()
        elif entry in self._waiting:
            self._waiting.remove(entry)
            heapq.heapify(self._waiting)
