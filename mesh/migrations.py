"""The database's schema, brought up to date by dbmate before the metadata server starts."""

import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

import psycopg
from psycopg import sql

from mesh.home import REPOSITORY
from mesh.wheels import BIN

MIGRATIONS = REPOSITORY / "servers" / "metadata" / "migrations"
DATABASE_WAIT_S = 60
TIME_LIMIT_S = 10 * DATABASE_WAIT_S

_UP, _DOWN = "-- migrate:up", "-- migrate:down"
_CONCURRENT = re.compile(r'\bINDEX\s+CONCURRENTLY\s+(?:IF\s+NOT\s+EXISTS\s+)?"?(\w+)', re.IGNORECASE)
_LEFTOVERS = """
SELECT relname FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid
WHERE relkind = 'i' AND relnamespace = 'public'::regnamespace AND (NOT indisvalid OR relname = ANY(%s))
"""


class MigrationFailed(Exception):
    """dbmate could not bring the schema up to date, or back; its own words are in the log."""


@dataclass(frozen=True)
class Migration:
    """One step of the schema: a file with the SQL that takes it, and the SQL that takes it back."""

    path: Path
    up: str
    down: str

    @property
    def name(self) -> str:
        """The file's name without its ending."""
        return self.path.stem

    @property
    def version(self) -> str:
        """What dbmate remembers of it once it has run."""
        return self.name.partition("_")[0]


def read(folder: Path = MIGRATIONS) -> list[Migration]:
    """The migrations in the order in which they run. Raises MigrationFailed for a file without a way back."""
    return [_read(path) for path in sorted(folder.glob("*.sql"))]


def _read(path: Path) -> Migration:
    _, up_marked, rest = path.read_text(encoding="utf-8").partition(_UP)
    up, down_marked, down = rest.partition(_DOWN)
    if not up_marked or not down_marked or not _statements(down):
        raise MigrationFailed(f"{path.name} has no statements after {_UP!r} and after {_DOWN!r}")
    return Migration(path, _statements(up), _statements(down))


def _statements(section: str) -> str:
    """What follows the options, which end the marker's line."""
    return section.partition("\n")[2].strip()


def apply(dsn: str, folder: Path = MIGRATIONS) -> None:
    """Waits for the database and runs what it has not seen yet, as the owner of the schema.

    Raises MigrationFailed when a migration fails or the database stays away for a minute.
    """
    if not any(folder.glob("*.sql")):
        print(f"there are no migrations in {folder}", flush=True)
        return
    _dbmate(dsn, folder, "--wait-timeout", f"{DATABASE_WAIT_S}s", "wait")
    _clear(dsn, read(folder))
    _dbmate(dsn, folder, "up")


def roll_back(dsn: str, folder: Path = MIGRATIONS) -> None:
    """Takes the newest migration back, as the owner of the schema. Raises MigrationFailed."""
    _dbmate(dsn, folder, "rollback")


def _clear(dsn: str, every: list[Migration]) -> None:
    """Drop what a start that was killed has left of indexes that are built while writes go on.

    Such an index is invalid, or whole without dbmate having noted it; either way it bars the next try. The killed
    start's session may still be building: then the drop waits for it.
    """
    limit = f"-c statement_timeout={TIME_LIMIT_S}s"
    try:
        with psycopg.connect(dsn, autocommit=True, options=limit, connect_timeout=DATABASE_WAIT_S) as connection:
            fresh = connection.execute("SELECT to_regclass('public.schema_migrations') IS NULL").fetchone() == (True,)
            rows = [] if fresh else connection.execute("SELECT version FROM public.schema_migrations").fetchall()
            known = {version for (version,) in rows}
            awaited = [name for one in every if one.version not in known for name in _CONCURRENT.findall(one.up)]
            for (name,) in connection.execute(_LEFTOVERS, [awaited]).fetchall():
                print(f"dropping {name}, which an earlier start did not finish", flush=True)
                drop = sql.SQL("DROP INDEX CONCURRENTLY IF EXISTS public.{}")
                connection.execute(drop.format(sql.Identifier(name)))
    except psycopg.Error as error:
        raise MigrationFailed(f"what an earlier start has left cannot be dropped: {error}") from error


def _dbmate(dsn: str, folder: Path, *arguments: str) -> None:
    command = [str(BIN / "dbmate"), "--migrations-dir", str(folder), "--no-dump-schema", *arguments]
    env = os.environ | {"DATABASE_URL": f"{dsn}?sslmode=disable"}
    try:
        done = subprocess.run(command, env=env, check=False, timeout=TIME_LIMIT_S)
    except subprocess.TimeoutExpired as error:
        raise MigrationFailed(f"dbmate did not end within {TIME_LIMIT_S} s") from error
    if done.returncode != 0:
        raise MigrationFailed(f"dbmate ended with status {done.returncode}")
