"""Compose and run the search server."""

import asyncio
from contextlib import AsyncExitStack

from ai2text.events.v1 import embedding_events_pb2, recording_events_pb2

from servers.common import channel, events, lifecycle, telemetry
from servers.search import service
from servers.search.arrivals import Arrivals
from servers.search.deletions import Deletions
from servers.search.embedder import RemoteEmbedder
from servers.search.intake import Intake
from servers.search.rebuilding import Shape
from servers.search.searching import Searches
from servers.search.settings import Settings
from servers.search.shelves import Shelves
from servers.search.store import Store
from servers.search.vectors import Vectors


async def main(settings: Settings) -> None:
    """Serve until told to stop."""
    async with AsyncExitStack() as stack:
        stack.enter_context(telemetry.started("search", settings))
        embeddings = await stack.enter_async_context(channel.connect(settings.embeddings))
        bus = await stack.enter_async_context(events.connected(settings.nats_url))
        store = Store(settings.data_dir / "documents.sqlite")
        shelves = Shelves(store, Vectors(settings.data_dir / "vectors", store, Shape(probes=settings.vector_probes)))
        stack.push_async_callback(shelves.close)
        intake = Intake(shelves)
        embedder = RemoteEmbedder(embeddings, settings.embed_timeout_s)
        arrivals = events.Consumer(
            bus,
            stream="EMBEDDINGS",
            subject=events.EMBEDDING_CREATED,
            durable=f"search-{store.index_id}",
            event=embedding_events_pb2.EmbeddingCreated,
            handle=Arrivals(intake).handle,
            concurrency=64,
        )
        deletions = events.Consumer(
            bus,
            stream="RECORDINGS",
            subject=events.RECORDING_DELETED,
            durable=f"search-deletions-{store.index_id}",
            event=recording_events_pb2.RecordingDeleted,
            handle=Deletions(shelves).handle,
            concurrency=4,
        )
        await lifecycle.run(
            settings,
            mounts=[service.mount(Searches(shelves, embedder, settings.max_searches))],
            needs={"embeddings": embedder.check, "nats": bus.check},
            jobs={"intake": intake.run, "indexes": shelves.keep_indexes, "in": arrivals.run, "out": deletions.run},
        )


if __name__ == "__main__":
    asyncio.run(main(Settings()))
