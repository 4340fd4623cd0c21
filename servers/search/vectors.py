"""The vector indexes: for each tenant and space one, made from the store and never the truth.

An index follows the numbers that the store gives to vectors: it knows up to which one it has come, and reads on from
there. What lies in lists is also in a snapshot, which spares it the way; without one it begins at the first vector.
Every method blocks, and any thread may call any of them.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import blake2b
from pathlib import Path

import structlog

from servers.common.errors import DependencyUnavailable
from servers.search import snapshots
from servers.search.clustering import Stopped
from servers.search.documents import Embedding, Scope
from servers.search.indexing import Filter, Ranked, Stats, VectorIndex
from servers.search.journal import Journal, read_on
from servers.search.lists import ListIndex
from servers.search.open_indexes import OpenIndexes
from servers.search.rebuilding import Frozen, Shape
from servers.search.segments import Segment
from servers.search.snapshots import SnapshotDamaged

log = structlog.get_logger(__name__)

STEP = 1_024
"""How many changes are read at a time."""

SEARCH_STEPS = 4
"""How many such steps a search makes at most to see the newest vectors."""

LEAST_READ, MOST_READ = 500_000, 4_000_000
"""An index that is read anew has as many vectors in no list as in lists, but never fewer or more than this: each time
they come into lists all others are written again, and in none they take the most memory (768 bytes each)."""

SEARCH_PATIENCE_S = 0.25
"""How long a search waits for an index that another thread is opening; then the words must do."""

REST_S = 300.0
"""How long an index whose snapshot could not be read or written stays as it is."""


class Vectors:
    """See VectorIndexes. Each is opened when asked for; when too many are, the one unused for longest is closed. What
    its lists do not hold is in the store."""

    def __init__(self, folder: Path, journal: Journal, shape: Shape | None = None, most_open: int = 256) -> None:
        self._closing = closing = threading.Event()
        lists = shape or Shape()
        self._open = OpenIndexes[tuple[str, str], TenantIndex](
            lambda name: TenantIndex(folder, journal, closing, *name, lists), most_open
        )

    def follow(self, tenant: str, space: str) -> bool:
        """See VectorIndexes. It is all taken in, or it is time to stop; or the index could not be opened."""
        with self._open.using((tenant, space)) as index:
            try:
                index.open(patience_s=-1)
            except DependencyUnavailable:
                return False
            index.follow()
            return True

    def nearest(self, scope: Scope, embedding: Embedding, limit: int) -> Ranked:
        """The documents in `scope` with the largest inner products."""
        with self._opened(scope.tenant, embedding.space) as index:
            return index.nearest(embedding, Filter.of(scope), limit)

    def stats(self, tenant: str, space: str) -> Stats:
        """How the index of the tenant and the space stands."""
        with self._opened(tenant, space) as index:
            return index.stats()

    def rebuild_due(self) -> None:
        """Bring into lists what is in none, and let go of what is dead, where there is much of it. Takes as long as it
        takes, and holds nobody up."""
        for name in self._open.names():
            with self._open.using_if_open(name) as index:
                if index and index.due() and not self._closing.is_set():
                    index.rebuild()

    def rebuild(self, tenant: str, space: str, whole: bool) -> None:
        """Bring all vectors of the tenant and the space into lists, on disk; `whole`: make all lists anew, without what
        is dead. DependencyUnavailable when the disk is full or fails, or it is time to stop."""
        with self._opened(tenant, space, patience_s=-1) as index:
            index.follow()
            stats = index.stats()
            if (stats.vectors or stats.dead if whole else stats.loose) and not index.rebuild(whole):
                raise DependencyUnavailable("vector index")

    def stop(self) -> None:
        """Have reading on and rebuilding end where they are, in whichever thread."""
        self._closing.set()

    @contextmanager
    def _opened(self, tenant: str, space: str, patience_s: float | None = None) -> Iterator["TenantIndex"]:
        """See TenantIndex.open; `patience_s` None: that of a search."""
        with self._open.using((tenant, space)) as index:
            index.open(SEARCH_PATIENCE_S if patience_s is None else patience_s)
            yield index


class TenantIndex:
    """The vectors of one tenant in one space.

    Two locks, always taken in this order: `_rebuilding` is held by what makes new lists, `_writing` by what changes the
    index. Searches need neither.
    """

    def __init__(
        self, folder: Path, journal: Journal, closing: threading.Event, tenant: str, space: str, shape: Shape
    ) -> None:
        self._folder = folder
        self._journal = journal
        self._closing = closing
        self._tenant = tenant
        self._space = space
        self._name = blake2b(f"{tenant}\0{space}".encode(), digest_size=16).hexdigest()
        self._late_name = f"{self._name}.late"
        self._rebuilding = threading.Lock()
        self._writing = threading.Lock()
        self._opened = False
        self._in_vain = False
        """Whether a search has waited for it to be opened, so that no other need do so."""

        self._resting_until = 0.0
        self._index = ListIndex(int(space.rpartition("/")[2]), shape)

    def open(self, patience_s: float) -> None:
        """Load the snapshot and read on from there, unless that is done.

        While another thread does it, wait for `patience_s` seconds (-1: as long as it takes), then raise
        DependencyUnavailable, and at once when somebody has waited before: one large index must not hold the threads
        that all tenants search on. So it is while the disk fails, which is tried again when it has rested.
        """
        if self._opened:
            return
        if time.monotonic() < self._resting_until:
            raise DependencyUnavailable("vector index")
        if not self._writing.acquire(timeout=0 if self._in_vain and patience_s > 0 else patience_s):
            self._in_vain = True
            raise DependencyUnavailable("vector index")
        try:
            if not self._opened:
                self._load()
                self._read_all()
                self._opened = True
        except OSError as error:
            log.exception("the vector index could not be opened", name=self._name)
            self._resting_until = time.monotonic() + REST_S
            raise DependencyUnavailable("vector index") from error
        finally:
            self._writing.release()

    def follow(self) -> None:
        """Read on to the newest vector."""
        with self._writing:
            while self._read_on():
                pass

    def nearest(self, embedding: Embedding, narrowed: Filter, limit: int) -> Ranked:
        """The nearest vectors, the newest included unless another thread is about to read them."""
        if self._writing.acquire(blocking=False):
            try:
                steps = 0
                while steps < SEARCH_STEPS and self._read_on():
                    steps += 1
            finally:
                self._writing.release()
        index: VectorIndex = self._index
        return index.nearest(embedding.vector, narrowed, limit)

    def stats(self) -> Stats:
        """See VectorIndex."""
        return self._index.stats()

    def due(self) -> bool:
        """Whether new lists are worth their while."""
        return self._opened and self._index.due() and time.monotonic() >= self._resting_until

    def rebuild(self, whole: bool = False) -> bool:
        """Make new lists, and a snapshot of them; `whole`: of all there is, however little is new. Told to stop, leave
        all as it is, and say so; so, too, with a disk that fails."""
        with self._rebuilding:
            with self._writing:
                frozen = self._index.freeze(whole)
            try:
                segment = self._saved(frozen)
            except Stopped:
                return False
            except OSError:
                log.exception("the vector index could not be written", name=self._name)
                self._resting_until = time.monotonic() + REST_S
                return False
            with self._writing:
                self._index.install(frozen, segment)
        return True

    def _saved(self, frozen: Frozen) -> Segment:
        def write(path: Path) -> None:
            frozen.write(path, self._closing.is_set)

        began = time.monotonic()
        name = self._name if frozen.whole else self._late_name
        path = snapshots.save(self._folder, name, self._journal.index_id, frozen.seq, write)
        if frozen.whole:
            snapshots.forget(self._folder, self._late_name)
        segment = Segment(path)
        took_s = round(time.monotonic() - began, 1)
        log.info("vector lists made", name=name, rows=len(segment), lists=segment.lists, took_s=took_s)
        return segment

    def _load(self) -> None:
        base = self._found(self._name)
        late = self._found(self._late_name)
        if late and (not base or late.facts["on"] != base.facts["seq"]):
            # It belongs to the base before, whose place was taken just before a crash.
            snapshots.forget(self._folder, self._late_name)
            late = None
        parts = [part for part in (base, late) if part]
        if parts:
            self._index.load(parts, parts[-1].facts["seq"])

    def _found(self, name: str) -> Segment | None:
        """A segment as it was saved; one that is unusable is forgotten."""
        try:
            found = snapshots.find(self._folder, name)
            if found is None:
                return None
            snapshot, data = found
            if snapshot.index_id != self._journal.index_id or snapshot.seq > self._journal.last_seq():
                raise SnapshotDamaged("it belongs to another database")
            return Segment(data)
        except SnapshotDamaged as error:
            log.warning("snapshot is unusable; the index is built anew", name=name, why=str(error))
            snapshots.forget(self._folder, name)
            return None

    def _read_all(self) -> None:
        """To the newest vector, making lists on the way when there are very many."""
        while self._read_on():
            stats = self._index.stats()
            if stats.loose >= min(max(stats.vectors - stats.loose, LEAST_READ), MOST_READ):
                try:
                    frozen = self._index.freeze()
                    self._index.install(frozen, self._saved(frozen))
                except Stopped:
                    return

    def _read_on(self) -> bool:
        """Take the next changes in; False when there are none, or when it is time to stop."""
        if self._closing.is_set():
            return False
        return read_on(self._index, self._journal, self._tenant, self._space, STEP)
