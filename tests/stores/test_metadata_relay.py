"""The relay from the outbox in Postgres to a real JetStream."""

import asyncio
import contextlib
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from ai2text.events.v1 import transcript_events_pb2
from nats.js import JetStreamContext
from nats.js.errors import NotFoundError
from opentelemetry import context, propagate, trace

from servers.common import events
from servers.common.events import Bus
from servers.common.outbox import Event
from servers.common.postgres import Database
from servers.metadata import announcement
from servers.metadata.library import Draft, Library
from servers.metadata.outbox_store import PostgresOutbox
from servers.metadata.recordings import Source
from servers.metadata.relay import Relay
from servers.metadata.store import PostgresStore
from servers.metadata.transcripts import Segment, Transcripts
from tests.stores.nats_server import NatsServer

TRACE_ID = "0af7651916cd43dd8448eb211c80319c"


def relay_to(bus: Bus, database: Database, batch: int = 256) -> Relay:
    async def publish(event: Event) -> None:
        headers = {"traceparent": event.traceparent} if event.traceparent else None
        await events.publish(bus, event.subject, event.event_id, event.payload, headers)

    return Relay(PostgresOutbox(database), publish, batch)


@asynccontextmanager
async def running(*relays: Relay) -> AsyncIterator[None]:
    tasks = [asyncio.create_task(relay.run()) for relay in relays]
    try:
        yield
    finally:
        for task in tasks:
            assert not task.done()
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def transcript_of(database: Database, relay: Relay) -> tuple[Transcripts, str]:
    """The domain over Postgres, and the id of an empty transcript of the tenant `acme`, with nothing in the outbox."""
    store = PostgresStore(database)
    library = Library(store, announcement, relay.wake)
    transcripts = Transcripts(library, store, announcement, relay.wake)
    recording = await library.create("acme", "someone", Draft("Bản tin", Source.LIVE))
    transcript = await transcripts.create("acme", recording.recording_id, "", "whisper-base")
    async with database.transaction(None) as connection:
        await connection.execute("DELETE FROM outbox")
    return transcripts, transcript.transcript_id


def segments(first: int, count: int) -> list[Segment]:
    return [Segment(index, f"câu {index}", index, index + 1, "vi", 1.0) for index in range(first, first + count)]


async def stored(jetstream: JetStreamContext, count: int) -> list[tuple[str, str]]:
    """Message id and text of every event in the stream, which must come to hold `count` in time, and then no more."""
    async with asyncio.timeout(20):
        while (await jetstream.stream_info("TRANSCRIPTS")).state.messages < count:
            await asyncio.sleep(0.02)
    await asyncio.sleep(0.3)
    state = (await jetstream.stream_info("TRANSCRIPTS")).state
    assert state.messages == count
    read = [await jetstream.get_msg("TRANSCRIPTS", place) for place in range(1, state.last_seq + 1)]
    found = []
    for message in read:
        event = transcript_events_pb2.TranscriptFinalized.FromString(message.data or b"")
        assert (message.headers or {})["Nats-Msg-Id"] == event.event_id
        found.append((event.event_id, event.segment.text))
    return found


async def test_each_segment_is_announced_once_and_in_order(database: Database, bus: Bus) -> None:
    relays = [relay_to(bus, database, batch=7) for _ in range(3)]
    transcripts, transcript_id = await transcript_of(database, relays[0])
    async with running(*relays):
        for first in range(0, 60, 10):
            await transcripts.append("acme", transcript_id, segments(first, 10))
            await transcripts.append("acme", transcript_id, segments(first, 10))
        found = await stored(await bus.jetstream(), 60)
    assert [text for _, text in found] == [f"câu {index}" for index in range(60)]
    assert len({event_id for event_id, _ in found}) == 60
    assert (await PostgresOutbox(database).backlog()).events == 0


async def test_an_event_carries_the_segment_and_the_trace_of_its_append(database: Database, bus: Bus) -> None:
    relay = relay_to(bus, database)
    transcripts, transcript_id = await transcript_of(database, relay)
    caller = propagate.extract({"traceparent": f"00-{TRACE_ID}-b7ad6b7169203331-01"})
    token = context.attach(caller)
    await transcripts.append("acme", transcript_id, segments(0, 1))
    context.detach(token)
    assert await relay.relay_batch() == 1
    message = await (await bus.jetstream()).get_msg("TRANSCRIPTS", 1)
    span = trace.get_current_span(propagate.extract(message.headers or {})).get_span_context()
    assert f"{span.trace_id:032x}" == TRACE_ID
    event = transcript_events_pb2.TranscriptFinalized.FromString(message.data or b"")
    assert event.tenant == "acme"
    assert event.event_time.seconds > 0
    assert event.segment.transcript_id == transcript_id
    assert event.segment.segment_id == str(uuid.uuid5(uuid.UUID(transcript_id), "0"))
    assert event.event_id == str(uuid.uuid5(uuid.UUID(event.segment.segment_id), "transcript.finalized"))
    assert (event.segment.text, event.segment.end_ms, event.segment.language_code) == ("câu 0", 1, "vi")


async def test_nothing_is_lost_while_nats_is_away(database: Database, nats: NatsServer, bus: Bus) -> None:
    relay = relay_to(bus, database)
    transcripts, transcript_id = await transcript_of(database, relay)
    async with running(relay):
        await transcripts.append("acme", transcript_id, segments(0, 5))
        await stored(await bus.jetstream(), 5)
        await asyncio.to_thread(nats.stop)
        await transcripts.append("acme", transcript_id, segments(5, 5))
        await asyncio.sleep(0.2)
        assert (await PostgresOutbox(database).backlog()).events == 5
        await asyncio.to_thread(nats.start)
        found = await stored(await jetstream_again(bus), 10)
    assert [text for _, text in found] == [f"câu {index}" for index in range(10)]
    assert (await PostgresOutbox(database).backlog()).events == 0


async def jetstream_again(bus: Bus) -> JetStreamContext:
    """The JetStream of a server that has just come back, once it answers."""
    async with asyncio.timeout(20):
        while True:
            try:
                jetstream = await bus.jetstream()
                await jetstream.stream_info("TRANSCRIPTS")
            except (events.DependencyUnavailable, *events.RETRYABLE, NotFoundError):
                await asyncio.sleep(0.05)
                continue
            return jetstream


async def test_events_wait_for_a_nats_that_was_never_there(database: Database, nats: NatsServer) -> None:
    await asyncio.to_thread(nats.stop)
    async with events.connected(nats.url) as bus:
        relay = relay_to(bus, database)
        transcripts, transcript_id = await transcript_of(database, relay)
        async with running(relay):
            await transcripts.append("acme", transcript_id, segments(0, 3))
            await asyncio.sleep(0.1)
            await asyncio.to_thread(nats.start)
            assert len(await stored(await jetstream_again(bus), 3)) == 3


async def test_a_crash_between_publishing_and_removing_announces_nothing_twice(database: Database, bus: Bus) -> None:
    relay = relay_to(bus, database)
    transcripts, transcript_id = await transcript_of(database, relay)
    await transcripts.append("acme", transcript_id, segments(0, 3))
    outbox = PostgresOutbox(database)
    with contextlib.suppress(ZeroDivisionError):
        async with outbox.batch(10) as batch:
            for kept in batch.kept:
                await events.publish(bus, kept.event.subject, kept.event.event_id, kept.event.payload)
            _ = 1 / 0
    assert (await outbox.backlog()).events == 3
    assert await relay.relay_batch() == 3
    assert len(await stored(await bus.jetstream(), 3)) == 3
