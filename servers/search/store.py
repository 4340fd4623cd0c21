"""The documents in SQLite: the truth of this server. See docs/adr/0002-search-store.md.

Every method blocks; any thread may call any of them. A thread that reads has a connection of its own and never waits
for the writer (WAL); writes go one by one.
"""

import contextlib
import functools
import json
import sqlite3
import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import ParamSpec, TypeVar

import numpy as np
import structlog

from servers.common.errors import DependencyUnavailable
from servers.search import catalogue, schema
from servers.search.candidates import Within
from servers.search.catalogue import Known
from servers.search.documents import Document, Entry, Scope
from servers.search.indexing import Changes, Halves, Ids, Rows, language_number, recording_number
from servers.search.narrowing import Conditions, Span
from servers.search.word_index import WordChanges, WordRow

log = structlog.get_logger(__name__)

GONE = b""
"""Stands where a vector was, under a number of its own: indexes read forward, and so learn of it."""

_NEWEST = """
WITH RECURSIVE spaces (space) AS (
  SELECT min(space) FROM vectors WHERE tenant = :tenant
  UNION ALL
  SELECT (SELECT min(v.space) FROM vectors AS v WHERE v.tenant = :tenant AND v.space > spaces.space)
  FROM spaces WHERE spaces.space IS NOT NULL
)
SELECT space, (SELECT max(v.seq) FROM vectors AS v WHERE v.tenant = :tenant AND v.space = spaces.space)
FROM spaces WHERE space IS NOT NULL
"""
"""From one space to the next, past all their vectors."""
_OF_TENANT = "+tenant = ?"
"""The sign keeps SQLite from going through all of a tenant's documents, by its index, to find some by their ids."""
_THERE = f"""NOT EXISTS (
  SELECT 1 FROM deleted AS gone WHERE gone.tenant = documents.tenant AND gone.recording_id = documents.recording_id
) AND {catalogue.COUNTS}"""
"""The documents of a recording are deleted little by little, but none of them is there any more from the first on; nor
are those of a transcript in whose place another counts, though they stay: that one may yet fail."""

FIELDS = "tenant, recording_id, transcript_id, segment_id, start_ms, end_ms, language_code, text, channel"

P = ParamSpec("P")
T = TypeVar("T")


