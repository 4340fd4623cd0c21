"""When the relay takes events from the outbox: the first at once, those that come soon after together."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from servers.common.outbox import Event
from servers.metadata.outbox import Backlog, Batch, Kept
from servers.metadata.relay import RESTS, Relay
from tests.fakes.metadata_store import MemoryStore

TAKES_S = 0.04
"""How long the storing of one event takes."""


class Outbox:
    """The outbox of a MemoryStore, which notes what each batch held."""

    def __init__(self) -> None:
        self.store = MemoryStore()
        self.batches: list[list[str]] = []

    @asynccontextmanager
    async def batch(self, limit: int) -> AsyncIterator[Batch]:
        async with self.store.batch(limit) as batch:
            if batch.kept:
                self.batches.append([one.event.event_id for one in batch.kept])
            yield batch

    async def backlog(self) -> Backlog:
        return await self.store.backlog()

    def add(self, name: str) -> None:
        self.store.kept_events += 1
        self.store.events.append(Kept(self.store.kept_events, Event(name, "x.y", name, b"", "")))


async def takes_a_moment(_: Event) -> None:
    await asyncio.sleep(TAKES_S)


@asynccontextmanager
async def running(
    outbox: Outbox, batch: int = 256, publish: Callable[[Event], Awaitable[None]] = takes_a_moment
) -> AsyncIterator[Relay]:
    relay = Relay(outbox, publish, batch)
    job = asyncio.create_task(relay.run())
    try:
        yield relay
    finally:
        job.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await job


async def tell(outbox: Outbox, relay: Relay, *names: str) -> None:
    for name in names:
        outbox.add(name)
        relay.wake()


async def empty(outbox: Outbox) -> None:
    async with asyncio.timeout(5):
        while outbox.store.events:
            await asyncio.sleep(0.005)


async def test_what_comes_alone_goes_at_once_and_what_comes_soon_after_goes_together() -> None:
    outbox, begun, go_on = Outbox(), asyncio.Event(), asyncio.Event()

    async def publish(_: Event) -> None:
        begun.set()
        await go_on.wait()

    async with running(outbox, publish=publish) as relay:
        await asyncio.sleep(0.05)
        await tell(outbox, relay, "alone")
        async with asyncio.timeout(10):
            await begun.wait()
        await tell(outbox, relay, "first")
        await asyncio.sleep(TAKES_S)
        await tell(outbox, relay, "second")
        go_on.set()
        await empty(outbox)
    assert outbox.batches == [["alone"], ["first", "second"]]


async def test_the_relay_rests_in_proportion_however_much_waits() -> None:
    outbox, loop = Outbox(), asyncio.get_running_loop()
    for number in range(6):
        outbox.add(str(number))
    began = loop.time()
    async with running(outbox, batch=2):
        await empty(outbox)
    assert loop.time() - began >= 2 * RESTS * TAKES_S, "two rests between three batches"
    assert outbox.batches == [["0", "1"], ["2", "3"], ["4", "5"]]


@pytest.mark.parametrize("turns", range(4))
async def test_a_relay_that_is_cancelled_just_when_something_has_come_ends(turns: int) -> None:
    async def publish(_: Event) -> None:
        raise AssertionError("there is no event")

    relay = Relay(Outbox(), publish)
    job = asyncio.create_task(relay.run())
    async with asyncio.timeout(5):
        while not relay._woken._waiters:
            await asyncio.sleep(0)
    relay.wake()
    for _ in range(turns):
        await asyncio.sleep(0)
    job.cancel()
    await asyncio.wait({job}, timeout=2)
    ended = job.done()
    job.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await job
    assert ended
