"""Qdrant as the home of the vectors. See docs/adr/0013-qdrant-behind-the-same-protocol.md.

One collection for each space holds the points of all tenants, named by the ids of the documents. A tenant has one point
more in it, the mark, which says how far its points have come: whoever loses the collection loses the marks with it, and
all is written anew.
"""

import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import blake2b

import structlog
from qdrant_client import QdrantClient, models
from qdrant_client.common.client_exceptions import QdrantException
from qdrant_client.http.exceptions import ApiException, UnexpectedResponse

from servers.common import backoff
from servers.common.errors import DependencyUnavailable
from servers.search.documents import Vector
from servers.search.indexing import Changes, Filter, Ids, Ranked, Rows, Stats

log = structlog.get_logger(__name__)

ASK_TIMEOUT_S, WRITE_TIMEOUT_S, DELETE_TIMEOUT_S = 1, 10, 30
"""How long an answer is waited for, in whole seconds, as Qdrant counts: of a search, of a write, of letting go of all
that a tenant has."""

FIRST_REST_S, LONGEST_REST_S = 0.5, 30.0
"""How long Qdrant is not asked after it did not answer."""

PIECE = 256
"""Points in one call: 2 MB of JSON at 384 dimensions. Qdrant takes up to 32 MB."""

MARKS = 1 << 63
"""Ids have 63 bits; a mark has one more, so it is no document's."""

# Codes of one byte in memory are compared first, and the best again in the half precision that lies on disk: the same
# bargain as that of `lists`, a quarter of the memory that floats take. Every search names its tenant, so there is no
# graph of all points, only one for each tenant that is large (and each language, and recording).
_QUANTIZED = models.ScalarQuantization(
    scalar=models.ScalarQuantizationConfig(type=models.ScalarType.INT8, quantile=0.99, always_ram=True)
)
_GRAPH = models.HnswConfigDiff(m=0, payload_m=16, ef_construct=128)
_SEARCHED = models.SearchParams(
    hnsw_ef=128, quantization=models.QuantizationSearchParams(rescore=True, oversampling=2.0)
)
_NUMBERS = models.IntegerIndexParams(type=models.IntegerIndexType.INTEGER, lookup=True, range=False)
_INDEXED: dict[str, models.KeywordIndexParams | models.IntegerIndexParams] = {
    "tenant": models.KeywordIndexParams(type=models.KeywordIndexType.KEYWORD, is_tenant=True),
    "recording": _NUMBERS,
    "language": _NUMBERS,
}
_ONE_AFTER_THE_OTHER = models.WriteOrdering.MEDIUM
"""Replicas, too, take writes in the order in which they were sent."""


def collection_name(space: str) -> str:
    """Letters that Qdrant allows, and a few that tell apart what would then be the same."""
    digest = blake2b(space.encode(), digest_size=4).hexdigest()
    return f"ai2text-{re.sub(r'[^0-9A-Za-z.-]', '_', space)[:100]}-{digest}"


@contextmanager
def connected(url: str, api_key: str = "") -> Iterator["Qdrant"]:
    """Qdrant's REST interface at `http://host:6333`. Nothing is sent before the first call, and no call is repeated."""
    client = QdrantClient(url=url, api_key=api_key or None, timeout=ASK_TIMEOUT_S, check_compatibility=False)
    try:
        yield Qdrant(client)
    finally:
        client.close()


