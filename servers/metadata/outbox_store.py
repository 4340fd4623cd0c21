"""The outbox in Postgres. Several relays may work on it: each holds the rows of its batch by their locks."""

from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager

from servers.common.outbox import Event
from servers.common.postgres import Connection, Database
from servers.metadata.outbox import Backlog, Kept

_HOLD = """
WITH held AS MATERIALIZED (
    SELECT sequence, event_id::text, subject, ordering_key, payload, traceparent
    FROM outbox ORDER BY sequence LIMIT %s FOR UPDATE SKIP LOCKED
)
SELECT * FROM held
WHERE NOT EXISTS (
    SELECT FROM outbox AS older
    WHERE older.ordering_key = held.ordering_key AND older.sequence < held.sequence
        AND NOT EXISTS (SELECT FROM held AS too WHERE too.sequence = older.sequence)
)
ORDER BY sequence
"""


class PostgresBatch:
    """A Batch whose rows are locked until the transaction of `connection` ends."""

    def __init__(self, connection: Connection, kept: Sequence[Kept]) -> None:
        self._connection = connection
        self.kept = kept

    async def remove(self, sequences: Collection[int]) -> None:
        """See Batch."""
        await self._connection.execute("DELETE FROM outbox WHERE sequence = ANY(%s)", (list(sequences),))


class PostgresOutbox:
    """An Outbox."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @asynccontextmanager
    async def batch(self, limit: int) -> AsyncIterator[PostgresBatch]:
        """See Outbox."""
        async with self._database.transaction(None) as connection:
            cursor = await connection.execute(_HOLD, (limit,))
            rows = await cursor.fetchall()
            yield PostgresBatch(connection, [Kept(sequence, Event(*event)) for sequence, *event in rows])

    async def backlog(self) -> Backlog:
        """See Outbox."""
        async with self._database.transaction(None) as connection:
            cursor = await connection.execute(
                "SELECT count(*), coalesce(extract(epoch FROM clock_timestamp() - min(create_time))::float8, 0)"
                " FROM outbox"
            )
            row = await cursor.fetchone()
            assert row is not None
            return Backlog(*row)
