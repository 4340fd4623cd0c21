"""Stores what `embedding.created` tells of."""

import numpy as np
from ai2text.events.v1 import embedding_events_pb2

from servers.common.errors import FieldInvalid
from servers.search.documents import Document, Embedding, Entry, Vector
from servers.search.intake import Intake

MOST_DIMENSIONS = 4096
MOST_CHARACTERS = 8192


class Arrivals:
    """Bears the same event twice: what is stored already stays as it is."""

    def __init__(self, intake: Intake) -> None:
        self._intake = intake

    async def handle(self, event: embedding_events_pb2.EmbeddingCreated) -> None:
        """Returns when the segment is stored; FieldInvalid when the event can never be."""
        await self._intake.add(entry(event))


def entry(event: embedding_events_pb2.EmbeddingCreated) -> Entry:
    """What the event tells of; FieldInvalid names the field that is wrong."""
    segment = event.segment
    for field, value in (
        ("tenant", event.tenant),
        ("model", event.model),
        ("segment.segment_id", segment.segment_id),
        ("segment.recording_id", segment.recording_id),
        ("segment.text", segment.text.strip()),
    ):
        if not value:
            raise FieldInvalid(field, "is empty")
    if len(segment.text) > MOST_CHARACTERS:
        raise FieldInvalid("segment.text", f"has more than {MOST_CHARACTERS} characters")
    document = Document(
        event.tenant,
        segment.recording_id.lower(),
        segment.transcript_id.lower(),
        segment.segment_id.lower(),
        segment.start_ms,
        segment.end_ms,
        segment.language_code,
        segment.text,
    )
    return Entry(document, Embedding(event.model, _vector(event)))


def _vector(event: embedding_events_pb2.EmbeddingCreated) -> Vector:
    vector = np.array(event.vector, np.float32)
    if not 1 <= len(vector) <= MOST_DIMENSIONS:
        raise FieldInvalid("vector", f"must have 1 to {MOST_DIMENSIONS} dimensions, not {len(vector)}")
    if not abs(float(np.linalg.norm(vector)) - 1) < 0.01:  # not finite is not near 1 either
        raise FieldInvalid("vector", "must have length 1")
    return vector
