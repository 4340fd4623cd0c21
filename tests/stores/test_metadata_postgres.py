"""What only the real Postgres can show: row-level security, migrations, locks, and life after a crash."""

import asyncio
import contextlib
import uuid

import psycopg
import pytest

from mesh import migrations
from servers.common.errors import DependencyUnavailable, RecordingNotFound
from servers.common.outbox import Event
from servers.common.postgres import Database, connected
from servers.metadata.files import File, MediaInfo, StoredObject
from servers.metadata.outbox_store import PostgresOutbox
from servers.metadata.recordings import NewRecording, Source
from servers.metadata.store import PostgresStore
from servers.metadata.transcripts import Addition, NewTranscript, Segment, Transcript
from tests.stores.postgres_server import PostgresServer

TABLES = ("recordings", "recording_files", "deleted_recordings", "transcripts", "segments", "outbox")
OPERATIONS = ("operations", "operation_files")


async def filled(database: Database, tenant: str, key: str = "k", segments: int = 1) -> Transcript:
    """A transcript of a new recording, with segments and their events under one ordering key."""
    store = PostgresStore(database)
    file = File(StoredObject("audio/x", 1, b"", 0), MediaInfo("wav", "pcm_s16le", 16_000, 1, 1000))
    recording = NewRecording(str(uuid.uuid4()), f"of {tenant}", Source.FILE, "", file)
    await store.add_recording(tenant, recording, lambda _: ())
    gone = NewRecording(str(uuid.uuid4()), "gone", Source.LIVE, "")
    await store.add_recording(tenant, gone, lambda _: ())
    async with database.transaction(tenant) as connection:
        await connection.execute("DELETE FROM recordings WHERE recording_id = %s", (gone.recording_id,))
        await connection.execute("INSERT INTO deleted_recordings VALUES (%s, %s)", (gone.recording_id, tenant))
    transcript = await store.add_transcript(
        tenant, NewTranscript(str(uuid.uuid4()), recording.recording_id, "whisper-base")
    )
    assert transcript is not None
    additions = [
        Addition(Segment(index, "xin", 0, 1, "", 1.0), Event(str(uuid.uuid4()), "transcript.x", key, b"x", ""))
        for index in range(segments)
    ]
    await store.add_segments(tenant, transcript.content, additions)
    return transcript


async def counts(database: Database, tenant: str | None) -> dict[str, int]:
    """How many rows of each table a tenant's transaction sees."""
    seen = {}
    async with database.transaction(tenant) as connection:
        for table in TABLES:
            cursor = await connection.execute(f"SELECT count(*) FROM {table}")
            (seen[table],) = await cursor.fetchone() or (0,)
    return seen


async def test_a_tenant_sees_its_own_rows_alone(database: Database) -> None:
    one, two, three = (f"{name}-{uuid.uuid4()}" for name in ("one", "two", "three"))
    await filled(database, one)
    await filled(database, two, segments=3)
    assert await counts(database, one) == dict.fromkeys(TABLES, 1) | {"outbox": 0}
    assert await counts(database, two) == dict.fromkeys(TABLES, 1) | {"segments": 3, "outbox": 0}
    assert await counts(database, three) == dict.fromkeys(TABLES, 0)


async def test_the_server_itself_sees_the_outbox_alone(database: Database) -> None:
    await filled(database, "acme")
    assert await counts(database, None) == dict.fromkeys(TABLES, 0) | {"outbox": 1}


async def test_a_connection_that_names_no_tenant_sees_nothing(postgres: PostgresServer, database: Database) -> None:
    await filled(database, "acme")
    async with await psycopg.AsyncConnection.connect(postgres.app()) as connection:
        for table in TABLES:
            cursor = await connection.execute(f"SELECT count(*) FROM {table}")
            assert await cursor.fetchone() == (0,)


async def test_not_even_the_owner_passes_row_level_security(postgres: PostgresServer, database: Database) -> None:
    await filled(database, "acme")
    async with await psycopg.AsyncConnection.connect(postgres.owner()) as connection:
        cursor = await connection.execute(
            "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
            " AND NOT (relrowsecurity AND relforcerowsecurity) ORDER BY relname"
        )
        assert await cursor.fetchall() == [("schema_migrations",)]
        cursor = await connection.execute("SELECT count(*) FROM recordings")
        assert await cursor.fetchone() == (0,)


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO recordings (recording_id, tenant, title, source, language_code)"
        " VALUES (gen_random_uuid(), 'victim', 't', 'live', '')",
        "INSERT INTO outbox (tenant, event_id, subject, ordering_key, payload, traceparent)"
        " VALUES ('victim', gen_random_uuid(), 's', 'k', '', '')",
        "UPDATE recordings SET tenant = 'victim'",
        "UPDATE recording_files SET tenant = 'victim'",
        "INSERT INTO deleted_recordings VALUES (gen_random_uuid(), 'victim')",
        "INSERT INTO operations (operation_id, tenant, subject) VALUES (gen_random_uuid(), 'victim', 's')",
        "INSERT INTO operation_files (operation_id, place, tenant, recording_id)"
        " VALUES (gen_random_uuid(), 0, 'victim', gen_random_uuid())",
    ],
)
async def test_a_tenant_cannot_write_rows_of_another(database: Database, statement: str) -> None:
    tenant = f"attacker-{uuid.uuid4()}"
    await filled(database, tenant)
    with pytest.raises(psycopg.errors.InsufficientPrivilege, match="row-level security"):
        async with database.transaction(tenant) as connection:
            await connection.execute(statement)


