"""Transcripts and segments in Postgres."""

from collections.abc import Sequence
from typing import Any

from psycopg.types.json import Jsonb

from servers.common import outbox
from servers.common.errors import RecordingNotFound
from servers.common.postgres import Connection, Database
from servers.metadata.transcripts import Addition, NewTranscript, Segment, Transcript, Word

_TRANSCRIPT = """
SELECT transcript_id::text, recording_id::text, model, segment_count, create_time
FROM transcripts
"""
_SEGMENT = """
SELECT segment_index, text, start_ms, end_ms, language_code, confidence, words, raw_text
FROM segments
"""
_ADD_SEGMENTS = """
INSERT INTO segments (
    tenant, transcript_id, segment_index, text, start_ms, end_ms, language_code, confidence, words, raw_text
)
SELECT %s, %s, * FROM unnest(
    %s::bigint[], %s::text[], %s::bigint[], %s::bigint[], %s::text[], %s::real[], %s::jsonb[], %s::text[]
)
ON CONFLICT (transcript_id, segment_index) DO NOTHING
RETURNING segment_index
"""
_COUNT_IN_RECORDING = """
UPDATE recordings
SET segment_count = segment_count + %(count)s,
    duration_ms = greatest(duration_ms, %(end_ms)s),
    heard_language_code = coalesce(nullif(heard_language_code, ''), %(language)s),
    update_time = clock_timestamp()
WHERE recording_id = %(recording_id)s
"""
_COUNT_IN_TRANSCRIPT = "UPDATE transcripts SET segment_count = segment_count + %s WHERE transcript_id = %s"


class PostgresTranscripts:
    """A TranscriptStore."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add_transcript(self, tenant: str, new: NewTranscript) -> Transcript | None:
        """See TranscriptStore."""
        async with self._database.transaction(tenant) as connection:
            if not await _locked(connection, new.recording_id, "KEY SHARE"):
                raise RecordingNotFound("there is no such recording", recording_id=new.recording_id)
            await connection.execute(
                "INSERT INTO transcripts (transcript_id, tenant, recording_id, model) VALUES (%s, %s, %s, %s)"
                " ON CONFLICT (transcript_id) DO NOTHING",
                (new.transcript_id, tenant, new.recording_id, new.model),
            )
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
        """See TranscriptStore. Appends to one recording wait for each other: its row is locked first."""
        async with self._database.transaction(tenant) as connection:
            if not await _locked(connection, transcript.recording_id, "UPDATE"):
                return None
            added = await _insert_segments(connection, tenant, transcript.transcript_id, additions)
            if added:
                await outbox.add(connection, tenant, [addition.event for addition in added])
                await _count(connection, transcript, [addition.segment for addition in added])
            return len(added)

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


async def _one_transcript(connection: Connection, transcript_id: str) -> Transcript | None:
    cursor = await connection.execute(f"{_TRANSCRIPT} WHERE transcript_id = %s", (transcript_id,))
    row = await cursor.fetchone()
    return _transcript(row) if row else None


async def _insert_segments(
    connection: Connection, tenant: str, transcript_id: str, additions: Sequence[Addition]
) -> list[Addition]:
    """The additions whose index was not taken."""
    segments = [addition.segment for addition in additions]
    cursor = await connection.execute(
        _ADD_SEGMENTS,
        (
            tenant,
            transcript_id,
            [segment.index for segment in segments],
            [segment.text for segment in segments],
            [segment.start_ms for segment in segments],
            [segment.end_ms for segment in segments],
            [segment.language_code for segment in segments],
            [segment.confidence for segment in segments],
            [_words_as_json(segment) for segment in segments],
            [segment.raw_text for segment in segments],
        ),
    )
    new = {row[0] for row in await cursor.fetchall()}
    return [addition for addition in additions if addition.segment.index in new]


async def _count(connection: Connection, transcript: NewTranscript, segments: Sequence[Segment]) -> None:
    await connection.execute(
        _COUNT_IN_RECORDING,
        {
            "count": len(segments),
            "end_ms": max(segment.end_ms for segment in segments),
            "language": next((segment.language_code for segment in segments if segment.language_code), ""),
            "recording_id": transcript.recording_id,
        },
    )
    await connection.execute(_COUNT_IN_TRANSCRIPT, (len(segments), transcript.transcript_id))


def _transcript(row: tuple[Any, ...]) -> Transcript:
    return Transcript(NewTranscript(*row[:3]), *row[3:])


def _segment(row: tuple[Any, ...]) -> Segment:
    index, text, start_ms, end_ms, language_code, confidence, words, raw_text = row
    kept = tuple(Word(*word) for word in words)
    return Segment(index, text, start_ms, end_ms, language_code, confidence, kept, raw_text)


def _words_as_json(segment: Segment) -> Jsonb:
    return Jsonb([[word.text, word.start_ms, word.end_ms, word.confidence] for word in segment.words])
