"""What this server knows about vectors; nothing about gRPC, Triton or NATS."""

import asyncio
from collections.abc import Sequence
from enum import StrEnum
from typing import Protocol

import numpy as np
import numpy.typing as npt

from servers.common.errors import FieldInvalid, Overloaded, TextTooLong

Vector = npt.NDArray[np.float32]
"""Of Euclidean length 1."""

MAX_CHARACTERS = 8_192
MAX_TEXTS = 256


class Kind(StrEnum):
    """What a vector is for; E5 embeds the two differently."""

    QUERY = "query"
    PASSAGE = "passage"


class Encoder(Protocol):
    """The embedding model."""

    async def encode(self, text: str, kind: Kind) -> Vector:
        """The vector of one text; DependencyUnavailable when the model does not answer in time."""
        ...


class Embedder:
    """Checks texts and encodes them, a bounded number at once: the model batches what it holds."""

    def __init__(self, encoder: Encoder, in_flight: int, max_waiting: int) -> None:
        self._encoder = encoder
        self._slots = asyncio.Semaphore(in_flight)
        self._room = in_flight + max_waiting

    async def embed(self, text: str, kind: Kind) -> Vector:
        """The vector of one text."""
        return (await self._encode_all([_checked(text, "text")], kind))[0]

    async def embed_all(self, texts: Sequence[str], kind: Kind) -> list[Vector]:
        """The vectors of 1 to MAX_TEXTS texts, in their order."""
        if not 1 <= len(texts) <= MAX_TEXTS:
            raise FieldInvalid("texts", f"must hold 1 to {MAX_TEXTS} texts, not {len(texts)}")
        return await self._encode_all([_checked(text, f"texts[{n}]") for n, text in enumerate(texts)], kind)

    async def _encode_all(self, texts: Sequence[str], kind: Kind) -> list[Vector]:
        if len(texts) > self._room:
            raise Overloaded("too many texts wait for the embedding model")
        self._room -= len(texts)
        try:
            async with asyncio.TaskGroup() as tasks:
                encoding = [tasks.create_task(self._encode(text, kind)) for text in texts]
        except ExceptionGroup as failures:  # one failure speaks for all
            raise failures.exceptions[0] from None
        finally:
            self._room += len(texts)
        return [task.result() for task in encoding]

    async def _encode(self, text: str, kind: Kind) -> Vector:
        async with self._slots:
            return await self._encoder.encode(text, kind)


def _checked(text: str, field: str) -> str:
    """The text without white space around it."""
    trimmed = text.strip()
    if not trimmed:
        raise FieldInvalid(field, "is empty")
    if len(trimmed) > MAX_CHARACTERS:
        message = f"{field} has {len(trimmed)} characters, more than {MAX_CHARACTERS}"
        raise TextTooLong(message, limit_characters=str(MAX_CHARACTERS))
    return trimmed
