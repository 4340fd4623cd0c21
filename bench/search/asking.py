"""Questions to the search server through the edge, at a constant rate whether they are answered or not."""

import asyncio
import itertools
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import grpc
from ai2text.embeddings.v1 import embedding_pb2, embedding_service_pb2, embedding_service_pb2_grpc
from ai2text.search.v1 import hit_pb2, search_service_pb2, search_service_pb2_grpc

from bench.search.contents import number_of
from bench.spread import Spread

DEADLINE_S = 5.0
EMBEDDED_AT_ONCE, EMBED_DEADLINE_S = 32, 30.0
CONNECTIONS = 4
MOST_HITS = 100
TRIES = 5
WARM_UP_S, WARM_PATIENCE_S = 10.0, 300.0
TICK_S = 0.001
"""What a timer of the event loop may be late or early."""

Headers = Sequence[tuple[str, str]]


@dataclass
class Asked:
    """What became of the questions. Milliseconds, from the moment at which one was due."""

    delays_ms: list[float] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    words_only: int = 0
    """Answers in which the vectors took no part."""

    @property
    def spread(self) -> Spread:
        """Of those that were answered."""
        return Spread.of(self.delays_ms)


class Asker:
    """Asks in the name of one tenant; a context manager."""

    def __init__(self, target: str, headers: Headers) -> None:
        self._target = target
        self._headers = headers

    async def __aenter__(self) -> "Asker":
        options = [("grpc.use_local_subchannel_pool", 1)]
        self._channels = [grpc.aio.insecure_channel(self._target, options) for _ in range(CONNECTIONS)]
        self._stubs = itertools.cycle([search_service_pb2_grpc.SearchServiceStub(one) for one in self._channels])
        return self

    async def __aexit__(self, *_: object) -> None:
        await asyncio.gather(*(channel.close() for channel in self._channels))

    async def open_loop(self, texts: Sequence[str], rate: float, seconds: float, *recording_ids: str) -> Asked:
        """Ask `rate` questions a second for so long, the texts in turn, in these recordings only if there are any."""
        asked, began = Asked(), time.perf_counter()
        async with asyncio.TaskGroup() as tasks:
            for number, text in zip(range(round(rate * seconds)), itertools.cycle(texts), strict=False):
                due = began + number / rate
                await _until(due)
                request = search_service_pb2.SearchRequest(query=text, recording_ids=recording_ids)
                tasks.create_task(self._ask(request, due, asked))
        return asked

    async def warm_up(self, texts: Sequence[str], rate: float) -> bool:
        """Ask until all are answered, and not by their words alone: an index that is being opened has then been read.
        False when that is not so after WARM_PATIENCE_S."""
        ends = time.perf_counter() + WARM_PATIENCE_S
        while time.perf_counter() < ends:
            asked = await self.open_loop(texts, rate, WARM_UP_S)
            if not asked.errors and not asked.words_only:
                return True
        return False

    async def closed_loop(self, texts: Sequence[str], at_once: int, seconds: float) -> tuple[Asked, float]:
        """Ask as fast as answers come, `at_once` at a time; the second is how many a second were answered."""
        asked, waiting, began = Asked(), itertools.cycle(texts), time.perf_counter()

        async def one_after_the_other() -> None:
            while (now := time.perf_counter()) < began + seconds:
                await self._ask(search_service_pb2.SearchRequest(query=next(waiting)), now, asked)

        await asyncio.gather(*(one_after_the_other() for _ in range(at_once)))
        return asked, len(asked.delays_ms) / (time.perf_counter() - began)

    async def embed(self, texts: Sequence[str]) -> None:
        """Have the embeddings server know the vectors of these questions, without asking the index."""
        stub = embedding_service_pb2_grpc.EmbeddingServiceStub(self._channels[0])
        for first in range(0, len(texts), EMBEDDED_AT_ONCE):
            some = texts[first : first + EMBEDDED_AT_ONCE]
            request = embedding_service_pb2.BatchEmbedRequest(texts=some, kind=embedding_pb2.EMBEDDING_KIND_QUERY)
            await stub.BatchEmbed(request, metadata=self._headers, timeout=EMBED_DEADLINE_S)

    async def nearest(self, text: str, *recording_ids: str) -> list[int]:
        """The numbers of the segments in the order of the semantic ranking, among the best hits there may be; none when
        the vectors take no part, however often they are asked: of an index that is not in memory yet the first answers
        come too late."""
        request = search_service_pb2.SearchRequest(query=text, limit=MOST_HITS, recording_ids=recording_ids)
        for _ in range(TRIES):
            answer = await next(self._stubs).Search(request, metadata=self._headers, timeout=DEADLINE_S)
            if hit_pb2.RANKING_SEMANTIC in answer.rankings:
                break
        ranked = sorted((hit.semantic_rank, number_of(hit.segment_id)) for hit in answer.hits if hit.semantic_rank)
        return [number for _, number in ranked]

    async def _ask(self, request: search_service_pb2.SearchRequest, due: float, asked: Asked) -> None:
        try:
            answer = await next(self._stubs).Search(request, metadata=self._headers, timeout=DEADLINE_S)
        except grpc.aio.AioRpcError as error:
            asked.errors.append(f"{error.code().name}: {error.details()}")
            return
        asked.delays_ms.append((time.perf_counter() - due) * 1000)
        asked.words_only += hit_pb2.RANKING_SEMANTIC not in answer.rankings


async def _until(due: float) -> None:
    """Sleep until then. The loop's own clock and timers know whole milliseconds only, so the last one is not slept."""
    while (left := due - time.perf_counter()) > 0:  # noqa: ASYNC110 - there is nothing to wait for but the time
        await asyncio.sleep(max(0.0, left - TICK_S))
