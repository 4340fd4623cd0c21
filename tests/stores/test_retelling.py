"""What is told again: from Postgres through a real NATS into an index that was lost, and into one that was not."""

import asyncio
import contextlib
import uuid
from collections.abc import AsyncIterator, Awaitable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from ai2text.events.v1 import transcript_events_pb2
from nats.js import JetStreamContext

from servers.common import events, streams
from servers.common.errors import DependencyUnavailable
from servers.common.events import Bus, Consumer
from servers.common.lifecycle import Job
from servers.common.outbox import Event
from servers.common.postgres import Database
from servers.embeddings.finals import Finals
from servers.metadata import announcement, repetition
from servers.metadata.library import Draft, Library, Update
from servers.metadata.listeners import BusListeners
from servers.metadata.outbox_store import PostgresOutbox
from servers.metadata.recordings import Source
from servers.metadata.relay import Relay
from servers.metadata.renewal import Renewal
from servers.metadata.renewal_store import PostgresToldStreams
from servers.metadata.retelling import Asked, Retelling, Told
from servers.metadata.retelling_store import PostgresRetelling
from servers.metadata.transcripts import Segment, Transcripts
from servers.search import backlog
from servers.search.backlog import Backlog
from servers.search.consumers import jobs
from servers.search.indexing import recording_number
from servers.search.narrowing import Conditions
from servers.search.shelves import Shelves
from tests.rpc import search_server
from tests.rpc.embeddings_server import LetterCounter, embedder
from tests.stores.test_search_consumers import eventually, finalized, found, job, tell

LOST = ("RECORDINGS", "EMBEDDINGS", "TRANSCRIPTS")


async def kept_going(run: Job) -> None:
    """Begin a job again when NATS has lost what it works on, as servers do."""
    while True:
        with contextlib.suppress(DependencyUnavailable):
            await run()
        await asyncio.sleep(0.05)


@dataclass
class Ground:
    """Metadata and embeddings at work; a search server is added and taken away."""

    bus: Bus
    library: Library
    transcripts: Transcripts
    retelling: Retelling
    folder: Path
    model: LetterCounter = field(default_factory=LetterCounter)
    tenant: str = field(default_factory=lambda: f"acme-{uuid.uuid4()}")

    async def recorded(self, *texts: str, team: str = "a") -> str:
        """A recording of these words."""
        made = await self.library.create(self.tenant, "someone", Draft("Họp", Source.LIVE, labels={"team": team}))
        transcript = await self.transcripts.create(self.tenant, made.recording_id, "", "m")
        segments = [Segment(n, text, n, n + 1, "vi", 1.0) for n, text in enumerate(texts)]
        await self.transcripts.append(self.tenant, transcript.transcript_id, segments)
        return made.recording_id

    @asynccontextmanager
    async def index(self, name: str) -> AsyncIterator[Shelves]:
        """A search server over the index of that name, which is empty at first."""
        async with AsyncExitStack() as stack:
            kept = await stack.enter_async_context(search_server.shelves(self.folder / name))
            intake = await stack.enter_async_context(search_server.intake(kept))
            for run in jobs(self.bus, name, kept, intake).values():
                await stack.enter_async_context(job(partial(kept_going, run)))
            yield kept

    async def retell(self) -> Told:
        """Tell the tenant's own again, all of it."""
        told, token = Told(), ""
        while True:
            stretch = await self.retelling.go_on(Asked(self.tenant), token)
            told, token = told + stretch.told, stretch.next_token
            if not token:
                return told

    async def hits(self, kept: Shelves, query: str) -> int:
        """In how many segments it is found."""
        return len(await found(kept, query, self.tenant))

    async def settled(self, name: str) -> None:
        """Wait until everything that was told has been taken in, by embeddings and by that index."""
        jetstream = await self.bus.jetstream()

        async def idle() -> bool:
            if await self.retelling._store.waiting():
                return False
            infos = [
                await jetstream.consumer_info("TRANSCRIPTS", "embeddings"),
                await jetstream.consumer_info("EMBEDDINGS", f"search-{name}"),
                await jetstream.consumer_info("RECORDINGS", f"search-recordings-{name}"),
                await jetstream.consumer_info("RECORDINGS", f"search-deletions-{name}"),
            ]
            return not any((info.num_pending or 0) + (info.num_ack_pending or 0) for info in infos)

        await eventually(idle)


