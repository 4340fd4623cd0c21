"""Who may go to the model: a bounded number at a time, and a bounded number waits."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from servers.common.errors import Overloaded


class Admission:
    """Lets `at_once` in; more wait in the order in which they came."""

    def __init__(self, at_once: int, most_waiting: int) -> None:
        self._places = asyncio.Semaphore(at_once)
        self._most_waiting = most_waiting
        self._waiting = 0

    @asynccontextmanager
    async def entered(self) -> AsyncIterator[None]:
        """Holds a place for as long as the block lasts; Overloaded when too many wait already."""
        if self._places.locked() and self._waiting >= self._most_waiting:
            raise Overloaded("too many texts wait to be embedded")
        self._waiting += 1
        try:
            await self._places.acquire()
        finally:
            self._waiting -= 1
        try:
            yield
        finally:
            self._places.release()
