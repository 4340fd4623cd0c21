"""Compose and run the embeddings server."""

from contextlib import AsyncExitStack
from functools import partial

import uvloop
from ai2text.events.v1 import transcript_events_pb2

from servers.common import channel, events, lifecycle, telemetry
from servers.embeddings import cache, service
from servers.embeddings.admission import Admission
from servers.embeddings.embedding import Embedder
from servers.embeddings.finals import Finals
from servers.embeddings.gathering import Gathering
from servers.embeddings.reranking import Reranker
from servers.embeddings.settings import Settings
from servers.embeddings.triton import TritonEncoder

MOST_BYTES = 16 * 1024 * 1024
"""Of one message: twice what 256 of the longest texts take, in letters of four bytes."""


async def main(settings: Settings) -> None:
    """Serve until told to stop."""
    async with AsyncExitStack() as stack:
        stack.enter_context(telemetry.started("embeddings", settings))
        triton = await stack.enter_async_context(channel.connect(settings.triton))
        bus = await stack.enter_async_context(events.connected(settings.nats_url))
        encoder = TritonEncoder(triton, settings.inference_timeout_s)
        queries = Admission(settings.queries_in_flight, settings.max_waiting)
        passages = Admission(settings.passages_in_flight * settings.passages_together, settings.max_waiting)
        vectors = await stack.enter_async_context(
            cache.connect(settings.valkey_url, settings.model_name, settings.cache_ttl_s, settings.cache_timeout_s)
        )
        gathering = Gathering(encoder, settings.passages_in_flight, settings.passages_together)
        embedder = Embedder(gathering, vectors, settings.model_name, queries, passages, settings.max_characters)
        reranks = Admission(settings.reranks_in_flight, settings.max_waiting)
        reranker = Reranker(encoder, settings.model_name, reranks, settings.max_characters)
        finals = Finals(embedder, partial(events.publish, bus))
        consumer = events.Consumer(
            bus,
            stream="TRANSCRIPTS",
            subject=events.TRANSCRIPT_FINALIZED,
            durable="embeddings",
            event=transcript_events_pb2.TranscriptFinalized,
            handle=finals.handle,
        )
        await lifecycle.run(
            settings,
            mounts=[service.mount(embedder, reranker)],
            needs={"triton": encoder.check, "nats": bus.check},
            jobs={"finals": consumer.run},
            most_bytes=MOST_BYTES,
        )


if __name__ == "__main__":
    uvloop.run(main(Settings()))
