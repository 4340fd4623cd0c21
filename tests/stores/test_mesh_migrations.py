"""Starts that were killed while an index was built do not bar the next one."""

import subprocess
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from mesh import migrations
from mesh.migrations import MigrationFailed
from tests.stores.postgres_server import PostgresServer

INDEX, VERSION = "recordings_titles", "20261125000200"
VALID = "SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass(%s)"


@pytest.fixture
def database(postgres: PostgresServer) -> Iterator[str]:
    """The owner's address of an empty database."""
    with postgres.database("killed_starts") as address:
        yield address


def test_what_a_killed_start_has_left_is_dropped_and_built_again(database: str) -> None:
    migrations.apply(database)
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("DELETE FROM schema_migrations WHERE version = %s", [VERSION])  # built, and not noted
        connection.execute("CREATE TABLE twice AS SELECT 1 AS x FROM generate_series(1, 2)")
        with pytest.raises(psycopg.errors.UniqueViolation):
            connection.execute('CREATE UNIQUE INDEX CONCURRENTLY "Half" ON twice (x)')
        assert connection.execute(VALID, ['"Half"']).fetchone() == (False,)
        before = connection.execute("SELECT to_regclass(%s)::oid", ["recordings_longest"]).fetchone()

        migrations.apply(database)

        assert connection.execute(VALID, [INDEX]).fetchone() == (True,)
        assert connection.execute("SELECT to_regclass(%s)", ['"Half"']).fetchone() == (None,)
        assert connection.execute("SELECT to_regclass(%s)::oid", ["recordings_longest"]).fetchone() == before
        noted = connection.execute("SELECT count(*) FROM schema_migrations WHERE version = %s", [VERSION]).fetchone()
        assert noted == (1,)


def test_migrations_that_do_not_end_are_said_to_have_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    def endless(command: Any, timeout: float, **_: Any) -> None:
        raise subprocess.TimeoutExpired(command, timeout)

    monkeypatch.setattr(subprocess, "run", endless)
    with pytest.raises(MigrationFailed, match="did not end within"):
        migrations.apply("postgresql://nobody@127.0.0.1:1/nothing")
