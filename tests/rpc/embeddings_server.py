"""The embeddings server in this process behind a real port, with a fake model."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Protocol

import grpc
import numpy as np
from ai2text.embeddings.v1.embedding_service_pb2_grpc import EmbeddingServiceStub

from servers.common import lifecycle
from servers.common.errors import DependencyUnavailable
from servers.common.identity import Caller
from servers.embeddings import service
from servers.embeddings.admission import Admission
from servers.embeddings.embedding import MOST_CHARACTERS, Cache, Embedder, Encoder, Kind, Vector
from servers.embeddings.reranking import Comparer, Reranker
from tests.fakes.vector_cache import KnownVectors

MODEL = "letters"


def letters(text: str) -> Vector:
    """How often each letter from a to z occurs, at length 1; every text has a trace of each."""
    counts = np.full(26, 0.01, np.float32)
    for letter in text.lower():
        if "a" <= letter <= "z":
            counts[ord(letter) - ord("a")] += 1
    unit: Vector = counts / np.linalg.norm(counts)
    return unit


@dataclass
class LetterCounter:
    """A model that knows letters. What it was asked is kept."""

    away: bool = False
    asked: list[tuple[str, Kind]] = field(default_factory=list)
    closest: str = ""
    compared: list[tuple[str, ...]] = field(default_factory=list)

    async def encode(self, text: str, kind: Kind) -> Vector:
        if self.away:
            raise DependencyUnavailable("triton")
        self.asked.append((text, kind))
        return letters(text)

    async def closeness(self, query: str, texts: Sequence[str]) -> list[float]:
        """By their letters, unless the text is the closest by decree."""
        if self.away:
            raise DependencyUnavailable("triton")
        self.compared.append((query, *texts))
        return [1.0 if text == self.closest else float(letters(query) @ letters(text)) / 2 for text in texts]


def headers(*scopes: str, tenant: str = "acme") -> tuple[tuple[str, str], ...]:
    """What the edge forwards of a caller."""
    return Caller(tenant, "lan", frozenset(scopes)).metadata()


@asynccontextmanager
async def serving(*mounts: lifecycle.Mount) -> AsyncIterator[str]:
    """A server with these services until the end of the block: its address."""
    server, _, _ = lifecycle.build(mounts)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        await server.stop(None)


def embedder(model: Encoder, queries: Admission | None = None, cache: Cache | None = None) -> Embedder:
    """The domain over a fake model."""
    return Embedder(model, cache or KnownVectors(), MODEL, queries or Admission(4, 64), Admission(4, 64))


class Model(Encoder, Comparer, Protocol):
    """Embeds and compares."""


def mounted(model: Model, queries: Admission | None = None, cache: Cache | None = None) -> lifecycle.Mount:
    """EmbeddingService over a fake model."""
    return service.mount(embedder(model, queries, cache), Reranker(model, MODEL, Admission(1, 2), MOST_CHARACTERS))


@asynccontextmanager
async def embeddings(
    model: Model, admission: Admission | None = None, cache: Cache | None = None
) -> AsyncIterator[EmbeddingServiceStub]:
    """The stub of a running embeddings server."""
    async with (
        serving(mounted(model, admission, cache)) as address,
        grpc.aio.insecure_channel(address) as channel,
    ):
        yield EmbeddingServiceStub(channel)
