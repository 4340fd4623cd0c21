"""The vector indexes in usearch: for each tenant and space one, made from the store and never the truth.

An index follows the numbers that the store gives to vectors: it knows up to which one it has come, and reads on from
there. A snapshot spares it the way; without one it begins at the first vector. Every method blocks, and any thread may
call any of them.
"""

import threading
import time
from collections import OrderedDict
from collections.abc import Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt
import structlog
from usearch.index import Index

from servers.common.errors import DependencyUnavailable
from servers.search import snapshots
from servers.search.documents import Embedding, Scope
from servers.search.snapshots import SnapshotDamaged

log = structlog.get_logger(__name__)

CONNECTIVITY = 16
EXPANSION_ADD = 128
EXPANSION_SEARCH = 256
MOST_EXACT = 20_000
"""Up to so many vectors every one is compared, which takes 2 ms and forgets none; the graph serves more."""

MOST_FILTERED_EXACT = 50_000
"""Up to so many vectors that a filter leaves are compared one by one; of more, the nearest OVERFETCH times as many are
asked for and those that pass the filter are kept."""

OVERFETCH = 20
STEP = 64
"""How many vectors are added at a time; a search waits no longer than that takes."""

SEARCH_PATIENCE_S = 0.25
"""How long a search waits for an index that another thread is opening; then the words must do."""

DUE_CHANGES = 1_000
DUE_AFTER_S = 300.0

Ids = npt.NDArray[np.int64]
Matrix = npt.NDArray[np.float16]


class Journal(Protocol):
    """Where the vectors come from; see `servers.search.store`."""

    index_id: str

    def last_seq(self) -> int: ...
    def changes_after(self, tenant: str, space: str, seq: int, limit: int) -> tuple[int, Ids, tuple[Ids, Matrix]]: ...
    def vectors_in(self, scope: Scope, space: str, limit: int) -> tuple[Ids, Matrix]: ...
    def within(self, scope: Scope, ids: Sequence[int]) -> set[int]: ...


class Vectors:
    """The indexes, opened when asked for; when too many are open, the one unused for longest is closed."""

    def __init__(self, folder: Path, journal: Journal, most_open: int = 256) -> None:
        self._folder = folder
        self._journal = journal
        self._most_open = most_open
        self._open: OrderedDict[tuple[str, str], TenantIndex] = OrderedDict()
        self._lock = threading.Lock()
        self._closing = threading.Event()

    def follow(self, tenant: str, space: str) -> None:
        """Take in what the store has of the tenant and the space."""
        self._index(tenant, space, patience_s=-1).follow()

    def nearest(self, scope: Scope, embedding: Embedding, limit: int) -> list[int]:
        """The ids of the documents in `scope` with the largest inner products, the largest first."""
        if scope.whole_tenant:
            return self._index(scope.tenant, embedding.space).nearest(embedding.vector, limit)
        ids, vectors = self._journal.vectors_in(scope, embedding.space, MOST_FILTERED_EXACT + 1)
        if len(ids) <= MOST_FILTERED_EXACT:
            return _best(ids, vectors, embedding.vector, limit)
        wide = self._index(scope.tenant, embedding.space).nearest(embedding.vector, limit * OVERFETCH)
        inside = self._journal.within(scope, wide)
        return [id for id in wide if id in inside][:limit]

    def save_due(self) -> None:
        """Write a snapshot of every index that changed much, or long ago."""
        for index in self._all_open():
            if index.due():
                index.save()

    def stop(self) -> None:
        """Have reading on end where it is, in whichever thread."""
        self._closing.set()

    def save_changed(self) -> None:
        """Write a snapshot of every index that changed at all."""
        for index in self._all_open():
            if index.changes:
                index.save()

    def _all_open(self) -> list["TenantIndex"]:
        with self._lock:
            return list(self._open.values())

    def _index(self, tenant: str, space: str, patience_s: float = SEARCH_PATIENCE_S) -> "TenantIndex":
        with self._lock:
            index = self._open.get((tenant, space))
            if index is None:
                index = TenantIndex(self._folder, self._journal, self._closing, tenant, space)
                self._open[tenant, space] = index
            self._open.move_to_end((tenant, space))
            oldest = self._open.popitem(last=False)[1] if len(self._open) > self._most_open else None
        if oldest is not None and oldest.changes:
            oldest.save()
        index.open(patience_s)
        return index


