"""The documents in SQLite: the truth of this server. See docs/adr/0002-search-store.md.

Every method blocks; any thread may call any of them. A thread that reads has a connection of its own and never waits
for the writer (WAL); writes go one by one.
"""

import contextlib
import sqlite3
import threading
import uuid
from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import structlog

from servers.common.errors import DependencyUnavailable
from servers.search import matching
from servers.search.documents import Document, Entry, Scope
from servers.search.indexing import Changes, Halves, Ids, Rows, language_number, recording_number
from servers.search.words import Word

log = structlog.get_logger(__name__)

VERSION = 2
"""To be raised with any change to the tables, or to what `matching.row` makes of a text."""

GONE = b""
"""Stands where a vector was, under a number of its own: indexes read forward, and so learn of it."""

_DELETED = """CREATE TABLE deleted (
  tenant TEXT NOT NULL, recording_id TEXT NOT NULL, PRIMARY KEY (tenant, recording_id)
) WITHOUT ROWID;"""
SCHEMA = f"""
CREATE TABLE this_index (one INTEGER PRIMARY KEY CHECK (one = 1), id TEXT NOT NULL, last_seq INTEGER NOT NULL);
CREATE TABLE documents (
  id INTEGER PRIMARY KEY, tenant TEXT NOT NULL, recording_id TEXT NOT NULL, transcript_id TEXT NOT NULL,
  segment_id TEXT NOT NULL, start_ms INTEGER NOT NULL, end_ms INTEGER NOT NULL, language_code TEXT NOT NULL,
  text TEXT NOT NULL
);
CREATE INDEX documents_by_recording ON documents (tenant, recording_id);
CREATE TABLE vectors (
  document INTEGER NOT NULL, space TEXT NOT NULL, tenant TEXT NOT NULL, seq INTEGER NOT NULL, vector BLOB NOT NULL,
  PRIMARY KEY (document, space)
);
CREATE UNIQUE INDEX vectors_by_seq ON vectors (tenant, space, seq);
{_DELETED}
CREATE VIRTUAL TABLE words USING fts5 ({matching.COLUMNS}, content = '', tokenize = 'ascii');
PRAGMA user_version = {VERSION};
"""
UPGRADES = {1: f"{_DELETED}\nPRAGMA user_version = 2;\n"}
"""What makes a database of an older version one of the next: from such a version nothing need be read anew."""
FIELDS = "tenant, recording_id, transcript_id, segment_id, start_ms, end_ms, language_code, text"