@pytest.fixture
async def ground(bus: Bus, database: Database, tmp_path: Path) -> AsyncIterator[Ground]:
    async def publish(event: Event) -> None:
        await events.publish(bus, event.subject, event.event_id, event.payload)

    store, relay = PostgresRetelling(database), Relay(PostgresOutbox(database), publish)
    library = Library(store, announcement, relay.wake)
    transcripts = Transcripts(library, store, announcement, relay.wake)
    retelling = Retelling(store, repetition, BusListeners(bus), relay.wake)
    ground = Ground(bus, library, transcripts, retelling, tmp_path)
    finals = Finals(embedder(ground.model), partial(events.publish, bus))
    event, subject = transcript_events_pb2.TranscriptFinalized, events.TRANSCRIPT_FINALIZED
    consumer = Consumer(bus, "TRANSCRIPTS", subject, "embeddings", event, finals.handle)
    async with job(relay.run), job(partial(kept_going, consumer.run)):
        yield ground


async def test_an_index_that_was_lost_with_the_streams_fills_from_postgres(ground: Ground) -> None:
    async with ground.index("1") as kept:
        first = await ground.recorded("xin chào", "một hai ba", team="a")
        second = await ground.recorded("tạm biệt", team="b")
        gone = await ground.recorded("vĩnh viễn")
        await eventually(lambda: ground.hits(kept, "vinh vien"))
        await ground.library.update(ground.tenant, Update(second, "", "", {"team": "c"}))
        await ground.library.delete(ground.tenant, gone, "")
        await ground.settled("1")
    jetstream = await ground.bus.jetstream()
    for stream in LOST:  # and within the window in which JetStream knows what it had
        await jetstream.purge_stream(stream)
    asked = len(ground.model.asked)
    async with ground.index("2") as kept:
        assert not await ground.hits(kept, "xin chao")
        assert await ground.retell() == Told(2, 3, 1)
        await eventually(lambda: ground.hits(kept, "xin chao"))
        await eventually(lambda: ground.hits(kept, "tam biet"))
        await eventually(lambda: ground.hits(kept, "mot hai ba"))
        await ground.settled("2")
        assert not await ground.hits(kept, "vinh vien")
        for team, ids in {"a": [first], "b": [], "c": [second]}.items():
            numbers = await kept.recordings(ground.tenant, Conditions(labels=(("team", team),)))
            assert numbers == [recording_number(id) for id in ids]
    assert len(ground.model.asked) == asked


async def test_where_nothing_was_lost_nothing_is_added(ground: Ground) -> None:
    async with ground.index("1") as kept:
        for n in range(3):
            await ground.recorded(f"câu {n} một", f"câu {n} hai")
        await eventually(lambda: _is(ground.hits(kept, "cau"), 6))
        await ground.settled("1")
        store = kept._store
        before = (store.last_seq(), store.last_written(), store.count(ground.tenant), len(ground.model.asked))
        assert await ground.retell() == Told(3, 6, 0)
        jetstream = await ground.bus.jetstream()
        await eventually(lambda: _is(_messages(jetstream, "EMBEDDINGS"), 12))  # told again it was
        await ground.settled("1")
        assert (store.last_seq(), store.last_written(), store.count(ground.tenant), len(ground.model.asked)) == before


async def test_what_was_deleted_stays_away_when_only_that_was_forgotten(ground: Ground) -> None:
    async with ground.index("1") as kept:
        gone = await ground.recorded("vĩnh viễn")
        await eventually(lambda: ground.hits(kept, "vinh vien"))
        await ground.library.delete(ground.tenant, gone, "")
        await ground.settled("1")
    await (await ground.bus.jetstream()).purge_stream("RECORDINGS")
    async with ground.index("2") as kept:
        await eventually(lambda: ground.hits(kept, "vinh vien"))  # its vector is still told of
        assert await ground.retell() == Told(deleted=1)
        await eventually(lambda: _is(ground.hits(kept, "vinh vien"), 0))


