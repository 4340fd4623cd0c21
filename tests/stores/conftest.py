"""The real stores of these tests: each is started once for all of them."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from servers.common import events
from servers.common.events import Bus
from servers.common.postgres import Database, connected
from servers.search.store import Store
from servers.search.terms import Terms
from servers.search.vectors import Vectors
from tests.stores import nats_server, object_server, postgres_server
from tests.stores.nats_server import NatsServer
from tests.stores.object_server import ObjectServer
from tests.stores.postgres_server import PostgresServer
from tests.stores.vector_indexes import LISTED


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A migrated Postgres. A test that stops it starts it again."""
    with postgres_server.running() as server:
        yield server


@pytest.fixture(scope="session")
def objects_server() -> Iterator[ObjectServer]:
    """A SeaweedFS. Each test has a bucket of its own; one that stops it starts it again."""
    with object_server.running() as server:
        yield server


@pytest.fixture
def nats() -> Iterator[NatsServer]:
    """A NATS server without streams."""
    with nats_server.running() as server:
        yield server


@pytest.fixture
async def bus(nats: NatsServer) -> AsyncIterator[Bus]:
    """A connection to it."""
    async with events.connected(nats.url) as bus:
        yield bus


@pytest.fixture
async def database(postgres: PostgresServer) -> AsyncIterator[Database]:
    """The server's own way to Postgres; nothing is in the outbox."""
    async with connected(postgres.app()) as database:
        async with database.transaction(None) as connection:
            await connection.execute("DELETE FROM outbox")
        yield database


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """An empty store of the search server."""
    store = Store(tmp_path / "documents.sqlite")
    yield store
    store.close()


@pytest.fixture
def terms(tmp_path: Path, store: Store) -> Terms:
    """Its indexes of words."""
    return Terms(tmp_path / "words", store)


@pytest.fixture
def indexes(tmp_path: Path, store: Store) -> Vectors:
    """The vector indexes over it."""
    return Vectors(tmp_path / "vectors", store)


@pytest.fixture
def listed(tmp_path: Path, store: Store) -> Vectors:
    """The same, with lists for few vectors."""
    return Vectors(tmp_path / "vectors", store, LISTED)
