"""Answers to hot queries in this process's own memory, before the cache that lies behind a call."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from servers.search.hot import Cache, CacheAway

MOST_BYTES = 32 << 20
"""How much is held; what was unused for longest goes first."""

MOST_PASSED_ON = 32
"""How many answers are on their way to the cache behind; one that comes meanwhile is held here only."""


class NearCache:
    """A Cache in front of another one: what it holds itself costs no call, and nobody waits until the other has it."""

    def __init__(
        self,
        behind: Cache,
        ttl_s: float,
        most_bytes: int = MOST_BYTES,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._behind = behind
        self._ttl_s = ttl_s
        self._most_bytes = most_bytes
        self._clock = clock
        self._held: OrderedDict[str, tuple[float, bytes]] = OrderedDict()
        self._bytes = 0
        self._passing_on = set[asyncio.Task[None]]()

    async def get(self, name: str) -> bytes | None:
        """See Cache."""
        held = self._held.get(name)
        if held and self._clock() - held[0] < self._ttl_s:
            self._held.move_to_end(name)
            return held[1]
        return await self._behind.get(name)

    async def put(self, name: str, answer: bytes) -> None:
        """See Cache."""
        self._hold(name, answer)
        if len(self._passing_on) < MOST_PASSED_ON:
            task = asyncio.create_task(self._pass_on(name, answer))
            self._passing_on.add(task)
            task.add_done_callback(self._passing_on.discard)

    async def close(self) -> None:
        """Give up what is on its way."""
        for task in self._passing_on:
            task.cancel()
        await asyncio.gather(*self._passing_on, return_exceptions=True)

    async def _pass_on(self, name: str, answer: bytes) -> None:
        try:
            await self._behind.put(name, answer)
        except CacheAway:
            return

    def _hold(self, name: str, answer: bytes) -> None:
        _, before = self._held.pop(name, (0.0, b""))
        self._held[name] = self._clock(), answer
        self._bytes += len(answer) - len(before)
        while self._bytes > self._most_bytes:
            _, (_, oldest) = self._held.popitem(last=False)
            self._bytes -= len(oldest)


@asynccontextmanager
async def opened(cache: Cache | None, ttl_s: float) -> AsyncIterator[Cache | None]:
    """Answers in memory in front of `cache`, until the end of the block; None when there is none."""
    if cache is None:
        yield None
        return
    near = NearCache(cache, ttl_s)
    try:
        yield near
    finally:
        await near.close()
