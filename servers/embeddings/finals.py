"""Embeds every final segment: `transcript.finalized` in, `embedding.created` out."""

import hashlib
import uuid
from collections.abc import Awaitable, Callable

from ai2text.events.v1 import embedding_events_pb2, transcript_events_pb2

from servers.common.errors import FieldInvalid
from servers.common.events import EMBEDDING_CREATED
from servers.common.patience import LONGEST_S, patience
from servers.embeddings.embedding import Embedder, Kind, ModelFailed, Vector, normalised

Publish = Callable[[str, str, bytes], Awaitable[None]]
"""Stores an event: its subject, its id, its bytes."""


class NotEmbedded(Exception):
    """The model failed at the text. To try that for ever would hold up everything behind it: such tries count."""


class Finals:
    """Bears the same event twice: the event that it makes of it has the same id, and nothing else is kept.

    The vector of a text that was embedded before comes from the embedder's cache.
    """

    def __init__(self, embedder: Embedder, publish: Publish, longest_s: float = LONGEST_S) -> None:
        """`longest_s`: how long a final may wait for its turn at the model, and for its vector."""
        self._embedder = embedder
        self._publish = publish
        self._longest_s = longest_s

    async def handle(self, event: transcript_events_pb2.TranscriptFinalized) -> None:
        """Embed one segment and tell of it. InvalidInput when the event can never be embedded; Overloaded or
        DependencyUnavailable when it can be later; NotEmbedded when nobody knows."""
        if not event.tenant:
            raise FieldInvalid("tenant", "is empty")
        event_id = created_id(event.event_id, event.segment.segment_id, self._embedder.model, event.segment.text)
        vector = await self._vector(event.tenant, event.segment.text)
        message = _created(event_id, event, self._embedder.model, vector)
        await self._publish(EMBEDDING_CREATED, event_id, message.SerializeToString())

    async def _vector(self, tenant: str, text: str) -> Vector:
        try:
            async with patience(self._longest_s, "too many texts wait to be embedded, or they take too long"):
                return await self._embedder.embed(tenant, text, Kind.PASSAGE)
        except ModelFailed as error:
            raise NotEmbedded("the model failed at the text") from error


def created_id(told_by: str, segment_id: str, model: str, text: str) -> str:
    """The id of the event that tells of the vector of `segment_id` with this text by `model`: a text that was changed
    makes another event, and so does one that was told again, by an event with another id. The same event never does.
    FieldInvalid when `segment_id` is no UUID.
    """
    try:
        segment = uuid.UUID(segment_id)
    except ValueError:
        raise FieldInvalid("segment.segment_id", "is no UUID") from None
    digest = hashlib.sha256(normalised(text).encode()).hexdigest()
    return str(uuid.uuid5(segment, f"{EMBEDDING_CREATED} {model} {digest} {told_by}"))


def _created(
    event_id: str, event: transcript_events_pb2.TranscriptFinalized, model: str, vector: Vector
) -> embedding_events_pb2.EmbeddingCreated:
    message = embedding_events_pb2.EmbeddingCreated(
        event_id=event_id, tenant=event.tenant, segment=event.segment, model=model, vector=vector.tolist()
    )
    message.event_time.GetCurrentTime()
    return message