class Qdrant:
    """Whatever goes wrong with a call is DependencyUnavailable("qdrant"). When a question has had no answer, none is
    asked for a moment, longer each time: searches then go on by their words and wait for nothing."""

    def __init__(self, client: QdrantClient, clock: Callable[[], float] = time.monotonic) -> None:
        self.client = client
        self._clock = clock
        self._resting_until = 0.0
        self._rests = backoff.delays(FIRST_REST_S, LONGEST_REST_S)
        self._there = set[str]()
        self._making = threading.Lock()
        self._resting = threading.Lock()

    @contextmanager
    def asking(self) -> Iterator[QdrantClient]:
        """A question, which Qdrant answers at once when it is well."""
        if self._clock() < self._resting_until:
            raise DependencyUnavailable("qdrant")
        with _translated(self._rest):
            yield self.client
        self._rests = backoff.delays(FIRST_REST_S, LONGEST_REST_S)

    @contextmanager
    def writing(self) -> Iterator[QdrantClient]:
        """A write. That of one tenant may take too long, and Qdrant be well."""
        with _translated():
            yield self.client

    def has(self, name: str) -> bool:
        """Whether there is such a collection."""
        with self.asking() as client:
            return client.collection_exists(name)

    def make(self, name: str, dimensions: int) -> None:
        """Have a collection, and its indexes of payloads, also where making them was once cut short. One that somebody
        has made with more shards or replicas stays as it is."""
        with self._making, self.writing() as client:
            if not client.collection_exists(name):
                client.create_collection(
                    name,
                    vectors_config=models.VectorParams(
                        size=dimensions,
                        distance=models.Distance.DOT,
                        datatype=models.Datatype.FLOAT16,
                        on_disk=True,
                    ),
                    hnsw_config=_GRAPH,
                    quantization_config=_QUANTIZED,
                    timeout=WRITE_TIMEOUT_S,
                )
                log.info("qdrant collection made", name=name)
            elif name in self._there:
                return
            for field, schema in _INDEXED.items():
                client.create_payload_index(name, field, schema, wait=True, timeout=WRITE_TIMEOUT_S)
            self._there.add(name)

    def _rest(self) -> None:
        with self._resting:  # a generator takes one thread at a time
            self._resting_until = self._clock() + next(self._rests)


@contextmanager
def _translated(unanswered: Callable[[], None] = lambda: None) -> Iterator[None]:
    """Errors of the client as one of ours. ValueError: what it makes of a question or an answer in no known form."""
    try:
        yield
    except (ApiException, QdrantException, ValueError) as error:
        log.warning("qdrant failed", kind=type(error).__name__, error=str(error)[:500])
        if not _refused(error):
            unanswered()
        raise DependencyUnavailable("qdrant") from error


def _refused(error: Exception) -> bool:
    """Whether it is an answer: another question may have a better one."""
    status = error.status_code if isinstance(error, UnexpectedResponse) else None
    return status is not None and 400 <= status < 500 and status not in _TOO_MUCH


_TOO_MUCH = (408, 429)
"""Statuses of who is asked more than it can answer."""


@dataclass(frozen=True, slots=True)
class Mark:
    """How far the points of a tenant have come."""

    index_id: str
    """Of the database whose numbers these are."""

    seq: int
    whole: bool
    """Whether they have ever come to the newest number since they were begun."""


