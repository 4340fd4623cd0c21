"""Transcripts and segments in Postgres."""

from collections.abc import Sequence
from typing import Any

from servers.common import outbox
from servers.common.errors import RecordingNotFound
from servers.common.postgres import Connection, Database
from servers.metadata import recording_store
from servers.metadata.appends import Append, Appends
from servers.metadata.library import Telling, nothing
from servers.metadata.transcripts import (
    MOST_TRANSCRIPTS,
    Addition,
    NewTranscript,
    Segment,
    Transcript,
    Word,
    too_many,
)

_TRANSCRIPT = """
SELECT transcript_id::text, recording_id::text, model, channel, segment_count, create_time, incomplete
FROM transcripts
"""
_SEGMENT = """
SELECT segment_index, text, start_ms, end_ms, language_code, confidence, words, raw_text
FROM segments
"""


class PostgresTranscripts:
    """A TranscriptStore."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._appends = Appends(database)

    async def add_transcript(
        self, tenant: str, new: NewTranscript, incomplete: bool = False, telling: Telling = nothing
    ) -> Transcript | None:
        """See TranscriptStore."""
        async with self._database.transaction(tenant) as connection:
            # Two that are added at once must see each other.
            if not await _locked(connection, new.recording_id, "NO KEY UPDATE"):
                raise RecordingNotFound("there is no such recording", recording_id=new.recording_id)
            changed = await connection.execute(
                "INSERT INTO transcripts (transcript_id, tenant, recording_id, model, channel, incomplete)"
                " VALUES (%s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING",
                (new.transcript_id, tenant, new.recording_id, new.model, new.channel, incomplete),
            )
            if not changed.rowcount and not incomplete:
                changed = await connection.execute(
                    "UPDATE transcripts SET incomplete = false WHERE transcript_id = %s AND incomplete"
                    " AND (recording_id, model, channel) = (%s, %s, %s)",
                    (new.transcript_id, new.recording_id, new.model, new.channel),
                )
            elif changed.rowcount and await _count(connection, new.recording_id) > MOST_TRANSCRIPTS:
                raise too_many(new.recording_id)
            if changed.rowcount and await _has_others(connection, new):
                await connection.execute(
                    "UPDATE recordings SET version = version + 1 WHERE recording_id = %s", (new.recording_id,)
                )
                recording = await recording_store.one(connection, new.recording_id)
                await outbox.add(connection, tenant, telling(recording) if recording else [])
            return await _one_transcript(connection, new.transcript_id)

    async def transcript(self, tenant: str, transcript_id: str) -> Transcript | None:
        """See TranscriptStore."""
        async with self._database.transaction(tenant) as connection:
            return await _one_transcript(connection, transcript_id)

    async def transcripts(self, tenant: str, recording_id: str, limit: int) -> Sequence[Transcript]:
        """See TranscriptStore."""
        async with self._database.transaction(tenant) as connection:
            cursor = await connection.execute(
                f"{_TRANSCRIPT} WHERE recording_id = %s ORDER BY create_time DESC, transcript_id DESC LIMIT %s",
                (recording_id, limit),
            )
            return [_transcript(row) for row in await cursor.fetchall()]

    async def add_segments(self, tenant: str, transcript: NewTranscript, additions: Sequence[Addition]) -> int | None:
        """See TranscriptStore."""
        return await self._appends.add(Append(tenant, transcript, additions))

    async def segments(self, tenant: str, transcript_id: str, after: int, limit: int) -> Sequence[Segment]:
        """See TranscriptStore."""
        async with self._database.transaction(tenant) as connection:
            cursor = await connection.execute(
                f"{_SEGMENT} WHERE transcript_id = %s AND segment_index > %s ORDER BY segment_index LIMIT %s",
                (transcript_id, after, limit),
            )
            return [_segment(row) for row in await cursor.fetchall()]


async def _locked(connection: Connection, recording_id: str, strength: str) -> bool:
    """Whether there is such a recording; then it cannot be deleted before the transaction ends."""
    cursor = await connection.execute(f"SELECT FROM recordings WHERE recording_id = %s FOR {strength}", (recording_id,))
    return await cursor.fetchone() is not None


async def _count(connection: Connection, recording_id: str) -> int:
    """How many transcripts it has."""
    cursor = await connection.execute("SELECT count(*) FROM transcripts WHERE recording_id = %s", (recording_id,))
    row = await cursor.fetchone()
    return row[0] if row else 0


async def _has_others(connection: Connection, of: NewTranscript) -> bool:
    """Whether the recording has other transcripts of that channel."""
    cursor = await connection.execute(
        "SELECT FROM transcripts WHERE (recording_id, channel) = (%s, %s) AND transcript_id <> %s LIMIT 1",
        (of.recording_id, of.channel, of.transcript_id),
    )
    return await cursor.fetchone() is not None


async def _one_transcript(connection: Connection, transcript_id: str) -> Transcript | None:
    cursor = await connection.execute(f"{_TRANSCRIPT} WHERE transcript_id = %s", (transcript_id,))
    row = await cursor.fetchone()
    return _transcript(row) if row else None


def _transcript(row: tuple[Any, ...]) -> Transcript:
    return Transcript(NewTranscript(*row[:4]), *row[4:])


def _segment(row: tuple[Any, ...]) -> Segment:
    index, text, start_ms, end_ms, language_code, confidence, words, raw_text = row
    kept = tuple(Word(*word) for word in words)
    return Segment(index, text, start_ms, end_ms, language_code, confidence, kept, raw_text)
