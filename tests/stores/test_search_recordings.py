"""What is known of recordings, from `recording.updated` over a real JetStream into SQLite; and how much waits."""

import asyncio
import uuid
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, cast

import pytest
from ai2text.events.v1 import recording_events_pb2
from google.protobuf.timestamp_pb2 import Timestamp
from nats.js import JetStreamContext
from nats.js.errors import NotFoundError

from servers.common import events
from servers.common.errors import DependencyUnavailable
from servers.common.events import Bus, Consumer
from servers.search import backlog
from servers.search.backlog import Backlog
from servers.search.catalogue import Known
from servers.search.consumers import jobs
from servers.search.documents import Scope
from servers.search.indexing import Filter, recording_number
from servers.search.narrowing import Conditions
from servers.search.store import Store
from tests.rpc import search_server
from tests.rpc.search_server import segment
from tests.stores.search_entries import DIMENSIONS, SPACE, entry
from tests.stores.test_search_consumers import eventually, idle, job, messages, recording_deleted, tell
from tests.stores.test_search_store import made_older

MANY = 100_000


def updated(recording_id: str = "R1", version: int = 1, tenant: str = "acme", **fields: Any) -> bytes:
    given = {"create_time": Timestamp(seconds=5, nanos=6_000), "labels": {"team": "a"}} | fields
    return recording_events_pb2.RecordingUpdated(
        event_id=str(uuid.uuid4()), tenant=tenant, recording_id=recording_id, version=version, **given
    ).SerializeToString()


def numbers(*recording_ids: str) -> list[int]:
    """Those that stand for the recordings."""
    return sorted(map(recording_number, recording_ids))


def team(name: str) -> Conditions:
    return Conditions(labels=(("team", name),))


async def test_what_is_told_is_known_once_the_newest_and_not_of_what_is_gone(bus: Bus, tmp_path: Path) -> None:
    async with search_server.shelves(tmp_path) as kept, search_server.intake(kept) as intake:
        running = [job(run) for run in jobs(bus, "1", kept, intake).values()]
        for one in running:
            await one.__aenter__()
        try:
            await tell(bus, events.RECORDING_UPDATED, updated())
            await tell(bus, events.RECORDING_UPDATED, updated())
            await tell(bus, events.RECORDING_UPDATED, updated("r2", version=7, labels={"team": "b"}))
            await tell(bus, events.RECORDING_UPDATED, updated("r2", version=6))
            await tell(bus, events.RECORDING_UPDATED, updated("r3", tenant="rival"))
            await idle(bus, "RECORDINGS", "search-recordings-1", 5)
            assert await kept.recordings("acme", team("a")) == numbers("r1")
            assert await kept.recordings("acme", team("b")) == numbers("r2")
            assert await kept.recordings("rival", team("a")) == numbers("r3")
            exactly = Conditions(created_from_us=5_000_006, created_before_us=5_000_007)
            assert await kept.recordings("acme", exactly) == numbers("r1", "r2")
            await tell(bus, events.RECORDING_DELETED, recording_deleted("R1"))
            await idle(bus, "RECORDINGS", "search-deletions-1", 6)
            await tell(bus, events.RECORDING_UPDATED, updated(version=9))
            await idle(bus, "RECORDINGS", "search-recordings-1", 7)
            assert await kept.recordings("acme", team("a")) == []
        finally:
            for one in running:
                await one.__aexit__(None, None, None)


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b"\xff\xff\xff", "DecodeError"),
        (updated(""), "recording_id is empty"),
        (updated(tenant=""), "tenant is empty"),
        (updated(version=0), "version must be 1 or more"),
        (updated(create_time=None), "create_time is no time"),
        (updated(create_time=Timestamp(seconds=2**62)), "create_time is no time"),
    ],
    ids=["no event", "no recording", "no tenant", "no version", "no time", "no such time"],
)
async def test_what_can_never_be_known_is_buried(bus: Bus, tmp_path: Path, payload: bytes, reason: str) -> None:
    async with search_server.shelves(tmp_path) as kept, search_server.intake(kept) as intake:
        every = jobs(bus, "1", kept, intake)
        async with job(every["notes"]), job(every["recordings"]):
            await tell(bus, events.RECORDING_UPDATED, payload)
            await tell(bus, events.RECORDING_UPDATED, updated())
            (dead,) = await messages(bus, f"{events.DEAD_LETTERS}.>", 1)
            await eventually(lambda: kept.recordings("acme", team("a")))
    assert dead.data == payload
    assert reason in (dead.headers or {})["Ai2text-Reason"]
    assert (dead.headers or {})["Ai2text-Consumer"] == "search-recordings-1"


