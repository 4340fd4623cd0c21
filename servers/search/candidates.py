"""What may answer a question: the best of both rankings, in what the filters leave."""

from collections.abc import Collection, Mapping, Sequence, Set
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from servers.common.errors import DependencyUnavailable
from servers.search.documents import Document, Embedding, Scope
from servers.search.indexing import Ranked
from servers.search.narrowing import Conditions, Span
from servers.search.query import Query


class Library(Protocol):
    """The documents. Nothing outside the scope or the tenant ever comes out."""

    async def matching(self, scope: Scope, query: Query, limit: int) -> "Matching":
        """The documents with every phrase and any of the words, by BM25; DependencyUnavailable when unknown."""
        ...

    async def nearest(self, scope: Scope, embedding: Embedding, limit: int) -> Ranked:
        """The ids of the documents with the nearest vectors, nearest first; DependencyUnavailable when unknown."""
        ...

    async def documents(self, tenant: str, ids: Collection[int]) -> Mapping[int, Document]:
        """Those documents of the tenant that there are; DependencyUnavailable when they cannot be read in time."""
        ...

    async def recordings(self, tenant: str, conditions: Conditions) -> Sequence[int]:
        """The recordings of the tenant of which all conditions are known to hold, by their numbers, ascending;
        DependencyUnavailable when they cannot be found in time."""
        ...

    async def within(self, scope: Scope, span: Span) -> "Within":
        """Which documents of the recordings of the scope lie in that part of them; DependencyUnavailable likewise."""
        ...


class EmbedderHangs(DependencyUnavailable):
    """No answer before the deadline: the next question will hardly have one in time."""

    def __init__(self) -> None:
        super().__init__("embeddings")


class QueryEmbedder(Protocol):
    """Embeds what is asked, in the name of who asks. DependencyUnavailable when there is no vector in time."""

    async def embed(self, text: str, tenant: str, subject: str) -> Embedding: ...

    async def embed_all(self, texts: Sequence[str], tenant: str, subject: str) -> list[Embedding]:
        """In the order of the texts, all in one call."""
        ...


@dataclass(frozen=True, slots=True)
class Matching:
    """A ranking by words."""

    ids: Sequence[int] = ()
    """Of the documents, best first."""

    thorough: bool = True
    """Whether frequent words counted as they do when nobody else searches."""


@dataclass(frozen=True, slots=True)
class Within:
    """The part of some recordings."""

    ids: Set[int]
    """The documents in it."""

    of: int
    """How many documents the recordings have."""


class Status(Enum):
    """How far the index has come."""

    READY = "ready"
    BUILDING = "building"
    """What is not in it yet is not found."""
    WORDS_ONLY = "words only"
    """There was no vector for the query."""


@dataclass(frozen=True, slots=True)
class Candidates:
    """The best of both rankings."""

    lexical: Sequence[int] = ()
    semantic: Sequence[int] = ()
    by_words: bool = False
    by_meaning: bool = False
    """Whether the ranking took part."""

    thorough: bool = True
    """See Matching."""

    status: Status = Status.READY
    deeper: bool = False
    """Whether a deeper look may bring more."""

    lists: int = 0
    """How many lists of vectors were looked through."""

    compared: int = 0
    """How many vectors were compared."""
