"""The words of one tenant in tantivy: a folder of segments, which a commit adds to and merging makes fewer.

What number of the store it has come to is a document of its own, so that a commit holds both or neither. Tantivy gives
every file the CRC of what is in it but never looks at it: here that is done when an index is opened.
"""

import contextlib
import json
import math
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import tantivy
from tantivy import Occur, Query

from servers.search import matching
from servers.search import query as asking
from servers.search.indexing import Filter
from servers.search.matching import FOLDED, FOLDED_PAIRS, SPELT, SPELT_PAIRS, Term
from servers.search.word_index import WordChanges, WordIndexDamaged, WordIndexUnwritable, WordRow

VERSION = 1
"""To be raised with any change to the fields, or to what `matching.fields` makes of a text."""

HEAP_BYTES = 256 << 20
"""What is taken in is written to a segment before it takes more memory than this; few documents take little."""

MOST_KNOWN = 50_000
"""Of so many words at most it is known how frequent they are ..."""

FREQUENT = 1_000
"""... of those in so many documents or more, until there are many more documents, or far fewer."""

STALE = 0.05
"""The share of the documents by which their number must differ before words are counted anew."""

MOST_COMPLETIONS = 64
"""How many words a prefix stands for: those that are in the most documents."""

BROAD = 0.25
"""A filter that leaves a larger share of the documents is looked at after the search ..."""

SPARE = 3
"""... which is asked for so many times what it would take if what the filter leaves were spread evenly."""

MOST_COUNTED = 64
"""Of more recordings it is not counted how many documents they have."""

_BOOKMARK = -1
"""The id of the document that holds the number; no other is negative."""

_NUMBERS = ("id", "recording", "language")
_PARTS = ("idx", "pos", "term", "fieldnorm", "fast", "store")
_MAGIC = (1337).to_bytes(4, "little")
_READ_BYTES = 1 << 20


def _schema() -> tantivy.Schema:
    builder = tantivy.SchemaBuilder()
    for number in _NUMBERS:
        builder.add_integer_field(number, indexed=True, fast=True)
    for words in (FOLDED, SPELT):
        builder.add_text_field(words, tokenizer_name="whitespace", index_option="position")
    for pairs in (FOLDED_PAIRS, SPELT_PAIRS):
        builder.add_text_field(pairs, tokenizer_name="whitespace", index_option="freq")
    builder.add_text_field("bookmark", stored=True, tokenizer_name="raw", index_option="basic")
    return builder.build()


_SCHEMA = _schema()


@dataclass(frozen=True)
class _Bookmark:
    index_id: str
    seq: int
    version: int = VERSION


