"""The rows of an immutable part of an index: their ids, recordings and languages, in arrays that may lie in a file."""

from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from servers.common.compiled import compiled
from servers.search.columns import Arrays
from servers.search.indexing import Filter, Ids, Mask, Places

Numbers = npt.NDArray[np.uint32]
"""Numbers of rows, or of recordings, as they are kept."""

Languages = npt.NDArray[np.uint16]

EVERY = np.empty(0, np.bool_)
"""In place of a mask: every one."""

ANY = -1
"""In place of a language: any."""


class RowTable:
    """What `arranged` made."""

    def __init__(self, arrays: Arrays, languages: Iterable[tuple[int, int]]) -> None:
        """`languages`: how many rows are in which, as `spoken` tells."""
        self.ids: Ids = arrays["ids"]
        self.languages: Languages = arrays["languages"]
        self._by_id: Numbers = arrays["by_id"]
        self._recording: Numbers = arrays["recording"]
        self._recordings: Ids = arrays["recordings"]
        self._recording_starts: Places = arrays["recording_starts"]
        self._by_recording: Numbers = arrays["by_recording"]
        self._in_language = {int(code): count for code, count in languages}

    def __len__(self) -> int:
        return len(self.ids)

    def find(self, ids: Ids) -> Places:
        """The rows of those ids that are here."""
        return _found(self.ids, self._by_id, np.asarray(ids, np.int64))

    def recordings(self) -> Ids:
        """The recording of each row."""
        return self._recordings[self._recording]

    def count(self, narrowed: Filter) -> int:
        """How many rows pass a filter, at most."""
        most = len(self)
        if narrowed.recordings:
            at = self._known(narrowed.recordings)
            most = int((self._recording_starts[at + 1] - self._recording_starts[at]).sum())
        return most if narrowed.language is None else min(most, self._in_language.get(narrowed.language, 0))

    def of_recordings(self, numbers: Sequence[int]) -> Places:
        """The rows of these recordings, ascending."""
        at = self._known(numbers)
        found = self._by_recording[spread(self._recording_starts[at], self._recording_starts[at + 1])]
        return np.sort(found).astype(np.int64)

    def passing(self, places: Places, narrowed: Filter) -> Places:
        """Those of these rows that pass a filter."""
        if narrowed.recordings:
            places = places[np.isin(self._recording[places], self._known(narrowed.recordings))]
        if narrowed.language is not None:
            places = places[self.languages[places] == narrowed.language]
        return places

    def conditions(self, narrowed: Filter) -> tuple[Numbers, Mask, Languages, int]:
        """A filter as `passes` takes it."""
        allowed = EVERY
        if narrowed.recordings:
            allowed = np.zeros(len(self._recordings), np.bool_)
            allowed[self._known(narrowed.recordings)] = True
        return self._recording, allowed, self.languages, ANY if narrowed.language is None else narrowed.language

    def _known(self, numbers: Sequence[int]) -> Places:
        """Where these recordings stand among those that are here."""
        wanted = np.array(numbers, np.int64)
        at = np.searchsorted(self._recordings, wanted)
        inside = at < len(self._recordings)
        at, wanted = at[inside], wanted[inside]
        known: Places = at[self._recordings[at] == wanted]
        return known


def arranged(ids: Ids, recordings: Ids, languages: Languages) -> Arrays:
    """The arrays of a table of these rows."""
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


def spoken(languages: Languages) -> list[tuple[int, int]]:
    """How many rows are in which language."""
    return list(zip(*(column.tolist() for column in np.unique(languages, return_counts=True)), strict=True))


def spread(starts: Places, ends: Places) -> Places:
    """All numbers of all ranges, one range after the other."""
    lengths = ends - starts
    before = np.cumsum(lengths) - lengths
    return np.repeat(starts - before, lengths) + np.arange(int(lengths.sum()))


@compiled
def passes(
    row: int | np.int64, alive: Mask, recording: Numbers, allowed: Mask, languages: Languages, language: int
) -> bool:
    """Whether a row is alive, of a recording that is allowed, and in the language; EVERY and ANY leave all."""
    if len(alive) and not alive[row]:
        return False
    if len(allowed) and not allowed[recording[row]]:
        return False
    return language == ANY or languages[row] == language


@compiled
def _found(ids: Ids, by_id: Numbers, wanted: Ids) -> Places:
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
