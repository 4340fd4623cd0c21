"""Watches which tables a migration keeps others from, and for how long."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import psycopg

POLL_S = 0.001
"""What is held for less may go unseen, and what is seen is right within about this."""

STRONG = {
    "ShareLock": "writes",
    "ShareRowExclusiveLock": "writes",
    "ExclusiveLock": "writes",
    "AccessExclusiveLock": "reads and writes",
}
"""The locks of tables that readers or writers have to wait for, and who waits."""

_HELD = """
SELECT l.relation::bigint, l.mode
FROM pg_locks AS l
JOIN pg_database AS d ON d.oid = l.database AND d.datname = current_database()
JOIN pg_stat_activity AS a ON a.pid = l.pid AND a.backend_type = 'client backend'
WHERE l.locktype = 'relation' AND l.granted AND l.pid <> pg_backend_pid() AND l.mode = ANY(%s)
"""
_TABLES = """
SELECT oid::bigint, relname FROM pg_class
WHERE relkind IN ('r', 'p') AND relnamespace = 'public'::regnamespace AND relname <> 'schema_migrations'
"""


@dataclass(frozen=True)
class Held:
    """A table that was locked."""

    table: str
    mode: str
    seconds: float

    @property
    def keeps_off(self) -> str:
        """Who had to wait."""
        return STRONG[self.mode]


class LockWatch:
    """What has been seen so far. Tables that did not exist at the beginning are nobody's loss, and left out."""

    def __init__(self, tables: dict[int, str]) -> None:
        self._tables = tables
        self._seen: dict[tuple[int, str], tuple[float, float]] = {}

    def see(self, held: list[tuple[int, str]], at: float) -> None:
        """Note the locks that are held at a time."""
        for lock in held:
            if lock[0] in self._tables:
                first, _ = self._seen.get(lock, (at, at))
                self._seen[lock] = (first, at)

    @property
    def held(self) -> list[Held]:
        """From when each was first seen to when it was last seen, the longest first."""
        found = [
            Held(self._tables[table], mode, last - first + POLL_S)
            for (table, mode), (first, last) in self._seen.items()
        ]
        return sorted(found, key=lambda held: -held.seconds)


@contextmanager
def watched(dsn: str) -> Iterator[LockWatch]:
    """Looks from a connection of its own until the end of the block; then the watch is complete."""
    over = threading.Event()
    with psycopg.connect(dsn, autocommit=True) as connection:
        watch = LockWatch(dict(connection.execute(_TABLES).fetchall()))
        thread = threading.Thread(target=_look, args=(connection, watch, over), name="lock-watch")
        thread.start()
        try:
            yield watch
        finally:
            over.set()
            thread.join()


def _look(connection: psycopg.Connection[tuple[int, str]], watch: LockWatch, over: threading.Event) -> None:
    while not over.is_set():
        held = connection.execute(_HELD, (list(STRONG),)).fetchall()
        watch.see(held, time.monotonic())
        time.sleep(POLL_S)
