"""Recordings in Postgres."""

from collections.abc import Collection, Sequence
from typing import Any

from psycopg.types.json import Jsonb

from servers.common import outbox
from servers.common.outbox import Event
from servers.common.postgres import Connection, Database
from servers.metadata.files import File, MediaInfo, StoredObject
from servers.metadata.library import Telling
from servers.metadata.listings import Order, Place, Selection
from servers.metadata.recordings import Change, NewRecording, Recording, Source

DELETE_TIMEOUT_S = 60
"""A recording may have a hundred thousand segments, which go with it."""

_SELECT = """
SELECT r.recording_id::text, title, source, language_code, labels, heard_language_code, r.duration_ms, segment_count,
       create_time, update_time, version, created_as, {superseded},
       object_key, size_bytes, sha256, crc32c, container, codec, sample_rate_hz, channel_count, f.duration_ms
FROM recordings AS r LEFT JOIN recording_files AS f USING (tenant, recording_id)
"""
_LISTED = _SELECT.format(superseded="ARRAY[]::text[]")
# All but what `servers.metadata.transcripts.of_channels` leaves.
_ONE = _SELECT.format(
    superseded="""ARRAY(
           SELECT transcript_id FROM (
               SELECT transcript_id::text, row_number() OVER (
                   PARTITION BY channel ORDER BY incomplete, create_time DESC, transcript_id DESC
               ) AS place
               FROM transcripts AS t WHERE t.recording_id = r.recording_id
           ) AS placed WHERE place > 1 ORDER BY transcript_id
       )"""
)
_ADD = """
INSERT INTO recordings (recording_id, tenant, title, source, language_code, labels, duration_ms)
VALUES (%s, %s, %s, %s, %s, %s, %s)
ON CONFLICT DO NOTHING
"""
_ADD_FILE = """
INSERT INTO recording_files (
    recording_id, tenant, object_key, size_bytes, sha256, crc32c, container, codec, sample_rate_hz, channel_count,
    duration_ms
) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
"""
_CHANGE = """
UPDATE recordings
SET title = %s, language_code = %s, labels = %s, created_as = %s, version = version + 1,
    update_time = clock_timestamp()
WHERE recording_id = %s
"""
# As `servers.metadata.listings.folded` does it.
_HAS_TITLE = """
strpos(
    casefold(normalize(title, NFC) COLLATE pg_unicode_fast), casefold(normalize(%s, NFC) COLLATE pg_unicode_fast)
) > 0
"""
# As the index `recordings_languages` has it.
_LANGUAGE = "(CASE WHEN language_code <> '' THEN language_code ELSE heard_language_code END)"
_ORDERS = {
    Order.NEWEST: ("create_time", "<", "DESC"),
    Order.OLDEST: ("create_time", ">", "ASC"),
    Order.TITLE: ('title COLLATE "C"', ">", "ASC"),
    Order.LONGEST: ("r.duration_ms", "<", "DESC"),
}
"""What recordings are put in order by, how a later one compares with an earlier one, and the direction."""


