"""Recordings, transcripts and segments in Postgres. Row-level security keeps the tenants apart; see `migrations/`."""

from servers.common.postgres import Database
from servers.metadata.recording_store import PostgresRecordings
from servers.metadata.transcript_store import PostgresTranscripts


class PostgresStore(PostgresRecordings, PostgresTranscripts):
    """A RecordingStore and a TranscriptStore."""

    def __init__(self, database: Database) -> None:
        PostgresRecordings.__init__(self, database)
        PostgresTranscripts.__init__(self, database)

    async def check(self) -> None:
        """Raise when Postgres does not answer, or has not been migrated."""
        async with self._database.transaction(None) as connection:
            await connection.execute(
                "SELECT raw_text, channel FROM segments, transcripts, recording_files, deleted_recordings, outbox"
                " LIMIT 0"
            )
