"""Appends of many callers go to Postgres together, and none of them notices."""

import asyncio
import uuid
from collections.abc import Sequence
from typing import Any, LiteralString

import psycopg
import pytest

from servers.common.outbox import Event
from servers.common.postgres import Database
from servers.metadata.appends import MOST_SEGMENTS, Append, Appends
from servers.metadata.outbox_store import PostgresOutbox
from servers.metadata.recordings import NewRecording, Source
from servers.metadata.store import PostgresStore
from servers.metadata.transcripts import Addition, NewTranscript, Segment, Word


class Ways:
    """A database that notes what is asked of it."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.statements: list[str] = []

    async def idempotent(self, statement: LiteralString, values: Sequence[Any]) -> Any:
        self.statements.append(statement)
        return await self._database.idempotent(statement, values)

    def together(self) -> int:
        """How often appends went together."""
        return sum("append_together" in statement for statement in self.statements)


@pytest.fixture
def ways(database: Database) -> Ways:
    return Ways(database)


@pytest.fixture
def appends(ways: Ways) -> Appends:
    return Appends(ways)  # type: ignore[arg-type]


def a_tenant() -> str:
    return f"tenant-{uuid.uuid4()}"


async def transcript(database: Database, tenant: str) -> NewTranscript:
    store = PostgresStore(database)
    recording = NewRecording(str(uuid.uuid4()), "Bản tin", Source.LIVE, "")
    await store.add_recording(tenant, recording, lambda _: ())
    new = NewTranscript(str(uuid.uuid4()), recording.recording_id, "whisper-base")
    await store.add_transcript(tenant, new)
    return new


def append(tenant: str, to: NewTranscript, *indexes: int, text: str = "xin chào") -> Append:
    words = (Word("xin", 0, 5, 0.5), Word('"chào"\\', 5, 9, 0.25))
    return Append(
        tenant,
        to,
        [
            Addition(
                Segment(index, text, index, index + 9, "vi" if index else "", 0.875, words, "Xin chao"),
                Event(str(uuid.uuid4()), "transcript.x", to.transcript_id, f"{text} {index}\0\xff".encode(), "00-a"),
            )
            for index in indexes
        ],
    )


async def told(database: Database, key: str) -> list[Event]:
    async with PostgresOutbox(database).batch(1000) as batch:
        return [one.event for one in batch.kept if one.event.ordering_key == key]


async def test_what_comes_meanwhile_goes_together_each_as_its_own_tenant(
    database: Database, ways: Ways, appends: Appends
) -> None:
    tenants = [a_tenant(), a_tenant()]
    given = [
        append(tenant, to, *range(3 * first, 3 * first + 3))
        for tenant in tenants
        for to in [await transcript(database, tenant) for _ in range(4)]
        for first in range(5)
    ]
    assert await asyncio.gather(*map(appends.add, given)) == [3] * 40
    assert ways.together() == 1 == len(ways.statements)
    store = PostgresStore(database)
    for one in given[::5]:
        segments = await store.segments(one.tenant, one.transcript.transcript_id, -1, 100)
        expected = [
            addition.segment for other in given if other.transcript == one.transcript for addition in other.additions
        ]
        assert segments == expected
        assert await store.segments(tenants[one.tenant == tenants[0]], one.transcript.transcript_id, -1, 100) == []
        recording = await store.recording(one.tenant, one.transcript.recording_id)
        assert recording is not None
        assert (recording.segment_count, recording.duration_ms, recording.heard_language_code) == (15, 23, "vi")
        kept = await store.transcript(one.tenant, one.transcript.transcript_id)
        assert kept is not None
        assert kept.segment_count == 15
        events = [
            addition.event for other in given if other.transcript == one.transcript for addition in other.additions
        ]
        assert await told(database, one.transcript.transcript_id) == events


async def test_who_comes_later_waits_for_one_transaction_at_most(
    ways: Ways, appends: Appends, database: Database
) -> None:
    tenant = a_tenant()
    to = [await transcript(database, tenant) for _ in range(3)]
    first = asyncio.create_task(appends.add(append(tenant, to[0], 0)))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    others = [asyncio.create_task(appends.add(append(tenant, one, index))) for one in to for index in range(1, 4)]
    assert [await first, *await asyncio.gather(*others)] == [1] * 10
    assert ways.together() == 2 == len(ways.statements)


async def test_the_same_segment_twice_is_kept_once(database: Database, appends: Appends) -> None:
    tenant = a_tenant()
    to = await transcript(database, tenant)
    given = [append(tenant, to, 0, 1), append(tenant, to, 1, 2, text="khác"), append(tenant, to, 0, 1)]
    assert await asyncio.gather(*map(appends.add, given)) == [2, 1, 0]
    assert await appends.add(given[1]) == 0
    segments = await PostgresStore(database).segments(tenant, to.transcript_id, -1, 100)
    assert [segment.text for segment in segments] == ["xin chào", "xin chào", "khác"]
    events = [given[0].additions[0].event, given[0].additions[1].event, given[1].additions[1].event]
    assert await told(database, to.transcript_id) == events


async def test_a_recording_that_is_held_keeps_nobody_else_waiting(database: Database, appends: Appends) -> None:
    tenant = a_tenant()
    held, free = await transcript(database, tenant), await transcript(database, tenant)
    async with database.transaction(tenant) as connection:
        await connection.execute("SELECT FROM recordings WHERE recording_id = %s FOR UPDATE", (held.recording_id,))
        waiting = asyncio.create_task(appends.add(append(tenant, held, 0)))
        async with asyncio.timeout(2):
            assert await asyncio.gather(*(appends.add(append(tenant, free, index)) for index in range(5))) == [1] * 5
            assert await appends.add(append(tenant, free, 5)) == 1
        assert not waiting.done()
    assert await waiting == 1


async def test_one_that_cannot_be_kept_fails_alone(database: Database, appends: Appends) -> None:
    tenant = a_tenant()
    to = await transcript(database, tenant)
    orphan = NewTranscript(str(uuid.uuid4()), to.recording_id, "whisper-base")
    gone = NewTranscript(str(uuid.uuid4()), str(uuid.uuid4()), "whisper-base")
    given = [append(tenant, to, 0), append(tenant, orphan, 0), append(tenant, gone, 0), append(a_tenant(), to, 7)]
    one, two, three, four = await asyncio.gather(*map(appends.add, given), return_exceptions=True)
    assert (one, three, four) == (1, None, None)
    assert isinstance(two, psycopg.errors.ForeignKeyViolation)
    assert len(await told(database, to.transcript_id)) == 1


async def test_one_that_gave_up_does_not_trouble_the_others(database: Database, appends: Appends) -> None:
    tenant = a_tenant()
    to = await transcript(database, tenant)
    impatient, *patient = (asyncio.create_task(appends.add(append(tenant, to, index))) for index in range(3))
    await asyncio.sleep(0)
    impatient.cancel()
    assert await asyncio.gather(*patient) == [1, 1]
    assert impatient.cancelled()


async def test_a_large_append_goes_alone(database: Database, ways: Ways, appends: Appends) -> None:
    tenant = a_tenant()
    to = await transcript(database, tenant)
    assert await appends.add(append(tenant, to, *range(MOST_SEGMENTS + 1))) == MOST_SEGMENTS + 1
    assert ways.together() == 0
