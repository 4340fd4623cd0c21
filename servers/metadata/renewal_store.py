"""Which streams were told everything, in Postgres."""

from servers.common.postgres import Database


class PostgresToldStreams:
    """A ToldStreams."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def told(self) -> str:
        """See ToldStreams."""
        async with self._database.transaction(None) as connection:
            cursor = await connection.execute("SELECT streams FROM told_streams")
            row = await cursor.fetchone()
            return str(row[0]) if row else ""

    async def claim(self, claimant: str, lasts_s: float) -> bool:
        """See ToldStreams."""
        async with self._database.transaction(None) as connection:
            cursor = await connection.execute(
                "UPDATE told_streams SET claimed_by = %s, claimed_until = clock_timestamp() + make_interval(secs => %s)"
                " WHERE claimed_by = %s OR claimed_until < clock_timestamp()",
                (claimant, lasts_s, claimant),
            )
            return cursor.rowcount > 0

    async def remember(self, name: str) -> None:
        """See ToldStreams."""
        async with self._database.transaction(None) as connection:
            await connection.execute("UPDATE told_streams SET streams = %s, claimed_until = '-infinity'", (name,))
