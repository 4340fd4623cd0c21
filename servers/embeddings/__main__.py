"""Compose and run the embedding server: settings in, objects wired, server out."""

import asyncio
from contextlib import AsyncExitStack

from ai2text.events.v1 import transcript_events_pb2

from servers.common import channel, events, lifecycle, telemetry
from servers.embeddings import service
from servers.embeddings.embedding import Embedder
from servers.embeddings.encoder import TritonEncoder
from servers.embeddings.finals import FinalEmbedder
from servers.embeddings.settings import Settings


async def main(settings: Settings) -> None:
    async with AsyncExitStack() as stack:
        stack.enter_context(telemetry.started("embeddings", settings))
        triton = await stack.enter_async_context(channel.connect(settings.triton))
        bus = await stack.enter_async_context(events.connected(settings.nats_url))
        encoder = TritonEncoder(triton, settings.inference_timeout_s)
        embedder = Embedder(encoder, settings.in_flight, settings.max_waiting)
        finals = events.Consumer(
            bus,
            stream="TRANSCRIPTS",
            subject=events.TRANSCRIPT_FINALIZED,
            durable="embeddings",
            event=transcript_events_pb2.TranscriptFinalized,
            handle=FinalEmbedder(embedder, bus, settings.embedder_model).handle,
            max_tries=settings.max_tries,
        )
        mount = service.mount(embedder, settings.embedder_model)
        needs = {"triton": encoder.check, "nats": bus.check}
        await lifecycle.run(settings, [mount], needs, jobs={"finals": finals.run})


if __name__ == "__main__":
    asyncio.run(main(Settings()))