def _reading(method: Callable[P, T]) -> Callable[P, T]:
    """A method that reads: DependencyUnavailable when the disk fails."""

    @functools.wraps(method)
    def read(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return method(*args, **kwargs)
        except sqlite3.OperationalError as error:
            log.exception("read failed")
            raise DependencyUnavailable("search store") from error

    return read


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
            for different in _different(entries):
                _put(connection, different)

    def delete(self, tenant: str, recording_id: str, limit: int) -> tuple[int, set[str]]:
        """Delete at most `limit` documents of a recording, and keep those out for good that come late.

        How many they were, and which spaces lost vectors. DependencyUnavailable as with `put`.
        """
        with self._written() as connection:
            connection.execute("INSERT OR IGNORE INTO deleted VALUES (?, ?)", (tenant, recording_id))
            catalogue.forget(connection, tenant, recording_id)
            found = connection.execute(
                f"SELECT id, {FIELDS} FROM documents WHERE tenant = ? AND recording_id = ? LIMIT ?",
                (tenant, recording_id, limit),
            ).fetchall()
            spaces = [_delete_document(connection, id, Document(*fields)) for id, *fields in found]
        return len(found), set().union(*spaces)

    def remove(self, tenant: str, ids: Sequence[int]) -> tuple[int, set[str]]:
        """Delete these documents of a tenant; they may come again. The answer is that of `delete`."""
        with self._written() as connection:
            found = connection.execute(
                f"SELECT id, {FIELDS} FROM documents WHERE id IN ({_marks(ids)}) AND {_OF_TENANT}", (*ids, tenant)
            ).fetchall()
            spaces = [_delete_document(connection, id, Document(*fields)) for id, *fields in found]
        return len(found), set().union(*spaces)

    def note(self, known: Sequence[Known]) -> set[str]:
        """Keep what was told of recordings; the tenants to whom it is news. DependencyUnavailable as with `put`."""
        with self._written() as connection:
            return {one.tenant for one in known if catalogue.note(connection, one)}

    @_reading
    def recordings(self, tenant: str, conditions: Conditions) -> list[int]:
        """See Library."""
        return catalogue.selected(self._connection(), tenant, conditions)

    @_reading
    def within(self, scope: Scope, span: Span) -> Within:
        """See Library."""
        where = f"FROM documents WHERE tenant = ? AND recording_id IN ({_marks(scope.recording_ids)})"
        values = (scope.tenant, *scope.recording_ids)
        (count,) = self._connection().execute(f"SELECT count(*) {where}", values).fetchone()
        found = self._connection().execute(
            f"SELECT id {where} AND start_ms < ? AND end_ms > ?", (*values, span.end_ms, span.start_ms)
        )
        return Within(frozenset(id for (id,) in found), count)

    @_reading
    def count(self, tenant: str) -> int:
        """How many documents a tenant has."""
        (count,) = self._connection().execute("SELECT count(*) FROM documents WHERE tenant = ?", (tenant,)).fetchone()
        return int(count)

    @_reading
    def newest_by_space(self, tenant: str) -> dict[str, int]:
        """The spaces that a tenant has vectors in, each with the number of its newest change."""
        found = self._connection().execute(_NEWEST, {"tenant": tenant})
        return dict(found.fetchall())

    @_reading
    def documents(self, tenant: str, ids: Collection[int]) -> dict[int, Document]:
        """See Library."""
        found = self._connection().execute(
            f"SELECT id, {FIELDS} FROM documents WHERE id IN ({_marks(ids)}) AND {_OF_TENANT} AND {_THERE}",
            (*ids, tenant),
        )
        return {id: Document(*fields) for id, *fields in found}

    @_reading
    def existing(self, tenant: str, ids: Collection[int]) -> set[int]:
        """Which of these documents of the tenant there are."""
        found = self._connection().execute(
            f"SELECT id FROM documents WHERE id IN (SELECT value FROM json_each(?)) AND {_OF_TENANT} AND {_THERE}",
            (json.dumps(list(ids)), tenant),
        )
        return {id for (id,) in found}

    @_reading
    def last_seq(self) -> int:
        """The number of the newest vector."""
        (seq,) = self._connection().execute("SELECT last_seq FROM this_index").fetchone()
        return int(seq)

    @_reading
    def spaces(self) -> list[tuple[str, str]]:
        """Every tenant with every space that it has vectors in."""
        return list(self._connection().execute("SELECT DISTINCT tenant, space FROM vectors"))

    @_reading
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

    @_reading
    def tenants(self) -> list[str]:
        """Every tenant that ever had a document."""
        return [tenant for (tenant,) in self._connection().execute("SELECT DISTINCT tenant FROM written")]

    @_reading
    def last_written(self) -> int:
        """The number of the newest document."""
        (seq,) = self._connection().execute("SELECT ifnull(max(seq), 0) FROM written").fetchone()
        return int(seq)

    @_reading
    def written_after(self, tenant: str, seq: int, limit: int) -> WordChanges:
        """The first `limit` documents that were written or deleted under a number above `seq`; when there are none,
        none up to `seq`."""
        found = (
            self._connection()
            .execute(
                "SELECT w.seq, w.document, d.text, d.recording_id, d.language_code "
                "FROM written w LEFT JOIN documents d ON d.id = w.document "
                "WHERE w.tenant = ? AND w.seq > ? ORDER BY w.seq LIMIT ?",
                (tenant, seq, limit),
            )
            .fetchall()
        )
        gone = tuple(id for _, id, text, *_ in found if text is None)
        there = tuple(
            WordRow(id, text, recording_number(recording_id), language_number(language_code))
            for _, id, text, recording_id, language_code in found
            if text is not None
        )
        return WordChanges(found[-1][0] if found else seq, gone, there)

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
            schema.create(connection)
        elif version in schema.UPGRADES:
            schema.upgrade(connection, version)
        elif version != schema.VERSION:
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
        try:
            connection = self._connection()
            with self._writing, schema.transaction(connection):
                yield connection
        except sqlite3.OperationalError as error:
            log.exception("write failed")
            raise DependencyUnavailable("search store") from error

    def _connection(self) -> sqlite3.Connection:
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = schema.connected(self._path)
            self._open.append(connection)
            self._local.connection = connection
        return connection


def _different(entries: Sequence[Entry]) -> Iterator[dict[int, Entry]]:
    """The entries in their order, by document: all together, unless a document is among them twice."""
    different = dict[int, Entry]()
    for entry in entries:
        if (id := entry.document.id) in different:
            yield different
            different = {}
        different[id] = entry
    yield different


def _put(connection: sqlite3.Connection, entries: Mapping[int, Entry]) -> None:
    gone = _deleted(connection, {(entry.document.tenant, entry.document.recording_id) for entry in entries.values()})
    kept = {
        id: entry for id, entry in entries.items() if (entry.document.tenant, entry.document.recording_id) not in gone
    }
    _put_documents(connection, {id: entry.document for id, entry in kept.items()})
    _put_vectors(connection, kept)


def _put_documents(connection: sqlite3.Connection, documents: Mapping[int, Document]) -> None:
    found = connection.execute(f"SELECT id, {FIELDS} FROM documents WHERE id IN ({_marks(documents)})", (*documents,))
    before = {id: Document(*fields) for id, *fields in found}
    changed = {id: document for id, document in documents.items() if before.get(id) != document}
    for id, document in changed.items():
        if id in before and _place(before[id]) != _place(document):
            _renumber_vectors(connection, id)
    _number(connection, ((document.tenant, id) for id, document in changed.items()))
    fields = FIELDS.split(", ")
    connection.executemany(
        f"INSERT OR REPLACE INTO documents (id, {FIELDS}) VALUES ({_marks(['id', *fields])})",
        ((id, *(getattr(document, field) for field in fields)) for id, document in changed.items()),
    )


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


def _number(connection: sqlite3.Connection, documents: Iterable[tuple[str, int]]) -> None:
    """Have the indexes of words read documents, each with its tenant, again, or that they are gone."""
    connection.executemany("INSERT OR REPLACE INTO written (tenant, document) VALUES (?, ?)", documents)


def _delete_document(connection: sqlite3.Connection, id: int, document: Document) -> set[str]:
    """The spaces in which it had vectors."""
    _number(connection, [(document.tenant, id)])
    connection.execute("DELETE FROM documents WHERE id = ?", (id,))
    spaces = {space for (space,) in connection.execute("SELECT space FROM vectors WHERE document = ?", (id,))}
    _write_vectors(connection, [(id, space, document.tenant, GONE) for space in spaces])
    return spaces


def _deleted(connection: sqlite3.Connection, recordings: Collection[tuple[str, str]]) -> set[tuple[str, str]]:
    """Those of the recordings, each with its tenant, that were deleted."""
    asked = "SELECT 1 FROM deleted WHERE tenant = ? AND recording_id = ?"
    return {recording for recording in recordings if connection.execute(asked, recording).fetchone()}


def _put_vectors(connection: sqlite3.Connection, entries: Mapping[int, Entry]) -> None:
    found = connection.execute(
        f"SELECT document, space, vector FROM vectors WHERE document IN ({_marks(entries)})", (*entries,)
    )
    before = {(id, space): vector for id, space, vector in found}
    rows = [
        (id, entry.embedding.space, entry.document.tenant, entry.embedding.vector.astype("<f2").tobytes())
        for id, entry in entries.items()
    ]
    _write_vectors(connection, [row for row in rows if before.get(row[:2]) != row[3]])


def _write_vectors(connection: sqlite3.Connection, rows: Sequence[tuple[int, str, str, bytes]]) -> None:
    """Documents, spaces, tenants and vectors, each under the next number."""
    counted = "UPDATE this_index SET last_seq = last_seq + ? RETURNING last_seq - ?"
    ((before,),) = connection.execute(counted, (len(rows), len(rows))).fetchall()
    connection.executemany(
        "INSERT OR REPLACE INTO vectors (document, space, tenant, seq, vector) VALUES (?, ?, ?, ?, ?)",
        ((id, space, tenant, seq, blob) for seq, (id, space, tenant, blob) in enumerate(rows, before + 1)),
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
