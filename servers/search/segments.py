"""An immutable part of an index: rows ordered by the list they belong to, in a mapped file.

A list is one run of codes, so looking through it reads memory, or disk, in one piece. Of the vectors as they are
stored, a search reads only those of the best rows.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from servers.search import columns, distances
from servers.search.clustering import Matrix, blocks
from servers.search.codes import Codec
from servers.search.distances import Distances
from servers.search.indexing import Codes, Filter, Halves, Ids, Mask, Places

MOST_GATHERED = 20_000
"""Of a filter that leaves so many rows, every one is compared."""

MOST_NAMED = 100_000
"""Of a filter that leaves so many rows, all are named, and those in the lists looked through are compared. With more
left, the rows of these lists are asked whether they pass."""

_ALL = np.empty(0, np.bool_)
_COPIED = 16_384


class Source(NamedTuple):
    """Rows to be written, from one place: `codes` and `vectors` have more than these, `places` says which."""

    codes: Codes
    vectors: Halves
    places: Places
    ids: Ids
    recordings: Ids
    languages: npt.NDArray[np.uint16]
    lists: npt.NDArray[np.uint32]


@dataclass(frozen=True, slots=True)
class Close:
    """The rows that came out nearest by their codes, in no order."""

    places: Places
    distances: Distances
    compared: int


class Segment:
    """Opened from a file that `write` wrote; SnapshotDamaged when it is of another kind."""

    def __init__(self, path: Path) -> None:
        facts, arrays = columns.mapped(path)
        self.facts: dict[str, Any] = facts
        self.codes: Codes = arrays["codes"]
        self.vectors: Halves = arrays["vectors"]
        self.ids: Ids = arrays["ids"]
        self.languages: npt.NDArray[np.uint16] = arrays["languages"]
        self.offsets: Places = arrays["offsets"]
        self.centroids: Matrix = arrays["centroids"]
        """Shape [lists, dimensions]; none when all rows are in one list, or when they lie in another segment."""

        self.dead_below: Places = arrays["dead_below"]
        """Rows of the segment below that were dead when this one was written."""

        self.codec = Codec(arrays["mean"], float(facts["scale"]))
        self._by_id: npt.NDArray[np.uint32] = arrays["by_id"]
        self._recording: npt.NDArray[np.uint32] = arrays["recording"]
        self._recordings: Ids = arrays["recordings"]
        self._recording_starts: Places = arrays["recording_starts"]
        self._by_recording: npt.NDArray[np.uint32] = arrays["by_recording"]
        self._centroid_codes = self.codec.encoded(self.centroids)
        self._centroid_codes.setflags(write=False)  # as those of a file are: to loops they are of one type
        self._in_language = {int(code): count for code, count in facts["languages"]}
        self._rare = dict[int, Places]()
        self.bytes = sum(array.nbytes for array in arrays.values())

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def lists(self) -> int:
        """How many lists the rows are in."""
        return len(self.offsets) - 1

    def find(self, ids: Ids) -> Places:
        """The rows of those ids that are here."""
        low, high = np.zeros(len(ids), np.int64), np.full(len(ids), len(self))
        while (open := low < high).any():
            middle = (low + high) // 2
            less = self.ids[self._by_id[np.minimum(middle, len(self) - 1)]] < ids
            low, high = np.where(open & less, middle + 1, low), np.where(open & ~less, middle, high)
        places: Places = self._by_id[low[low < len(self)]].astype(np.int64)
        found: Places = places[self.ids[places] == ids[low < len(self)]]
        return found

    def lists_near(self, code: Codes, count: int) -> Places:
        """The `count` lists with the nearest centroids, ascending."""
        if count >= len(self._centroid_codes):
            return np.arange(self.lists)
        nearest, _ = distances.nearest(code, self._centroid_codes, count)
        return np.sort(nearest)

    def list_numbers(self) -> npt.NDArray[np.uint32]:
        """The list of each row."""
        return np.repeat(np.arange(self.lists, dtype=np.uint32), np.diff(self.offsets))

    def recordings(self) -> Ids:
        """The recording of each row."""
        return self._recordings[self._recording]

    def kept(self, narrowed: Filter) -> tuple[int, Places | None]:
        """How many rows pass the filter, at most, and which, ascending; None when there are too many to name them."""
        if narrowed.recordings:
            at = self._known(narrowed.recordings)
            starts, ends = self._recording_starts[at], self._recording_starts[at + 1]
            if (count := int((ends - starts).sum())) > MOST_NAMED:
                return count, None
            places = np.sort(self._by_recording[_spread(starts, ends)]).astype(np.int64)
            if narrowed.language is not None:
                places = places[self.languages[places] == narrowed.language]
            return len(places), places
        if narrowed.language is None:
            return len(self), None
        count = self._in_language.get(narrowed.language, 0)
        return count, self._of_language(narrowed.language) if count <= MOST_GATHERED else None

    def close(
        self,
        code: Codes,
        lists: Places,
        narrowed: Filter,
        kept: tuple[int, Places | None],
        alive: Mask | None,
        limit: int,
    ) -> Close:
        """The `limit` nearest that are alive (None: all are) and pass the filter; `kept` is what `kept` said of it. Of
        many that pass, only those in `lists`, numbered ascending, are looked at."""
        count, places = kept
        if places is not None:
            if count > MOST_GATHERED:
                places = self._within(places, lists)
            places = places if alive is None else places[alive[places]]
            return Close(*distances.nearest_of(code, self.codes, places, limit), len(places))
        allowed = _ALL
        if narrowed.recordings:
            allowed = np.zeros(len(self._recordings), np.bool_)
            allowed[self._known(narrowed.recordings)] = True
        return Close(
            *distances.nearest_in_runs(
                code,
                self.codes,
                self.offsets[lists],
                self.offsets[lists + 1],
                _ALL if alive is None else alive,
                self._recording,
                allowed,
                self.languages,
                -1 if narrowed.language is None else narrowed.language,
                limit,
            )
        )

    def _known(self, numbers: Sequence[int]) -> Places:
        """Where these recordings stand among those that are here."""
        wanted = np.array(numbers, np.int64)
        at = np.searchsorted(self._recordings, wanted)
        inside = at < len(self._recordings)
        at, wanted = at[inside], wanted[inside]
        known: Places = at[self._recordings[at] == wanted]
        return known

    def _of_language(self, number: int) -> Places:
        places = self._rare.get(number)
        if places is None:
            places = self._rare[number] = np.flatnonzero(self.languages == number)
        return places

    def _within(self, places: Places, lists: Places) -> Places:
        """Those of the ascending places that are in the lists."""
        starts = np.searchsorted(places, self.offsets[lists])
        ends = np.searchsorted(places, self.offsets[lists + 1])
        return places[_spread(starts, ends)]


def write(
    path: Path, sources: Sequence[Source], codec: Codec, centroids: Matrix, lists: int, dead_below: Places, **facts: Any
) -> None:
    """A segment of all rows of the sources, in `lists` lists; `facts` are kept with it."""
    numbers = np.concatenate([source.lists for source in sources])
    order = np.argsort(numbers, kind="stable")
    count, dimensions = len(order), len(codec.mean)
    recordings = np.concatenate([source.recordings for source in sources])[order]
    languages = np.concatenate([source.languages for source in sources])[order]
    by_recording = np.argsort(recordings, kind="stable")
    named, starts, recording = np.unique(recordings[by_recording], return_index=True, return_inverse=True)
    spoken = zip(*(column.tolist() for column in np.unique(languages, return_counts=True)), strict=True)
    arrays = columns.create(
        path,
        {
            "codes": (np.int8, (count, dimensions)),
            "vectors": (np.float16, (count, dimensions)),
            "ids": (np.int64, (count,)),
            "by_id": (np.uint32, (count,)),
            "languages": (np.uint16, (count,)),
            "recording": (np.uint32, (count,)),
            "by_recording": (np.uint32, (count,)),
            "recordings": (np.int64, (len(named),)),
            "recording_starts": (np.int64, (len(named) + 1,)),
            "offsets": (np.int64, (lists + 1,)),
            "centroids": (np.float32, centroids.shape),
            "mean": (np.float32, (dimensions,)),
            "dead_below": (np.int64, dead_below.shape),
        },
        facts | {"scale": codec.scale, "languages": list(spoken)},
    )
    arrays["ids"][:] = np.concatenate([source.ids for source in sources])[order]
    arrays["by_id"][:] = np.argsort(arrays["ids"], kind="stable")
    arrays["languages"][:], arrays["by_recording"][:] = languages, by_recording
    arrays["recording"][by_recording] = recording
    arrays["recordings"][:], arrays["recording_starts"][:] = named, [*starts.tolist(), count]
    arrays["offsets"][:] = [0, *np.cumsum(np.bincount(numbers, minlength=lists)).tolist()]
    arrays["centroids"][:], arrays["mean"][:], arrays["dead_below"][:] = centroids, codec.mean, dead_below
    _copy(arrays["codes"], arrays["vectors"], sources, order)


def _copy(codes: Codes, vectors: Halves, sources: Sequence[Source], order: Places) -> None:
    firsts = np.cumsum([0, *(len(source.places) for source in sources)])
    for start, end in blocks(len(order), _COPIED):
        wanted = order[start:end]
        for source, first, last in zip(sources, firsts, firsts[1:], strict=False):
            here = np.flatnonzero((wanted >= first) & (wanted < last))
            if len(here):
                places = source.places[wanted[here] - first]
                codes[start + here] = source.codes.take(places, axis=0)
                vectors[start + here] = source.vectors.take(places, axis=0)


def _spread(starts: Places, ends: Places) -> Places:
    """All numbers of all ranges, one range after the other."""
    lengths = ends - starts
    before = np.cumsum(lengths) - lengths
    return np.repeat(starts - before, lengths) + np.arange(int(lengths.sum()))
