"""Makes a new segment of an index: a new base of all there is, or a later part of what came after the base."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from servers.search import clustering, segments
from servers.search.clustering import Matrix, blocks
from servers.search.codes import Codec
from servers.search.indexing import Codes, Halves, Ids, Mask
from servers.search.segments import Segment, Source
from servers.search.tail import Held, Tail


@dataclass(frozen=True, slots=True)
class Shape:
    """How an index is built and searched."""

    most_loose: int = 20_000
    """Up to so many vectors there are no lists, and so many may wait to come into one: comparing them takes 2 ms."""

    probes: int = 32
    """How many lists a search without a filter looks through at least; with one it looks through more, the fewer rows
    that leaves."""

    least_rows: int = 16_000
    """And so many lists that they hold so many rows by the mean: where lists are short, more of them cost as much."""

    lists_by_root: float = 5.6
    """The number of lists by the square root of the number of vectors when they are made: there will be up to twice as
    many vectors before they are made anew."""

    most_waste: float = 0.1
    """The share of the base that may be dead, or come later, before there is a new one."""

    rescored: int = 64
    """So many of the best by their codes are compared again in half precision, which is read from all over the file."""


@dataclass(slots=True)
class Part:
    """A segment, and which of its rows can be found."""

    segment: Segment
    alive: Mask
    dead: int = 0
    """How many of the rows cannot be found."""

    @classmethod
    def of(cls, segment: Segment) -> "Part":
        """All rows alive."""
        return cls(segment, np.ones(len(segment), np.bool_))

    def kill(self, ids: Ids) -> None:
        """Have rows found no more."""
        places = self.segment.table.find(ids)
        self.dead += int(np.count_nonzero(self.alive[places]))
        self.alive[places] = False


@dataclass(frozen=True)
class Frozen:
    """An index at one moment, of which a new base is made, or a later part."""

    seq: int
    shape: Shape
    whole: bool
    parts: tuple[Part, ...]
    alive: tuple[Mask, ...]
    tail: Tail
    rows: Held
    dimensions: int

    def write(self, path: Path, stopped: Callable[[], bool]) -> None:
        """Write the new segment; clustering.Stopped when told so in the middle."""
        codec = self._codec()
        sources = self._sources(codec)
        count = sum(len(source.places) for source in sources)
        anew = self.whole and self._outgrown(count)
        if anew:
            lists, trained = self._wanted(count), count
            centroids = _centroids(sources, lists, stopped)
            sources = [source._replace(lists=_NONE) for source in sources]
        else:
            lists, trained, centroids = self._lists, self._trained, self.parts[0].segment.centroids
        sources = [_listed(source, centroids, stopped) for source in sources]
        below = _NOWHERE if self.whole else np.flatnonzero(~self.alive[0])
        on = 0 if self.whole else self.parts[0].segment.facts["seq"]
        kept = centroids if self.whole else centroids[:0]
        segments.write(path, sources, codec, kept, lists, below, seq=self.seq, trained=trained, on=on)

    def gone_since(self) -> Ids:
        """The ids of the rows that went into the new segment and died meanwhile."""
        merged = self.parts if self.whole else self.parts[1:]
        then = self.alive if self.whole else self.alive[1:]
        gone = [part.segment.table.ids[was & ~part.alive] for part, was in zip(merged, then, strict=True)]
        now = self.tail.held().alive[: len(self.rows.ids)]
        return np.concatenate([*gone, self.rows.ids[self.rows.alive & ~now]])

    def _sources(self, codec: Codec) -> list[Source]:
        merged = list(zip(self.parts, self.alive, strict=True))[0 if self.whole else 1 :]
        sources = list[Source]()
        for part, was in merged:
            places, of, table = np.flatnonzero(was), part.segment, part.segment.table
            recordings, lists = table.recordings()[places], of.list_numbers()[places]
            source = Source(of.codes, of.vectors, places, table.ids[places], recordings, table.languages[places], lists)
            sources.append(source if codec is of.codec else source._replace(codes=_coded(of.vectors, codec)))
        rows = self.rows.living()
        codes, places = _coded(rows.vectors, codec), np.arange(len(rows.ids))
        late = Source(codes, rows.vectors, places, rows.ids, rows.recordings, rows.languages, _NONE)
        return [*sources, late]

    def _codec(self) -> Codec:
        """That of the base; a new one as long as the base is small, for few vectors may not be like those to come."""
        if self.parts and self._lists > 1:
            return self.parts[0].segment.codec
        known = [part.segment.vectors[was] for part, was in zip(self.parts, self.alive, strict=True)]
        vectors = np.concatenate([*known, self.rows.living().vectors])
        chosen = np.random.default_rng(1).permutation(len(vectors))[:_FITTED]
        sample = vectors[np.sort(chosen)].astype(np.float32)
        return Codec.fitting(sample if len(sample) else np.zeros((1, self.dimensions), np.float32))

    def _outgrown(self, count: int) -> bool:
        """Whether the base has outgrown its lists, or shrunk out of them, or never had any."""
        if not self.parts or (self._wanted(count) == 1) != (self._lists == 1):
            return True
        return count >= 2 * self._trained or 4 * count <= self._trained

    def _wanted(self, count: int) -> int:
        return 1 if count <= self.shape.most_loose else round(self.shape.lists_by_root * math.sqrt(count))

    @property
    def _lists(self) -> int:
        return self.parts[0].segment.lists

    @property
    def _trained(self) -> int:
        """How many rows there were when the centroids were made."""
        return int(self.parts[0].segment.facts["trained"])


_NOWHERE = np.empty(0, np.int64)
_NONE = np.empty(0, np.uint32)
_FITTED = 20_000
_CODED = 8_192


def _coded(vectors: Halves, codec: Codec) -> Codes:
    codes = np.empty(vectors.shape, np.int8)
    for start, end in blocks(len(codes), _CODED):
        codes[start:end] = codec.encoded(vectors[start:end].astype(np.float32))
    return codes


def _listed(source: Source, centroids: Matrix, stopped: Callable[[], bool]) -> Source:
    """With a list for each row, where it has none yet."""
    if len(source.lists) == len(source.places):
        return source
    lists = np.zeros(len(source.places), np.uint32)
    if len(centroids):
        for start, end in blocks(len(lists), _CODED):
            vectors = source.vectors[source.places[start:end]].astype(np.float32)
            lists[start:end] = clustering.nearest(vectors, centroids, stopped)
    return source._replace(lists=lists)


def _centroids(sources: Sequence[Source], lists: int, stopped: Callable[[], bool]) -> Matrix:
    """None for one list; else made from a sample of all sources alike."""
    if lists == 1:
        return np.empty((0, sources[0].vectors.shape[1]), np.float32)
    total = sum(len(source.places) for source in sources)
    numbers = np.random.default_rng(1)
    sample = list[Matrix]()
    for source in sources:
        wanted = math.ceil(clustering.SAMPLED * lists * len(source.places) / total)
        chosen = np.sort(numbers.permutation(len(source.places))[:wanted])
        sample.append(source.vectors[source.places[chosen]].astype(np.float32))
    return clustering.centroids(np.concatenate(sample), lists, stopped=stopped)
