"""What retelling asks of Postgres besides what others do."""

from collections.abc import Sequence

from servers.common import outbox
from servers.common.outbox import Event
from servers.metadata.store import PostgresStore
from servers.metadata.transcripts import NewTranscript


class PostgresRetelling(PostgresStore):
    """A RetellingStore."""

    async def next_tenant(self, after: str) -> str | None:
        """See RetellingStore."""
        async with self._database.transaction(None) as connection:
            cursor = await connection.execute("SELECT next_tenant(%s)", (after,))
            row = await cursor.fetchone()
            return row[0] if row else None

    async def deleted_recordings(self, tenant: str, after: str, limit: int) -> Sequence[str]:
        """See RetellingStore."""
        condition, values = ("recording_id > %s", [after]) if after else ("true", [])
        async with self._database.transaction(tenant) as connection:
            cursor = await connection.execute(
                f"SELECT recording_id::text FROM deleted_recordings WHERE {condition} ORDER BY recording_id LIMIT %s",
                (*values, limit),
            )
            return [recording_id for (recording_id,) in await cursor.fetchall()]

    async def transcripts_in_order(self, tenant: str, recording_id: str) -> Sequence[NewTranscript]:
        """See RetellingStore."""
        async with self._database.transaction(tenant) as connection:
            cursor = await connection.execute(
                "SELECT transcript_id::text, recording_id::text, model, channel FROM transcripts"
                " WHERE recording_id = %s ORDER BY transcript_id",
                (recording_id,),
            )
            return [NewTranscript(*row) for row in await cursor.fetchall()]

    async def keep(self, tenant: str, events: Sequence[Event]) -> None:
        """See RetellingStore."""
        async with self._database.transaction(tenant) as connection:
            await outbox.add(connection, tenant, events)

    async def waiting(self) -> int:
        """See RetellingStore."""
        async with self._database.transaction(None) as connection:
            cursor = await connection.execute("SELECT count(*) FROM outbox")
            row = await cursor.fetchone()
            return int(row[0]) if row else 0
