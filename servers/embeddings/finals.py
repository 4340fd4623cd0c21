"""From the event that a segment was stored to the event that it has a vector."""

import uuid

from ai2text.events.v1 import embedding_events_pb2, transcript_events_pb2

from servers.common import events
from servers.embeddings.embedding import Embedder, Kind


class FinalEmbedder:
    """Handles `transcript.finalized`. The same segment always makes the same event, so it may come twice."""

    def __init__(self, embedder: Embedder, bus: events.Bus, model: str) -> None:
        self._embedder = embedder
        self._bus = bus
        self._model = model

    async def handle(self, finalized: transcript_events_pb2.TranscriptFinalized) -> None:
        """Embed the segment and publish `embedding.created`; InvalidInput when its text cannot be embedded."""
        vector = await self._embedder.embed(finalized.segment.text, Kind.PASSAGE)
        created = embedding_events_pb2.EmbeddingCreated(
            event_id=event_id(finalized.segment.segment_id, self._model),
            tenant=finalized.tenant,
            segment=finalized.segment,
            model=self._model,
            vector=vector.tolist(),
        )
        created.event_time.GetCurrentTime()
        payload = created.SerializeToString()
        await events.publish(self._bus, events.EMBEDDING_CREATED, created.event_id, payload)


def event_id(segment_id: str, model: str) -> str:
    """The UUID v5 of segment, model and event."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"{events.EMBEDDING_CREATED}:{segment_id}:{model}"))