class Store:
    """One file. A new one, or one that is damaged or of another version and set aside, has a new `index_id`."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path = path
        self._local = threading.local()
        self._open: list[sqlite3.Connection] = []
        self._writing = threading.Lock()
        self.index_id = self._prepare()

    def close(self) -> None:
        """Close every connection; no thread may use the store any more."""
        for connection in self._open:
            connection.close()
        self._open.clear()

    def put(self, entries: Sequence[Entry]) -> None:
        """Store all entries in one transaction, on disk when this returns. What is there already changes nothing, and
        what comes late to a deleted recording is let go.

        DependencyUnavailable when the disk is full or fails.
        """
        with self._written() as connection:
            for entry in entries:
                if not _is_deleted(connection, entry.document):
                    _put_document(connection, entry.document)
                    _put_vector(connection, entry)

    def delete(self, tenant: str, recording_id: str, limit: int) -> tuple[int, set[str]]:
        """Delete at most `limit` documents of a recording, and keep those out for good that come late.

        How many they were, and which spaces lost vectors. DependencyUnavailable as with `put`.
        """
        with self._written() as connection:
            connection.execute("INSERT OR IGNORE INTO deleted VALUES (?, ?)", (tenant, recording_id))
            found = connection.execute(
                f"SELECT id, {FIELDS} FROM documents WHERE tenant = ? AND recording_id = ? LIMIT ?",
                (tenant, recording_id, limit),
            ).fetchall()
            spaces = [_delete_document(connection, id, Document(*fields)) for id, *fields in found]
        return len(found), set().union(*spaces)

    def matching(self, scope: Scope, asked: Sequence[Word], limit: int) -> list[int]:
        """See Library."""
        found = self._connection().execute(
            "SELECT rowid FROM words WHERE words MATCH ? ORDER BY bm25(words, ?, ?, ?), rowid LIMIT ?",
            (matching.expression(scope, asked), *matching.WEIGHTS, limit),
        )
        return [id for (id,) in found]

    def documents(self, tenant: str, ids: Collection[int]) -> dict[int, Document]:
        """See Library."""
        found = self._connection().execute(
            f"SELECT id, {FIELDS} FROM documents WHERE id IN ({_marks(ids)}) AND tenant = ?", (*ids, tenant)
        )
        return {id: Document(*fields) for id, *fields in found}

    def last_seq(self) -> int:
        """The number of the newest vector."""
        (seq,) = self._connection().execute("SELECT last_seq FROM this_index").fetchone()
        return int(seq)

    def spaces(self) -> list[tuple[str, str]]:
        """Every tenant with every space that it has vectors in."""
        return list(self._connection().execute("SELECT DISTINCT tenant, space FROM vectors"))

    def changes_after(self, tenant: str, space: str, seq: int, limit: int) -> Changes:
        """The first `limit` changes with a number above `seq`; when there are none, none up to `seq`."""
        rows = self._connection().execute(
            "SELECT v.seq, v.document, v.vector, d.recording_id, d.language_code "
            "FROM vectors v LEFT JOIN documents d ON d.id = v.document "
            "WHERE v.tenant = ? AND v.space = ? AND v.seq > ? ORDER BY v.seq LIMIT ?",
            (tenant, space, seq, limit),
        )
        found = rows.fetchall()
        gone = np.array([id for _, id, vector, *_ in found if vector == GONE], np.int64)
        return Changes(found[-1][0] if found else seq, gone, _rows([row[1:] for row in found if row[2] != GONE]))

    def _prepare(self) -> str:
        try:
            return self._ready()
        except sqlite3.DatabaseError as error:
            if isinstance(error, sqlite3.OperationalError):
                raise
            return self._anew(repr(error))

    def _ready(self) -> str:
        connection = self._connection()
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version == 0:
            _create(connection)
        elif version in UPGRADES:
            _run(connection, UPGRADES[version])
        elif version != VERSION:
            return self._anew(f"version {version}")
        (index_id,) = connection.execute("SELECT id FROM this_index").fetchone()
        return str(index_id)

    def _anew(self, why: str) -> str:
        """Set the file aside and begin an empty one, which JetStream fills again."""
        self.close()
        self._local = threading.local()
        log.error("search database is unusable; it is set aside, and the index is built anew", path=self._path, why=why)
        for suffix in ("", "-wal", "-shm"):
            with contextlib.suppress(FileNotFoundError):
                Path(f"{self._path}{suffix}").replace(f"{self._path}.unusable{suffix}")
        return self._ready()

    @contextlib.contextmanager
    def _written(self) -> Iterator[sqlite3.Connection]:
        """One transaction that writes; DependencyUnavailable when the disk is full or fails."""
        connection = self._connection()
        try:
            with self._writing, _transaction(connection):
                yield connection
        except sqlite3.OperationalError as error:
            log.exception("write failed")
            raise DependencyUnavailable("search store") from error

    def _connection(self) -> sqlite3.Connection:
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = sqlite3.connect(self._path, timeout=5.0, isolation_level=None, check_same_thread=False)
            self._open.append(connection)
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
            self._local.connection = connection
        return connection


def _create(connection: sqlite3.Connection) -> None:
    _run(connection, f"{SCHEMA}INSERT INTO this_index VALUES (1, '{uuid.uuid4().hex}', 0);\n")


def _run(connection: sqlite3.Connection, statements: str) -> None:
    with _transaction(connection):
        for statement in statements.split(";\n"):
            connection.execute(statement)


@contextlib.contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[None]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


def _put_document(connection: sqlite3.Connection, document: Document) -> None:
    id = document.id
    found = connection.execute(f"SELECT {FIELDS} FROM documents WHERE id = ?", (id,)).fetchone()
    before = Document(*found) if found else None
    if before == document:
        return
    if before and _place(before) != _place(document):
        _renumber_vectors(connection, id)
    insert = f"INSERT INTO words (rowid, {matching.COLUMNS}) VALUES (?, ?, ?, ?)"
    if before:
        _forget_words(connection, id, before)
    connection.execute(insert, (id, *matching.row(document)))
    values = (id, *(getattr(document, field) for field in FIELDS.split(", ")))
    connection.execute(f"INSERT OR REPLACE INTO documents (id, {FIELDS}) VALUES ({_marks(values)})", values)


def _place(document: Document) -> tuple[str, str]:
    """What the indexes of vectors keep of a document."""
    return document.recording_id, document.language_code


def _renumber_vectors(connection: sqlite3.Connection, id: int) -> None:
    """Have indexes read the vectors of a document again, with what is new about it."""
    for (space,) in connection.execute("SELECT space FROM vectors WHERE document = ?", (id,)).fetchall():
        connection.execute("UPDATE this_index SET last_seq = last_seq + 1")
        connection.execute(
            "UPDATE vectors SET seq = (SELECT last_seq FROM this_index) WHERE document = ? AND space = ?", (id, space)
        )


def _forget_words(connection: sqlite3.Connection, id: int, document: Document) -> None:
    remove = f"INSERT INTO words (words, rowid, {matching.COLUMNS}) VALUES ('delete', ?, ?, ?, ?)"
    connection.execute(remove, (id, *matching.row(document)))


def _delete_document(connection: sqlite3.Connection, id: int, document: Document) -> set[str]:
    """The spaces in which it had vectors."""
    _forget_words(connection, id, document)
    connection.execute("DELETE FROM documents WHERE id = ?", (id,))
    spaces = {space for (space,) in connection.execute("SELECT space FROM vectors WHERE document = ?", (id,))}
    for space in spaces:
        _write_vector(connection, (id, space), document.tenant, GONE)
    return spaces


def _is_deleted(connection: sqlite3.Connection, document: Document) -> bool:
    key = (document.tenant, document.recording_id)
    found = connection.execute("SELECT 1 FROM deleted WHERE tenant = ? AND recording_id = ?", key)
    return found.fetchone() is not None


def _put_vector(connection: sqlite3.Connection, entry: Entry) -> None:
    blob = entry.embedding.vector.astype("<f2").tobytes()
    key = (entry.document.id, entry.embedding.space)
    found = connection.execute("SELECT vector FROM vectors WHERE document = ? AND space = ?", key).fetchone()
    if not found or found[0] != blob:
        _write_vector(connection, key, entry.document.tenant, blob)


def _write_vector(connection: sqlite3.Connection, key: tuple[int, str], tenant: str, blob: bytes) -> None:
    """Under the next number."""
    connection.execute("UPDATE this_index SET last_seq = last_seq + 1")
    connection.execute(
        "INSERT OR REPLACE INTO vectors SELECT ?, ?, ?, last_seq, ? FROM this_index", (*key, tenant, blob)
    )


def _rows(found: Sequence[tuple[int, bytes, str, str]]) -> Rows:
    ids, vectors = _stacked((id, vector) for id, vector, _, _ in found)
    recordings = {name: recording_number(name) for name in {name for _, _, name, _ in found}}
    languages = {code: language_number(code) for code in {code for *_, code in found}}
    return Rows(
        ids,
        vectors,
        np.array([recordings[name] for _, _, name, _ in found], np.int64),
        np.array([languages[code] for *_, code in found], np.uint16),
    )


def _stacked(rows: Iterable[tuple[int, bytes]]) -> tuple[Ids, Halves]:
    ids, blobs = zip(*rows, strict=True) if (rows := list(rows)) else ((), ())
    vectors = np.frombuffer(b"".join(blobs), "<f2")
    return np.array(ids, np.int64), vectors.reshape(len(ids), -1) if ids else np.empty((0, 0), np.float16)


def _marks(values: Collection[object]) -> str:
    return ", ".join("?" * len(values))
