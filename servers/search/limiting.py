"""A bulkhead and a circuit breaker in front of the embedder: what comes too late for an answer is not asked for.

A question without its vector is answered by its words, at once. To let it wait would make all that come after it wait
too, and each of them would have its vector when nobody wants it any more.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from opentelemetry import metrics

from servers.common.errors import DependencyUnavailable
from servers.search.candidates import EmbedderHangs, QueryEmbedder
from servers.search.documents import Embedding

UNASKED = metrics.get_meter("ai2text").create_counter(
    "ai2text.search.unasked", description="Questions for whose vector the embedder was not asked, by why."
)


@dataclass(frozen=True)
class EmbedLimits:
    """How much the embedder is asked for."""

    at_once: int = 8
    """Calls under way at a time; the embedder takes as many texts together."""

    patience_s: float = 0.25
    """How long a question waits for its turn, in seconds."""

    most_hanging: int = 3
    """After so many calls in a row that had no answer before their deadline ..."""

    rest_s: float = 2.0
    """... nothing is asked for so long, in seconds; then one call at a time, until one is answered."""


class LimitedEmbedder:
    """A QueryEmbedder in front of another one."""

    def __init__(
        self, embedder: QueryEmbedder, limits: EmbedLimits | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._embedder = embedder
        self._limits = limits or EmbedLimits()
        self._clock = clock
        self._turns = asyncio.Semaphore(self._limits.at_once)
        self._asked = 0
        self._hanging = 0
        self._resting_until = 0.0

    async def embed(self, text: str, tenant: str, subject: str) -> Embedding:
        """See QueryEmbedder."""
        async with self._turn():
            return await self._embedder.embed(text, tenant, subject)

    async def embed_all(self, texts: Sequence[str], tenant: str, subject: str) -> list[Embedding]:
        """See QueryEmbedder."""
        async with self._turn():
            return await self._embedder.embed_all(texts, tenant, subject)

    @asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        """DependencyUnavailable when there is none in time, or no answer is to be expected."""
        self._expect_an_answer()
        try:
            async with asyncio.timeout(self._limits.patience_s):
                await self._turns.acquire()
        except TimeoutError as error:
            raise _unasked("busy") from error
        try:
            self._expect_an_answer()  # while this one waited, others may have found out that there is none
            self._asked += 1
            try:
                yield
            except EmbedderHangs:
                self._hanging += 1
                self._resting_until = self._clock() + self._limits.rest_s
                raise
            except DependencyUnavailable:  # an answer, though not the one that was wanted
                self._hanging = 0
                raise
            finally:
                self._asked -= 1
            self._hanging = 0
        finally:
            self._turns.release()

    def _expect_an_answer(self) -> None:
        hangs = self._hanging >= self._limits.most_hanging
        if hangs and (self._asked or self._clock() < self._resting_until):
            raise _unasked("hangs")


def _unasked(why: str) -> DependencyUnavailable:
    UNASKED.add(1, {"why": why})
    return DependencyUnavailable("embeddings")
