"""Inverted lists: the VectorIndex that looks only where near vectors gather. See docs/adr/0011-inverted-lists.md.

Three parts: the base, in lists; what came later, in lists around the same centroids; and the tail, in none. The tail
becomes the later part when it is long, and all three a new base when that is more than a tenth of it, or a tenth of
the rows is dead. Who rebuilds holds nobody up: `freeze`, `Frozen.write` beside everything else, `install`.
"""

import math
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from servers.search import segments
from servers.search.distances import Distances
from servers.search.documents import Vector
from servers.search.indexing import Changes, Filter, Ids, Ranked, Rows, Stats
from servers.search.rebuilding import Frozen, Part, Shape
from servers.search.segments import Close, Segment
from servers.search.tail import Tail

Scores: TypeAlias = npt.NDArray[np.float32]

_AMPLE = 4
"""How many times as many rows as are wanted there should be in the lists looked through."""


class State(NamedTuple):
    """What one search sees."""

    parts: tuple[Part, ...]
    """None, or the base, or the base and what came later."""

    tail: Tail


class ListIndex:
    """See VectorIndex."""

    def __init__(self, dimensions: int, shape: Shape) -> None:
        self._dimensions = dimensions
        self._shape = shape
        self._state = State((), Tail(dimensions))
        self.seq = 0
        """It holds what came up to this number."""

    def apply(self, changes: Changes) -> None:
        """See VectorIndex."""
        parts, tail = self._state
        tail.kill(changes.gone)
        # First there, then gone: a search looks at the parts before the tail, and sees one of the two, or both.
        tail.add(changes.there)
        for part in parts:
            part.kill(np.concatenate([changes.gone, changes.there.ids]))
        self.seq = changes.seq

    def nearest(self, vector: Vector, narrowed: Filter, limit: int) -> Ranked:
        """See VectorIndex. Beyond the first `Shape.rescored` the order is that of the codes."""
        parts, tail = self._state
        wide = max(limit, self._shape.rescored)
        ids, scores, lists, compared = self._close(parts, vector, narrowed, wide)
        late_ids, late_vectors, late = tail.nearest(vector, narrowed, wide)
        late_scores = late_vectors.astype(np.float32) @ vector
        order = np.argsort(-np.concatenate([late_scores, scores]), kind="stable")
        best = np.concatenate([late_ids, ids])[order]
        return Ranked(list(dict.fromkeys(best.tolist()))[:limit], lists, compared + late)

    def stats(self) -> Stats:
        """See VectorIndex."""
        parts, tail = self._state
        rows = sum(len(part.alive) for part in parts) + len(tail)
        dead = sum(part.dead for part in parts) + len(tail) - tail.alive
        size = sum(part.segment.bytes + part.alive.nbytes for part in parts) + tail.bytes
        return Stats(self.seq, rows - dead, dead, len(tail), parts[0].segment.lists if parts else 0, size)

    def due(self) -> bool:
        """Whether to rebuild."""
        parts, tail = self._state
        return len(tail) > self._shape.most_loose or any(
            part.dead > self._shape.most_waste * len(part.alive) for part in parts
        )

    def load(self, parts: Sequence[Segment], seq: int) -> None:
        """Begin with these, base first, which hold what came up to `seq`."""
        alive = tuple(Part.of(segment) for segment in parts)
        for below, above in zip(alive, parts[1:], strict=False):
            below.kill(below.segment.table.ids[above.dead_below])
        self._state = State(alive, Tail(self._dimensions))
        self.seq = seq

    def freeze(self, whole: bool = False) -> Frozen:
        """What a rebuilding begins with; `whole`: of a new base, where it would be of a later part. No change may be
        under way."""
        parts, tail = self._state
        rows = tail.held()
        alive = tuple(part.alive.copy() for part in parts)
        whole = whole or self._whole(parts, tail)
        rows = rows._replace(alive=rows.alive.copy())
        return Frozen(self.seq, self._shape, whole, parts, alive, tail, rows, self._dimensions)

    def install(self, frozen: Frozen, segment: Segment) -> None:
        """Take the place of what was frozen; what happened since is kept. No change may be under way."""
        tail = Tail(self._dimensions)
        since = frozen.tail.held(len(frozen.rows.ids))
        tail.add(since.living())
        new = Part.of(segment)
        new.kill(frozen.gone_since())
        below = () if frozen.whole else frozen.parts[:1]
        self._state = State((*below, new), tail)

    def _whole(self, parts: Sequence[Part], tail: Tail) -> bool:
        """Whether a rebuilding makes a new base, not a later part."""
        if not parts or not len(parts[0].segment.centroids):
            return True
        base, *later = parts
        most = self._shape.most_waste * len(base.alive)
        return base.dead > most or sum(len(part.alive) for part in later) + len(tail) > most

    def _close(
        self, parts: Sequence[Part], vector: Vector, narrowed: Filter, wide: int
    ) -> tuple[Ids, Scores, int, int]:
        """The nearest by their codes with their inner products, how many lists were looked through, how many rows
        compared."""
        if not parts:
            return np.empty(0, np.int64), np.empty(0, np.float32), 0, 0
        base = parts[0].segment
        code = base.codec.encoded(vector)
        kept = [part.segment.kept(narrowed) for part in parts]
        if all(places is not None and count <= segments.MOST_GATHERED for count, places in kept):
            lists = np.empty(0, np.int64)
        else:
            lists = base.lists_near(code, self._probes(parts, sum(count for count, _ in kept), wide))
        found = [
            part.segment.close(code, lists, narrowed, passing, part.alive if part.dead else None, wide)
            for part, passing in zip(parts, kept, strict=True)
        ]
        distances = [close.distances for close in found]
        far, near = _farthest(distances, wide), _farthest(distances, self._shape.rescored)
        chosen = [_scored(part.segment, close, vector, far, near) for part, close in zip(parts, found, strict=True)]
        ids, scores = (np.concatenate(columns) for columns in zip(*chosen, strict=True))
        return ids, scores, len(lists), sum(close.compared for close in found)

    def _probes(self, parts: Sequence[Part], kept: int, wide: int) -> int:
        """How many lists to look through: the fewer rows pass a filter, the farther away may be the nearest that do."""
        rows, lists = max(1, sum(len(part.alive) for part in parts)), parts[0].segment.lists
        wanted = max(self._shape.probes, self._shape.least_rows * lists / rows)
        share, enough = max(kept, 1) / rows, _AMPLE * wide * lists / max(kept, 1)
        return math.ceil(max(wanted / math.cbrt(share) ** 2, enough))


