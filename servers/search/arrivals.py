"""Stores what `embedding.created` tells of."""

from ai2text.events.v1 import embedding_events_pb2

from servers.common.errors import FieldInvalid
from servers.search import entries
from servers.search.documents import Document, Entry
from servers.search.intake import Intake

_OF_EVENT = ("tenant", "model", "vector")
"""Fields of the event itself; all others are of its segment."""


class Arrivals:
    """Bears the same event twice: what is stored already stays as it is."""

    def __init__(self, intake: Intake[Entry]) -> None:
        self._intake = intake

    async def handle(self, event: embedding_events_pb2.EmbeddingCreated) -> None:
        """Returns when the segment is stored; FieldInvalid when the event can never be."""
        await self._intake.add(entry(event))


def entry(event: embedding_events_pb2.EmbeddingCreated) -> Entry:
    """What the event tells of; FieldInvalid names the field that is wrong."""
    segment = event.segment
    document = Document(
        event.tenant,
        segment.recording_id,
        segment.transcript_id,
        segment.segment_id,
        segment.start_ms,
        segment.end_ms,
        segment.language_code,
        segment.text,
        segment.channel,
    )
    try:
        return entries.checked(document, event.model, event.vector)
    except FieldInvalid as error:
        field = error.field if error.field in _OF_EVENT else f"segment.{error.field}"
        raise FieldInvalid(field, error.problem) from error