async def test_more_than_one_batch_arrives_whole(ground: Ground) -> None:
    await ground.recorded(*(f"câu {n}" for n in range(150)))
    async with ground.index("1"):
        jetstream = await ground.bus.jetstream()
        await eventually(lambda: _is(_messages(jetstream, "EMBEDDINGS"), 150))
        await ground.settled("1")
    for stream in LOST:
        await jetstream.purge_stream(stream)
    async with ground.index("2") as kept:
        assert await ground.retell() == Told(1, 150)
        await eventually(lambda: _is(_documents(kept, ground.tenant), 150))


async def test_an_index_that_was_lost_with_nats_fills_without_anybody_asking(
    ground: Ground, database: Database
) -> None:
    told = PostgresToldStreams(database)
    await told.remember("")
    listeners = BusListeners(ground.bus)
    renewal = Renewal(listeners, told, ground.retelling)
    async with ground.index("1") as kept:
        await ground.recorded("xin chào")
        await eventually(lambda: ground.hits(kept, "xin chao"))
        await ground.settled("1")
    await renewal.look()
    jetstream = await ground.bus.jetstream()
    for stream in LOST:
        await jetstream.delete_stream(stream)
    async with ground.index("2") as kept:
        with contextlib.suppress(DependencyUnavailable):  # whoever sees that first makes them anew, and says so
            await listeners.name()
        assert not await ground.hits(kept, "xin chao")
        await renewal.look()
        await eventually(lambda: ground.hits(kept, "xin chao"))
    assert await told.told() == await listeners.name()
    await told.remember("")


async def _is(answer: Awaitable[Any], wanted: Any) -> bool:
    return bool(await answer == wanted)


async def _documents(kept: Shelves, tenant: str) -> int:
    return kept._store.count(tenant)


async def _messages(jetstream: JetStreamContext, stream: str) -> int:
    return (await jetstream.stream_info(stream)).state.messages


async def test_listeners_are_behind_by_what_they_have_not_done_with(bus: Bus) -> None:
    listeners = BusListeners(bus)
    assert await listeners.waiting() == 0
    for _ in range(3):
        await tell(bus, events.TRANSCRIPT_FINALIZED, finalized())
    assert await listeners.waiting() == 3  # before anybody reads
    finals = Finals(embedder(LetterCounter()), partial(events.publish, bus))
    event, subject = transcript_events_pb2.TranscriptFinalized, events.TRANSCRIPT_FINALIZED
    async with job(Consumer(bus, "TRANSCRIPTS", subject, "embeddings", event, finals.handle).run):
        await eventually(lambda: _is(listeners.waiting(), 0))
    await tell(bus, events.TRANSCRIPT_FINALIZED, finalized())
    assert await listeners.waiting() == 1


async def test_a_search_server_knows_that_a_retelling_goes_on(bus: Bus, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backlog, "LOOK_EVERY_S", 0.02)
    monkeypatch.setattr(backlog, "UNDER_WAY_S", 0.0)
    listeners, waiting = BusListeners(bus), Backlog(bus, "search-1")

    async def long() -> bool:
        return waiting.is_long

    async with job(waiting.run):
        await eventually(lambda: _is(long(), False))  # it was looked at for the first time
        await listeners.announce(True)
        await eventually(long)
        await listeners.announce(False)
        await eventually(lambda: _is(long(), False))
        monkeypatch.setattr(backlog, "UNDER_WAY_S", 60.0)
        await eventually(long)  # what was told last may still be coming
        monkeypatch.setattr(backlog, "UNDER_WAY_S", 0.5)
        await eventually(lambda: _is(long(), False))
        await listeners.announce(True)
        await eventually(long)
        monkeypatch.setattr(backlog, "SAID_EVERY_S", 0.5)
        await eventually(lambda: _is(long(), False))  # it was broken off
    info = await (await bus.jetstream()).stream_info(streams.RETELLINGS)
    assert info.state.messages == 1
