"""Operations in Postgres. Row-level security keeps the tenants apart; see servers/metadata/migrations.

What is asked for goes into the outbox in the same transaction; the metadata server relays it.
"""

from collections.abc import Sequence
from typing import Any

from servers.asr.batch.operations import NewOperation
from servers.asr.batch.pages import Place
from servers.asr.batch.progress import Failure, File, FileState, Job, Operation, Progress, TakenOver
from servers.asr.batch.reminders import Told
from servers.common import outbox, status, streams
from servers.common.errors import Ai2TextError
from servers.common.outbox import Event
from servers.common.postgres import Connection, Database

_OPERATION = """
SELECT operation_id::text, subject, language_code, cancelled, create_time, update_time FROM operations
"""
_FILE = """
SELECT recording_id::text, state, coalesce(transcript_id::text, ''), duration_ms, done_ms, segment_count, tries,
       attempt, error_code, error_reason, error_message
FROM operation_files
"""
_UNFINISHED = "state IN ('queued', 'running')"
_IS_DONE = f"""
NOT EXISTS (
    SELECT FROM operation_files
    WHERE operation_files.operation_id = operations.operation_id AND {_UNFINISHED}
)
"""
_ADD = """
INSERT INTO operations (operation_id, tenant, subject, language_code) VALUES (%s, %s, %s, %s)
ON CONFLICT DO NOTHING RETURNING operation_id
"""
_ADD_FILES = """
INSERT INTO operation_files (operation_id, tenant, place, recording_id)
SELECT %s, %s, place - 1, recording_id FROM unnest(%s::uuid[]) WITH ORDINALITY AS file (recording_id, place)
"""
_BEGIN = """
UPDATE operation_files
SET state = 'running',
    tries = CASE WHEN state = 'failed' THEN 1 ELSE tries + 1 END,
    attempt = attempt + 1,
    error_code = 0, error_reason = '', error_message = '', update_time = clock_timestamp()
WHERE operation_id = %s AND recording_id = %s AND state IN ('queued', 'running', 'failed')
"""
# Before any change of its files, as `cancel` does: else the two would wait for each other.
_TOUCH = "UPDATE operations SET update_time = clock_timestamp() WHERE operation_id = %s"


