"""How much Postgres does to find the next events of the outbox: about as much as there are, whatever plan it takes."""

from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest

from servers.common.postgres import Connection, Database, connected
from servers.metadata.outbox_store import PostgresOutbox
from tests.stores.postgres_server import PostgresServer

WAITING, KEYS, BATCH = 2000, 5, 256
FILL = """
INSERT INTO outbox (tenant, event_id, subject, ordering_key, payload, traceparent)
SELECT 'acme', gen_random_uuid(), 'transcript.x', 'k' || n %% %s, 'x', '' FROM generate_series(1, %s) AS n
"""
NESTED = "SET LOCAL enable_hashjoin = off; SET LOCAL enable_mergejoin = off"
"""What Postgres does of itself as long as it believes that the outbox is all but empty."""


class Counted:
    """A database that counts the rows that went through the hands of Postgres, in all steps of its plans."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.rows = 0

    @asynccontextmanager
    async def transaction(self, tenant: str | None) -> AsyncIterator[Any]:
        async with self._database.transaction(tenant) as self._connection:
            await self._connection.execute(NESTED)
            yield self

    async def execute(self, query: str, values: Sequence[Any] = ()) -> Any:
        explained = f"EXPLAIN (ANALYZE, FORMAT JSON) {query}"
        row = await (await self._connection.execute(explained, values)).fetchone()  # type: ignore[arg-type]
        assert row is not None
        self.rows += sum(_handled(node) for node in _nodes(row[0][0]["Plan"]))
        return await self._connection.execute(query, values)  # type: ignore[arg-type]


def _nodes(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield node
    for inner in node.get("Plans", ()):
        yield from _nodes(inner)


def _handled(node: dict[str, Any]) -> float:
    removed = sum(count for name, count in node.items() if name.startswith("Rows Removed by"))
    return float((node["Actual Rows"] + removed) * node["Actual Loops"])


@pytest.fixture
async def database(postgres: PostgresServer) -> AsyncIterator[Database]:
    async with connected(postgres.app()) as database:
        async with database.transaction(None) as connection:
            await connection.execute("DELETE FROM outbox")
        async with database.transaction("acme") as connection:
            await connection.execute(FILL, (KEYS, WAITING))
        yield database
        async with database.transaction(None) as connection:
            await connection.execute("DELETE FROM outbox")


async def held_by_another(connection: Connection, key: str) -> int:
    """The first event of a key, which another relay now holds."""
    cursor = await connection.execute(
        "SELECT sequence FROM outbox WHERE ordering_key = %s ORDER BY sequence LIMIT 1 FOR UPDATE", (key,)
    )
    row = await cursor.fetchone()
    assert row is not None
    return int(row[0])


async def test_the_next_events_are_found_in_one_pass(database: Database) -> None:
    counted = Counted(database)
    async with PostgresOutbox(counted).batch(BATCH) as batch:  # type: ignore[arg-type]
        sequences = [one.sequence for one in batch.kept]
    assert len(sequences) == BATCH
    assert sequences == sorted(sequences)
    assert counted.rows < 20 * WAITING


async def test_what_another_holds_back_is_found_in_one_pass(database: Database) -> None:
    counted = Counted(database)
    async with database.transaction(None) as connection:
        held = await held_by_another(connection, "k3")
        async with PostgresOutbox(counted).batch(BATCH) as batch:  # type: ignore[arg-type]
            kept = batch.kept
    assert {one.event.ordering_key for one in kept} == {"k0", "k1", "k2", "k4"}
    assert held not in [one.sequence for one in kept]
    assert counted.rows < 20 * WAITING
