"""The search server in this process behind a real port: real SQLite and vector lists, and a real embeddings server with
a fake model beside it."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import grpc
from ai2text.search.v1.search_service_pb2_grpc import SearchServiceStub

from servers.common import channel
from servers.embeddings import service as embeddings_service
from servers.search import service
from servers.search.documents import Document, Embedding, Entry
from servers.search.embedder import RemoteEmbedder
from servers.search.intake import Intake
from servers.search.searching import Searches
from servers.search.shelves import Shelves
from servers.search.store import Store
from servers.search.vectors import Vectors
from tests.rpc.embeddings_server import MODEL, LetterCounter, embedder, letters, serving


@asynccontextmanager
async def shelves(folder: Path) -> AsyncIterator[Shelves]:
    """The real store and indexes in `folder`, until the end of the block."""
    store = Store(folder / "documents.sqlite")
    kept = Shelves(store, Vectors(folder / "vectors", store))
    try:
        yield kept
    finally:
        await kept.close()


@asynccontextmanager
async def intake(kept: Shelves) -> AsyncIterator[Intake]:
    """A running intake and the keeping of the indexes, until the end of the block."""
    taken = Intake(kept)
    jobs = [asyncio.create_task(taken.run()), asyncio.create_task(kept.keep_indexes())]
    try:
        yield taken
    finally:
        for job in jobs:
            job.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await job


def segment(
    segment_id: str, text: str, tenant: str = "acme", recording_id: str = "r1", language_code: str = "vi"
) -> Entry:
    """A segment of one second with the vector of its letters."""
    document = Document(tenant, recording_id, "t1", segment_id, 1_000, 2_000, language_code, text)
    return Entry(document, Embedding(MODEL, letters(text)))


@dataclass
class Served:
    """A running search server and what stands behind it."""

    search: SearchServiceStub
    shelves: Shelves
    model: LetterCounter

    async def put(self, entries: Sequence[Entry]) -> None:
        """Store segments as the consumer does."""
        await self.shelves.put(entries)


@asynccontextmanager
async def served(folder: Path, embeddings: str | None = None, at_once: int = 8) -> AsyncIterator[Served]:
    """A search server; `embeddings` says where its embeddings server listens (default: one in this process)."""
    async with contextlib.AsyncExitStack() as stack:
        model = LetterCounter()
        mount = embeddings_service.mount(embedder(model))
        address = embeddings or await stack.enter_async_context(serving(mount))
        connection = await stack.enter_async_context(channel.connect(address))
        kept = await stack.enter_async_context(shelves(folder))
        searches = Searches(kept, RemoteEmbedder(connection, timeout_s=1.0), at_once)
        own = await stack.enter_async_context(serving(service.mount(searches)))
        client = await stack.enter_async_context(grpc.aio.insecure_channel(own))
        yield Served(SearchServiceStub(client), kept, model)