async def test_much_that_waits_shows_until_it_is_taken_in(
    bus: Bus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backlog, "MANY", 10)
    monkeypatch.setattr(backlog, "LOOK_EVERY_S", 0.02)
    waiting, go = Backlog(bus, "search-1"), asyncio.Event()
    assert waiting.is_long, "nobody knows yet"

    async def taken(event: recording_events_pb2.RecordingUpdated) -> None:
        await go.wait()

    subject, event = events.EMBEDDING_CREATED, recording_events_pb2.RecordingUpdated
    async with job(waiting.run):
        await eventually(lambda: _true(not waiting.is_long))
        for _ in range(11):
            await tell(bus, events.EMBEDDING_CREATED, updated())
        await eventually(lambda: _true(waiting.is_long))  # before anybody reads
        async with job(Consumer(bus, "EMBEDDINGS", subject, "search-1", event, taken).run):
            await asyncio.sleep(0.2)
            assert waiting.is_long
            go.set()
            await eventually(lambda: _true(not waiting.is_long))


class Away:
    """A bus whose NATS was never there, or goes away between two questions."""

    def __init__(self, waiting: int | None = None) -> None:
        self._waiting = waiting

    async def waiting(self, stream: str, durable: str) -> int:
        if self._waiting is None:
            raise DependencyUnavailable("nats")
        return self._waiting

    async def jetstream(self) -> JetStreamContext:
        raise DependencyUnavailable("nats")


@pytest.mark.parametrize("away", [Away(), Away(0)])
async def test_what_nobody_could_ask_for_may_be_much(away: Away) -> None:
    waiting = Backlog(cast(Bus, away), "search-1")
    with pytest.raises(DependencyUnavailable):
        await waiting.run()
    assert waiting.is_long


