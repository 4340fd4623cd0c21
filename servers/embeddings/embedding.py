"""What the embeddings server knows about vectors of texts; nothing about gRPC or Triton."""

import asyncio
import enum
from collections.abc import Sequence
from typing import Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from servers.common.errors import FieldInvalid, TextTooLong
from servers.embeddings.admission import Admission

MOST_CHARACTERS = 8192
MOST_TEXTS = 256

BATCH_SHARE = 8
"""How many texts of one batch are on their way at a time, so that a batch leaves room for others."""

Vector: TypeAlias = npt.NDArray[np.float32]
"""Shape [dimensions], of Euclidean length 1."""


class Kind(enum.Enum):
    """What a vector is for; asymmetric models such as E5 embed the two differently."""

    QUERY = "query"
    PASSAGE = "passage"


class Encoder(Protocol):
    """The model. DependencyUnavailable when it does not answer in time."""

    async def encode(self, text: str, kind: Kind) -> Vector: ...


class Embedder:
    """Checks texts and embeds them one by one: those that are on their way together are batched behind the encoder.

    A person waits for a query, nobody for a passage: so the two are admitted apart, and passages few at a time, lest a
    query wait behind many of them.
    """

    def __init__(self, encoder: Encoder, model: str, queries: Admission, passages: Admission) -> None:
        self._encoder = encoder
        self._admissions = {Kind.QUERY: queries, Kind.PASSAGE: passages}
        self.model = model

    async def embed(self, text: str, kind: Kind | None) -> Vector:
        """The vector of one text. FieldInvalid, TextTooLong, Overloaded, or what the encoder raises."""
        return await self._encode(_checked("text", text), _known(kind))

    async def embed_all(self, texts: Sequence[str], kind: Kind | None) -> list[Vector]:
        """The vectors of 1 to MOST_TEXTS texts, in their order; the first error when any fails."""
        if not 1 <= len(texts) <= MOST_TEXTS:
            raise FieldInvalid("texts", f"must hold 1 to {MOST_TEXTS} texts, not {len(texts)}")
        trimmed = [_checked(f"texts[{place}]", text) for place, text in enumerate(texts)]
        known, slots = _known(kind), asyncio.Semaphore(BATCH_SHARE)

        async def one(text: str) -> Vector:
            async with slots:
                return await self._encode(text, known)

        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(one(text)) for text in trimmed]
        except ExceptionGroup as failed:
            raise failed.exceptions[0] from None
        return [task.result() for task in tasks]

    async def _encode(self, text: str, kind: Kind) -> Vector:
        async with self._admissions[kind].entered():
            return await self._encoder.encode(text, kind)


def _known(kind: Kind | None) -> Kind:
    if kind is None:
        raise FieldInvalid("kind", "must be EMBEDDING_KIND_QUERY or EMBEDDING_KIND_PASSAGE")
    return kind


def _checked(field: str, text: str) -> str:
    trimmed = text.strip()
    if not trimmed:
        raise FieldInvalid(field, "is empty")
    if len(trimmed) > MOST_CHARACTERS:
        raise TextTooLong(f"{field} has more than {MOST_CHARACTERS} characters", limit_characters=str(MOST_CHARACTERS))
    return trimmed