class QdrantIndex:
    """The points of one tenant in one space. See VectorIndex; every method may raise DependencyUnavailable, and then
    the same may be done again. `begin` or `resume` comes first."""

    def __init__(self, qdrant: Qdrant, tenant: str, space: str, index_id: str) -> None:
        self._qdrant = qdrant
        self._tenant = tenant
        self._dimensions = int(space.rpartition("/")[2])
        self._index_id = index_id
        self._collection = collection_name(space)
        self._mark_id = MARKS | int.from_bytes(blake2b(tenant.encode(), digest_size=8).digest()) >> 1
        self._whole = False
        self.seq = 0
        """It holds what came up to this number."""

    def is_lost(self) -> bool:
        """Where there is no mark: whether the collection is not there, or not the one any more that held its points."""
        return self.seq > 0 or not self._qdrant.has(self._collection)

    def mark(self) -> Mark | None:
        """How far its points have come; None when it has none. A replica that is behind the others is not believed."""
        if not self._qdrant.has(self._collection):
            return None
        with self._qdrant.asking() as client:
            found = client.retrieve(
                self._collection,
                ids=[self._mark_id],
                with_payload=True,
                consistency=models.ReadConsistencyType.MAJORITY,
                timeout=ASK_TIMEOUT_S,
            )
        if not found or not found[0].payload:
            return None
        payload = found[0].payload
        return Mark(str(payload.get("index_id")), int(payload.get("seq", 0)), bool(payload.get("whole")))

    def resume(self, mark: Mark) -> None:
        """Go on from there."""
        self.seq, self._whole = mark.seq, mark.whole

    def begin(self) -> None:
        """Let go of every point of the tenant, and begin at the first number."""
        self._qdrant.make(self._collection, self._dimensions)
        with self._qdrant.writing() as client:
            client.delete(
                self._collection,
                points_selector=models.FilterSelector(filter=self._mine()),
                wait=True,
                ordering=_ONE_AFTER_THE_OTHER,
                timeout=DELETE_TIMEOUT_S,
            )
            # Last: as long as the mark is another's, or none, this is done again.
            self._set(client, 0, whole=False)

    def finish(self) -> None:
        """Say that it has come to the newest number, if that has not been said."""
        if not self._whole:
            with self._qdrant.writing() as client:
                self._set(client, self.seq, whole=True)

    def apply(self, changes: Changes) -> None:
        """See VectorIndex. The mark moves when Qdrant has acknowledged all: what is cut short is done again."""
        with self._qdrant.writing() as client:
            for start in range(0, len(changes.there.ids), PIECE):
                client.upsert(
                    self._collection,
                    points=self._points(changes.there, slice(start, start + PIECE)),
                    wait=True,
                    ordering=_ONE_AFTER_THE_OTHER,
                    timeout=WRITE_TIMEOUT_S,
                )
            if len(changes.gone):
                self._delete(client, changes.gone)
            self._set(client, changes.seq, self._whole)

    def nearest(self, vector: Vector, narrowed: Filter, limit: int) -> Ranked:
        """See VectorIndex. Qdrant tells neither lists nor how many it compared: they are 0."""
        if limit < 1:
            return Ranked([], 0, 0)
        with self._qdrant.asking() as client:
            found = client.query_points(
                self._collection,
                query=vector.tolist(),
                query_filter=self._mine(narrowed),
                limit=limit,
                search_params=_SEARCHED,
                with_payload=False,
                timeout=ASK_TIMEOUT_S,
            )
        return Ranked([int(point.id) for point in found.points], 0, 0)

    def stats(self) -> Stats:
        """See VectorIndex. Of one tenant Qdrant tells how many points there are; the rest is 0."""
        mark = self.mark()
        if mark is None or mark.index_id != self._index_id:
            return Stats(0, 0, 0, 0, 0, 0)
        with self._qdrant.asking() as client:
            counted = client.count(self._collection, count_filter=self._mine(), exact=True, timeout=ASK_TIMEOUT_S)
        return Stats(mark.seq, counted.count, 0, 0, 0, 0)

    def _mine(self, narrowed: Filter = Filter()) -> models.Filter:  # noqa: B008 (frozen)
        conditions = [_is("tenant", models.MatchValue(value=self._tenant))]
        if narrowed.recordings:
            conditions.append(_is("recording", models.MatchAny(any=list(narrowed.recordings))))
        if narrowed.language is not None:
            conditions.append(_is("language", models.MatchValue(value=narrowed.language)))
        return models.Filter(must=list[models.Condition](conditions))

    def _points(self, rows: Rows, part: slice) -> models.Batch:
        numbers = zip(rows.recordings[part].tolist(), rows.languages[part].tolist(), strict=True)
        return models.Batch(
            ids=rows.ids[part].tolist(),
            vectors=rows.vectors[part].tolist(),
            payloads=[
                {"tenant": self._tenant, "recording": recording, "language": language}
                for recording, language in numbers
            ],
        )

    def _delete(self, client: QdrantClient, ids: Ids) -> None:
        client.delete(
            self._collection,
            points_selector=models.PointIdsList(points=ids.tolist()),
            wait=True,
            ordering=_ONE_AFTER_THE_OTHER,
            timeout=WRITE_TIMEOUT_S,
        )

    def _set(self, client: QdrantClient, seq: int, whole: bool) -> None:
        """Move the mark. Every point has a vector, so it has one, too."""
        payload = {"mark_of": self._tenant, "index_id": self._index_id, "seq": seq, "whole": whole}
        mark = models.PointStruct(id=self._mark_id, vector=[0.0] * self._dimensions, payload=payload)
        client.upsert(
            self._collection, points=[mark], wait=True, ordering=_ONE_AFTER_THE_OTHER, timeout=WRITE_TIMEOUT_S
        )
        self.seq, self._whole = seq, whole


def _is(field: str, match: models.Match) -> models.FieldCondition:
    return models.FieldCondition(key=field, match=match)
