"""Events whose handling takes longer than JetStream waits for an answer."""

import asyncio
from collections.abc import Awaitable, Callable

from ai2text.events.v1.recording_events_pb2 import RecordingUploaded

from servers.common import events
from servers.common.events import Bus, Consumer
from tests.fakes.recognizers import come_true
from tests.stores.nats_server import NatsServer

ACK_WAIT_S = 2.5


def consumer(bus: Bus, handle: Callable[[RecordingUploaded], Awaitable[None]], concurrency: int = 1) -> Consumer:
    return Consumer(
        bus,
        "RECORDINGS",
        events.RECORDING_UPLOADED,
        "batch",
        RecordingUploaded,
        handle,
        concurrency=concurrency,
        ack_wait_s=ACK_WAIT_S,
        limit_s=600.0,
    )


async def publish(bus: Bus, *ids: str) -> None:
    for event_id in ids:
        payload = RecordingUploaded(event_id=event_id, recording_id=event_id).SerializeToString()
        await events.publish(bus, events.RECORDING_UPLOADED, event_id, payload)


async def test_what_is_being_worked_on_is_not_delivered_again(nats: NatsServer) -> None:
    begun: list[str] = []
    done: list[str] = []

    async def slowly(event: RecordingUploaded) -> None:
        begun.append(event.recording_id)
        await asyncio.sleep(1.5 * ACK_WAIT_S)
        done.append(event.recording_id)

    async with events.connected(nats.url) as bus:
        await publish(bus, "a")
        running = [asyncio.create_task(consumer(bus, slowly).run()) for _ in range(2)]
        await come_true(lambda: done)
        await asyncio.sleep(ACK_WAIT_S)
        await _ended(*running)
    assert (begun, done) == (["a"], ["a"])


async def test_of_what_is_handled_elsewhere_nothing_is_said(nats: NatsServer) -> None:
    begun: list[float] = []

    async def handle(event: RecordingUploaded) -> None:
        begun.append(asyncio.get_running_loop().time())
        if len(begun) == 1:
            raise events.HandledElsewhere

    async with events.connected(nats.url) as bus:
        await publish(bus, "a")
        running = asyncio.create_task(consumer(bus, handle).run())
        await come_true(lambda: len(begun) == 2)
        await _ended(running)
    assert begun[1] - begun[0] > 0.5 * ACK_WAIT_S, "neither given back, nor done"


async def test_no_more_is_taken_than_there_are_slots(nats: NatsServer) -> None:
    begun: list[tuple[str, str]] = []
    enough = asyncio.Event()

    def taking(who: str) -> Callable[[RecordingUploaded], Awaitable[None]]:
        async def handle(event: RecordingUploaded) -> None:
            begun.append((who, event.recording_id))
            await enough.wait()

        return handle

    async with events.connected(nats.url) as one, events.connected(nats.url) as other:
        await publish(one, "a", "b", "c", "d")
        first = asyncio.create_task(consumer(one, taking("one"), concurrency=2).run())
        await come_true(lambda: len(begun) == 2)
        second = asyncio.create_task(consumer(other, taking("other"), concurrency=2).run())
        await come_true(lambda: len(begun) == 4)
        enough.set()
        await _ended(first, second)
    assert sorted(event for _, event in begun) == ["a", "b", "c", "d"]
    assert [who for who, _ in begun] == ["one", "one", "other", "other"]


async def test_what_a_server_breaks_off_goes_to_another_at_once(nats: NatsServer) -> None:
    begun: list[str] = []

    async def for_ever(event: RecordingUploaded) -> None:
        begun.append(event.recording_id)
        await asyncio.Event().wait()

    async with events.connected(nats.url) as bus:
        await publish(bus, "a")
        patient = Consumer(
            bus, "RECORDINGS", events.RECORDING_UPLOADED, "batch", RecordingUploaded, for_ever, ack_wait_s=600.0,
            limit_s=600.0,
        )  # fmt: skip
        for tries in (1, 2):
            running = asyncio.create_task(patient.run())
            await come_true(lambda tries=tries: len(begun) == tries)
            await _ended(running)
    assert begun == ["a", "a"]


async def test_short_events_that_are_broken_off_or_wait_here_go_to_another_at_once(bus: Bus) -> None:
    begun: list[str] = []

    async def for_ever(event: RecordingUploaded) -> None:
        begun.append(event.recording_id)
        await asyncio.Event().wait()

    async def quickly(event: RecordingUploaded) -> None:
        begun.append(event.recording_id)

    def one(handle: Callable[[RecordingUploaded], Awaitable[None]]) -> Consumer:
        return Consumer(
            bus, "RECORDINGS", events.RECORDING_UPLOADED, "batch", RecordingUploaded, handle, concurrency=2,
            ack_wait_s=600.0,
        )  # fmt: skip

    await publish(bus, "a", "b", "c", "d")
    stopped = asyncio.create_task(one(for_ever).run())
    await come_true(lambda: len(begun) == 2)
    await _ended(stopped)
    running = asyncio.create_task(one(quickly).run())
    await come_true(lambda: len(begun) == 6)
    await _ended(running)
    assert sorted(begun[2:]) == ["a", "b", "c", "d"]


async def _ended(*running: asyncio.Task[None]) -> None:
    for task in running:
        task.cancel()
    await asyncio.gather(*running, return_exceptions=True)
