"""One suite that every store of operations passes: the fake in memory, and Postgres."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from typing import Protocol

import psycopg
import pytest

from servers.asr.batch.operations import NewOperation, OperationStore
from servers.asr.batch.pages import Place
from servers.asr.batch.progress import Failure, FileState, Job, Operation, Progress, TakenOver
from servers.asr.batch.reminders import Told, UnfinishedStore
from servers.asr.batch.store import PostgresOperations
from servers.asr.batch.transcription import Ledger
from servers.common.errors import Ai2TextError, AudioUndecodable, DependencyUnavailable
from servers.common.outbox import Event
from servers.common.postgres import connected
from tests.fakes.operation_store import MemoryOperations
from tests.stores.postgres_server import PostgresServer

UNDECODABLE = AudioUndecodable("the file has no audio that can be decoded")


class Store(OperationStore, Ledger, UnfinishedStore, Protocol):
    """What is tested."""


@pytest.fixture(params=["memory", "postgres"])
async def store(request: pytest.FixtureRequest) -> AsyncIterator[Store]:
    if request.param == "memory":
        yield MemoryOperations()
        return
    server: PostgresServer = request.getfixturevalue("postgres")
    async with connected(server.app()) as database:
        yield PostgresOperations(database)


@pytest.fixture
def acme() -> str:
    """A tenant that no other test has."""
    return f"acme-{uuid.uuid4()}"


def new_operation(files: int = 1, language_code: str = "") -> NewOperation:
    return NewOperation(str(uuid.uuid4()), "lan", language_code, [str(uuid.uuid4()) for _ in range(files)])


def event(recording_id: str) -> Event:
    return Event(str(uuid.uuid4()), "transcription.requested", recording_id, b"\x00\xff", "00-ab-cd-01")


def job(tenant: str, new: NewOperation, place: int = 0, attempt: int = 1) -> Job:
    return Job(tenant, "lan", new.operation_id, new.recording_ids[place], attempt)


async def operation_of(store: Store, tenant: str, new: NewOperation) -> Operation:
    found = await store.operation(tenant, new.operation_id)
    assert found is not None
    return found


async def states(store: Store, tenant: str, new: NewOperation) -> list[FileState]:
    return [file.state for file in (await operation_of(store, tenant, new)).files]


async def test_an_operation_is_kept_with_its_files_in_their_order(store: Store, acme: str) -> None:
    new = new_operation(files=3, language_code="vi")
    stored = await store.add(acme, new, [])
    assert stored is not None
    assert stored == await operation_of(store, acme, new)
    assert (stored.subject, stored.language_code, stored.cancelled) == ("lan", "vi", False)
    assert [file.recording_id for file in stored.files] == new.recording_ids
    assert {(file.state, file.tries, file.progress, file.failure) for file in stored.files} == {
        (FileState.QUEUED, 0, Progress(), None)
    }
    assert stored.create_time.utcoffset() is not None


async def test_a_taken_id_keeps_its_first_content(store: Store, acme: str) -> None:
    new = new_operation()
    first = await store.add(acme, new, [])
    again = NewOperation(new.operation_id, "other", "en", [str(uuid.uuid4())])
    assert await store.add(acme, again, []) == first


async def test_another_tenant_sees_nothing_and_changes_nothing(store: Store, acme: str) -> None:
    new = new_operation()
    theirs = await store.add(acme, new, [])
    assert await store.add("beta", new, []) is None
    assert await store.operation("beta", new.operation_id) is None
    assert await store.is_done("beta", new.operation_id) is None
    assert not await store.cancel("beta", new.operation_id)
    assert not await store.delete("beta", new.operation_id)
    assert await store.begin(job("beta", new)) is None
    assert not await store.advance(job("beta", new), Progress())
    assert await store.operations(f"{acme}-other", None, None, 10) == []
    assert await operation_of(store, acme, new) == theirs


async def test_what_is_not_there(store: Store, acme: str) -> None:
    nobody = str(uuid.uuid4())
    assert await store.operation(acme, nobody) is None
    assert await store.is_done(acme, nobody) is None
    assert not await store.cancel(acme, nobody)
    assert not await store.delete(acme, nobody)
    assert await store.begin(Job(acme, "lan", nobody, str(uuid.uuid4()))) is None
    assert await store.language(Job(acme, "lan", nobody, str(uuid.uuid4()))) == ""


async def test_operations_are_listed_newest_first_page_by_page(store: Store, acme: str) -> None:
    made = [await store.add(acme, new_operation(files=2), []) for _ in range(5)]
    await store.add(f"{acme}-other", new_operation(), [])
    assert await store.operations(acme, None, None, 10) == made[::-1]
    first = await store.operations(acme, None, None, 2)
    rest = await store.operations(acme, None, Place(first[-1].create_time, first[-1].operation_id), 10)
    assert [*first, *rest] == made[::-1]


async def test_operations_are_listed_by_whether_they_are_done(store: Store, acme: str) -> None:
    news = [new_operation(files=2) for _ in range(3)]
    for new in news:
        await store.add(acme, new, [])
    await store.begin(job(acme, news[0]))
    await store.succeed(job(acme, news[0]))
    await store.cancel(acme, news[1].operation_id)
    assert [one.operation_id for one in await store.operations(acme, True, None, 10)] == [news[1].operation_id]
    assert [one.operation_id for one in await store.operations(acme, False, None, 10)] == [
        news[2].operation_id,
        news[0].operation_id,
    ]


async def test_an_operation_is_done_when_all_its_files_are(store: Store, acme: str) -> None:
    new = new_operation(files=3)
    await store.add(acme, new, [])
    for place, end in enumerate((store.succeed, lambda job: store.fail(job, UNDECODABLE), None)):
        assert await store.is_done(acme, new.operation_id) is False
        await store.begin(job(acme, new, place))
        if end is not None:
            await end(job(acme, new, place))
    assert await store.is_done(acme, new.operation_id) is False
    await store.cancel(acme, new.operation_id)
    assert await store.is_done(acme, new.operation_id) is True


async def test_a_file_goes_from_queued_to_succeeded(store: Store, acme: str) -> None:
    new = new_operation(language_code="vi")
    await store.add(acme, new, [])
    begun = await store.begin(job(acme, new))
    assert begun is not None
    assert (begun.state, begun.tries) == (FileState.RUNNING, 1)
    assert await store.language(job(acme, new)) == "vi"
    progress = Progress(str(uuid.uuid4()), 60_000, 32_000, 7)
    assert await store.advance(job(acme, new), progress)
    before = await operation_of(store, acme, new)
    assert (before.files[0].progress, before.percent, before.is_done) == (progress, 53, False)
    await store.succeed(job(acme, new))
    after = await operation_of(store, acme, new)
    assert (after.files[0].state, after.percent, after.is_done) == (FileState.SUCCEEDED, 100, True)
    assert after.update_time > before.update_time
    again = await store.begin(job(acme, new))
    assert again is not None
    assert (again.state, again.tries) == (FileState.SUCCEEDED, 1)


async def test_a_file_that_failed_begins_anew_where_it_was(store: Store, acme: str) -> None:
    new = new_operation()
    await store.add(acme, new, [])
    progress = Progress(str(uuid.uuid4()), 60_000, 32_000, 7)
    await store.begin(job(acme, new))
    await store.advance(job(acme, new), progress)
    for _ in range(2):
        await store.begin(job(acme, new))
    await store.fail(job(acme, new, attempt=3), UNDECODABLE)
    failed = (await operation_of(store, acme, new)).files[0]
    assert failed.failure == Failure(3, "AUDIO_UNDECODABLE", str(UNDECODABLE))
    assert (failed.state, failed.tries) == (FileState.FAILED, 3)
    begun = await store.begin(job(acme, new))
    assert begun is not None
    assert (begun.state, begun.tries, begun.progress, begun.failure) == (FileState.RUNNING, 1, progress, None)


async def test_a_file_that_comes_further_was_tried_once(store: Store, acme: str) -> None:
    new = new_operation()
    await store.add(acme, new, [])
    for attempt, done_ms, tries in ((1, 0, 1), (2, 0, 2), (3, 32_000, 1), (4, 32_000, 2), (5, 64_000, 1)):
        await store.begin(job(acme, new))
        await store.advance(job(acme, new, attempt=attempt), Progress(done_ms=done_ms))
        assert (await operation_of(store, acme, new)).files[0].tries == tries
    await store.put_back(job(acme, new, attempt=5), counted=False)
    assert (await operation_of(store, acme, new)).files[0].tries == 0


@pytest.mark.parametrize(("counted", "tries"), [(True, 2), (False, 1)])
async def test_a_file_that_is_put_back_waits_and_the_try_counts_or_not(
    store: Store, acme: str, counted: bool, tries: int
) -> None:
    new = new_operation()
    await store.add(acme, new, [])
    await store.begin(job(acme, new))
    await store.begin(job(acme, new))
    await store.put_back(job(acme, new, attempt=2), counted)
    file = (await operation_of(store, acme, new)).files[0]
    assert (file.state, file.tries) == (FileState.QUEUED, tries)


async def test_only_the_newest_try_may_say_what_became_of_a_file(store: Store, acme: str) -> None:
    new = new_operation()
    await store.add(acme, new, [])
    stale, newest = job(acme, new, attempt=1), job(acme, new, attempt=2)
    for _ in range(2):
        await store.begin(stale)
    for change in (
        store.holds(stale),
        store.advance(stale, Progress(done_ms=1)),
        store.succeed(stale),
        store.fail(stale, UNDECODABLE),
        store.put_back(stale, True),
    ):
        with pytest.raises(TakenOver):
            await change
    assert await store.holds(newest)
    assert await store.advance(newest, Progress(done_ms=2))
    await store.succeed(newest)
    assert not await store.holds(stale), "what is done is no more to be transcribed by anybody"
    assert await states(store, acme, new) == [FileState.SUCCEEDED]


async def test_what_is_deleted_never_comes_back(store: Store, acme: str) -> None:
    new = new_operation()
    await store.add(acme, new, [])
    await store.cancel(acme, new.operation_id)
    assert await store.delete(acme, new.operation_id)
    assert await store.add(acme, new, []) is None
    assert await store.operation(acme, new.operation_id) is None
    assert await store.is_done(acme, new.operation_id) is None
    assert await store.operations(acme, None, None, 10) == []
    assert await store.begin(job(acme, new)) is None
    assert not await store.cancel(acme, new.operation_id)
    assert not await store.delete(acme, new.operation_id)


async def test_what_is_cancelled_makes_no_more_progress(store: Store, acme: str) -> None:
    new = new_operation(files=3)
    await store.add(acme, new, [])
    for place in (0, 1):
        await store.begin(job(acme, new, place))
    await store.succeed(job(acme, new, 0))
    assert await store.cancel(acme, new.operation_id)
    assert not await store.advance(job(acme, new, 1), Progress(done_ms=1))
    await store.succeed(job(acme, new, 1))
    await store.fail(job(acme, new, 1), Ai2TextError("late"))
    await store.put_back(job(acme, new, 1), True)
    begun = await store.begin(job(acme, new, 2))
    assert begun is not None
    assert begun.state is FileState.CANCELLED
    assert await states(store, acme, new) == [FileState.SUCCEEDED, FileState.CANCELLED, FileState.CANCELLED]
    found = await operation_of(store, acme, new)
    assert (found.cancelled, found.is_done) == (True, True)


async def test_what_is_done_is_not_cancelled_any_more(store: Store, acme: str) -> None:
    new = new_operation()
    await store.add(acme, new, [])
    await store.begin(job(acme, new))
    await store.succeed(job(acme, new))
    assert await store.cancel(acme, new.operation_id)
    found = await operation_of(store, acme, new)
    assert (found.cancelled, found.files[0].state) == (False, FileState.SUCCEEDED)


async def test_only_what_is_done_is_deleted(store: Store, acme: str) -> None:
    new = new_operation(files=2)
    await store.add(acme, new, [])
    assert not await store.delete(acme, new.operation_id)
    await store.cancel(acme, new.operation_id)
    assert await store.delete(acme, new.operation_id)
    assert await store.operation(acme, new.operation_id) is None


async def test_progress_and_cancellation_at_once_end_in_one_of_the_two(store: Store, acme: str) -> None:
    new = new_operation(files=8)
    await store.add(acme, new, [])
    for place in range(8):
        await store.begin(job(acme, new, place))
    await asyncio.gather(
        *(store.advance(job(acme, new, place), Progress(done_ms=1)) for place in range(8)),
        *(store.succeed(job(acme, new, place)) for place in range(8)),
        store.cancel(acme, new.operation_id),
    )
    assert set(await states(store, acme, new)) <= {FileState.SUCCEEDED, FileState.CANCELLED}


async def unfinished(store: Store, tenants: set[str], silent_s: float = 0.0) -> set[Job]:
    return {job for job in await store.unfinished(silent_s) if job.tenant in tenants}


async def test_what_is_not_done_is_found_for_all_tenants(store: Store, acme: str) -> None:
    new, theirs = new_operation(files=5), new_operation()
    await store.add(acme, new, [])
    await store.add(f"{acme}-beta", theirs, [])
    for place in (1, 2, 3):
        await store.begin(job(acme, new, place))
    await store.succeed(job(acme, new, 2))
    await store.fail(job(acme, new, 3), UNDECODABLE)
    tenants = {acme, f"{acme}-beta"}
    queued, running, other = (job(acme, new, place, 0) for place in (0, 1, 4))
    assert await unfinished(store, tenants) == {queued, running, other, job(f"{acme}-beta", theirs, 0, 0)}
    assert await unfinished(store, tenants, silent_s=1000.0) == set()
    await store.cancel(acme, new.operation_id)
    assert await unfinished(store, {acme}) == set()


async def test_a_file_is_asked_for_again_while_it_is_not_done_and_nobody_has_been_faster(
    store: Store, acme: str
) -> None:
    new = new_operation()
    asked = Event(str(uuid.uuid4()), "transcription.requested", new.recording_ids[0], b"asked", "")
    await store.add(acme, new, [])
    (file,) = await unfinished(store, {acme})
    assert not await store.ask_again(file, 1000.0, [asked])
    assert asked.payload not in [told.payload for told in await store.untold()]
    assert await store.ask_again(file, 0.0, [asked])
    assert not await store.ask_again(file, 1000.0, [asked])
    assert [told for told in await store.untold() if told.payload == b"asked"] == [Told(asked.subject, b"asked")]
    (queued,) = (await operation_of(store, acme, new)).files
    assert (queued.state, queued.tries, queued.attempt) == (FileState.QUEUED, 0, 0)
    await store.begin(job(acme, new))
    await store.succeed(job(acme, new))
    assert not await store.ask_again(file, 0.0, [asked])


async def test_the_server_sees_no_operation_itself_and_nobody_else_may_ask(postgres: PostgresServer, acme: str) -> None:
    async with connected(postgres.app()) as database:
        await PostgresOperations(database).add(acme, new_operation(), [])
        async with database.transaction(None) as connection:
            await connection.execute("SELECT * FROM unfinished_files('0')")
            await connection.execute(
                "SELECT set_config('ai2text.naming', 'unfinished files', true)"
            )  # the owner's alone
            for table in ("operations", "operation_files"):
                cursor = await connection.execute(f"SELECT count(*) FROM {table}")
                assert await cursor.fetchone() == (0,)
    with psycopg.connect(postgres.owner()) as owner:
        granted = owner.execute("SELECT proacl::text FROM pg_proc WHERE proname = 'unfinished_files'").fetchone()
    assert granted is not None
    assert "ai2text_app=X" in granted[0]
    assert not granted[0].startswith("{=X")


async def outbox(server: PostgresServer, recording_ids: list[str]) -> list[tuple[str, str, bytes, str]]:
    async with connected(server.app()) as database, database.transaction(None) as connection:
        cursor = await connection.execute(
            "SELECT subject, ordering_key, payload, traceparent FROM outbox WHERE ordering_key = ANY(%s)"
            " ORDER BY sequence",
            (recording_ids,),
        )
        return [tuple(row) for row in await cursor.fetchall()]


async def test_the_events_of_a_new_operation_are_in_the_outbox_once(postgres: PostgresServer, acme: str) -> None:
    new = new_operation(files=2)
    ids = list(new.recording_ids)
    async with connected(postgres.app()) as database:
        store = PostgresOperations(database)
        await store.check()
        await store.add(acme, new, [event(id_) for id_ in ids])
        await store.add(acme, new, [event(id_) for id_ in ids])
        await store.add("beta", new, [event(id_) for id_ in ids])
    rows = [("transcription.requested", id_, b"\x00\xff", "00-ab-cd-01") for id_ in ids]
    assert await outbox(postgres, ids) == rows


async def test_without_its_events_an_operation_is_not_kept(postgres: PostgresServer, acme: str) -> None:
    new = new_operation()
    broken = Event("no uuid", "transcription.requested", "k", b"", "")
    async with connected(postgres.app()) as database:
        store = PostgresOperations(database)
        with pytest.raises(Exception, match="invalid input syntax for type uuid"):
            await store.add(acme, new, [broken])
        assert await store.operation(acme, new.operation_id) is None


async def test_a_postgres_that_is_away_is_told_of(acme: str) -> None:
    async with connected("postgresql://ai2text_app@127.0.0.1:1/ai2text", wait_s=0.2) as database:
        store = PostgresOperations(database)
        with pytest.raises(DependencyUnavailable):
            await store.operation(acme, str(uuid.uuid4()))
        with pytest.raises(DependencyUnavailable):
            await store.check()
