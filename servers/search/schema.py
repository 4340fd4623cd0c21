"""The tables of the documents, in SQLite, and connections to them; see `servers.search.store`.

The tables of recordings are those of `servers.search.catalogue`.
"""

import contextlib
import sqlite3
import uuid
from collections.abc import Iterator
from pathlib import Path

from servers.search import catalogue

VERSION = 5
"""To be raised with any change to the tables."""

CHECKPOINT_PAGES = 20_000
"""How long the log grows before it is written back, 80 MB. Ids are spread over the whole file, so each entry changes
pages of its own; the longer the log, the more entries share the writing of one: a third of what 1,000 pages write."""
CACHE_KIB = 32 * 1024
"""What a connection may hold of the file in memory, for transactions that change more pages than SQLite's 2 MB hold."""

_DELETED = """CREATE TABLE deleted (
  tenant TEXT NOT NULL, recording_id TEXT NOT NULL, PRIMARY KEY (tenant, recording_id)
) WITHOUT ROWID;"""
_WRITTEN = """CREATE TABLE written (
  seq INTEGER PRIMARY KEY AUTOINCREMENT, tenant TEXT NOT NULL, document INTEGER NOT NULL UNIQUE
);
CREATE INDEX written_by_tenant ON written (tenant, seq);"""
SCHEMA = f"""
CREATE TABLE this_index (one INTEGER PRIMARY KEY CHECK (one = 1), id TEXT NOT NULL, last_seq INTEGER NOT NULL);
CREATE TABLE documents (
  id INTEGER PRIMARY KEY, tenant TEXT NOT NULL, recording_id TEXT NOT NULL, transcript_id TEXT NOT NULL,
  segment_id TEXT NOT NULL, start_ms INTEGER NOT NULL, end_ms INTEGER NOT NULL, language_code TEXT NOT NULL,
  text TEXT NOT NULL, channel INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX documents_by_recording ON documents (tenant, recording_id);
CREATE TABLE vectors (
  document INTEGER NOT NULL, space TEXT NOT NULL, tenant TEXT NOT NULL, seq INTEGER NOT NULL, vector BLOB NOT NULL,
  PRIMARY KEY (document, space)
);
CREATE UNIQUE INDEX vectors_by_seq ON vectors (tenant, space, seq);
{_DELETED}
{_WRITTEN}
{catalogue.SCHEMA}
{catalogue.SUPERSEDED}
PRAGMA user_version = {VERSION};
"""
UPGRADES = {
    1: f"{_DELETED}\nPRAGMA user_version = 2;\n",
    2: f"""{_WRITTEN}
{catalogue.SCHEMA}
INSERT INTO written (tenant, document) SELECT tenant, id FROM documents;
DROP TABLE words;
PRAGMA user_version = 3;
""",
    # A constant default leaves every row as it is, so this takes no longer with millions.
    3: "ALTER TABLE documents ADD COLUMN channel INTEGER NOT NULL DEFAULT 0;\nPRAGMA user_version = 4;\n",
    4: f"{catalogue.SUPERSEDED}\nPRAGMA user_version = 5;\n",
}
"""What makes a database of an older version one of the next: from such a version nothing need be read anew."""


def connected(path: Path) -> sqlite3.Connection:
    """A connection to the database in that file, for one thread; sqlite3.DatabaseError."""
    connection = sqlite3.connect(path, timeout=5.0, isolation_level=None, check_same_thread=False)
    with contextlib.ExitStack() as unless_it_works:
        unless_it_works.callback(connection.close)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute(f"PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES}")
        connection.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
        unless_it_works.pop_all()
    return connection


def create(connection: sqlite3.Connection) -> None:
    """Make the tables of a new database, which gets a name of its own."""
    _run(connection, f"{SCHEMA}INSERT INTO this_index VALUES (1, '{uuid.uuid4().hex}', 0);\n")


def upgrade(connection: sqlite3.Connection, version: int) -> None:
    """Make of a database of that version, one of UPGRADES, one of the newest, a transaction for each step."""
    for step in range(version, VERSION):
        _run(connection, UPGRADES[step])


@contextlib.contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """One that writes: all of the block or, when it raises, nothing of it."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


def _run(connection: sqlite3.Connection, statements: str) -> None:
    with transaction(connection):
        for statement in statements.split(";\n"):
            connection.execute(statement)
