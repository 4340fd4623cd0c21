"""Vectors in Valkey: a string of float32 for each model, kind, tenant and text, of whom only the digest is kept."""

import hashlib
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress

import numpy as np
from opentelemetry import metrics
from valkey.asyncio import Valkey

from servers.common import valkey
from servers.common.valkey import Asking, ValkeyAway
from servers.embeddings.embedding import Kind, Vector

MAX_CONNECTIONS = 16

LOOKUPS = metrics.get_meter("ai2text").create_counter(
    "ai2text.embeddings.cache.lookups",
    description="Texts looked for in the cache, by kind and outcome: hit, miss, or away when Valkey did not answer.",
)


class ValkeyVectors:
    """A Cache. After Valkey failed to answer it is left alone for `pause_s`: no text waits for it twice."""

    def __init__(self, client: Valkey, model: str, ttl_s: float, timeout_s: float, pause_s: float = 1.0) -> None:
        self._client = client
        self._model = model
        self._ttl_ms = int(ttl_s * 1000)
        self._asking = Asking(timeout_s, "vectors are made anew", pause_s)

    async def get(self, tenant: str, texts: Sequence[str], kind: Kind) -> list[Vector | None]:
        """See Cache."""
        keys = [self._key(tenant, text, kind) for text in texts]
        try:
            found: list[bytes | None] = await self._asking.answer(lambda: self._client.mget(keys))
        except ValkeyAway:
            LOOKUPS.add(len(texts), {"kind": kind.value, "outcome": "away"})
            return [None] * len(texts)
        vectors = [_read(raw) for raw in found]
        hits = sum(vector is not None for vector in vectors)
        LOOKUPS.add(hits, {"kind": kind.value, "outcome": "hit"})
        LOOKUPS.add(len(texts) - hits, {"kind": kind.value, "outcome": "miss"})
        return vectors

    async def put(self, tenant: str, vectors: Mapping[str, Vector], kind: Kind) -> None:
        """See Cache."""
        pipeline = self._client.pipeline(transaction=False)
        for text, vector in vectors.items():
            pipeline.set(self._key(tenant, text, kind), vector.astype("<f4").tobytes(), px=self._ttl_ms)
        with suppress(ValkeyAway):  # the vector is there; the next that asks for it makes it anew
            await self._asking.answer(pipeline.execute)

    def _key(self, tenant: str, text: str, kind: Kind) -> str:
        digest = hashlib.sha256(f"{tenant}\0{text}".encode()).hexdigest()  # no header, so no tenant, holds a zero
        return f"ai2text:embedding:{self._model}:{kind.value}:{digest}"


def _read(raw: bytes | None) -> Vector | None:
    return None if not raw or len(raw) % 4 else np.frombuffer(raw, "<f4").astype(np.float32)


@asynccontextmanager
async def connect(url: str, model: str, ttl_s: float, timeout_s: float) -> AsyncIterator[ValkeyVectors]:
    """The vectors of `model` at `valkey://host:port`, until the end of the block."""
    async with valkey.connected(url, timeout_s, MAX_CONNECTIONS) as client:
        yield ValkeyVectors(client, model, ttl_s, timeout_s)
