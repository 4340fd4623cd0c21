"""The vector indexes in Qdrant: who makes them follow the store, and when Qdrant is let alone for a while."""

import threading
import time
from collections.abc import Callable
from functools import partial

import structlog

from servers.common import backoff
from servers.common.errors import DependencyUnavailable
from servers.search.documents import Embedding, Scope
from servers.search.indexing import Filter, Ranked, Stats
from servers.search.journal import Journal, read_on
from servers.search.qdrant import Mark, Qdrant, QdrantIndex

log = structlog.get_logger(__name__)

STEP = 1_024
"""How many changes are read at a time."""

STEPS = 16
"""How many such steps are taken for a tenant before it is another's turn."""

FIRST_REST_S, LONGEST_REST_S = 0.5, 60.0
"""How long a tenant waits whose vectors could not be taken in."""


class QdrantVectors:
    """See VectorIndexes. Searches find what has been taken in, and take nothing in themselves."""

    def __init__(self, qdrant: Qdrant, journal: Journal) -> None:
        self._qdrant = qdrant
        self._journal = journal
        self._known = dict[tuple[str, str], TenantPoints]()
        self._lock = threading.Lock()
        self._closing = threading.Event()

    def follow(self, tenant: str, space: str) -> bool:
        """See VectorIndexes. Never raises because of Qdrant: whoever is called again may have it back."""
        return self._points(tenant, space).follow()

    def nearest(self, scope: Scope, embedding: Embedding, limit: int) -> Ranked:
        """See VectorIndexes."""
        return self._points(scope.tenant, embedding.space).nearest(embedding, Filter.of(scope), limit)

    def stats(self, tenant: str, space: str) -> Stats:
        """See VectorIndexes."""
        return self._points(tenant, space).stats()

    def rebuild_due(self) -> None:
        """Qdrant makes its lists by itself. What a search missed, such as the points of a collection that was lost, is
        written again."""
        with self._lock:
            known = list(self._known.values())
        for points in known:
            while points.missed and not points.follow() and points.may_follow:
                pass

    def rebuild(self, tenant: str, space: str, whole: bool) -> None:
        """Have all vectors in Qdrant, which keeps and compacts them by itself."""
        points = self._points(tenant, space)
        while not points.follow():
            if not points.may_follow:
                raise DependencyUnavailable("qdrant")

    def stop(self) -> None:
        """See VectorIndexes."""
        self._closing.set()

    def _points(self, tenant: str, space: str) -> "TenantPoints":
        with self._lock:
            points = self._known.get((tenant, space))
            if points is None:
                lost = partial(self._doubt, space)
                points = TenantPoints(self._qdrant, self._journal, self._closing, tenant, space, lost)
                self._known[tenant, space] = points
            return points

    def _doubt(self, space: str) -> None:
        """Have nobody's points believed to be there before it was looked again: they share the collection."""
        with self._lock:
            sharing = [points for (_, other), points in self._known.items() if other == space]
        for points in sharing:
            points.doubt()


class TenantPoints:
    """The vectors of one tenant in one space. One thread at a time has them follow; searches wait for none."""

    def __init__(
        self,
        qdrant: Qdrant,
        journal: Journal,
        closing: threading.Event,
        tenant: str,
        space: str,
        lost: Callable[[], None],
    ) -> None:
        """`lost` is called when the collection was lost, before it is made anew: a search would find nothing in it."""
        self._journal = journal
        self._closing = closing
        self._tenant = tenant
        self._space = space
        self._lost = lost
        self._index = QdrantIndex(qdrant, tenant, space, journal.index_id)
        self._following = threading.Lock()
        self._resting_until = 0.0
        self._rests = backoff.delays(FIRST_REST_S, LONGEST_REST_S)
        self._sound = False
        self.missed = False
        """Whether a search could not be answered, or may not be, and nothing has been taken in since."""

    @property
    def may_follow(self) -> bool:
        """Whether it is time to try."""
        return not self._closing.is_set() and time.monotonic() >= self._resting_until

    def doubt(self) -> None:
        """Let no search believe that its points are there before its mark was read, and have it follow soon."""
        self._sound, self.missed = False, True

    def follow(self) -> bool:
        """Take the next STEPS steps; whether nothing is left."""
        with self._following:
            if not self.may_follow:
                return False
            try:
                done = self._follow()
            except DependencyUnavailable:
                rest_s = next(self._rests)
                self._resting_until, self._sound = time.monotonic() + rest_s, False
                log.warning("vectors wait for qdrant", tenant=self._tenant, space=self._space, rest_s=round(rest_s, 1))
                return False
            self._rests = backoff.delays(FIRST_REST_S, LONGEST_REST_S)
            self.missed = self.missed and not done
            return done

    def nearest(self, embedding: Embedding, narrowed: Filter, limit: int) -> Ranked:
        """The nearest vectors of those that were taken in. DependencyUnavailable while Qdrant has not yet come to the
        newest for the first time."""
        try:
            if not self._sound:
                mark = self._index.mark()
                self._sound = mark is not None and mark.whole and self._believed(mark)
            if self._sound:
                return self._index.nearest(embedding.vector, narrowed, limit)
        except DependencyUnavailable:
            self._sound, self.missed = False, True
            raise
        if self._journal.changes_after(self._tenant, self._space, 0, 1).seq == 0:
            return Ranked([], 0, 0)
        self.missed = True
        raise DependencyUnavailable("qdrant")

    def stats(self) -> Stats:
        """See VectorIndex."""
        return self._index.stats()

    def _follow(self) -> bool:
        """Begin where the mark is, whatever became of Qdrant meanwhile."""
        mark = self._index.mark()
        if mark is None or not self._believed(mark):
            if mark is not None:
                log.warning("qdrant holds the vectors of another database; they are written anew", tenant=self._tenant)
            elif self._index.is_lost():
                self._lost()
            self._sound = False
            self._index.begin()
        else:
            self._index.resume(mark)
        for _ in range(STEPS):
            if self._closing.is_set():
                return False
            if not read_on(self._index, self._journal, self._tenant, self._space, STEP):
                self._index.finish()
                return True
        return False

    def _believed(self, mark: Mark) -> bool:
        return mark.index_id == self._journal.index_id and mark.seq <= self._journal.last_seq()
