"""What retelling asks of its store, the fake and Postgres, and that the server learns no more by it than names."""

import uuid
from collections.abc import AsyncIterator

import psycopg
import pytest

from servers.common.outbox import Event
from servers.common.postgres import Database, connected
from servers.metadata.recordings import NewRecording, Source
from servers.metadata.retelling import RetellingStore
from servers.metadata.retelling_store import PostgresRetelling
from servers.metadata.transcripts import NewTranscript
from tests.fakes.metadata_retelling import MemoryRetelling
from tests.stores.postgres_server import PostgresServer


@pytest.fixture(params=["memory", "postgres"])
async def store(request: pytest.FixtureRequest) -> AsyncIterator[RetellingStore]:
    if request.param == "memory":
        yield MemoryRetelling()
        return
    server: PostgresServer = request.getfixturevalue("postgres")
    async with connected(server.app()) as database:
        yield PostgresRetelling(database)


@pytest.fixture
def family() -> str:
    """The first letters of the names of tenants that no other test has."""
    return f"family-{uuid.uuid4()}"


def event(event_id: str = "") -> Event:
    return Event(event_id or str(uuid.uuid4()), "transcript.finalized", "k", b"x", "")


async def recording_in(store: RetellingStore, tenant: str) -> str:
    new = NewRecording(str(uuid.uuid4()), "t", Source.LIVE, "")
    assert await store.add_recording(tenant, new, lambda _: ())
    return new.recording_id


async def deleted_in(store: RetellingStore, tenant: str) -> str:
    recording_id = await recording_in(store, tenant)
    assert await store.remove_recording(tenant, recording_id, event(), "")
    return recording_id


async def test_tenants_come_one_after_another_those_who_have_deleted_all_included(
    store: RetellingStore, family: str
) -> None:
    await recording_in(store, f"{family}-b")
    await recording_in(store, f"{family}-b")
    await deleted_in(store, f"{family}-a")
    await recording_in(store, f"{family}-c")
    names, name = [], await store.next_tenant(family)
    while name and name.startswith(family):
        names.append(name)
        name = await store.next_tenant(name)
    assert names == [f"{family}-{letter}" for letter in "abc"]


async def test_there_is_a_first_tenant_and_a_last(store: RetellingStore, family: str) -> None:
    await recording_in(store, family)
    name: str | None = ""
    seen = []
    while (name := await store.next_tenant(name or "")) is not None:
        seen.append(name)
    assert family in seen
    assert len(seen) == len(set(seen))


async def test_deleted_recordings_come_in_the_order_of_their_ids(store: RetellingStore, family: str) -> None:
    there = await recording_in(store, family)
    gone = sorted([await deleted_in(store, family) for _ in range(3)])
    await deleted_in(store, f"{family}-other")
    assert list(await store.deleted_recordings(family, "", 2)) == gone[:2]
    assert list(await store.deleted_recordings(family, gone[1], 2)) == gone[2:]
    assert [await store.was_deleted(family, id) for id in (*gone, there)] == [True, True, True, False]
    assert not await store.was_deleted(f"{family}-other", gone[0])


async def test_transcripts_come_in_the_order_of_their_ids(store: RetellingStore, family: str) -> None:
    recording_id, other = await recording_in(store, family), await recording_in(store, family)
    made = [NewTranscript(str(uuid.uuid4()), recording_id, f"m{n}", n) for n in range(4)]
    for new in (*made, NewTranscript(str(uuid.uuid4()), other, "m")):
        assert await store.add_transcript(family, new)
    assert list(await store.transcripts_in_order(family, recording_id)) == sorted(
        made, key=lambda one: one.transcript_id
    )
    assert list(await store.transcripts_in_order(f"{family}-other", recording_id)) == []


async def test_what_is_kept_waits(store: RetellingStore, family: str) -> None:
    before = await store.waiting()
    await store.keep(family, [event(), event()])
    assert await store.waiting() == before + 2


async def test_the_server_learns_names_and_nothing_else(database: Database, family: str) -> None:
    await recording_in(PostgresRetelling(database), family)
    async with database.transaction(None) as connection:
        cursor = await connection.execute("SELECT next_tenant(%s)", (family[:-1],))
        assert await cursor.fetchone() == (family,)
        await connection.execute("SELECT set_config('ai2text.naming', 'tenants', true)")  # which is for the owner alone
        for table in ("recordings", "deleted_recordings"):
            cursor = await connection.execute(f"SELECT count(*) FROM {table}")
            assert await cursor.fetchone() == (0,)


async def test_nobody_else_may_ask_for_names(postgres: PostgresServer) -> None:
    with psycopg.connect(postgres.owner()) as connection:
        granted = connection.execute(
            "SELECT proacl::text, prosecdef FROM pg_proc WHERE proname = 'next_tenant'"
        ).fetchone()
    assert granted is not None
    assert "ai2text_app=X" in granted[0]
    assert not granted[0].startswith("{=X")
    assert granted[1] is True
