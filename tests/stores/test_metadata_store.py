"""One suite that every store of recordings and transcripts passes: the fake in memory, and Postgres."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from typing import Protocol

import pytest

from servers.common.postgres import connected
from servers.metadata.outbox import Event, Outbox
from servers.metadata.outbox_store import PostgresOutbox
from servers.metadata.recordings import NewRecording, Place, Recording, RecordingStore, Source
from servers.metadata.store import PostgresStore
from servers.metadata.transcripts import Addition, NewTranscript, Segment, Transcript, TranscriptStore, Word
from tests.fakes.metadata_store import MemoryStore
from tests.stores.postgres_server import PostgresServer


class Store(RecordingStore, TranscriptStore, Protocol):
    """What is tested."""


class Stores:
    """A store and its outbox, empty."""

    def __init__(self, store: Store, outbox: Outbox) -> None:
        self.store = store
        self.outbox = outbox


@pytest.fixture(params=["memory", "postgres"])
async def stores(request: pytest.FixtureRequest) -> AsyncIterator[Stores]:
    if request.param == "memory":
        memory = MemoryStore()
        yield Stores(memory, memory)
        return
    server: PostgresServer = request.getfixturevalue("postgres")
    async with connected(server.app()) as database:
        async with database.transaction(None) as connection:
            await connection.execute("DELETE FROM outbox")
        yield Stores(PostgresStore(database), PostgresOutbox(database))


@pytest.fixture
def store(stores: Stores) -> Store:
    return stores.store


@pytest.fixture
def acme() -> str:
    """A tenant that no other test has."""
    return f"acme-{uuid.uuid4()}"


def new_recording(title: str = "Bản tin", language_code: str = "") -> NewRecording:
    return NewRecording(str(uuid.uuid4()), title, Source.LIVE, language_code)


async def recording_in(store: Store, tenant: str, language_code: str = "") -> Recording:
    stored = await store.add_recording(tenant, new_recording(language_code=language_code))
    assert stored is not None
    return stored


async def transcript_in(store: Store, tenant: str, recording: Recording) -> Transcript:
    new = NewTranscript(str(uuid.uuid4()), recording.recording_id, "whisper-base")
    stored = await store.add_transcript(tenant, new)
    assert stored is not None
    return stored


def addition(index: int, end_ms: int = 1000, language_code: str = "", key: str = "k") -> Addition:
    words = (Word("xin", 0, 500, 0.5), Word("chào", 500, 900, 0.25))
    segment = Segment(index, "xin chào", 0, end_ms, language_code, 0.75, words)
    return Addition(segment, Event(str(uuid.uuid4()), "transcript.finalized", key, b"\x00\xff", "00-ab-cd-01"))


async def test_a_recording_is_kept_as_given(store: Store, acme: str) -> None:
    new = new_recording("Bản tin 'chiều'; DROP TABLE recordings --", "vi")
    stored = await store.add_recording(acme, new)
    assert stored is not None
    assert stored.content == new
    assert (stored.duration_ms, stored.segment_count, stored.heard_language_code) == (0, 0, "")
    assert stored.create_time.utcoffset() is not None
    assert await store.recording(acme, new.recording_id) == stored


async def test_a_taken_id_keeps_its_first_content(store: Store, acme: str) -> None:
    first = await recording_in(store, acme)
    other = NewRecording(first.recording_id, "Something else", Source.FILE, "en")
    assert await store.add_recording(acme, other) == first


async def test_an_id_of_another_tenant_shows_nothing(store: Store, acme: str) -> None:
    theirs = await recording_in(store, acme)
    assert await store.add_recording("beta", theirs.content) is None
    assert await store.recording("beta", theirs.recording_id) is None
    assert await store.recording(acme, theirs.recording_id) == theirs


async def test_what_is_not_there_is_none(store: Store, acme: str) -> None:
    assert await store.recording(acme, str(uuid.uuid4())) is None
    assert await store.transcript(acme, str(uuid.uuid4())) is None
    assert await store.transcripts(acme, str(uuid.uuid4()), 10) == []
    assert await store.segments(acme, str(uuid.uuid4()), -1, 10) == []


async def test_recordings_are_listed_newest_first_page_by_page(store: Store, acme: str) -> None:
    made = [await recording_in(store, acme) for _ in range(5)]
    await recording_in(store, f"{acme}-other")
    assert await store.recordings(acme, None, 10) == made[::-1]
    first = await store.recordings(acme, None, 2)
    second = await store.recordings(acme, Place.of(first[-1]), 10)
    assert [*first, *second] == made[::-1]
    assert await store.recordings(acme, Place.of(made[0]), 10) == []


async def test_a_place_survives_its_token(store: Store, acme: str) -> None:
    place = Place.of(await recording_in(store, acme))
    assert Place.parse(str(place)) == place


async def test_transcripts(store: Store, acme: str) -> None:
    recording = await recording_in(store, acme)
    made = [await transcript_in(store, acme, recording) for _ in range(3)]
    assert await store.transcripts(acme, recording.recording_id, 2) == made[:0:-1]
    assert await store.transcript(acme, made[0].transcript_id) == made[0]
    other = NewTranscript(made[0].transcript_id, recording.recording_id, "another model")
    assert await store.add_transcript(acme, other) == made[0]


async def test_another_tenant_sees_no_transcript(store: Store, acme: str) -> None:
    recording = await recording_in(store, acme)
    transcript = await transcript_in(store, acme, recording)
    await store.add_segments(acme, transcript.content, [addition(0)])
    assert await store.transcript("beta", transcript.transcript_id) is None
    assert await store.transcripts("beta", recording.recording_id, 10) == []
    assert await store.segments("beta", transcript.transcript_id, -1, 10) == []


async def test_segments_are_kept_once_and_read_in_order(store: Store, acme: str) -> None:
    transcript = await transcript_in(store, acme, await recording_in(store, acme))
    first = [addition(index) for index in (0, 2, 2**32 - 1)]
    assert await store.add_segments(acme, transcript.content, first) == 3
    assert await store.add_segments(acme, transcript.content, [addition(1), addition(2, end_ms=9999)]) == 1
    kept = await store.segments(acme, transcript.transcript_id, -1, 10)
    assert [segment.index for segment in kept] == [0, 1, 2, 2**32 - 1]
    assert kept[2] == first[1].segment
    assert [one.index for one in await store.segments(acme, transcript.transcript_id, 0, 2)] == [1, 2]


async def test_the_recording_counts_its_segments(store: Store, acme: str) -> None:
    before = await recording_in(store, acme)
    transcripts = [await transcript_in(store, acme, before) for _ in range(2)]
    await store.add_segments(acme, transcripts[0].content, [addition(0, 700), addition(1, 900, "vi")])
    await store.add_segments(acme, transcripts[1].content, [addition(0, 800, "en")])
    await store.add_segments(acme, transcripts[1].content, [addition(0, 5000, "en")])
    after = await store.recording(acme, before.recording_id)
    assert after is not None
    assert (after.segment_count, after.duration_ms, after.language_code) == (3, 900, "vi")
    assert after.update_time > before.update_time
    assert after.create_time == before.create_time
    counts = [await store.transcript(acme, transcript.transcript_id) for transcript in transcripts]
    assert [one.segment_count for one in counts if one] == [2, 1]


async def test_what_is_already_kept_changes_nothing(stores: Stores, acme: str) -> None:
    recording = await recording_in(stores.store, acme)
    transcript = await transcript_in(stores.store, acme, recording)
    await stores.store.add_segments(acme, transcript.content, [addition(0)])
    before = await stores.store.recording(acme, recording.recording_id)
    assert await stores.store.add_segments(acme, transcript.content, [addition(0, 7777)]) == 0
    assert await stores.store.recording(acme, recording.recording_id) == before
    assert (await stores.outbox.backlog()).events == 1


async def test_the_creators_language_stands(store: Store, acme: str) -> None:
    recording = await recording_in(store, acme, "en")
    transcript = await transcript_in(store, acme, recording)
    await store.add_segments(acme, transcript.content, [addition(0, 1000, "vi")])
    after = await store.recording(acme, recording.recording_id)
    assert after is not None
    assert after.language_code == "en"
    assert after.content == recording.content


async def test_appends_that_overlap_are_counted_right(stores: Stores, acme: str) -> None:
    recording = await recording_in(stores.store, acme)
    transcripts = [await transcript_in(stores.store, acme, recording) for _ in range(2)]
    appends = [
        stores.store.add_segments(acme, transcripts[number % 2].content, [addition(index) for index in range(10)])
        for number in range(20)
    ]
    assert sum(await asyncio.gather(*appends)) == 20
    after = await stores.store.recording(acme, recording.recording_id)
    assert after is not None
    assert after.segment_count == 20
    assert (await stores.outbox.backlog()).events == 20


async def test_the_outbox_gives_events_in_order(stores: Stores, acme: str) -> None:
    transcript = await transcript_in(stores.store, acme, await recording_in(stores.store, acme))
    added = [addition(index) for index in range(5)]
    await stores.store.add_segments(acme, transcript.content, added)
    async with stores.outbox.batch(3) as batch:
        assert [kept.event for kept in batch.kept] == [one.event for one in added[:3]]
        await batch.remove([batch.kept[0].sequence, batch.kept[2].sequence])
    async with stores.outbox.batch(10) as batch:
        assert [kept.event for kept in batch.kept] == [added[at].event for at in (1, 3, 4)]
        await batch.remove([kept.sequence for kept in batch.kept])
    backlog = await stores.outbox.backlog()
    assert (backlog.events, backlog.oldest_s) == (0, 0.0)


async def test_the_backlog_ages(stores: Stores, acme: str) -> None:
    transcript = await transcript_in(stores.store, acme, await recording_in(stores.store, acme))
    await stores.store.add_segments(acme, transcript.content, [addition(0)])
    backlog = await stores.outbox.backlog()
    assert backlog.events == 1
    assert backlog.oldest_s > 0
