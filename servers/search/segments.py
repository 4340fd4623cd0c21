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

from servers.search import columns, distances, row_table
from servers.search.clustering import Matrix, blocks
from servers.search.codes import Codec
from servers.search.distances import Distances
from servers.search.indexing import Codes, Filter, Halves, Ids, Mask, Places
from servers.search.row_table import EVERY, Languages, RowTable, spread

MOST_GATHERED = 20_000
"""Of a filter that leaves so many rows, every one is compared."""

MOST_NAMED = 100_000
"""Of a filter that leaves so many rows, all are named, and those in the lists looked through are compared. With more
left, the rows of these lists are asked whether they pass."""

_COPIED = 16_384


class Source(NamedTuple):
    """Rows to be written, from one place: `codes` and `vectors` have more than these, `places` says which."""

    codes: Codes
    vectors: Halves
    places: Places
    ids: Ids
    recordings: Ids
    languages: Languages
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
        self.table = RowTable(arrays, facts["languages"])
        self.offsets: Places = arrays["offsets"]
        self.centroids: Matrix = arrays["centroids"]
        """Shape [lists, dimensions]; none when all rows are in one list, or when they lie in another segment."""

        self.dead_below: Places = arrays["dead_below"]
        """Rows of the segment below that were dead when this one was written."""

        self.codec = Codec(arrays["mean"], float(facts["scale"]))
        self._centroid_codes = self.codec.encoded(self.centroids)
        self._centroid_codes.setflags(write=False)  # as those of a file are: to loops they are of one type
        self._rare = dict[int, Places]()
        self.bytes = sum(array.nbytes for array in arrays.values())

    def __len__(self) -> int:
        return len(self.table)

    @property
    def lists(self) -> int:
        """How many lists the rows are in."""
        return len(self.offsets) - 1

    def lists_near(self, code: Codes, count: int) -> Places:
        """The `count` lists with the nearest centroids, ascending."""
        if count >= len(self._centroid_codes):
            return np.arange(self.lists)
        nearest, _ = distances.nearest(code, self._centroid_codes, np.arange(len(self._centroid_codes)), count)
        return np.sort(nearest)

    def list_numbers(self) -> npt.NDArray[np.uint32]:
        """The list of each row."""
        return np.repeat(np.arange(self.lists, dtype=np.uint32), np.diff(self.offsets))

    def kept(self, narrowed: Filter) -> tuple[int, Places | None]:
        """How many rows pass the filter, at most, and which, ascending; None when there are too many to name them."""
        count = self.table.count(narrowed)
        if narrowed.recordings:
            if count > MOST_NAMED:
                return count, None
            places = self.table.passing(self.table.of_recordings(narrowed.recordings), Filter((), narrowed.language))
            return len(places), places
        if narrowed.language is None or count > MOST_GATHERED:
            return count, None
        return count, self._of_language(narrowed.language)

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
            return Close(*distances.nearest(code, self.codes, places, limit), len(places))
        starts, ends = self.offsets[lists], self.offsets[lists + 1]
        conditions = self.table.conditions(narrowed)
        alive = EVERY if alive is None else alive
        return Close(*distances.nearest_in_runs(code, self.codes, starts, ends, alive, *conditions, limit))

    def _of_language(self, number: int) -> Places:
        places = self._rare.get(number)
        if places is None:
            places = self._rare[number] = np.flatnonzero(self.table.languages == number)
        return places

    def _within(self, places: Places, lists: Places) -> Places:
        """Those of the ascending places that are in the lists."""
        starts = np.searchsorted(places, self.offsets[lists])
        ends = np.searchsorted(places, self.offsets[lists + 1])
        return places[spread(starts, ends)]


def write(
    path: Path, sources: Sequence[Source], codec: Codec, centroids: Matrix, lists: int, dead_below: Places, **facts: Any
) -> None:
    """A segment of all rows of the sources, in `lists` lists; `facts` are kept with it."""
    numbers = np.concatenate([source.lists for source in sources])
    order = np.argsort(numbers, kind="stable")
    count, dimensions = len(order), len(codec.mean)
    languages = np.concatenate([source.languages for source in sources])[order]
    small = row_table.arranged(
        np.concatenate([source.ids for source in sources])[order],
        np.concatenate([source.recordings for source in sources])[order],
        languages,
    ) | {
        "offsets": np.append(0, np.cumsum(np.bincount(numbers, minlength=lists))),
        "centroids": centroids,
        "mean": codec.mean,
        "dead_below": dead_below,
    }
    large: dict[str, tuple[np.dtype[Any], tuple[int, ...]]] = {
        "codes": (np.dtype(np.int8), (count, dimensions)),
        "vectors": (np.dtype(np.float16), (count, dimensions)),
    }
    shapes = large | {name: (column.dtype, column.shape) for name, column in small.items()}
    arrays = columns.create(path, shapes, facts | {"scale": codec.scale, "languages": row_table.spoken(languages)})
    for name, column in small.items():
        arrays[name][...] = column
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
