"""One suite that every store of recordings and transcripts passes: the fake in memory, and Postgres."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from typing import Protocol

import pytest

from servers.common.errors import EtagMismatch, RecordingNotFound, TooManyTranscripts
from servers.common.outbox import Event
from servers.common.postgres import connected
from servers.metadata.files import File, MediaInfo, StoredObject
from servers.metadata.labels import Wanted
from servers.metadata.library import RecordingStore, Telling
from servers.metadata.listings import Order, Place, Selection
from servers.metadata.outbox import Outbox
from servers.metadata.outbox_store import PostgresOutbox
from servers.metadata.recordings import Change, NewRecording, Recording, Source
from servers.metadata.store import PostgresStore
from servers.metadata.transcripts import (
    MOST_TRANSCRIPTS,
    Addition,
    NewTranscript,
    Segment,
    Transcript,
    TranscriptStore,
    Word,
)
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
    stored = await store.add_recording(tenant, new_recording(language_code=language_code), telling())
    assert stored is not None
    return stored


async def transcript_in(store: Store, tenant: str, recording: Recording, channel: int = 0) -> Transcript:
    new = NewTranscript(str(uuid.uuid4()), recording.recording_id, "whisper-base", channel)
    stored = await store.add_transcript(tenant, new)
    assert stored is not None
    return stored


def addition(index: int, end_ms: int = 1000, language_code: str = "", key: str = "k") -> Addition:
    words = (Word("xin", 0, 500, 0.5), Word("chào", 500, 900, 0.25))
    segment = Segment(index, "xin chào", 0, end_ms, language_code, 0.75, words, "xin chao")
    return Addition(segment, Event(str(uuid.uuid4()), "transcript.finalized", key, b"\x00\xff", "00-ab-cd-01"))


def event(key: str = "k") -> Event:
    return Event(str(uuid.uuid4()), "recording.x", key, b"x", "")


def telling(*events: Event) -> Telling:
    """Tells these of any recording."""
    return lambda _: events


def file(name: str = "one", duration_ms: int = 61_000) -> File:
    return File(
        StoredObject(f"audio/acme/{name}", 2**40, bytes(range(32)), 2**32 - 1),
        MediaInfo("matroska,webm", "opus", 48_000, 2, duration_ms),
    )


async def file_in(store: Store, tenant: str, name: str = "one", kept: Event | None = None) -> Recording:
    new = NewRecording(str(uuid.uuid4()), "t", Source.FILE, "", file(name), {"show": "news", "empty": ""})
    stored = await store.add_recording(tenant, new, telling(kept) if kept else telling())
    assert stored is not None
    return stored


async def test_a_recording_is_kept_as_given(store: Store, acme: str) -> None:
    new = new_recording("Bản tin 'chiều'; DROP TABLE recordings --", "vi")
    stored = await store.add_recording(acme, new, telling())
    assert stored is not None
    assert stored.content == new
    assert (stored.duration_ms, stored.segment_count, stored.heard_language_code) == (0, 0, "")
    assert stored.create_time.utcoffset() is not None
    assert await store.recording(acme, new.recording_id) == stored


async def test_a_taken_id_keeps_its_first_content(store: Store, acme: str) -> None:
    first = await recording_in(store, acme)
    other = NewRecording(first.recording_id, "Something else", Source.FILE, "en")
    assert await store.add_recording(acme, other, telling()) == first


async def test_an_id_of_another_tenant_shows_nothing(store: Store, acme: str) -> None:
    theirs = await recording_in(store, acme)
    assert await store.add_recording("beta", theirs.content, telling()) is None
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
    assert await store.recordings(acme, Selection(), None, 10) == made[::-1]
    first = await store.recordings(acme, Selection(), None, 2)
    second = await store.recordings(acme, Selection(), Place.of(Order.NEWEST, first[-1]), 10)
    assert [*first, *second] == made[::-1]
    assert await store.recordings(acme, Selection(), Place.of(Order.NEWEST, made[0]), 10) == []


async def test_a_place_survives_its_token(store: Store, acme: str) -> None:
    recording = await recording_in(store, acme)
    for order in Order:
        place = Place.of(order, recording)
        assert Place.parse(order, str(place)) == place


async def test_transcripts(store: Store, acme: str) -> None:
    recording = await recording_in(store, acme)
    made = [await transcript_in(store, acme, recording, channel) for channel in range(3)]
    assert [transcript.content.channel for transcript in made] == [0, 1, 2]
    assert await store.transcripts(acme, recording.recording_id, 2) == made[:0:-1]
    assert await store.transcript(acme, made[0].transcript_id) == made[0]
    other = NewTranscript(made[0].transcript_id, recording.recording_id, "another model")
    assert await store.add_transcript(acme, other) == made[0]


async def test_of_a_channel_one_transcript_counts_and_the_others_are_told_of(store: Store, acme: str) -> None:
    recording = await recording_in(store, acme)
    told: list[tuple[int, tuple[str, ...]]] = []

    def note(changed: Recording) -> Sequence[Event]:
        told.append((changed.version, changed.superseded))
        return ()

    async def kept(incomplete: bool = False, channel: int = 0, id: str = "") -> str:
        new = NewTranscript(id or str(uuid.uuid4()), recording.recording_id, "whisper-base", channel)
        assert await store.add_transcript(acme, new, incomplete, note)
        return new.transcript_id

    first, _ = await kept(), await kept(channel=1)
    assert told == []
    second = await kept(incomplete=True)
    assert await kept(incomplete=True, id=second) == second
    assert told == [(2, (second,))]
    for _ in range(2):
        await kept(id=second)
    assert told[1:] == [(3, (first,))]
    third = await kept(incomplete=True)
    fourth = await kept()
    before = tuple(sorted([first, second, third]))
    assert told[2:] == [(4, tuple(sorted([first, third]))), (5, before)]
    now = await store.recording(acme, recording.recording_id)
    assert now is not None
    assert (now.version, now.superseded) == (5, before)
    assert fourth not in now.superseded


async def test_two_transcripts_that_are_made_at_once_know_of_each_other(store: Store, acme: str) -> None:
    recording = await recording_in(store, acme)
    await asyncio.gather(*(transcript_in(store, acme, recording) for _ in range(8)))
    now = await store.recording(acme, recording.recording_id)
    assert now is not None
    assert (now.version, len(now.superseded)) == (8, 7)


async def test_a_recording_has_a_hundred_transcripts_at_most(store: Store, acme: str) -> None:
    recording = await recording_in(store, acme)
    made = [await transcript_in(store, acme, recording, n % 8) for n in range(MOST_TRANSCRIPTS)]
    with pytest.raises(TooManyTranscripts) as refused:
        await transcript_in(store, acme, recording)
    assert refused.value.metadata == {"recording_id": recording.recording_id, "limit": "100"}
    assert await store.add_transcript(acme, made[0].content) == made[0]
    assert len(await store.transcripts(acme, recording.recording_id, 999)) == MOST_TRANSCRIPTS


async def test_what_is_incomplete_is_complete_once_the_same_is_kept_again(store: Store, acme: str) -> None:
    recording = await recording_in(store, acme)
    new = NewTranscript(str(uuid.uuid4()), recording.recording_id, "whisper-base", 1)

    async def kept(content: NewTranscript, incomplete: bool) -> bool:
        stored = await store.add_transcript(acme, content, incomplete)
        assert stored is not None
        return stored.incomplete

    assert await kept(new, True)
    assert await kept(new, True)
    assert await kept(replace(new, model="another model"), True)
    assert await kept(replace(new, model="another model"), False)
    listed = await store.transcripts(acme, recording.recording_id, 9)
    assert [transcript.incomplete for transcript in listed] == [True]
    assert not await kept(new, False)
    assert not await kept(new, True)
    assert not (await transcript_in(store, acme, recording)).incomplete


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


async def test_a_file_and_labels_are_kept_as_given(stores: Stores, acme: str) -> None:
    kept = event()
    stored = await file_in(stores.store, acme, kept=kept)
    assert stored.content.file == file()
    assert stored.content.labels == {"show": "news", "empty": ""}
    assert (stored.duration_ms, stored.version) == (61_000, 1)
    assert await stores.store.recording(acme, stored.recording_id) == stored
    async with stores.outbox.batch(10) as batch:
        assert [one.event for one in batch.kept] == [kept]


async def test_a_recording_that_is_there_makes_no_second_event(stores: Stores, acme: str) -> None:
    stored = await file_in(stores.store, acme, kept=event())
    assert await stores.store.add_recording(acme, stored.content, telling(event())) == stored
    assert await stores.store.add_recording("beta", stored.content, telling(event())) is None
    assert (await stores.outbox.backlog()).events == 1


async def test_the_probe_stands_until_a_segment_ends_later(store: Store, acme: str) -> None:
    recording = await file_in(store, acme)
    transcript = await transcript_in(store, acme, recording)
    for index, (end_ms, duration_ms) in enumerate([(60_000, 61_000), (62_000, 62_000)]):
        await store.add_segments(acme, transcript.content, [addition(index, end_ms)])
        after = await store.recording(acme, recording.recording_id)
        assert after is not None
        assert after.duration_ms == duration_ms


async def test_a_change_counts_on_and_leaves_the_rest(store: Store, acme: str) -> None:
    before = await file_in(store, acme)
    renamed = await store.change_recording(acme, before.recording_id, Change(title="Khác"), before.etag, telling())
    assert renamed is not None
    assert (renamed.content.title, renamed.content.labels, renamed.content.file) == (
        "Khác", before.content.labels, before.content.file
    )  # fmt: skip
    assert renamed.version == 2
    assert renamed.update_time > before.update_time
    assert renamed.create_time == before.create_time
    cleared = await store.change_recording(
        acme, before.recording_id, Change(language_code="en", labels={}), "", telling()
    )
    assert cleared is not None
    assert (cleared.content.language_code, cleared.content.labels, cleared.version) == ("en", {}, 3)
    assert cleared == await store.recording(acme, before.recording_id)
    assert cleared.was_made_of(before.content)
    assert not cleared.was_made_of(cleared.content)


async def test_a_change_is_told_as_it_was_made_and_only_then(stores: Stores, acme: str) -> None:
    before, told = await file_in(stores.store, acme), list[Recording]()

    def tell(changed: Recording) -> list[Event]:
        told.append(changed)
        return [event(f"v{changed.version}")]

    change = Change(labels={"show": "other"})
    changed = await stores.store.change_recording(acme, before.recording_id, change, "", tell)
    assert [changed] == told
    for tenant in (acme, "beta"):  # nothing is different; not theirs
        await stores.store.change_recording(tenant, before.recording_id, change, "", tell)
    with pytest.raises(EtagMismatch):
        await stores.store.change_recording(acme, before.recording_id, Change(title="x"), "v1", tell)
    async with stores.outbox.batch(10) as batch:
        assert [one.event.ordering_key for one in batch.kept] == ["v2"]


async def test_a_change_of_nothing_changes_nothing(store: Store, acme: str) -> None:
    before = await file_in(store, acme)
    same = Change(before.content.title, before.content.language_code, before.content.labels)
    assert await store.change_recording(acme, before.recording_id, same, "v1", telling()) == before
    assert await store.change_recording(acme, before.recording_id, Change(), "", telling()) == before


async def test_a_change_of_what_has_changed_since_is_refused(store: Store, acme: str) -> None:
    before = await recording_in(store, acme)
    await store.change_recording(acme, before.recording_id, Change(title="Khác"), "", telling())
    for etag in (before.etag, "v", "v3", "2"):
        with pytest.raises(EtagMismatch):
            await store.change_recording(acme, before.recording_id, Change(title="Nữa"), etag, telling())
        with pytest.raises(EtagMismatch):
            await store.remove_recording(acme, before.recording_id, event(), etag)
    after = await store.recording(acme, before.recording_id)
    assert after is not None
    assert after.content.title == "Khác"


async def test_of_changes_at_the_same_time_with_the_same_etag_one_is_made(store: Store, acme: str) -> None:
    before = await recording_in(store, acme)
    changes = [
        store.change_recording(acme, before.recording_id, Change(title=f"{number}"), before.etag, telling())
        for number in range(5)
    ]
    done = await asyncio.gather(*changes, return_exceptions=True)
    assert sorted(type(one).__name__ for one in done) == ["EtagMismatch"] * 4 + ["Recording"]


async def test_another_tenant_changes_and_removes_nothing(stores: Stores, acme: str) -> None:
    recording = await file_in(stores.store, acme)
    assert await stores.store.change_recording("beta", recording.recording_id, Change(title="x"), "", telling()) is None
    assert not await stores.store.remove_recording("beta", recording.recording_id, event(), "")
    assert await stores.store.recording(acme, recording.recording_id) == recording
    assert (await stores.outbox.backlog()).events == 0


async def test_what_is_removed_is_gone_with_all_that_belongs_to_it(stores: Stores, acme: str) -> None:
    store = stores.store
    recording, other = await file_in(store, acme), await file_in(store, acme, "two")
    transcript = await transcript_in(store, acme, recording)
    await store.add_segments(acme, transcript.content, [addition(0), addition(1)])
    kept = event("deletion")
    assert await store.remove_recording(acme, recording.recording_id, kept, recording.etag)
    assert not await store.remove_recording(acme, recording.recording_id, event(), "")
    assert await store.recording(acme, recording.recording_id) is None
    assert await store.transcript(acme, transcript.transcript_id) is None
    assert await store.segments(acme, transcript.transcript_id, -1, 10) == []
    assert await store.recordings(acme, Selection(), None, 10) == [other]
    async with stores.outbox.batch(10) as batch:
        assert [one.event for one in batch.kept if one.event.ordering_key == "deletion"] == [kept]


async def test_a_removed_recording_does_not_come_back(stores: Stores, acme: str) -> None:
    store = stores.store
    recording = await file_in(store, acme)
    transcript = await transcript_in(store, acme, recording)
    await store.remove_recording(acme, recording.recording_id, event(), "")
    assert await store.add_segments(acme, transcript.content, [addition(0)]) is None
    with pytest.raises(RecordingNotFound):
        await store.add_transcript(acme, transcript.content)
    assert await store.add_recording(acme, recording.content, telling(event())) is None
    assert await store.recording(acme, recording.recording_id) is None
    assert (await stores.outbox.backlog()).events == 1


async def test_removing_while_segments_come_leaves_nothing_behind(stores: Stores, acme: str) -> None:
    store = stores.store
    recording = await recording_in(store, acme)
    transcript = await transcript_in(store, acme, recording)
    appends = [store.add_segments(acme, transcript.content, [addition(index)]) for index in range(8)]
    creates = [store.add_recording(acme, recording.content, telling()) for _ in range(4)]
    await asyncio.gather(
        *appends[:4], *creates[:2], store.remove_recording(acme, recording.recording_id, event(), ""), *appends[4:],
        *creates[2:],
    )  # fmt: skip
    assert await store.recording(acme, recording.recording_id) is None
    assert await store.segments(acme, transcript.transcript_id, -1, 100) == []


async def test_what_is_added_by_several_at_once_is_added_once(store: Store, acme: str) -> None:
    for _ in range(40):
        new = new_recording()
        added = await asyncio.gather(*(store.add_recording(acme, new, telling()) for _ in range(8)))
        assert [recording and recording.content for recording in added] == [new] * 8
        begun = NewTranscript(str(uuid.uuid4()), new.recording_id, "whisper-base")
        made = await asyncio.gather(*(store.add_transcript(acme, begun) for _ in range(8)))
        assert [transcript and transcript.content for transcript in made] == [begun] * 8


async def test_objects_in_use_are_those_of_recordings_that_are_there(store: Store, acme: str) -> None:
    first, second = await file_in(store, acme), await file_in(store, acme)
    keys = ["audio/acme/one", "audio/acme/two", "nothing"]
    assert set(await store.objects_in_use(acme, keys)) == {"audio/acme/one"}
    assert set(await store.objects_in_use(f"{acme}-other", keys)) == set()
    await store.remove_recording(acme, first.recording_id, event(), "")
    assert set(await store.objects_in_use(acme, keys)) == {"audio/acme/one"}
    await store.remove_recording(acme, second.recording_id, event(), "")
    assert set(await store.objects_in_use(acme, keys)) == set()


async def listing(store: Store, tenant: str) -> list[Recording]:
    """Five recordings that differ in all that lists can be narrowed by, in the order in which they were made."""
    news = [
        NewRecording(str(uuid.uuid4()), "Đà Lạt", Source.LIVE, "vi", None, {"show": "news"}),
        NewRecording(str(uuid.uuid4()), "b", Source.FILE, "en", file(duration_ms=9000), {"show": "talk", "done": ""}),
        NewRecording(str(uuid.uuid4()), "B%_", Source.LIVE, ""),
        NewRecording(str(uuid.uuid4()), "a" + "\u0302" + "n", Source.FILE, "", file(duration_ms=500)),
        NewRecording(str(uuid.uuid4()), "a|b", Source.LIVE, "vi", None, {"show": "news"}),
    ]
    made = [await store.add_recording(tenant, new, telling()) for new in news]
    assert made[2]
    transcript = await transcript_in(store, tenant, made[2])
    await store.add_segments(tenant, transcript.content, [addition(0, 7000, "vi")])
    found = [await store.recording(tenant, new.recording_id) for new in news]
    assert all(found)
    return [one for one in found if one]


@pytest.mark.parametrize(
    ("selection", "which"),
    [
        (Selection(order=Order.OLDEST), [0, 1, 2, 3, 4]),
        (Selection(order=Order.NEWEST), [4, 3, 2, 1, 0]),
        (Selection(order=Order.TITLE), [2, 4, 3, 1, 0]),
        (Selection(language_code="vi"), [4, 2, 0]),
        (Selection(language_code="vi", order=Order.LONGEST, labels=()), [2, None, None]),
        (Selection(source=Source.FILE), [3, 1]),
        (Selection(source=Source.FILE, language_code="en"), [1]),
        (Selection(title_contains="đÀ l"), [0]),
        (Selection(title_contains="B"), [4, 2, 1]),
        (Selection(title_contains="%_"), [2]),
        (Selection(title_contains="\u00c2N"), [3]),
        (Selection(title_contains="nowhere"), []),
        (Selection(labels=(Wanted("show", "news"),)), [4, 0]),
        (Selection(labels=(Wanted("show", None),)), [4, 1, 0]),
        (Selection(labels=(Wanted("show", "talk"), Wanted("done", ""))), [1]),
        (Selection(labels=(Wanted("show", "talk"), Wanted("done", "x"))), []),
        (Selection(labels=(Wanted("%", None),)), []),
    ],
    ids=str,
)
async def test_lists_are_narrowed_and_put_in_order(
    store: Store, acme: str, selection: Selection, which: list[int | None]
) -> None:
    made = await listing(store, acme)
    found = await store.recordings(acme, selection, None, 10)
    assert [made.index(one) if number is not None else None for one, number in zip(found, which, strict=True)] == which


async def test_lists_are_narrowed_by_time(store: Store, acme: str) -> None:
    made = await listing(store, acme)
    after, before = made[1].create_time, made[3].create_time
    found = await store.recordings(acme, Selection(created_after=after, created_before=before), None, 10)
    assert [one.recording_id for one in found] == [made[2].recording_id, made[1].recording_id]


@pytest.mark.parametrize("order", Order)
async def test_in_every_order_pages_hold_every_recording_once(store: Store, acme: str, order: Order) -> None:
    await listing(store, acme)
    selection = Selection(order=order)
    whole = await store.recordings(acme, selection, None, 10)
    assert len(whole) == 5
    paged: list[Recording] = []
    while page := await store.recordings(acme, selection, Place.of(order, paged[-1]) if paged else None, 2):
        paged += page
    assert paged == whole
