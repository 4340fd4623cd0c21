"""What the embeddings server knows about vectors of texts; nothing about gRPC or Triton."""

import asyncio
import enum
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from servers.common.errors import DependencyUnavailable, FieldInvalid, TextTooLong
from servers.embeddings.admission import Admission

MOST_CHARACTERS = 8192
MOST_TEXTS = 256

Vector: TypeAlias = npt.NDArray[np.float32]
"""Shape [dimensions], of Euclidean length 1."""


class Kind(enum.Enum):
    """What a vector is for; asymmetric models such as E5 embed the two differently."""

    QUERY = "query"
    PASSAGE = "passage"


BATCH_SHARES = {Kind.QUERY: 8, Kind.PASSAGE: 16}
"""How many texts of one batch are on their way at a time, so that a batch leaves room for others."""


class ModelFailed(DependencyUnavailable):
    """The model is there and cannot do it: perhaps not now, perhaps never with this text."""

    def __init__(self) -> None:
        super().__init__("triton")


class Encoder(Protocol):
    """The model. DependencyUnavailable when it does not answer in time, ModelFailed when it answers that it failed."""

    async def encode(self, text: str, kind: Kind) -> Vector: ...


class Cache(Protocol):
    """Vectors that were made before, by tenant, kind and normalised text. It never fails; at worst it knows none.

    No tenant is answered from what another has asked: a text that is known is answered faster, so it would tell what
    others have said.
    """

    async def get(self, tenant: str, texts: Sequence[str], kind: Kind) -> list[Vector | None]:
        """The vector of each text, in their order; None where there is none."""
        ...

    async def put(self, tenant: str, vectors: Mapping[str, Vector], kind: Kind) -> None:
        """Keep the vectors of these texts."""
        ...


class Embedder:
    """Checks texts and embeds them: those that are on their way together are batched behind the encoder.

    A person waits for a query, nobody for a passage: so the two are admitted apart, and passages few at a time, lest a
    query wait behind many of them. What the cache knows goes past both.
    """

    def __init__(
        self,
        encoder: Encoder,
        cache: Cache,
        model: str,
        queries: Admission,
        passages: Admission,
        longest: int = MOST_CHARACTERS,
    ) -> None:
        """`longest` is how many characters a text may have."""
        self._encoder = encoder
        self._cache = cache
        self._admissions = {Kind.QUERY: queries, Kind.PASSAGE: passages}
        self._longest = longest
        self.model = model

    async def embed(self, tenant: str, text: str, kind: Kind | None) -> Vector:
        """The vector of one text of a tenant. FieldInvalid, TextTooLong, Overloaded, or what the encoder raises."""
        return (await self._vectors(tenant, [checked("text", text, self._longest)], _known(kind)))[0]

    async def embed_all(self, tenant: str, texts: Sequence[str], kind: Kind | None) -> list[Vector]:
        """The vectors of 1 to MOST_TEXTS texts, in their order; the first error when any fails."""
        if not 1 <= len(texts) <= MOST_TEXTS:
            raise FieldInvalid("texts", f"must hold 1 to {MOST_TEXTS} texts, not {len(texts)}")
        known = [checked(f"texts[{place}]", text, self._longest) for place, text in enumerate(texts)]
        return await self._vectors(tenant, known, _known(kind))

    async def _vectors(self, tenant: str, texts: Sequence[str], kind: Kind) -> list[Vector]:
        """From the cache or the encoder, which sees each text once."""
        known = dict(zip(texts, await self._cache.get(tenant, texts, kind), strict=True))
        made = await self._made([text for text, vector in known.items() if vector is None], kind)
        if made:
            await self._cache.put(tenant, made, kind)
        return [made[text] if (vector := known[text]) is None else vector for text in texts]

    async def _made(self, texts: Sequence[str], kind: Kind) -> dict[str, Vector]:
        slots = asyncio.Semaphore(BATCH_SHARES[kind])

        async def one(text: str) -> Vector:
            async with slots:
                return await self._encode(text, kind)

        try:
            async with asyncio.TaskGroup() as group:
                # Those of like length go together, so that little of what the model sees is padding.
                tasks = {text: group.create_task(one(text)) for text in sorted(texts, key=len)}
        except ExceptionGroup as failed:
            raise failed.exceptions[0] from None
        return {text: task.result() for text, task in tasks.items()}

    async def _encode(self, text: str, kind: Kind) -> Vector:
        async with self._admissions[kind].entered():
            return await self._encoder.encode(text, kind)


def _known(kind: Kind | None) -> Kind:
    if kind is None:
        raise FieldInvalid("kind", "must be EMBEDDING_KIND_QUERY or EMBEDDING_KIND_PASSAGE")
    return kind


def checked(field: str, text: str, longest: int) -> str:
    """The normalised text. FieldInvalid when nothing is left of it, TextTooLong when it has more characters."""
    trimmed = text.strip()
    if not trimmed:
        raise FieldInvalid(field, "is empty")
    if len(trimmed) > longest:
        raise TextTooLong(f"{field} has more than {longest} characters", limit_characters=str(longest))
    return normalised(trimmed)


def normalised(text: str) -> str:
    """What is embedded: one form of each letter, single spaces. So texts that look the same have the same vector."""
    return " ".join(unicodedata.normalize("NFC", text).split())
