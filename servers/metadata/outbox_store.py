"""The outbox in Postgres. Several relays may work on it: each holds the rows of its batch by their locks."""

from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager

from servers.common.outbox import Event
from servers.common.postgres import Connection, Database
from servers.metadata.outbox import Backlog, Kept

# Whatever Postgres believes about the size of the outbox, no plan of this compares each event with each other: what
# another relay holds is what is older than the last of ours and not among them, which one pass finds.
_HOLD = """
WITH held AS MATERIALIZED (
    SELECT sequence, event_id::text, subject, ordering_key, payload, traceparent
    FROM outbox ORDER BY sequence LIMIT %s FOR UPDATE SKIP LOCKED
), elsewhere AS MATERIALIZED (
    SELECT ordering_key, min(sequence) AS sequence FROM (
        SELECT sequence, ordering_key FROM outbox WHERE sequence < (SELECT max(sequence) FROM held)
        EXCEPT ALL SELECT sequence, ordering_key FROM held
    ) AS older
    GROUP BY ordering_key
)
SELECT held.* FROM held LEFT JOIN elsewhere USING (ordering_key)
WHERE elsewhere.sequence IS NULL OR elsewhere.sequence > held.sequence
ORDER BY held.sequence
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
