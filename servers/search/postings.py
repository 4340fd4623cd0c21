"""An immutable part of an index of words: of each term the documents that have it, in arrays that may lie in a file.

A document is a row here, a term a key (`servers.search.term_keys`). The rows that have a term ascend, each with a byte
that says how often it stands there and how long the text is, so that what a term counts in a row is looked up in a
table of 256 numbers (`servers.search.scoring`).
"""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from servers.common.compiled import compiled
from servers.search import columns
from servers.search.columns import Arrays
from servers.search.indexing import Places
from servers.search.matching import FOLDED, SPELT
from servers.search.row_table import Numbers, RowTable
from servers.search.term_keys import Keys

Bytes = npt.NDArray[np.uint8]

MOST_SPELLING = 40
"""A word of more bytes (UTF-8) is no completion of a prefix."""

FANOUT = 512
"""Every so manieth key is held in memory, so that one that lies on disk is found by reading a page or two."""

ABSENT = np.uint32(0xFFFF_FFFF)
"""In place of the row of what was left out."""

_SPELLING = f"S{MOST_SPELLING}"


class Spellings(NamedTuple):
    """The different words of a field, in the order of their bytes, with their keys."""

    words: npt.NDArray[np.bytes_]
    keys: Keys

    def completions(self, prefix: str) -> slice:
        """Where those lie that begin so."""
        begun = prefix.encode("utf-8", "replace")
        if len(begun) > MOST_SPELLING:
            return slice(0, 0)
        bounds = np.array([begun, begun + b"\xff" * (MOST_SPELLING - len(begun))], _SPELLING)
        first, last = np.searchsorted(self.words, bounds).tolist()
        return slice(first, last)


class Postings:
    """Rows and their terms. Searches may go on in it while others are killed; see `servers.search.inverted`."""

    def __init__(self, facts: dict[str, Any], arrays: Arrays) -> None:
        """Of `columns.mapped`, or the like in memory."""
        for array in arrays.values():  # as they are in a file: to loops they are of one type
            array.setflags(write=False)
        self.table = RowTable(arrays, facts["languages"])
        self.keys: Keys = arrays["keys"]
        self.starts: Places = arrays["starts"]
        self.rows: Numbers = arrays["rows"]
        self.codes: Bytes = arrays["codes"]
        self.spellings = {
            field: Spellings(arrays[f"{field}_words"], arrays[f"{field}_keys"]) for field in (FOLDED, SPELT)
        }
        self._guide = np.array(self.keys[::FANOUT])
        self.words = int(facts["words"])
        """How many words its texts have in all."""

    def __len__(self) -> int:
        return len(self.table)

    @classmethod
    def opened(cls, path: Path) -> "Postings":
        """From a file that `servers.search.inverting` wrote; SnapshotDamaged when it is of another kind."""
        return cls(*columns.mapped(path))

    def lists(self, keys: Keys) -> tuple[Places, Places]:
        """Of each term where its entries begin and end; the same twice when it is in no row."""
        return _lists(self.keys, self._guide, self.starts, keys)


@compiled
def _lists(keys: Keys, guide: Keys, starts: Places, wanted: Keys) -> tuple[Places, Places]:
    first = np.zeros(len(wanted), np.int64)
    last = np.zeros(len(wanted), np.int64)
    for at in range(len(wanted)):
        key = wanted[at]
        low = max(0, np.searchsorted(guide, key, "right") - 1) * FANOUT
        high = min(len(keys), low + FANOUT)
        while low < high:
            middle = (low + high) // 2
            if keys[middle] < key:
                low = middle + 1
            else:
                high = middle
        if low < len(keys) and keys[low] == key:
            first[at], last[at] = starts[low], starts[low + 1]
    return first, last