class PostgresRecordings:
    """A RecordingStore."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add_recording(self, tenant: str, new: NewRecording, telling: Telling) -> Recording | None:
        """See RecordingStore."""
        async with self._database.transaction(tenant) as connection:
            added = await _insert(connection, tenant, new)
            # Only now: an insert that met a row which was being deleted has waited for that.
            if added and await _was_deleted(connection, new.recording_id):
                await connection.execute("DELETE FROM recordings WHERE recording_id = %s", (new.recording_id,))
                return None
            kept = await one(connection, new.recording_id)
            if added and kept:
                await outbox.add(connection, tenant, telling(kept))
            return kept

    async def recording(self, tenant: str, recording_id: str) -> Recording | None:
        """See RecordingStore."""
        async with self._database.transaction(tenant) as connection:
            return await one(connection, recording_id)

    async def was_deleted(self, tenant: str, recording_id: str) -> bool:
        """See RecordingStore."""
        async with self._database.transaction(tenant) as connection:
            return await _was_deleted(connection, recording_id)

    async def recordings(
        self, tenant: str, selection: Selection, after: Place | None, limit: int
    ) -> Sequence[Recording]:
        """See RecordingStore. The limit is no parameter: the planner must know how few rows are wanted."""
        by, compares, direction = _ORDERS[selection.order]
        conditions = _conditions(selection)
        if after:
            conditions.append((f"({by}, r.recording_id) {compares} (%s, %s)", [after.value, after.recording_id]))
        where = " AND ".join(condition for condition, _ in conditions) or "true"
        values = [value for _, values in conditions for value in values]
        async with self._database.transaction(tenant) as connection:
            cursor = await connection.execute(
                f"{_LISTED} WHERE {where} ORDER BY {by} {direction}, r.recording_id {direction} LIMIT {limit:d}",
                values,
            )
            return [_recording(row) for row in await cursor.fetchall()]

    async def change_recording(
        self, tenant: str, recording_id: str, change: Change, etag: str, telling: Telling
    ) -> Recording | None:
        """See RecordingStore."""
        async with self._database.transaction(tenant) as connection:
            before = await _one_locked(connection, recording_id)
            if before is None:
                return None
            before.check_etag(etag)
            content = before.content.changed(change)
            if content == before.content:
                return before
            created_as = before.created_as or before.content.digest()
            values = (content.title, content.language_code, Jsonb(dict(content.labels)), created_as, recording_id)
            await connection.execute(_CHANGE, values)
            changed = await one(connection, recording_id)
            if changed:
                await outbox.add(connection, tenant, telling(changed))
            return changed

    async def remove_recording(self, tenant: str, recording_id: str, event: Event, etag: str) -> bool:
        """See RecordingStore."""
        async with self._database.transaction(tenant) as connection:
            await connection.execute(f"SET LOCAL statement_timeout = '{DELETE_TIMEOUT_S}s'")
            before = await _one_locked(connection, recording_id)
            if before is None:
                return False
            before.check_etag(etag)
            await connection.execute("DELETE FROM recordings WHERE recording_id = %s", (recording_id,))
            await connection.execute(
                "INSERT INTO deleted_recordings (recording_id, tenant) VALUES (%s, %s)", (recording_id, tenant)
            )
            await outbox.add(connection, tenant, [event])
            return True

    async def objects_in_use(self, tenant: str, keys: Sequence[str]) -> Collection[str]:
        """See RecordingStore."""
        async with self._database.transaction(tenant) as connection:
            cursor = await connection.execute(
                "SELECT DISTINCT object_key FROM recording_files WHERE object_key = ANY(%s)", (list(keys),)
            )
            return [key for (key,) in await cursor.fetchall()]


async def _insert(connection: Connection, tenant: str, new: NewRecording) -> bool:
    """Whether the id was free."""
    duration_ms = new.file.media.duration_ms if new.file else 0
    content = (new.title, new.source.value, new.language_code, Jsonb(dict(new.labels)))
    cursor = await connection.execute(_ADD, (new.recording_id, tenant, *content, duration_ms))
    if cursor.rowcount and new.file:
        object, media = new.file.object, new.file.media
        stored = (object.key, object.size_bytes, object.sha256, object.crc32c)
        found = (media.container, media.codec, media.sample_rate_hz, media.channel_count, media.duration_ms)
        await connection.execute(_ADD_FILE, (new.recording_id, tenant, *stored, *found))
    return cursor.rowcount > 0


async def _was_deleted(connection: Connection, recording_id: str) -> bool:
    cursor = await connection.execute("SELECT FROM deleted_recordings WHERE recording_id = %s", (recording_id,))
    return await cursor.fetchone() is not None


async def _one_locked(connection: Connection, recording_id: str) -> Recording | None:
    """The recording, which nobody else changes before the transaction ends."""
    await connection.execute("SELECT FROM recordings WHERE recording_id = %s FOR UPDATE", (recording_id,))
    return await one(connection, recording_id)


async def one(connection: Connection, recording_id: str) -> Recording | None:
    """The recording, as the transaction of the connection sees it."""
    cursor = await connection.execute(f"{_ONE} WHERE r.recording_id = %s", (recording_id,))
    row = await cursor.fetchone()
    return _recording(row) if row else None


def _conditions(selection: Selection) -> list[tuple[str, list[Any]]]:
    """What each filter asks of a row, with the values of its parameters."""
    every: list[tuple[bool, str, list[Any]]] = [
        (selection.source is not None, "source = %s", [selection.source and selection.source.value]),
        (bool(selection.language_code), f"{_LANGUAGE} = %s", [selection.language_code]),
        (bool(selection.title_contains), _HAS_TITLE, [selection.title_contains]),
        (selection.created_after is not None, "create_time >= %s", [selection.created_after]),
        (selection.created_before is not None, "create_time < %s", [selection.created_before]),
    ]
    conditions = [(condition, values) for wanted, condition, values in every if wanted]
    for label in selection.labels:
        if label.value is None:
            conditions.append(("labels ? %s", [label.key]))
        else:
            conditions.append(("labels ->> %s = %s", [label.key, label.value]))
    return conditions


def _recording(row: tuple[Any, ...]) -> Recording:
    recording_id, title, source, language_code, labels, *rest = row
    state, file = (*rest[:7], tuple(rest[7])), _file(rest[8:])
    return Recording(NewRecording(recording_id, title, Source(source), language_code, file, labels), *state)


def _file(row: Sequence[Any]) -> File | None:
    if row[0] is None:
        return None
    return File(StoredObject(*row[:4]), MediaInfo(*row[4:]))
