"""What is known of recordings, in the database of the documents: labels, when each was created, and which of its
transcripts count no more.

The truth is metadata's. Here is the newest version that was told, of recordings with documents and without, under the
numbers that stand for recordings in the indexes.
"""

import json
import sqlite3
from dataclasses import dataclass, field

from servers.search.indexing import recording_number
from servers.search.narrowing import Conditions

SCHEMA = """CREATE TABLE recordings (
  tenant TEXT NOT NULL, number INTEGER NOT NULL, version INTEGER NOT NULL, created_us INTEGER NOT NULL,
  labels TEXT NOT NULL, PRIMARY KEY (tenant, number)
) WITHOUT ROWID;
CREATE INDEX recordings_by_time ON recordings (tenant, created_us);
CREATE TABLE labels (
  tenant TEXT NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL, number INTEGER NOT NULL,
  PRIMARY KEY (tenant, key, value, number)
) WITHOUT ROWID;"""
SUPERSEDED = """CREATE TABLE superseded (
  tenant TEXT NOT NULL, transcript_id TEXT NOT NULL, number INTEGER NOT NULL, PRIMARY KEY (tenant, transcript_id)
) WITHOUT ROWID;
CREATE INDEX superseded_by_recording ON superseded (tenant, number);"""
COUNTS = """NOT EXISTS (
  SELECT 1 FROM superseded AS s WHERE s.tenant = documents.tenant AND s.transcript_id = documents.transcript_id
  AND EXISTS (
    SELECT 1 FROM documents AS o
    WHERE o.tenant = documents.tenant AND o.recording_id = documents.recording_id AND o.channel = documents.channel
    AND NOT EXISTS (SELECT 1 FROM superseded AS x WHERE x.tenant = o.tenant AND x.transcript_id = o.transcript_id)
  )
)"""
"""Whether a document is of a transcript that counts, or nothing has come yet of the one that does."""

FEW = 5_000
"""Of the condition that leaves the fewest recordings, found by counting up to so many, each is asked for the others."""

_LABELLED = "labels AS {name} WHERE {name}.tenant = ? AND {name}.key = ? AND {name}.value = ?"
_CREATED = "recordings AS {name} WHERE {name}.tenant = ? AND {name}.created_us >= ? AND {name}.created_us < ?"
_EARLIEST, _LATEST = -(1 << 63), (1 << 63) - 1


@dataclass(frozen=True, slots=True)
class Known:
    """What was told of a recording."""

    tenant: str
    recording_id: str
    version: int
    created_us: int
    """Microseconds since 1970."""

    labels: dict[str, str] = field(default_factory=dict)
    superseded: tuple[str, ...] = ()
    """Its transcripts that count no more, or not yet."""


def note(connection: sqlite3.Connection, known: Known) -> bool:
    """Keep what was told, unless as much or more is known, or the recording was deleted; whether it was kept."""
    gone = connection.execute(
        "SELECT 1 FROM deleted WHERE tenant = ? AND recording_id = ?", (known.tenant, known.recording_id)
    )
    if gone.fetchone():
        return False
    key = (known.tenant, recording_number(known.recording_id))
    before = connection.execute("SELECT version FROM recordings WHERE tenant = ? AND number = ?", key).fetchone()
    if before and before[0] >= known.version:
        return False
    forget(connection, known.tenant, known.recording_id)
    values = (*key, known.version, known.created_us, json.dumps(known.labels))
    connection.execute("INSERT INTO recordings VALUES (?, ?, ?, ?, ?)", values)
    rows = [(known.tenant, name, value, key[1]) for name, value in known.labels.items()]
    connection.executemany("INSERT INTO labels VALUES (?, ?, ?, ?)", rows)
    others = [(known.tenant, transcript_id, key[1]) for transcript_id in known.superseded]
    connection.executemany("INSERT OR REPLACE INTO superseded VALUES (?, ?, ?)", others)
    return True


def forget(connection: sqlite3.Connection, tenant: str, recording_id: str) -> None:
    """Let go of what is known of a recording."""
    key = (tenant, recording_number(recording_id))
    found = connection.execute("SELECT labels FROM recordings WHERE tenant = ? AND number = ?", key).fetchone()
    rows = [(tenant, name, value, key[1]) for name, value in json.loads(found[0] if found else "{}").items()]
    connection.executemany("DELETE FROM labels WHERE tenant = ? AND key = ? AND value = ? AND number = ?", rows)
    connection.execute("DELETE FROM superseded WHERE tenant = ? AND number = ?", key)
    connection.execute("DELETE FROM recordings WHERE tenant = ? AND number = ?", key)


def selected(connection: sqlite3.Connection, tenant: str, conditions: Conditions) -> list[int]:
    """The numbers, ascending, of the tenant's recordings of which all conditions are known to hold."""
    parts: list[tuple[str, tuple[str | int, ...]]] = [
        (_LABELLED, (tenant, name, value)) for name, value in conditions.labels
    ]
    if conditions.created_from_us is not None or conditions.created_before_us is not None:
        earliest = _EARLIEST if conditions.created_from_us is None else conditions.created_from_us
        latest = _LATEST if conditions.created_before_us is None else conditions.created_before_us
        parts.append((_CREATED, (tenant, earliest, latest)))
    if len(parts) > 1:
        parts.sort(key=lambda part: _count(connection, *part))
    (first, values), *others = parts
    statement = f"SELECT first.number FROM {first.format(name='first')}"
    for other, more in others:
        statement += f" AND EXISTS (SELECT 1 FROM {other.format(name='other')} AND other.number = first.number)"
        values += more
    return sorted(number for (number,) in connection.execute(statement, values))


def _count(connection: sqlite3.Connection, part: str, values: tuple[str | int, ...]) -> int:
    """How many recordings one condition leaves, FEW at most."""
    counted = f"SELECT count(*) FROM (SELECT 1 FROM {part.format(name='part')} LIMIT {FEW})"
    return int(connection.execute(counted, values).fetchone()[0])
