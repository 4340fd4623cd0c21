"""Distances from one vector to many. None of these holds a lock of Python's while it counts.

Those between codes are exact, and of many rows only the nearest are kept: in one compiled loop, which is about as fast
as the codes can be read.
"""

import numkong
import numpy as np
import numpy.typing as npt

from servers.common.compiled import compiled
from servers.search.documents import Vector
from servers.search.heaps import offer
from servers.search.indexing import Codes, Halves, Mask, Places
from servers.search.row_table import ANY, Languages, Numbers, passes

Distances = npt.NDArray[np.int64]
"""Squares of distances between codes."""


@compiled
def nearest(code: Codes, codes: Codes, rows: Places, limit: int) -> tuple[Places, Distances]:
    """Of these rows of `codes` [n, dimensions] the `limit` that are nearest to `code` [dimensions], in no order."""
    values, places, size = np.empty(limit, np.int64), np.empty(limit, np.int64), 0
    for row in rows:
        value = -_squared(code, codes[row])
        if size < limit or value > values[0]:
            size = offer(values, places, size, value, row)
    return places[:size], -values[:size]


@compiled
def nearest_in_runs(
    code: Codes,
    codes: Codes,
    starts: Places,
    ends: Places,
    alive: Mask,
    recording: Numbers,
    allowed: Mask,
    languages: Languages,
    language: int,
    limit: int,
) -> tuple[Places, Distances, int]:
    """The same, of the rows of these runs that pass (`row_table.passes`); and how many those were."""
    values, places, size = np.empty(limit, np.int64), np.empty(limit, np.int64), 0
    compared = 0
    all_pass = not len(alive) and not len(allowed) and language == ANY  # as nearly always: then none is asked
    for run in range(len(starts)):
        for row in range(starts[run], ends[run]):
            if not all_pass and not passes(row, alive, recording, allowed, languages, language):
                continue
            compared += 1
            value = -_squared(code, codes[row])
            if size < limit or value > values[0]:
                size = offer(values, places, size, value, row)
    return places[:size], -values[:size], compared


@compiled
def _squared(code: Codes, other: Codes) -> np.int64:
    # Every step is told to be of 32 bits: numba would take 64, and half as many at a time.
    total = np.int32(0)
    for part in range(len(code)):
        apart = np.int32(np.int32(code[part]) - np.int32(other[part]))
        total = np.int32(total + np.int32(apart * apart))
    return np.int64(total)


def inner(vector: Vector, vectors: Halves) -> npt.NDArray[np.float64]:
    """The inner products of `vector`, rounded to half precision, with `vectors` [n, dimensions]; by numkong."""
    if not len(vectors):
        return np.empty(0, np.float64)
    return np.asarray(numkong.cdist(vector.astype(np.float16)[None], vectors, "dot"), np.float64).reshape(-1)