class PostingsIndex:
    """See WordIndex. The folder is made when it is not there; WordIndexDamaged when it does not hold an index of the
    database `index_id` that is whole and of this version."""

    def __init__(self, folder: Path, index_id: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._index_id = index_id
        self._writer: tantivy.IndexWriter | None = None
        self._fresh: set[int] = set()
        with _translated(WordIndexDamaged):
            _check(folder)
            self._index = tantivy.Index(_SCHEMA, path=str(folder))
            self._index.config_reader("manual")
            self._searcher = self._index.searcher()
            self._seq = self._committed = self._read_bookmark()
        self._frequencies = _Frequencies(self._searcher.num_docs)

    @property
    def seq(self) -> int:
        """See WordIndex."""
        return self._seq

    def apply(self, changes: WordChanges) -> None:
        """See WordIndex."""
        if changes.seq == self._seq:
            return
        with self._written() as writer:
            for id in (*changes.gone, *(row.id for row in changes.there)):
                if id in self._fresh or self._searcher.doc_freq("id", id):
                    writer.delete_documents_by_term("id", id)
            for row in changes.there:
                writer.add_document(_document(row))
                self._fresh.add(row.id)
        self._seq = changes.seq

    def commit(self) -> None:
        """See WordIndex."""
        bookmark = tantivy.Document()
        bookmark.add_integer("id", _BOOKMARK)
        bookmark.add_text("bookmark", json.dumps(vars(_Bookmark(self._index_id, self._seq))))
        with self._written() as writer:
            writer.delete_documents_by_term("id", _BOOKMARK)
            writer.add_document(bookmark)
            writer.commit()
            self._index.reload()
            self._searcher = self._index.searcher()
        if self._frequencies.stale(self._searcher.num_docs):
            self._frequencies = _Frequencies(self._searcher.num_docs)
        self._committed = self._seq
        self._fresh.clear()

    def matching(self, query: asking.Query, narrowed: Filter, limit: int, thrift: int = 1) -> list[int]:
        """See WordIndex."""
        with _translated(WordIndexDamaged):
            return _Search(self._searcher, self._frequencies, query, narrowed, limit).ids(thrift)

    def close(self) -> None:
        """See WordIndex."""
        self._writer = None
        self._seq = self._committed
        self._fresh.clear()

    def _read_bookmark(self) -> int:
        if self._searcher.num_docs == 0:
            return 0
        for _, address in self._searcher.search(_term("id", _BOOKMARK), 1, count=False).hits:
            found = _Bookmark(**json.loads(self._searcher.doc(address).get_first("bookmark") or "{}"))
            if (found.index_id, found.version) == (self._index_id, VERSION):
                return found.seq
        raise WordIndexDamaged("it belongs to another database or version")

    @contextlib.contextmanager
    def _written(self) -> Iterator[tantivy.IndexWriter]:
        """The writer; when it fails, what it has not committed is given up."""
        try:
            with _translated(WordIndexUnwritable):
                if self._writer is None:
                    self._writer = self._index.writer(HEAP_BYTES, num_threads=1)
                yield self._writer
        except WordIndexUnwritable:
            self.close()
            raise


class _Frequencies:
    """In how many documents a term is: tantivy looks it up in every segment, which takes a third of a search."""

    def __init__(self, documents: int) -> None:
        self._documents = documents
        self._known = dict[tuple[str, str], int]()

    def of(self, searcher: tantivy.Searcher, term: Term) -> int:
        """As the searcher has it, or had it when there were about as many documents."""
        count = self._known.get(term.place)
        if count is None:
            count = searcher.doc_freq(term.field, term.text)
            if count >= FREQUENT and len(self._known) < MOST_KNOWN:
                self._known[term.place] = count
        return count

    def stale(self, documents: int) -> bool:
        """Whether there are many more documents now, or far fewer."""
        return abs(documents - self._documents) > STALE * self._documents


class _Search:
    """One search, on the index as it stood when it began."""

    def __init__(
        self,
        searcher: tantivy.Searcher,
        frequencies: _Frequencies,
        query: asking.Query,
        narrowed: Filter,
        limit: int,
    ) -> None:
        self._searcher = searcher
        self._frequencies = frequencies
        self._narrowed = narrowed
        self._limit = limit
        self._phrases = [_phrase(*matching.phrase(words)) for words in query.phrases]
        terms = (*matching.asked(query), *self._completions(query))
        self._counted = matching.counted(terms, self._frequency, searcher.num_docs)

    def ids(self, thrift: int) -> list[int]:
        """The best, best first.

        Tantivy skips what cannot be among the best, but only where it is asked for any of some terms and for nothing
        else. So a broad filter is applied afterwards; a narrow one, and phrases, have all that they leave looked at.
        Where the terms that tell most, or the hits that were asked for, turn out too few, all count.
        """
        every = [term for _, term in self._counted]
        if self._phrases:
            return self._among(every)
        share = self._share()
        terms = matching.telling(self._counted, self._limit / share if share else math.inf, thrift)
        if self._narrowed.everything:
            found = self._ids(self._hits(_any(terms), self._limit))
        elif share > BROAD:
            found = self._passing(self._hits(_any(terms), round(SPARE * self._limit / share)))[: self._limit]
        else:
            found = self._among(terms)
        looked_at_all = len(terms) == len(every) and (self._narrowed.everything or share <= BROAD)
        return found if len(found) == self._limit or looked_at_all else self._among(every)

    def _among(self, terms: list[Term]) -> list[int]:
        """The best of everything that holds the phrases and passes the filter."""
        needed = [(Occur.Must, needed) for needed in (*self._phrases, *self._filters())]
        some = (Occur.Should if self._phrases else Occur.Must, _any(terms))
        return self._ids(self._hits(Query.boolean_query([*needed, some]), self._limit))

    def _completions(self, query: asking.Query) -> Iterator[Term]:
        for begun in matching.prefixes(query.prefix) if query.prefix else ():
            for text, _ in self._searcher.terms_with_prefix(begun.field, begun.text, limit=MOST_COMPLETIONS):
                yield begun._replace(text=text)

    def _frequency(self, term: Term) -> int:
        return self._frequencies.of(self._searcher, term)

    def _share(self) -> float:
        """About which share of the documents the filter leaves. Recordings are known by the hash of their names, in
        order: the first are as good as drawn by lot."""
        left = float(self._searcher.num_docs)
        if counted := self._narrowed.recordings[:MOST_COUNTED]:
            documents = sum(self._searcher.doc_freq("recording", number) for number in counted)
            left = documents / len(counted) * len(self._narrowed.recordings)
        if self._narrowed.language is not None:
            left = min(left, self._searcher.doc_freq("language", self._narrowed.language))
        return min(1.0, left / max(1, self._searcher.num_docs))

    def _filters(self) -> Iterator[Query]:
        if self._narrowed.recordings:
            yield Query.term_set_query(_SCHEMA, "recording", self._narrowed.recordings)
        if self._narrowed.language is not None:
            yield _term("language", self._narrowed.language)

    def _hits(self, query: Query, limit: int) -> list[tantivy.DocAddress]:
        return [address for _, address in self._searcher.search(query, limit, count=False).hits]

    def _passing(self, hits: list[tantivy.DocAddress]) -> list[int]:
        recordings, language = set(self._narrowed.recordings), self._narrowed.language
        rows = zip(*(self._searcher.fast_field_values(name, hits) for name in _NUMBERS), strict=True)
        return [
            int(id)
            for id, recording, spoken in rows
            if (not recordings or recording in recordings) and (language is None or spoken == language)
        ]

    def _ids(self, hits: list[tantivy.DocAddress]) -> list[int]:
        return [int(id) for id in self._searcher.fast_field_values("id", hits) if id is not None]


def _any(terms: Sequence[Term]) -> Query:
    weighed = (Query.boost_query(_term(term.field, term.text), term.weight) for term in terms)
    return Query.boolean_query([(Occur.Should, one) for one in weighed]) if terms else Query.empty_query()


def _term(field: str, value: str | int) -> Query:
    return Query.term_query(_SCHEMA, field, value, index_option="freq")


def _phrase(field: str, words: list[str]) -> Query:
    return Query.phrase_query(_SCHEMA, field, list(words)) if len(words) > 1 else _term(field, words[0])


def _document(row: WordRow) -> tantivy.Document:
    document = tantivy.Document()
    for name, number in zip(_NUMBERS, (row.id, row.recording, row.language), strict=True):
        document.add_integer(name, number)
    for name, terms in matching.fields(row.text).items():
        document.add_text(name, terms)
    return document


@contextlib.contextmanager
def _translated(into: type[WordIndexDamaged | WordIndexUnwritable]) -> Iterator[None]:
    """Tantivy has few kinds of errors, and what it never expected is a panic, which is no Exception."""
    try:
        yield
    except (ValueError, LookupError, TypeError, OSError) as error:
        raise into(str(error)) from error
    except BaseException as error:
        if type(error).__name__ != "PanicException":
            raise
        raise into(str(error)) from error


def _check(folder: Path) -> None:
    """ValueError, LookupError, TypeError or OSError when a file of the last commit is not what was written."""
    meta = folder / "meta.json"
    for segment in json.loads(meta.read_bytes())["segments"] if meta.exists() else ():
        name = segment["segment_id"].replace("-", "")
        for part in _PARTS:
            _check_file(folder / f"{name}.{part}")
        if segment["deletes"]:
            _check_file(folder / f"{name}.{segment['deletes']['opstamp']}.del")


def _check_file(path: Path) -> None:
    """The content is followed by a footer, a JSON object with its CRC, the length of that, and a magic number."""
    with path.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(max(0, size - 8))
        length, magic = file.read(4), file.read(4)
        content = size - 8 - int.from_bytes(length, "little")
        if magic != _MAGIC or content < 0:
            raise ValueError(f"{path.name} is cut short")
        file.seek(content)
        wanted = json.loads(file.read(size - 8 - content))["crc"]
        file.seek(0)
        crc = 0
        while content > 0:
            crc = zlib.crc32(read := file.read(min(_READ_BYTES, content)), crc)
            content -= len(read)
    if crc != wanted:
        raise ValueError(f"the checksum of {path.name} is wrong")
