"""Messages of a pull consumer as they come, from a real JetStream."""

import asyncio
from collections.abc import AsyncIterator, Sequence

import pytest
from nats.aio.msg import Msg
from nats.js.api import AckPolicy, ConsumerConfig
from nats.js.errors import NotFoundError

from servers.common import events
from servers.common.errors import DependencyUnavailable
from servers.common.events import Bus
from servers.common.pulls import Pull
from tests.stores.nats_server import NatsServer

DURABLE = "test"


@pytest.fixture
async def bus(nats: NatsServer) -> AsyncIterator[Bus]:
    async with events.connected(nats.url) as bus:
        jetstream = await bus.jetstream()
        config = ConsumerConfig(durable_name=DURABLE, ack_policy=AckPolicy.EXPLICIT, ack_wait=30, max_ack_pending=100)
        await jetstream.add_consumer("RECORDINGS", config)
        yield bus


async def listening(bus: Bus) -> Pull:
    pull = await bus.pull("RECORDINGS", DURABLE)
    await pull.begin()
    return pull


async def publish(bus: Bus, numbers: range) -> None:
    for number in numbers:
        await events.publish(bus, events.RECORDING_DELETED, f"id-{number}", str(number).encode())


def read(messages: Sequence[Msg]) -> list[int]:
    return [int(message.data) for message in messages]


async def under_way(bus: Bus) -> int:
    """How many messages JetStream has delivered that are not done."""
    return (await (await bus.jetstream()).consumer_info("RECORDINGS", DURABLE)).num_ack_pending or 0


async def test_everything_comes_in_its_order_and_no_more_than_was_ordered_waits_here(bus: Bus) -> None:
    await publish(bus, range(50))
    pull = await listening(bus)
    got: list[int] = []
    while len(got) < 50:
        messages = await pull.next(8, 2)
        assert 1 <= len(messages) <= 8
        got += read(messages)
        assert await under_way(bus) - len(got) + len(messages) <= 8
    await pull.end()
    assert got == list(range(50))


async def test_what_comes_later_comes_at_once(bus: Bus) -> None:
    pull = await listening(bus)
    coming = asyncio.create_task(pull.next(8, 20))
    await asyncio.sleep(0.2)
    await publish(bus, range(1))
    assert read(await asyncio.wait_for(coming, 5)) == [0]
    await publish(bus, range(1, 3))
    again = read(await asyncio.wait_for(pull.next(8, 20), 5))
    while len(again) < 2:
        again += read(await asyncio.wait_for(pull.next(8, 20), 5))
    assert again == [1, 2]
    await pull.end()


async def test_nothing_comes_when_there_is_nothing_and_an_order_that_ended_is_given_again(bus: Bus) -> None:
    pull = await listening(bus)
    for _ in range(2):
        assert await asyncio.wait_for(pull.next(8, 0.3), 10) == []
    await publish(bus, range(1))
    assert read(await pull.next(8, 0.3)) == [0]
    await pull.end()


async def test_what_is_left_goes_to_another_once_nobody_listens(bus: Bus) -> None:
    pull = await listening(bus)
    assert await pull.next(8, 0.2) == []
    coming = asyncio.create_task(pull.next(8, 30))
    await asyncio.sleep(0.1)
    coming.cancel()
    await pull.end()
    await publish(bus, range(3))
    other = await listening(bus)
    assert read(await asyncio.wait_for(other.next(3, 5), 5))[0] == 0
    await other.end()


async def test_a_consumer_whose_durable_is_gone_ends(bus: Bus) -> None:
    from ai2text.events.v1.recording_events_pb2 import RecordingDeleted

    async def never(_: RecordingDeleted) -> None:
        raise AssertionError("there is no event")

    consumer = events.Consumer(bus, "RECORDINGS", events.RECORDING_DELETED, "gone", RecordingDeleted, never)
    running = asyncio.create_task(consumer.run())
    jetstream = await bus.jetstream()
    async with asyncio.timeout(10):
        while True:
            try:
                await jetstream.delete_consumer("RECORDINGS", "gone")
            except NotFoundError:
                await asyncio.sleep(0.05)
                continue
            break
    with pytest.raises(DependencyUnavailable):
        await asyncio.wait_for(running, 10)
