"""The vectors that came last: in memory, in half precision, and in no list. A search compares all of them."""

from typing import NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

from servers.search.distances import inner
from servers.search.documents import Vector
from servers.search.indexing import Filter, Halves, Ids, Rows

_LEAST = 64
_Number = TypeVar("_Number", bound=np.generic)


class Held(NamedTuple):
    """Rows as one reader sees them; all of one length."""

    ids: Ids
    vectors: Halves
    recordings: Ids
    languages: npt.NDArray[np.uint16]
    alive: npt.NDArray[np.bool_]

    def chosen(self, which: slice | npt.NDArray[np.bool_]) -> "Held":
        """Some of the rows."""
        return Held(
            self.ids[which], self.vectors[which], self.recordings[which], self.languages[which], self.alive[which]
        )

    def living(self) -> Rows:
        """Those that can be found, as they came."""
        rows = self.chosen(self.alive)
        return Rows(rows.ids, rows.vectors, rows.recordings, rows.languages)

    def grown(self, length: int) -> "Held":
        """Copies of the columns with room for `length` rows."""
        return Held(
            _grown(self.ids, length),
            _grown(self.vectors, length),
            _grown(self.recordings, length),
            _grown(self.languages, length),
            _grown(self.alive, length),
        )


class Tail:
    """One writer and any number of readers. A row is written before it is counted, so readers see whole rows only."""

    def __init__(self, dimensions: int) -> None:
        self._rows = Held(
            np.empty(_LEAST, np.int64),
            np.empty((_LEAST, dimensions), np.float16),
            np.empty(_LEAST, np.int64),
            np.empty(_LEAST, np.uint16),
            np.empty(_LEAST, np.bool_),
        )
        self._count = 0
        self._places = dict[int, int]()

    def __len__(self) -> int:
        """The rows, dead ones included."""
        return self._count

    @property
    def alive(self) -> int:
        """The rows that can be found."""
        return len(self._places)

    @property
    def bytes(self) -> int:
        """What the arrays take."""
        return sum(column.nbytes for column in self._rows)

    def held(self, start: int = 0) -> Held:
        """The rows there are now, from number `start` on."""
        end = self._count
        return self._rows.chosen(slice(start, end))

    def kill(self, ids: Ids) -> None:
        """Have rows found no more."""
        for id in ids.tolist():
            if (place := self._places.pop(id, None)) is not None:
                self._rows.alive[place] = False

    def add(self, rows: Rows) -> None:
        """New rows, each in place of its like."""
        if not len(rows.ids):
            return
        start, end = self._count, self._count + len(rows.ids)
        if end > len(self._rows.ids):
            self._rows = self._rows.grown(max(end, 2 * start))
        into = self._rows.chosen(slice(start, end))
        into.ids[:], into.vectors[:], into.recordings[:], into.languages[:] = (
            rows.ids, rows.vectors, rows.recordings, rows.languages,
        )  # fmt: skip
        into.alive[:] = True
        self._count = end
        for place, id in enumerate(rows.ids.tolist(), start):
            if (before := self._places.get(id)) is not None:
                self._rows.alive[before] = False
            self._places[id] = place

    def nearest(self, vector: Vector, narrowed: Filter, limit: int) -> tuple[Ids, Halves, int]:
        """The ids and vectors of the `limit` best that pass the filter, in no order, and how many were compared."""
        rows = self.held()
        kept = np.flatnonzero(passing(rows, narrowed))
        vectors = rows.vectors if len(kept) == len(rows.ids) else rows.vectors[kept]
        found = inner(vector, vectors)
        if len(kept) > limit:
            kept = kept[np.argpartition(-found, limit - 1)[:limit]]
        return rows.ids[kept], rows.vectors[kept], len(found)


def passing(rows: Held, narrowed: Filter) -> npt.NDArray[np.bool_]:
    """Which rows are alive and pass the filter."""
    kept = rows.alive.copy()
    if narrowed.recordings:
        kept &= np.isin(rows.recordings, np.array(narrowed.recordings, np.int64))
    if narrowed.language is not None:
        kept &= rows.languages == narrowed.language
    return kept


def _grown(column: npt.NDArray[_Number], length: int) -> npt.NDArray[_Number]:
    grown = np.empty((length, *column.shape[1:]), column.dtype)
    grown[: len(column)] = column
    return grown
