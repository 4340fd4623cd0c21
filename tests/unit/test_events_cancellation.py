"""A consumer of events that is cancelled ends, also in the moment in which it has just got what it waited for."""

import asyncio
from typing import Any

import pytest
from ai2text.events.v1 import recording_events_pb2

from servers.common import events


class Jetstream:
    """Has no messages; a cancellation that comes with what it says of its one consumer gets lost."""

    def __init__(self) -> None:
        self.waiting = asyncio.Event()
        self.there: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.orders = 0

    async def jetstream(self) -> "Jetstream":
        return self

    def doubt_streams(self) -> None: ...

    async def add_consumer(self, *_: Any) -> None: ...

    async def pull(self, *_: Any) -> "Jetstream":
        return self

    async def consumer_info(self, *_: Any) -> None:
        self.waiting.set()
        await asyncio.wait_for(self.there, 5)

    async def begin(self) -> None: ...

    async def end(self) -> None: ...

    def left(self) -> list[Any]:
        return []

    async def next(self, *_: Any) -> list[Any]:
        self.orders += 1
        return []


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
    jetstream.there.set_result(None)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(asyncio.shield(running), 2)
    assert running.cancelled()
    assert jetstream.orders == 1