async def test_a_tenant_cannot_hang_a_transcript_on_a_recording_of_another(database: Database) -> None:
    theirs = await filled(database, "victim")
    with pytest.raises(RecordingNotFound):
        await PostgresStore(database).add_transcript(
            "attacker", NewTranscript(str(uuid.uuid4()), theirs.content.recording_id, "m")
        )


async def test_a_tenant_appends_nothing_to_a_transcript_of_another(database: Database) -> None:
    victim = f"victim-{uuid.uuid4()}"
    theirs = await filled(database, victim)
    more = Addition(Segment(7, "xin", 0, 1, "", 1.0), Event(str(uuid.uuid4()), "transcript.x", "k", b"x", ""))
    assert await PostgresStore(database).add_segments("attacker", theirs.content, [more]) is None
    assert await counts(database, victim) == dict.fromkeys(TABLES, 1) | {"outbox": 0}


async def test_appending_leaves_no_tenant_behind_on_its_connection(postgres: PostgresServer) -> None:
    async with connected(postgres.app(), max_size=1) as database:
        await filled(database, f"acme-{uuid.uuid4()}")
        seen = await database.idempotent("SELECT count(*) FROM segments", ())
    assert seen == 0


async def test_connections_that_died_in_the_pool_are_replaced_unseen(postgres: PostgresServer) -> None:
    async with connected(postgres.app(), max_size=3) as database:
        await fill_pool(database)
        await disconnect_all(postgres)
        assert await database.idempotent("SELECT 7", ()) == 7
        await fill_pool(database)
        await disconnect_all(postgres)
        async with database.transaction("acme") as connection:
            cursor = await connection.execute("SELECT current_setting('ai2text.tenant')")
            assert await cursor.fetchone() == ("acme",)


async def fill_pool(database: Database) -> None:
    """Until it has as many connections as calls at once."""
    async with asyncio.TaskGroup() as tasks:
        for _ in range(3):
            tasks.create_task(database.idempotent("SELECT pg_sleep(0.3)", ()))


async def disconnect_all(postgres: PostgresServer) -> None:
    """As a Postgres that is started anew does."""
    async with await psycopg.AsyncConnection.connect(postgres.app(), autocommit=True) as connection:
        cursor = await connection.execute(
            "SELECT pg_terminate_backend(pid, 1000) FROM pg_stat_activity"
            " WHERE usename = current_user AND pid <> pg_backend_pid()"
        )
        assert await cursor.fetchall()


async def test_a_tenant_changes_no_rows_of_another(database: Database) -> None:
    victim = f"victim-{uuid.uuid4()}"
    await filled(database, victim)
    async with database.transaction("attacker") as connection:
        for statement in ("UPDATE recordings SET title = 'x'", "DELETE FROM segments", "DELETE FROM outbox"):
            cursor = await connection.execute(statement)
            assert cursor.rowcount == 0
    assert (await counts(database, victim))["segments"] == 1
    assert (await counts(database, None))["outbox"] == 1


async def test_operations_belong_to_their_tenant_and_go_with_their_files(database: Database) -> None:
    owner, other, operation_id = f"owner-{uuid.uuid4()}", f"other-{uuid.uuid4()}", str(uuid.uuid4())
    async with database.transaction(owner) as connection:
        await connection.execute(
            "INSERT INTO operations (operation_id, tenant, subject) VALUES (%s, %s, 's')", (operation_id, owner)
        )
        await connection.execute(
            "INSERT INTO operation_files (operation_id, place, tenant, recording_id)"
            " VALUES (%s, 0, %s, gen_random_uuid())",
            (operation_id, owner),
        )
    seen = {tenant: await rows(database, tenant, OPERATIONS) for tenant in (owner, other, None)}
    assert seen == {owner: [1, 1], other: [0, 0], None: [0, 0]}
    async with database.transaction(owner) as connection:
        await connection.execute("DELETE FROM operations")
    assert await rows(database, owner, OPERATIONS) == [0, 0]


