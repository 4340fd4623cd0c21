"""One search in an index of words, on its parts as they stood when it began."""

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from servers.search import matching, scoring
from servers.search.indexing import Filter, Mask, Places
from servers.search.matching import PAIRS, Term
from servers.search.postings import Postings
from servers.search.query import Query
from servers.search.row_table import EVERY
from servers.search.scoring import Scores
from servers.search.term_keys import key_of

MOST_COMPLETIONS = 64
"""How many words a prefix stands for: those that are in the most documents."""

MOST_GATHERED = 5_000
"""Of a filter that leaves so many rows of a part, every one is scored by all terms."""

SPARE = 2
"""So many times the hits that are wanted are found by the terms that tell most, then ranked by all."""


class Ranked(NamedTuple):
    """Rows of a part, ascending, with their scores."""

    rows: Places
    scores: Scores


class WordSearch:
    """See WordIndex.matching."""

    def __init__(self, parts: Sequence[tuple[Postings, Mask, int]], query: Query, narrowed: Filter, limit: int) -> None:
        """`parts`: with the rows that are alive, and how many are dead."""
        self._parts = parts
        self._narrowed = narrowed
        self._limit = limit
        self._query = query
        terms = list(dict.fromkeys((*matching.asked(query), *self._completions(query))))
        keys = np.array([key_of(*term.place) for term in terms], np.uint64)
        lists = [part.lists(keys) for part, _, _ in parts]
        holding = dict(zip((term.place for term in terms), _holding(lists).tolist(), strict=True))
        documents = sum(len(part) - dead for part, _, dead in parts)
        self._counted = matching.counted(terms, lambda term: holding[term.place], documents)
        place = {term.place: at for at, term in enumerate(terms)}
        order = np.array([place[term.place] for _, term in self._counted], np.int64)
        self._lists = [(starts[order], ends[order]) for starts, ends in lists]
        """Of each part, in the order of `_counted`."""

        weights = np.array([term.weight for _, term in self._counted], np.float64)
        mean = sum(part.words for part, _, _ in parts) / max(1, sum(len(part) for part, _, _ in parts))
        holding_them = np.array([count for count, _ in self._counted], np.int64)
        self._tables = scoring.tables(weights, documents, holding_them, mean)

    def ids(self, thrift: int) -> list[int]:
        """The best, best first.

        Only the terms that tell most are looked for everywhere; what they find is ranked by all. Where that brings too
        few, all are looked for. Where a phrase or a narrow filter leaves few rows, each of them is scored.
        """
        every = len(self._counted)
        share = self._share()
        enough = self._limit / share if share else math.inf
        telling = every if self._query.phrases else len(matching.telling(self._counted, enough, thrift))
        found = self._best(telling)
        return found if len(found) == self._limit or telling == every else self._best(every)

    def _best(self, telling: int) -> list[int]:
        """Those of all parts, by the first `telling` terms."""
        found = [self._of_part(number, telling) for number in range(len(self._parts))]
        scores = np.concatenate([some.scores for some in found])
        ids = np.concatenate([part.table.ids[some.rows] for (part, _, _), some in zip(self._parts, found, strict=True)])
        order = np.argsort(-scores, kind="stable")
        return list(dict.fromkeys(ids[order].tolist()))[: self._limit]

    def _of_part(self, number: int, telling: int) -> Ranked:
        part, alive, dead = self._parts[number]
        starts, ends = self._lists[number]
        if self._query.phrases:
            return self._first(number, self._passing(number, self._with_phrases(part)))
        recordings = self._narrowed.recordings
        if recordings and part.table.count(self._narrowed) <= MOST_GATHERED:
            return self._first(number, self._passing(number, part.table.of_recordings(recordings)))
        every = telling == len(self._counted)
        rows, scores = scoring.best(
            part.rows, part.codes, starts[:telling], ends[:telling], self._tables[:telling], alive if dead else EVERY,
            *part.table.conditions(self._narrowed), self._limit if every else SPARE * self._limit,
        )  # fmt: skip
        order = np.argsort(rows)
        rows, scores = rows[order], scores[order]
        if every:
            return Ranked(rows, scores)
        rest = slice(telling, None)
        scores += scoring.scored(rows, part.rows, part.codes, starts[rest], ends[rest], self._tables[rest])
        return _ranked(rows, scores, self._limit)

    def _first(self, number: int, places: Places) -> Ranked:
        """The best of these rows by all terms: of those that have any, or of all when there are phrases."""
        part, *_ = self._parts[number]
        scores = scoring.scored(places, part.rows, part.codes, *self._lists[number], self._tables)
        if not self._query.phrases:
            there = scores > 0
            places, scores = places[there], scores[there]
        return _ranked(places, scores, self._limit)

    def _with_phrases(self, part: Postings) -> Places:
        """The rows that have the pairs of neighbours of every phrase."""
        keys = [key for phrase in self._query.phrases for key in _keys(*matching.phrase(phrase))]
        starts, ends = part.lists(np.array(keys, np.uint64))
        first, *others = np.argsort(ends - starts).tolist()
        places: Places = part.rows[starts[first] : ends[first]].astype(np.int64)
        for other in others:
            places = scoring.common(places, part.rows, starts[other], ends[other])
        return places

    def _passing(self, number: int, places: Places) -> Places:
        """Those that are alive and pass the filter."""
        part, alive, dead = self._parts[number]
        return part.table.passing(places[alive[places]] if dead else places, self._narrowed)

    def _completions(self, query: Query) -> Iterator[Term]:
        for begun in matching.prefixes(query.prefix) if query.prefix else ():
            counts = dict[bytes, int]()
            for part, _, _ in self._parts:
                spellings = part.spellings[begun.field]
                some = spellings.completions(begun.text)
                starts, ends = part.lists(np.array(spellings.keys[some]))
                frequent = _largest(ends - starts, MOST_COMPLETIONS)
                for word, count in zip(
                    spellings.words[some][frequent].tolist(), (ends - starts)[frequent].tolist(), strict=True
                ):
                    counts[word] = counts.get(word, 0) + count
            for word in sorted(counts, key=counts.__getitem__, reverse=True)[:MOST_COMPLETIONS]:
                yield begun._replace(text=word.decode())

    def _share(self) -> float:
        """About which share of the documents the filter leaves."""
        rows = sum(len(part) for part, _, _ in self._parts)
        left = sum(part.table.count(self._narrowed) for part, _, _ in self._parts)
        return min(1.0, left / max(1, rows))


def _holding(lists: Sequence[tuple[Places, Places]]) -> Places:
    """How many rows have each term."""
    holding: Places = np.sum([ends - starts for starts, ends in lists], axis=0, dtype=np.int64)
    return holding


def _keys(field: str, words: Sequence[str]) -> list[np.uint64]:
    """Of a phrase: of its only word, or of its pairs."""
    if len(words) == 1:
        return [key_of(field, words[0])]
    return [key_of(PAIRS[field], pair) for pair in matching.pairs(words)]


def _ranked(rows: Places, scores: Scores, limit: int) -> Ranked:
    best = _largest(scores, limit)
    return Ranked(rows[best], scores[best])


def _largest(values: Scores | Places, count: int) -> Places:
    """Where the largest stand, ascending."""
    if len(values) <= count:
        return np.arange(len(values))
    return np.sort(np.argsort(-values, kind="stable")[:count])