def prepare() -> None:
    """Have all loops compiled, so that no search waits for it: seconds where that was never done, else a moment."""
    rows = np.arange(64)
    some = Rows(rows, np.eye(64, dtype=np.float16), rows % 2, np.ones(64, np.uint16))
    index = ListIndex(64, Shape(most_loose=1, probes=2, least_rows=1, rescored=1))
    index.apply(Changes(1, rows[:0], some))
    with TemporaryDirectory() as folder:
        frozen, path = index.freeze(), Path(folder) / "lists"
        frozen.write(path, lambda: False)
        index.install(frozen, Segment(path))
        for narrowed in (Filter(), Filter((1,))):
            index.nearest(some.vectors[0].astype(np.float32), narrowed, 4)


def _scored(segment: Segment, close: Close, vector: Vector, far: int, near: int) -> tuple[Ids, Scores]:
    """What of a segment is no farther than `far`, with its inner products: of what is beyond `near`, by the codes."""
    chosen = close.distances <= far
    places, distances = close.places[chosen], close.distances[chosen]
    scores = segment.codec.inner(distances)
    again = distances <= near
    scores[again] = segment.vectors.take(places[again], axis=0).astype(np.float32) @ vector
    return segment.table.ids[places], scores


def _farthest(distances: Sequence[Distances], wide: int) -> int:
    """The distance that `wide` of all are not beyond."""
    together = np.concatenate(distances)
    if len(together) <= wide:
        return int(together.max(initial=0))
    return int(np.partition(together, wide - 1)[wide - 1])