class PostgresOperations:
    """An OperationStore, a Ledger and an UnfinishedStore."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def check(self) -> None:
        """Raise when Postgres does not answer, or has not been migrated."""
        async with self._database.transaction(None) as connection:
            await connection.execute("SELECT FROM operation_files, outbox LIMIT 0")

    async def add(self, tenant: str, new: NewOperation, events: Sequence[Event]) -> Operation | None:
        """See OperationStore."""
        async with self._database.transaction(tenant) as connection:
            added = await connection.execute(_ADD, (new.operation_id, tenant, new.subject, new.language_code))
            if added.rowcount:
                await connection.execute(_ADD_FILES, (new.operation_id, tenant, list(new.recording_ids)))
                await outbox.add(connection, tenant, events)
            return await _one(connection, new.operation_id)

    async def operation(self, tenant: str, operation_id: str) -> Operation | None:
        """See OperationStore."""
        async with self._database.transaction(tenant) as connection:
            return await _one(connection, operation_id)

    async def is_done(self, tenant: str, operation_id: str) -> bool | None:
        """See OperationStore."""
        async with self._database.transaction(tenant) as connection:
            cursor = await connection.execute(
                f"SELECT {_IS_DONE} FROM operations WHERE operation_id = %s AND NOT deleted", (operation_id,)
            )
            row = await cursor.fetchone()
            return None if row is None else row[0]

    async def operations(self, tenant: str, done: bool | None, after: Place | None, limit: int) -> Sequence[Operation]:
        """See OperationStore."""
        conditions, values = ["NOT deleted"], list[Any]()
        if after is not None:
            conditions.append("(create_time, operation_id) < (%s, %s)")
            values += [after.create_time, after.operation_id]
        if done is not None:
            conditions.append(_IS_DONE if done else f"NOT ({_IS_DONE})")
        query = f"{_OPERATION} WHERE {' AND '.join(conditions)} ORDER BY create_time DESC, operation_id DESC LIMIT %s"
        async with self._database.transaction(tenant) as connection:
            cursor = await connection.execute(query, (*values, limit))
            rows = await cursor.fetchall()
            files = await _files_of(connection, [row[0] for row in rows])
            return [_operation(row, files[row[0]]) for row in rows]

    async def cancel(self, tenant: str, operation_id: str) -> bool:
        """See OperationStore."""
        async with self._database.transaction(tenant) as connection:
            if not await _lock(connection, operation_id):
                return False
            ended = await connection.execute(
                "UPDATE operation_files SET state = 'cancelled', update_time = clock_timestamp()"
                f" WHERE operation_id = %s AND {_UNFINISHED}",
                (operation_id,),
            )
            if ended.rowcount:
                await connection.execute(
                    "UPDATE operations SET cancelled = true WHERE operation_id = %s", (operation_id,)
                )
                await connection.execute(_TOUCH, (operation_id,))
            return True

    async def delete(self, tenant: str, operation_id: str) -> bool:
        """See OperationStore."""
        async with self._database.transaction(tenant) as connection:
            deleted = await connection.execute(
                f"UPDATE operations SET deleted = true WHERE operation_id = %s AND NOT deleted AND {_IS_DONE}",
                (operation_id,),
            )
            if deleted.rowcount:
                await connection.execute("DELETE FROM operation_files WHERE operation_id = %s", (operation_id,))
            return deleted.rowcount > 0

    async def begin(self, job: Job) -> File | None:
        """See Ledger."""
        async with self._database.transaction(job.tenant) as connection:
            await connection.execute(_TOUCH, (job.operation_id,))
            await connection.execute(_BEGIN, (job.operation_id, job.recording_id))
            files = await connection.execute(
                f"{_FILE} WHERE operation_id = %s AND recording_id = %s", (job.operation_id, job.recording_id)
            )
            row = await files.fetchone()
            return _file(row) if row else None

    async def language(self, job: Job) -> str:
        """See Ledger."""
        async with self._database.transaction(job.tenant) as connection:
            cursor = await connection.execute(
                "SELECT language_code FROM operations WHERE operation_id = %s", (job.operation_id,)
            )
            row = await cursor.fetchone()
            return row[0] if row else ""

    async def advance(self, job: Job, progress: Progress) -> bool:
        """See Ledger."""
        return await self._change(
            job,
            "tries = CASE WHEN %s > done_ms THEN 1 ELSE tries END,"
            " transcript_id = nullif(%s, '')::uuid, duration_ms = %s, done_ms = %s, segment_count = %s",
            (
                progress.done_ms,
                progress.transcript_id,
                progress.duration_ms,
                progress.done_ms,
                progress.segment_count,
            ),
        )

    async def holds(self, job: Job) -> bool:
        """See Ledger."""
        return await self._change(job, "state = 'running'", ())

    async def succeed(self, job: Job) -> None:
        """See Ledger."""
        await self._change(job, "state = 'succeeded'", ())

    async def fail(self, job: Job, error: Ai2TextError) -> None:
        """See Ledger."""
        values = (status.of(error).code, error.reason, str(error))
        await self._change(job, "state = 'failed', error_code = %s, error_reason = %s, error_message = %s", values)

    async def put_back(self, job: Job, counted: bool) -> None:
        """See Ledger."""
        await self._change(job, f"state = 'queued', tries = tries - {0 if counted else 1}", ())

    async def unfinished(self, silent_s: float) -> Sequence[Job]:
        """See UnfinishedStore."""
        async with self._database.transaction(None) as connection:
            cursor = await connection.execute(
                "SELECT tenant, subject, operation_id::text, recording_id::text"
                " FROM unfinished_files(make_interval(secs => %s))",
                (silent_s,),
            )
            return [Job(*row) for row in await cursor.fetchall()]

    async def untold(self) -> Sequence[Told]:
        """See UnfinishedStore."""
        async with self._database.transaction(None) as connection:
            cursor = await connection.execute(
                "SELECT subject, payload FROM outbox WHERE subject = ANY(%s)",
                ([streams.RECORDING_UPLOADED, streams.TRANSCRIPTION_REQUESTED],),
            )
            return [Told(*row) for row in await cursor.fetchall()]

    async def ask_again(self, job: Job, silent_s: float, events: Sequence[Event]) -> bool:
        """See UnfinishedStore."""
        async with self._database.transaction(job.tenant) as connection:
            await connection.execute(_TOUCH, (job.operation_id,))
            noted = await connection.execute(
                "UPDATE operation_files SET update_time = clock_timestamp() WHERE operation_id = %s"
                f" AND recording_id = %s AND {_UNFINISHED}"
                " AND update_time < clock_timestamp() - make_interval(secs => %s)",
                (job.operation_id, job.recording_id, silent_s),
            )
            if noted.rowcount:
                await outbox.add(connection, job.tenant, events)
            return noted.rowcount > 0

    async def _change(self, job: Job, assignments: str, values: tuple[Any, ...]) -> bool:
        """Change a file that this try transcribes: False when there is nothing left to transcribe. TakenOver."""
        async with self._database.transaction(job.tenant) as connection:
            await connection.execute(_TOUCH, (job.operation_id,))
            changed = await connection.execute(
                f"UPDATE operation_files SET {assignments}, update_time = clock_timestamp()"
                " WHERE operation_id = %s AND recording_id = %s AND attempt = %s AND state = 'running'",
                (*values, job.operation_id, job.recording_id, job.attempt),
            )
            if not changed.rowcount:
                await _refuse_if_taken_over(connection, job)
            return changed.rowcount > 0


async def _refuse_if_taken_over(connection: Connection, job: Job) -> None:
    cursor = await connection.execute(
        f"SELECT attempt FROM operation_files WHERE operation_id = %s AND recording_id = %s AND {_UNFINISHED}",
        (job.operation_id, job.recording_id),
    )
    row = await cursor.fetchone()
    if row is not None and row[0] != job.attempt:
        raise TakenOver


async def _lock(connection: Connection, operation_id: str) -> bool:
    cursor = await connection.execute(
        "SELECT FROM operations WHERE operation_id = %s AND NOT deleted FOR UPDATE", (operation_id,)
    )
    return cursor.rowcount > 0


async def _one(connection: Connection, operation_id: str) -> Operation | None:
    cursor = await connection.execute(f"{_OPERATION} WHERE operation_id = %s AND NOT deleted", (operation_id,))
    row = await cursor.fetchone()
    if row is None:
        return None
    files = await _files_of(connection, [operation_id])
    return _operation(row, files[operation_id])


async def _files_of(connection: Connection, operation_ids: Sequence[str]) -> dict[str, list[File]]:
    """The files of each operation, in the order in which they were named."""
    select = _FILE.replace("SELECT", "SELECT operation_id::text,", 1)
    cursor = await connection.execute(
        f"{select} WHERE operation_id = ANY(%s::uuid[]) ORDER BY operation_id, place", (list(operation_ids),)
    )
    found: dict[str, list[File]] = {operation_id: [] for operation_id in operation_ids}
    for operation_id, *row in await cursor.fetchall():
        found[operation_id].append(_file(tuple(row)))
    return found


def _operation(row: tuple[Any, ...], files: Sequence[File]) -> Operation:
    operation_id, subject, language_code, cancelled, create_time, update_time = row
    return Operation(operation_id, subject, language_code, cancelled, create_time, update_time, files)


def _file(row: tuple[Any, ...]) -> File:
    recording_id, state, transcript_id, duration_ms, done_ms, segment_count, tries, attempt, *failure = row
    progress = Progress(transcript_id, duration_ms, done_ms, segment_count)
    return File(recording_id, FileState(state), progress, tries, attempt, Failure(*failure) if failure[0] else None)
