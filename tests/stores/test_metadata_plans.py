"""How Postgres reads lists of recordings: by an index in the order asked for, never by sorting all of a tenant's."""

import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest

from servers.common.postgres import Database, connected
from servers.metadata.labels import Wanted
from servers.metadata.listings import Order, Place, Selection
from servers.metadata.recording_store import PostgresRecordings
from servers.metadata.recordings import Source
from tests.stores.postgres_server import PostgresServer

RECORDINGS = 6000
FILL = """
INSERT INTO recordings (recording_id, tenant, title, source, language_code, heard_language_code, duration_ms, labels,
                        create_time)
SELECT gen_random_uuid(), %(tenant)s, 'Bản tin ' || n * 7919 %% 6007, CASE n %% 50 WHEN 0 THEN 'file' ELSE 'live' END,
       CASE n %% 3 WHEN 0 THEN 'vi' ELSE '' END, CASE n %% 100 WHEN 0 THEN 'fr' ELSE 'en' END, n * 7919 %% 3607,
       CASE n %% 20 WHEN 0 THEN '{"show": "news"}'::jsonb ELSE '{}' END,
       timestamptz '2026-01-01' + n * interval '1 minute'
FROM generate_series(1, %(count)s) AS n
"""
FILL_FILES = """
INSERT INTO recording_files
SELECT recording_id, tenant, 'audio/' || recording_id, 1, '', 0, 'wav', 'pcm_s16le', 16000, 1, 1000
FROM recordings WHERE source = 'file'
"""
FEBRUARY = datetime(2026, 1, 2, tzinfo=UTC)

SELECTIONS = [
    *(Selection(order=order) for order in Order),
    *(Selection(language_code="vi", order=order) for order in Order),
    *(Selection(source=Source.LIVE, order=order) for order in Order),
    Selection(source=Source.FILE),
    Selection(created_after=FEBRUARY),
    Selection(created_before=FEBRUARY, order=Order.OLDEST),
    Selection(created_after=FEBRUARY, order=Order.LONGEST),
]

SELECTIVE = [
    Selection(language_code="fr"),
    Selection(language_code="fr", order=Order.TITLE),
    Selection(title_contains="TIN 7"),
    Selection(labels=(Wanted("show", "news"),)),
    Selection(labels=(Wanted("show", None),), order=Order.LONGEST),
]
"""Of these few recordings pass, so that the planner may rather sort them than read on in order."""


class Explained:
    """A database that notes the plans of the lists that are asked of it."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.plans: list[str] = []

    @asynccontextmanager
    async def transaction(self, tenant: str | None) -> AsyncIterator[Any]:
        async with self._database.transaction(tenant) as self._connection:
            yield self

    async def execute(self, query: str, values: Sequence[Any] = ()) -> Any:
        cursor = await self._connection.execute(f"EXPLAIN {query}", values)  # type: ignore[arg-type]
        self.plans.append("\n".join(line for (line,) in await cursor.fetchall()))
        return await self._connection.execute(query, values)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def tenant(postgres: PostgresServer) -> str:
    """A tenant with many recordings, beside another with as many."""
    tenants = [f"{name}-{uuid.uuid4()}" for name in ("acme", "other")]
    with psycopg.connect(postgres.owner(), autocommit=True) as connection:
        for name in tenants:
            with connection.transaction():
                connection.execute("SELECT set_config('ai2text.tenant', %s, true)", (name,))
                connection.execute(FILL, {"tenant": name, "count": RECORDINGS})
                connection.execute(FILL_FILES)
        connection.execute("VACUUM ANALYZE recordings, recording_files")
    return tenants[0]


@pytest.mark.parametrize("selection", SELECTIONS, ids=str)
async def test_a_list_is_read_by_an_index_in_its_order(
    postgres: PostgresServer, tenant: str, selection: Selection
) -> None:
    for plan in await plans_of_two_pages(postgres, tenant, selection):
        assert "Index Scan" in plan
        assert "Sort" not in plan, plan
        assert "Seq Scan on recordings" not in plan, plan


@pytest.mark.parametrize("selection", SELECTIVE, ids=str)
async def test_pages_of_few_among_many_follow_each_other(
    postgres: PostgresServer, tenant: str, selection: Selection
) -> None:
    assert len(await plans_of_two_pages(postgres, tenant, selection)) == 2


async def plans_of_two_pages(postgres: PostgresServer, tenant: str, selection: Selection) -> list[str]:
    """How two pages were read, of which the second begins within the first."""
    async with connected(postgres.app()) as database:
        explained = Explained(database)
        store = PostgresRecordings(explained)  # type: ignore[arg-type]
        first = await store.recordings(tenant, selection, None, 40)
        after = Place.of(selection.order, first[20])
        second = await store.recordings(tenant, selection, after, 40)
    assert len(first) == 40
    assert second[:19] == first[21:]
    return explained.plans


@pytest.mark.parametrize(
    ("selection", "index"),
    [
        (Selection(), "recordings_newest"),
        (Selection(order=Order.OLDEST), "Backward using recordings_newest"),
        (Selection(order=Order.TITLE), "recordings_titles"),
        (Selection(order=Order.LONGEST), "recordings_longest"),
        (Selection(source=Source.FILE), "recordings_sources"),
        (Selection(language_code="fr"), "recordings_languages"),
    ],
    ids=str,
)
async def test_each_index_serves_its_list(
    postgres: PostgresServer, tenant: str, selection: Selection, index: str
) -> None:
    async with connected(postgres.app()) as database:
        explained = Explained(database)
        await PostgresRecordings(explained).recordings(tenant, selection, None, 51)  # type: ignore[arg-type]
    assert index in explained.plans[0], explained.plans[0]


async def test_objects_are_looked_up_by_their_index(postgres: PostgresServer, tenant: str) -> None:
    async with connected(postgres.app()) as database:
        explained = Explained(database)
        await PostgresRecordings(explained).objects_in_use(tenant, ["audio/x", "audio/y"])  # type: ignore[arg-type]
    assert "recording_files_objects" in explained.plans[0], explained.plans[0]