async def rows(database: Database, tenant: str | None, tables: tuple[str, ...]) -> list[int]:
    """How many rows of each table a tenant's transaction sees."""
    async with database.transaction(tenant) as connection:
        cursors = [await connection.execute(f"SELECT FROM {table}") for table in tables]
        return [cursor.rowcount for cursor in cursors]


async def test_a_recording_with_very_many_segments_is_deleted_in_time(database: Database) -> None:
    transcript = await filled(database, "acme")
    async with database.transaction("acme") as connection:
        await connection.execute(
            "INSERT INTO segments (transcript_id, segment_index, tenant, text, start_ms, end_ms, language_code,"
            " confidence, words) SELECT %s, n, 'acme', 'x', 0, 1, '', 1, '[]' FROM generate_series(1, 20000) AS n",
            (transcript.transcript_id,),
        )
    event = Event(str(uuid.uuid4()), "recording.deleted", "k", b"x", "")
    assert await PostgresStore(database).remove_recording("acme", transcript.content.recording_id, event, "")
    assert await PostgresStore(database).segments("acme", transcript.transcript_id, -1, 1) == []


async def test_the_migrations_go_down_and_up_again(postgres: PostgresServer) -> None:
    async with await psycopg.AsyncConnection.connect(postgres.owner(), autocommit=True) as connection:
        await connection.execute("CREATE DATABASE rehearsal")
    dsn = postgres.owner("rehearsal")
    migrations.apply(dsn)
    async with connected(postgres.app("rehearsal")) as database:
        await filled(database, "acme")
    for _ in migrations.MIGRATIONS.glob("*.sql"):
        migrations.roll_back(dsn)
    async with await psycopg.AsyncConnection.connect(dsn) as connection:
        cursor = await connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        assert await cursor.fetchall() == [("schema_migrations",)]
    migrations.apply(dsn)
    async with connected(postgres.app("rehearsal")) as database:
        await PostgresStore(database).check()


async def test_a_database_without_tables_is_not_well(postgres: PostgresServer) -> None:
    async with connected(postgres.app("postgres")) as database:
        with pytest.raises(psycopg.errors.UndefinedTable):
            await PostgresStore(database).check()


async def test_two_relays_hold_different_events(database: Database) -> None:
    await filled(database, "acme", "one", 2)
    await filled(database, "acme", "two", 2)
    outbox = PostgresOutbox(database)
    async with outbox.batch(2) as first, outbox.batch(10) as second, outbox.batch(10) as third:
        assert [kept.event.ordering_key for kept in first.kept] == ["one", "one"]
        assert [kept.event.ordering_key for kept in second.kept] == ["two", "two"]
        assert third.kept == []


async def test_an_event_waits_for_an_older_one_of_its_key_that_another_relay_holds(database: Database) -> None:
    await filled(database, "acme", "one", 3)
    await filled(database, "acme", "two", 1)
    outbox = PostgresOutbox(database)
    async with outbox.batch(1) as first:
        async with outbox.batch(10) as second:
            assert [kept.event.ordering_key for kept in second.kept] == ["two"]
        await first.remove([first.kept[0].sequence])
    async with outbox.batch(10) as then:
        assert [kept.event.ordering_key for kept in then.kept] == ["one", "one", "two"]


async def test_what_a_failed_relay_held_is_there_again(database: Database) -> None:
    await filled(database, "acme")
    outbox = PostgresOutbox(database)
    with contextlib.suppress(ZeroDivisionError):
        async with outbox.batch(10) as batch:
            await batch.remove([kept.sequence for kept in batch.kept])
            _ = 1 / 0
    assert (await outbox.backlog()).events == 1


async def test_the_store_comes_back_with_postgres(postgres: PostgresServer, database: Database) -> None:
    transcript = await filled(database, "acme")
    async with connected(postgres.app(), wait_s=1.0) as impatient:
        store = PostgresStore(impatient)
        await until_well(store)
        await asyncio.to_thread(postgres.stop)
        try:
            with pytest.raises(DependencyUnavailable) as refused:
                await store.transcript("acme", transcript.transcript_id)
            assert refused.value.retry_after_s
        finally:
            await asyncio.to_thread(postgres.start)
        await until_well(store)
        assert await store.transcript("acme", transcript.transcript_id) is not None


async def test_a_store_may_be_made_before_postgres(postgres: PostgresServer) -> None:
    await asyncio.to_thread(postgres.stop)
    try:
        async with connected(postgres.app(), wait_s=0.2) as database:
            store = PostgresStore(database)
            with pytest.raises(DependencyUnavailable):
                await store.check()
            await asyncio.to_thread(postgres.start)
            await until_well(store)
    finally:
        if postgres.process is None:
            postgres.start()


async def until_well(store: PostgresStore) -> None:
    """Wait until Postgres answers the store."""
    async with asyncio.timeout(10):
        while True:
            try:
                await store.check()
            except DependencyUnavailable:
                continue
            return
