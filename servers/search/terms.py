"""The indexes of words: for each tenant one, made from the store and never the truth.

An index follows the numbers that the store gives to documents: it knows up to which one it has come, and reads on from
there. One that is missing, damaged or of another database begins at the first. Each tenant has its own, so that how
rare a word is, and with it the order of hits, tells nothing of another's texts. Every method blocks, and any thread may
call any of them.
"""

import shutil
import threading
import time
from hashlib import blake2b
from pathlib import Path
from typing import Protocol

import structlog

from servers.common.errors import DependencyUnavailable
from servers.search.clustering import Stopped
from servers.search.documents import Scope
from servers.search.indexing import Filter
from servers.search.inverted import InvertedIndex
from servers.search.open_indexes import OpenIndexes
from servers.search.query import Query
from servers.search.word_index import WordChanges, WordIndex, WordIndexDamaged, WordIndexUnwritable

log = structlog.get_logger(__name__)

STEP = 1_024
"""How many documents are read at a time."""

FOLLOW_STEPS = 64
"""How many such steps are made at a time, before the next tenant has its turn."""

SEARCH_STEPS = 4
"""How many a search makes at most, in an index that has not come to the newest document since it was opened."""

SEARCH_PATIENCE_S = 0.25
"""How long a search waits for an index that another thread is opening; then the vectors must do."""

REST_S = 30.0
"""How long an index that could not be written stays as it is."""


class Journal(Protocol):
    """Where the documents come from; see `servers.search.store`."""

    index_id: str

    def last_written(self) -> int: ...
    def written_after(self, tenant: str, seq: int, limit: int) -> WordChanges: ...


class Terms:
    """The indexes, opened when asked for; when too many are open, the one unused for longest is closed. What it holds
    in no file is in the store."""

    def __init__(self, folder: Path, journal: Journal, most_open: int = 256) -> None:
        self._closing = closing = threading.Event()
        self._open = OpenIndexes[str, TenantTerms](
            lambda tenant: TenantTerms(folder, journal, closing, tenant), most_open
        )

    def follow(self, tenant: str) -> bool:
        """Take in what the store has of the tenant, so that searches find it; False when there may be more of it. One
        thread only."""
        with self._open.using(tenant) as index:
            return index.follow()

    def merge_due(self) -> None:
        """Make larger parts of small ones where there are many, on disk. Takes as long as it takes, and holds nobody
        up."""
        for tenant in self._open.names():
            with self._open.using_if_open(tenant) as index:
                while index and not self._closing.is_set() and index.merge():
                    pass

    def matching(self, scope: Scope, query: Query, limit: int, thrift: int = 1) -> list[int]:
        """The documents in `scope` that match the query, by BM25, best first; for how, and for `thrift`, see WordIndex.

        DependencyUnavailable while the index is far from having come to the newest.
        """
        with self._open.using(scope.tenant) as index:
            return index.matching(query, Filter.of(scope), limit, thrift)

    def stop(self) -> None:
        """Have reading on end where it is, in whichever thread."""
        self._closing.set()


class TenantTerms:
    """The words of one tenant.

    Two locks, always taken in this order: `_merging` is held by what makes larger parts, `_writing` by what changes the
    index. Searches need the second, and only until the index has come to the newest document once.
    """

    def __init__(self, folder: Path, journal: Journal, closing: threading.Event, tenant: str) -> None:
        self._folder = folder / blake2b(tenant.encode(), digest_size=16).hexdigest()
        self._journal = journal
        self._closing = closing
        self._tenant = tenant
        self._merging = threading.Lock()
        self._writing = threading.Lock()
        self._index: InvertedIndex | None = None
        self._ready: WordIndex | None = None
        self._in_vain = False
        """Whether a search has waited until there is one, so that no other need do so."""

        self._resting_until = 0.0

    def follow(self) -> bool:
        """Read on; False when there may be more."""
        with self._writing:
            return self._follow(FOLLOW_STEPS)

    def matching(self, query: Query, narrowed: Filter, limit: int, thrift: int) -> list[int]:
        """See Terms."""
        if self._ready is None and not self._left(0):
            return []
        return (self._ready or self._opened()).matching(query, narrowed, limit, thrift)

    def merge(self) -> bool:
        """Make a larger part, if that is due: whether it was."""
        with self._merging:
            with self._writing:
                index = self._index
                run = index.due() if index and time.monotonic() >= self._resting_until else None
            if not index or not run:
                return False
            began = time.monotonic()
            try:
                made = index.make(run, self._closing.is_set)
                with self._writing:
                    if index is not self._index:  # it was given up meanwhile
                        made.forget()
                        return False
                    index.install(run, made)
            except Stopped:
                return False
            except WordIndexUnwritable:
                with self._writing:
                    self._fail()
                return False
        took_s = round(time.monotonic() - began, 1)
        log.info(
            "parts of words merged", folder=self._folder.name, parts=len(run.parts), rows=len(made.alive), took_s=took_s
        )
        return True

    def _opened(self) -> WordIndex:
        """The index, after some steps at most. While another thread makes them, wait for a moment only, and only if
        nobody has done so in vain: one large index must not hold the threads that all tenants search on."""
        if not self._writing.acquire(timeout=0 if self._in_vain else SEARCH_PATIENCE_S):
            self._in_vain = True
            raise DependencyUnavailable("word index")
        try:
            if self._ready is None:
                self._follow(SEARCH_STEPS)
            if self._ready is None:
                raise DependencyUnavailable("word index")
            return self._ready
        finally:
            self._writing.release()

    def _follow(self, steps: int) -> bool:
        """Whether it came to what was the newest document. A disk that fails leaves the index as it is, for a while."""
        if time.monotonic() < self._resting_until:
            return False
        try:
            if self._index is None:
                self._index = self._loaded()
            if came := self._read_on(self._index, steps):
                self._ready = self._index
            return came
        except (WordIndexDamaged, WordIndexUnwritable, OSError):
            self._fail()
            return False

    def _read_on(self, index: WordIndex, steps: int) -> bool:
        """Whether it came to what was the newest document, or is to stop."""
        came = False
        while steps and not came and not self._closing.is_set():
            changes = self._journal.written_after(self._tenant, index.seq, STEP)
            came = len(changes.gone) + len(changes.there) < STEP
            index.apply(changes)
            steps -= 1
        index.commit()
        return came or self._closing.is_set()

    def _fail(self) -> None:
        """What is wrong with an index shows when it is opened; searches go on in what there is."""
        log.exception("the index of words could not be written", folder=self._folder.name)
        self._resting_until = time.monotonic() + REST_S
        self._index = None

    def _left(self, seq: int) -> bool:
        """Whether the store has more than what came up to this number."""
        return self._journal.written_after(self._tenant, seq, 1).seq > seq

    def _loaded(self) -> InvertedIndex:
        """The index as it was committed; one that is unusable is made anew."""
        try:
            index = InvertedIndex(self._folder, self._journal.index_id)
            if index.seq > self._journal.last_written():
                raise WordIndexDamaged("it belongs to another database")
            return index
        except WordIndexDamaged as error:
            self._forget(str(error))
            return InvertedIndex(self._folder, self._journal.index_id)

    def _forget(self, why: str) -> None:
        log.warning("index of words is unusable; it is built anew", folder=self._folder.name, why=why)
        self._index = self._ready = None
        shutil.rmtree(self._folder, ignore_errors=True)