class Answering:
    """A bus on which an answer comes in the moment of the first cancellation, which is lost in it."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.has_answered = False

    async def waiting(self, stream: str, durable: str) -> int:
        self.asked.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            if self.has_answered:
                raise
        self.has_answered = True
        return 1

    async def jetstream(self) -> "Answering":
        return self

    async def get_last_msg(self, stream: str, subject: str) -> None:
        raise NotFoundError


@pytest.mark.parametrize("look", ["the backlog", "what was deleted"])
async def test_who_looks_ends_when_cancelled_in_the_moment_of_an_answer(look: str) -> None:
    answering = Answering()
    bus = cast(Bus, answering)
    run = Backlog(bus, "search-1").run if look == "the backlog" else partial(backlog.taken_in, bus, "RECORDINGS", "x")
    looking = asyncio.ensure_future(run())
    await answering.asked.wait()
    looking.cancel()
    ended, _ = await asyncio.wait([looking], timeout=5)
    assert ended


async def _true(value: bool) -> bool:
    return value


@pytest.mark.timeout(30)  # a three-hundredth of that on an idle machine, if it does not go through them pair by pair
def test_many_recordings_are_selected_in_a_moment(store: Store) -> None:
    every = [
        Known("acme", str(uuid.UUID(int=n)), 1, n, {"team": "a", "half": str(n % 2), "one": str(n)})
        for n in range(MANY)
    ]
    assert store.note(every) == {"acme"}
    assert store.note([Known("rival", "r", 1, 5, {"team": "a"})]) == {"rival"}
    found = store.recordings("acme", team("a"))
    narrowed = Filter.of(Scope("acme", recording_numbers=tuple(found)))
    assert len(found) == len(narrowed.recordings) == MANY
    both = Conditions(labels=(("half", "1"), ("team", "a")), created_from_us=10, created_before_us=20)
    assert store.recordings("acme", both) == numbers(*(str(uuid.UUID(int=n)) for n in range(11, 20, 2)))
    assert store.recordings("acme", Conditions(labels=(("one", "77"),))) == numbers(str(uuid.UUID(int=77)))


def test_a_database_of_an_older_version_learns_of_recordings(store: Store, tmp_path: Path) -> None:
    store.put([segment("s1", "câu")])
    made_older(store)
    again = Store(tmp_path / "documents.sqlite")
    try:
        assert again.index_id == store.index_id
        again.note([Known("acme", "r1", 1, 5, {"team": "a"})])
        assert again.recordings("acme", team("a")) == numbers("r1")
    finally:
        again.close()


def test_the_newest_change_of_each_space(store: Store) -> None:
    assert store.newest_by_space("acme") == {}
    store.put([entry("s1"), entry("s2", model="a"), entry("s3"), entry("s1", model="z"), entry("s1", tenant="rival")])
    assert store.newest_by_space("acme") == {f"a/{DIMENSIONS}": 2, SPACE: 3, f"z/{DIMENSIONS}": 4}
    store.delete("acme", "r1", 10)
    assert store.newest_by_space("rival") == {SPACE: 5}
    assert sorted(store.newest_by_space("acme").values())[-1] == store.last_seq()
    assert (store.count("acme"), store.count("rival")) == (0, 1)


def test_the_same_or_less_is_no_news(store: Store) -> None:
    known = Known("acme", "r1", 2, 5, {"team": "a"})
    assert store.note([known, known]) == {"acme"}
    assert store.note([known, Known("acme", "r1", 1, 5, {"team": "z"})]) == set()
    assert store.recordings("acme", team("z")) == []


def test_a_label_that_is_gone_is_found_no_more(store: Store) -> None:
    store.note([Known("acme", "r1", 1, 5, {"team": "a", "x": "y"})])
    store.note([Known("acme", "r1", 2, 5, {"x": "y"})])
    assert store.recordings("acme", team("a")) == []
    assert store.recordings("acme", Conditions(labels=(("x", "y"),))) == numbers("r1")


def test_transcripts_that_count_no_more_are_not_there(store: Store) -> None:
    old, new = entry("s1"), entry("s2")
    new = replace(new, document=replace(new.document, transcript_id="t2"))
    ids = [each.document.id for each in (old, new)]

    def there(tenant: str = "acme") -> set[int]:
        assert store.existing(tenant, ids) == set(store.documents(tenant, ids))
        return store.existing(tenant, ids)

    store.note([Known("acme", "r1", 1, 5, superseded=("t1",))])
    store.put([old])
    assert there() == {old.document.id}, "nothing is there of what took its place"
    store.put([new])
    assert there() == {new.document.id}
    assert store.note([Known("acme", "r1", 2, 5, superseded=("t2",))]) == {"acme"}
    assert there() == {old.document.id}
    store.note([Known("acme", "r1", 3, 5, superseded=("t1",)), Known("acme", "r1", 2, 5, superseded=("t2",))])
    assert there() == {new.document.id}
    store.note([Known("rival", "r1", 3, 5, superseded=("t1", "t2"))])
    assert there() == {new.document.id}
    store.note([Known("acme", "r1", 4, 5)])
    assert there() == set(ids)
    store.note([Known("acme", "r1", 5, 5, superseded=("t1",))])
    store.delete("acme", "r1", 10)
    assert store._connection().execute("SELECT count(*) FROM superseded WHERE tenant = 'acme'").fetchone() == (0,)


def test_what_is_known_outlives_the_server_and_goes_with_the_recording(tmp_path: Path) -> None:
    for attempt in range(2):
        store = Store(tmp_path / "documents.sqlite")
        try:
            if not attempt:
                store.note([Known("acme", "r1", 1, 5, {"team": "a"}), Known("acme", "r2", 1, 5, {"team": "a"})])
                store.put([segment("s1", "câu")])
                store.delete("acme", "r1", 10)
            assert store.recordings("acme", team("a")) == numbers("r2")
            assert store.recordings("acme", Conditions(created_before_us=6)) == numbers("r2")
        finally:
            store.close()
