"""An immutable part of an index of words: of each term the documents that have it, in arrays that may lie in a file.

A document is a row here, a term a key (`servers.search.term_keys`). The rows that have a term ascend, each with a byte
that says how often it stands there and how long the text is, so that what a term counts in a row is looked up in a
table of 256 numbers (`servers.search.scoring`).
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from servers.search import columns
from servers.search.columns import Arrays
from servers.search.compiled import compiled
from servers.search.indexing import Ids, Places
from servers.search.matching import FOLDED, SPELT
from servers.search.term_keys import Keys

Rows = npt.NDArray[np.uint32]
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
        self.facts = facts
        for array in arrays.values():  # as they are in a file: to loops they are of one type
            array.setflags(write=False)
        self.ids: Ids = arrays["ids"]
        self.languages: npt.NDArray[np.uint16] = arrays["languages"]
        self.keys: Keys = arrays["keys"]
        self.starts: Places = arrays["starts"]
        self.rows: Rows = arrays["rows"]
        self.codes: Bytes = arrays["codes"]
        self.recording: Rows = arrays["recording"]
        """Of each row, which of `recordings`."""

        self.recordings: Ids = arrays["recordings"]
        self._recording_starts: Places = arrays["recording_starts"]
        self._by_recording: Rows = arrays["by_recording"]
        self._by_id: Rows = arrays["by_id"]
        self.spellings = {
            field: Spellings(arrays[f"{field}_words"], arrays[f"{field}_keys"]) for field in (FOLDED, SPELT)
        }
        self._guide = np.array(self.keys[::FANOUT])
        self.seq = int(facts["seq"])
        """It holds what was written up to this number."""

        self.words = int(facts["words"])
        """How many words its texts have in all."""

        self._in_language = {int(code): count for code, count in facts["languages"]}

    def __len__(self) -> int:
        return len(self.ids)

    @classmethod
    def opened(cls, path: Path) -> "Postings":
        """From a file that `servers.search.inverting` wrote; SnapshotDamaged when it is of another kind."""
        return cls(*columns.mapped(path))

    def lists(self, keys: Keys) -> tuple[Places, Places]:
        """Of each term where its entries begin and end; the same twice when it is in no row."""
        return _lists(self.keys, self._guide, self.starts, keys)

    def find(self, ids: Ids) -> Places:
        """The rows of those ids that are here."""
        return _found(self.ids, self._by_id, np.asarray(ids, np.int64))

    def count(self, recordings: Sequence[int], language: int | None) -> int:
        """How many rows pass a filter, at most."""
        most = len(self)
        if recordings:
            at = self.known(recordings)
            most = int((self._recording_starts[at + 1] - self._recording_starts[at]).sum())
        return most if language is None else min(most, self._in_language.get(language, 0))

    def known(self, recordings: Sequence[int]) -> Places:
        """Where these recordings stand among those that are here."""
        wanted = np.array(recordings, np.int64)
        at = np.searchsorted(self.recordings, wanted)
        inside = at < len(self.recordings)
        at, wanted = at[inside], wanted[inside]
        known: Places = at[self.recordings[at] == wanted]
        return known

    def of_recordings(self, at: Places) -> Places:
        """The rows of recordings that stand there, ascending."""
        some = [
            self._by_recording[self._recording_starts[one] : self._recording_starts[one + 1]] for one in at.tolist()
        ]
        return np.sort(np.concatenate(some)).astype(np.int64) if some else np.empty(0, np.int64)


def arranged(ids: Ids, recordings: Ids, languages: npt.NDArray[np.uint16]) -> Arrays:
    """What is kept of rows beside their terms."""
    by_recording = np.argsort(recordings, kind="stable")
    named, starts, recording = np.unique(recordings[by_recording], return_index=True, return_inverse=True)
    of_row = np.empty(len(ids), np.uint32)
    of_row[by_recording] = recording
    return {
        "ids": ids,
        "by_id": np.argsort(ids, kind="stable").astype(np.uint32),
        "languages": languages,
        "recording": of_row,
        "recordings": named,
        "recording_starts": np.append(starts, len(ids)).astype(np.int64),
        "by_recording": by_recording.astype(np.uint32),
    }


def spoken(languages: npt.NDArray[np.uint16]) -> list[tuple[int, int]]:
    """How many rows are in which language."""
    return list(zip(*(column.tolist() for column in np.unique(languages, return_counts=True)), strict=True))


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


@compiled
def _found(ids: Ids, by_id: Rows, wanted: Ids) -> Places:
    there = np.empty(len(wanted), np.int64)
    count = 0
    for id in wanted:
        low, high = 0, len(ids)
        while low < high:
            middle = (low + high) // 2
            if ids[by_id[middle]] < id:
                low = middle + 1
            else:
                high = middle
        if low < len(ids) and ids[by_id[low]] == id:
            there[count] = by_id[low]
            count += 1
    return there[:count]
