"""Finds the moment at which something was said. Knows neither gRPC nor where the documents are."""

import asyncio
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Protocol

from opentelemetry import metrics

from servers.common.errors import DependencyUnavailable, Overloaded
from servers.search import ranking, snippets
from servers.search.documents import Document, Embedding, Scope
from servers.search.question import Question
from servers.search.snippets import Snippet
from servers.search.words import Word, words

SEARCHES = metrics.get_meter("ai2text").create_counter(
    "ai2text.search.searches", description="Searches answered, by whether the semantic ranking took part."
)

CANDIDATES = 100
"""How many documents each ranking brings; no less than the most hits that can be asked for."""


class Library(Protocol):
    """The documents. Nothing outside the scope or the tenant ever comes out."""

    async def matching(self, scope: Scope, asked: Sequence[Word], limit: int) -> list[int]:
        """The ids of the documents with any of the asked words, by BM25, best first."""
        ...

    async def nearest(self, scope: Scope, embedding: Embedding, limit: int) -> list[int]:
        """The ids of the documents with the nearest vectors, nearest first; DependencyUnavailable when unknown."""
        ...

    async def documents(self, tenant: str, ids: Collection[int]) -> Mapping[int, Document]:
        """Those documents of the tenant that there are."""
        ...


class QueryEmbedder(Protocol):
    """Embeds what is asked, in the name of who asks. DependencyUnavailable when there is no vector in time."""

    async def embed(self, text: str, tenant: str, subject: str) -> Embedding: ...


@dataclass(frozen=True, slots=True)
class Hit:
    """A document that was found, and why."""

    document: Document
    snippet: Snippet
    place: ranking.Place


@dataclass(frozen=True, slots=True)
class Found:
    """The answer to a question; `semantic` and `lexical` say which rankings took part."""

    hits: tuple[Hit, ...]
    semantic: bool
    lexical: bool


class Searches:
    """Answers at most `at_once` questions at a time, and refuses more."""

    def __init__(self, library: Library, embedder: QueryEmbedder, at_once: int) -> None:
        self._library = library
        self._embedder = embedder
        self._free = at_once

    async def find(self, question: Question) -> Found:
        """The hits for a question, best first. Overloaded when too many are being answered."""
        async with self._place():
            matching, nearest = await asyncio.gather(self._matching(question), self._nearest(question))
            documents = await self._library.documents(question.scope.tenant, {*matching, *(nearest or ())})
        lexical = [id for id in matching if id in documents]
        semantic = [id for id in nearest or () if id in documents]
        best_match = tuple(words(documents[lexical[0]].text)) if lexical else ()
        weighing = ranking.weights(question.words, best_match)
        places = ranking.fused(lexical, semantic, weighing)[: question.limit]
        hits = (Hit(documents[at.id], snippets.snippet(documents[at.id].text, question.words), at) for at in places)
        SEARCHES.add(1, {"semantic": nearest is not None})
        return Found(tuple(hits), semantic=nearest is not None, lexical=bool(question.words))

    async def _matching(self, question: Question) -> list[int]:
        if not question.words:
            return []
        return await self._library.matching(question.scope, question.words, CANDIDATES)

    async def _nearest(self, question: Question) -> list[int] | None:
        """None when there is no semantic ranking at the moment: the words must then do."""
        try:
            embedding = await self._embedder.embed(question.text, question.scope.tenant, question.subject)
            return await self._library.nearest(question.scope, embedding, CANDIDATES)
        except DependencyUnavailable:
            return None

    @asynccontextmanager
    async def _place(self) -> AsyncIterator[None]:
        if not self._free:
            raise Overloaded("too many searches at a time")
        self._free -= 1
        try:
            yield
        finally:
            self._free += 1
