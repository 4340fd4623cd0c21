"""BM25 over postings: the best rows of a part, and what given rows count.

Scores add up in a window of rows that the processor's cache holds, one term after the other: an entry costs an addition
there, whatever the other terms are (term at a time, as Lin and Trotman's JASS, but by BM25 as it is now, not by impacts
that were fixed when the index was made). Robertson and Zaragoza (2009) have the formula.
"""

import numpy as np
import numpy.typing as npt

from servers.common.compiled import compiled
from servers.search.heaps import offer
from servers.search.indexing import Mask, Places
from servers.search.postings import Bytes
from servers.search.row_table import Languages, Numbers, passes

Scores = npt.NDArray[np.float32]
Tables = npt.NDArray[np.float32]
"""Shape [terms, 256]: what an entry of a term counts, by its byte."""

K1, B = 1.2, 0.75

LENGTHS = np.array([*range(16), *(round(16 * 1.3**step) for step in range(16))], np.float32)
"""Texts of so many words and more, up to the next number, count as equally long: 32 steps."""

MOST_OFTEN = 8
"""More often than this a word counts no more in a text."""

WINDOW = 1 << 15
"""Rows of one window: 128 KiB of scores."""


def tables(weights: npt.NDArray[np.float64], documents: int, holding: Places, mean: float) -> Tables:
    """What entries count of terms with these weights, each in `holding` of the documents, which have `mean` words."""
    often = np.repeat(np.arange(1, MOST_OFTEN + 1), len(LENGTHS)).astype(np.float64)
    lengths = np.tile(LENGTHS, MOST_OFTEN)
    saturated = often * (K1 + 1) / (often + K1 * (1 - B + B * lengths / max(mean, 1.0)))
    rarity = np.log1p((np.maximum(documents - holding, 0) + 0.5) / (holding + 0.5))
    return np.asarray((weights * rarity)[:, None] * saturated, np.float32)


@compiled
def code(often: int, length: int, lengths: Scores) -> int:
    """The byte of an entry: how often the term stands in a text of so many words; `lengths` are LENGTHS."""
    step = int(np.searchsorted(lengths, length, "right")) - 1
    return (min(often, MOST_OFTEN) - 1) * len(lengths) + step


@compiled
def best(
    rows: Numbers,
    codes: Bytes,
    starts: Places,
    ends: Places,
    tables: Tables,
    alive: Mask,
    recording: Numbers,
    allowed: Mask,
    languages: Languages,
    language: int,
    limit: int,
) -> tuple[Places, Scores]:
    """Of the rows that pass (`row_table.passes`) the `limit` that count most by the terms whose entries lie there, in
    no order, with their scores."""
    count = len(languages)
    at = starts.copy()
    until = starts.copy()
    scores = np.zeros(WINDOW, np.float32)
    heap = np.zeros(limit, np.float32)
    held = np.empty(limit, np.int64)
    size = 0
    bar = np.float32(0)
    for first in range(0, count, WINDOW):
        for term in range(len(starts)):
            at[term] = until[term]
            until[term] = _reached(rows, at[term], ends[term], first + WINDOW)
            own, bytes_, table = rows[at[term] : until[term]], codes[at[term] : until[term]], tables[term]
            for entry in range(len(own)):
                scores[_within(own[entry], first)] += table[np.uint64(bytes_[entry])]
        for term in range(len(starts)):
            own = rows[at[term] : until[term]]
            for entry in range(len(own)):
                place = _within(own[entry], first)
                score = scores[place]
                scores[place] = 0
                if score <= bar:
                    continue
                row = np.int64(own[entry])
                if not passes(row, alive, recording, allowed, languages, language):
                    continue
                size = offer(heap, held, size, score, row)
                if size == limit:
                    bar = heap[0]
    return held[:size], heap[:size]


@compiled
def _within(row: int, first: int) -> np.uint64:
    """The place of a row in the window that begins with `first`. Unsigned: of another number numba asks at each use
    whether it is negative, and counts from the end if so, which doubles what an entry takes."""
    return np.uint64(np.uint64(row) - np.uint64(first))


@compiled
def scored(places: Places, rows: Numbers, codes: Bytes, starts: Places, ends: Places, tables: Tables) -> Scores:
    """What each of the rows `places`, which ascend, counts by these terms."""
    scores = np.zeros(len(places), np.float32)
    for term in range(len(starts)):
        entry, end = starts[term], ends[term]
        for at in range(len(places)):
            entry = _reached(rows, entry, end, places[at])
            if entry == end:
                break
            if rows[entry] == places[at]:
                scores[at] += tables[term, codes[entry]]
    return scores


@compiled
def common(places: Places, rows: Numbers, start: int, end: int) -> Places:
    """Those of `places`, which ascend, that have the term whose entries lie there."""
    found = np.empty(len(places), np.int64)
    count = 0
    entry = start
    for place in places:
        entry = _reached(rows, entry, end, place)
        if entry == end:
            break
        if rows[entry] == place:
            found[count] = place
            count += 1
    return found[:count]


@compiled
def _reached(rows: Numbers, entry: int, end: int, row: int) -> int:
    """The first entry from `entry` on whose row is `row` or more, by steps that double."""
    if entry >= end or rows[entry] >= row:
        return entry
    step = 1
    while entry + step < end and rows[entry + step] < row:
        step *= 2
    low, high = entry + step // 2, min(entry + step, end)
    while low < high:
        middle = (low + high) // 2
        if rows[middle] < row:
            low = middle + 1
        else:
            high = middle
    return low
