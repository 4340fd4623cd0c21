"""A consumer of events that is cancelled ends, also in the moment in which it has just got what it waited for."""

import asyncio
from typing import Any

import pytest
from ai2text.events.v1 import recording_events_pb2

from servers.common import events


class Jetstream:
    """Has one subscription, to itself, whose fetch waits as the client of NATS does: with `asyncio.wait_for`."""

    def __init__(self) -> None:
        self.waiting = asyncio.Event()
        self.there: asyncio.Future[list[Any]] = asyncio.get_running_loop().create_future()
        self.fetches = 0

    async def jetstream(self) -> "Jetstream":
        return self

    def doubt_streams(self) -> None: ...

    async def add_consumer(self, *_: Any) -> None: ...

    async def pull_subscribe_bind(self, *_: Any) -> "Jetstream":
        return self

    async def consumer_info(self, *_: Any) -> None: ...

    async def unsubscribe(self) -> None: ...

    async def fetch(self, _batch: int, **options: float) -> list[Any]:
        self.fetches += 1
        self.waiting.set()
        found = await asyncio.wait_for(self.there, options["timeout"])
        self.there = asyncio.get_running_loop().create_future()
        return found


async def never(_: object) -> None:
    raise AssertionError("there is no event")


async def test_a_cancellation_that_comes_with_the_answer_is_heard() -> None:
    jetstream = Jetstream()
    consumer = events.Consumer(
        jetstream,  # type: ignore[arg-type]
        "RECORDINGS",
        events.RECORDING_DELETED,
        "test",
        recording_events_pb2.RecordingDeleted,
        never,
    )
    running = asyncio.create_task(consumer.run())
    await jetstream.waiting.wait()
    jetstream.there.set_result([])
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(asyncio.shield(running), 2)
    assert running.cancelled()
    assert jetstream.fetches == 1