class TenantIndex:
    """The vectors of one tenant in one space.

    Two locks, always taken in this order: `_writing` is held by what changes or saves the index, `_memory` by what
    must not see it change: so searches go on while a snapshot is written.
    """

    def __init__(self, folder: Path, journal: Journal, closing: threading.Event, tenant: str, space: str) -> None:
        self._folder = folder
        self._journal = journal
        self._closing = closing
        self._tenant = tenant
        self._space = space
        self._name = blake2b(f"{tenant}\0{space}".encode(), digest_size=16).hexdigest()
        self._writing = threading.Lock()
        self._memory = threading.Lock()
        self._opened = False
        self._seq = 0
        self._saved_at = time.monotonic()
        self._index = self._empty()
        self.changes = 0
        """Vectors that were added or removed since the last snapshot."""

    def open(self, patience_s: float) -> None:
        """Load the snapshot and read on from there, unless that is done.

        While another thread does it, wait for `patience_s` seconds (-1: as long as it takes), then raise
        DependencyUnavailable: one large index must not hold the threads that all tenants search on.
        """
        if self._opened:
            return
        if not self._writing.acquire(timeout=patience_s):
            raise DependencyUnavailable("vector index")
        try:
            if not self._opened:
                self._load()
                self._read_on()
                self._opened = True
        finally:
            self._writing.release()

    def follow(self) -> None:
        """Read on to the newest vector."""
        with self._writing:
            self._read_on()

    def nearest(self, vector: npt.NDArray[np.float32], limit: int) -> list[int]:
        """The keys of the nearest vectors, the newest included unless another thread is about to read them."""
        if self._writing.acquire(blocking=False):
            try:
                self._read_on()
            finally:
                self._writing.release()
        with self._memory:
            if not len(self._index):
                return []
            found = self._index.search(vector, limit, exact=len(self._index) <= MOST_EXACT, threads=1)
            return [int(key) for key in found.keys]

    def due(self) -> bool:
        """Whether a snapshot is worth its while."""
        return self.changes >= DUE_CHANGES or (self.changes > 0 and time.monotonic() - self._saved_at > DUE_AFTER_S)

    def save(self) -> None:
        """Write a snapshot."""
        with self._writing:
            index_id = self._journal.index_id
            snapshots.save(self._folder, self._name, index_id, self._seq, self._write)
            self._saved_at, self.changes = time.monotonic(), 0

    def _write(self, path: Path) -> None:
        self._index.save(str(path))

    def _load(self) -> None:
        try:
            found = snapshots.find(self._folder, self._name)
            if found is None:
                return
            snapshot, data = found
            if snapshot.index_id != self._journal.index_id or snapshot.seq > self._journal.last_seq():
                raise SnapshotDamaged("it belongs to another database")
            self._index.load(str(data))
            self._seq = snapshot.seq
        except (SnapshotDamaged, RuntimeError) as error:
            log.warning("snapshot is unusable; the index is built anew", name=self._name, why=str(error))
            self._index, self._seq = self._empty(), 0

    def _read_on(self) -> None:
        while not self._closing.is_set():
            seq, gone, (ids, vectors) = self._journal.changes_after(self._tenant, self._space, self._seq, STEP)
            if seq == self._seq:
                return
            with self._memory:
                self._index.remove(np.concatenate([gone, ids]), threads=1)
                if len(ids):
                    self._index.add(ids, vectors, threads=1)
            self._seq = seq
            self.changes += len(gone) + len(ids)

    def _empty(self) -> Index:
        return Index(
            ndim=int(self._space.rpartition("/")[2]),
            metric="ip",
            dtype="f16",
            connectivity=CONNECTIVITY,
            expansion_add=EXPANSION_ADD,
            expansion_search=EXPANSION_SEARCH,
        )


def _best(ids: Ids, vectors: Matrix, vector: npt.NDArray[np.float32], limit: int) -> list[int]:
    """The ids of the rows with the largest inner products."""
    if not len(ids):
        return []
    order = np.argsort(-(vectors.astype(np.float32) @ vector), kind="stable")
    return [int(id) for id in ids[order[:limit]]]
