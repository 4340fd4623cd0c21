"""The search server in this process behind a real port: real SQLite and indexes, and a real embeddings server with a
fake model beside it."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import grpc
from ai2text.search.v1.index_service_pb2_grpc import IndexServiceStub
from ai2text.search.v1.search_service_pb2_grpc import SearchServiceStub

from servers.common import channel
from servers.search import index_service, inverted, lists, service
from servers.search.catalogue import Known
from servers.search.documents import Document, Embedding, Entry
from servers.search.embedder import RemoteEmbedder
from servers.search.generations import Generations
from servers.search.hot import Cache, HotQueries
from servers.search.intake import Intake
from servers.search.limiting import LimitedEmbedder
from servers.search.reranking import Reranker
from servers.search.searching import Searches
from servers.search.shelves import Shelves
from servers.search.store import Store
from servers.search.terms import Terms
from servers.search.upkeep import Upkeep
from servers.search.vectors import Vectors
from tests.rpc.embeddings_server import MODEL, LetterCounter, letters, mounted, serving


@cache
def _prepare() -> None:
    inverted.prepare()
    lists.prepare()


@asynccontextmanager
async def shelves(folder: Path, changed: Callable[[str], None] = lambda tenant: None) -> AsyncIterator[Shelves]:
    """The real store and indexes in `folder`, until the end of the block. Loops are compiled first."""
    _prepare()
    store = Store(folder / "documents.sqlite")
    kept = Shelves(store, Vectors(folder / "vectors", store), Terms(folder / "words", store), changed=changed)
    try:
        yield kept
    finally:
        await kept.close()


@asynccontextmanager
async def intake(kept: Shelves, keeping: bool = True) -> AsyncIterator[Intake[Entry]]:
    """A running intake, and `keeping` of the indexes, until the end of the block."""
    taken = Intake(kept)
    jobs = [asyncio.create_task(taken.run()), *([asyncio.create_task(kept.keep_indexes())] if keeping else [])]
    try:
        yield taken
    finally:
        for job in jobs:
            job.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await job


def segment(
    segment_id: str,
    text: str,
    tenant: str = "acme",
    recording_id: str = "r1",
    language_code: str = "vi",
    start_ms: int = 1_000,
    channel: int = 0,
) -> Entry:
    """A segment of one second with the vector of its letters."""
    end_ms = start_ms + 1_000
    document = Document(tenant, recording_id, "t1", segment_id, start_ms, end_ms, language_code, text, channel)
    return Entry(document, Embedding(MODEL, letters(text)))


@dataclass
class Served:
    """A running search server and what stands behind it."""

    search: SearchServiceStub
    index: IndexServiceStub
    shelves: Shelves
    model: LetterCounter

    async def put(self, entries: Sequence[Entry]) -> None:
        """Store segments as the consumer does, and have their words found without waiting for the keeper."""
        await self.shelves.put(entries)
        for tenant in {entry.document.tenant for entry in entries}:
            await self.follow(tenant)

    async def follow(self, tenant: str = "acme") -> None:
        """Have the words of a tenant found as they are stored."""
        await asyncio.to_thread(self.shelves._terms.follow, tenant)

    async def note(self, recording_id: str, tenant: str = "acme", **fields: Any) -> None:
        """Keep what is known of a recording as the consumer does: `labels`, `created_us`, `version`."""
        await self.shelves.note([Known(tenant, recording_id, **{"version": 1, "created_us": 0, **fields})])


@asynccontextmanager
async def served(
    folder: Path,
    embeddings: str | None = None,
    at_once: int = 8,
    behind: Callable[[], bool] = lambda: False,
    cache: Cache | None = None,
    generations: Generations | None = None,
    embeds_within_s: float = 10.0,
) -> AsyncIterator[Served]:
    """A search server; `embeddings` says where its embeddings server listens (default: one in this process), `behind`
    whether its index has much to take in, `cache` where it keeps answers, `embeds_within_s` how long it waits for a
    vector."""
    async with contextlib.AsyncExitStack() as stack:
        model = LetterCounter()
        mount = mounted(model)
        address = embeddings or await stack.enter_async_context(serving(mount))
        connection = await stack.enter_async_context(channel.connect(address))
        generations = generations or Generations()
        kept = await stack.enter_async_context(shelves(folder, generations.count_up))
        embedder = RemoteEmbedder(connection, timeout_s=embeds_within_s)
        questions = LimitedEmbedder(embedder)
        searches = Searches(kept, questions, Reranker(embedder, 5), at_once, behind)
        taken = await stack.enter_async_context(intake(kept, keeping=False))
        mounts = service.mount(searches, HotQueries(cache, generations)), index_service.mount(Upkeep(kept, taken))
        own = await stack.enter_async_context(serving(*mounts))
        client = await stack.enter_async_context(grpc.aio.insecure_channel(own))
        yield Served(SearchServiceStub(client), IndexServiceStub(client), kept, model)
