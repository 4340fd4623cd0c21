"""Reads the documents of candidates: each once, and of many candidates only those that are wanted."""

from collections.abc import Callable, Collection, Iterable, Sequence
from itertools import islice
from typing import TypeVar

from servers.search.candidates import Library
from servers.search.documents import Document, Scope
from servers.search.query import Query
from servers.search.timings import Watch

T = TypeVar("T")


class Reading:
    """For one question. A document that is gone, lacks a phrase of the query, is of another channel, or is not where
    it was when an index last looked and so outside of the scope, counts as not there."""

    def __init__(
        self, library: Library, scope: Scope, query: Query, watch: Watch, channels: Collection[int] = ()
    ) -> None:
        """`channels`: empty for all."""
        self._library = library
        self._scope = scope
        self._query = query
        self._watch = watch
        self._channels = channels
        self._found = dict[int, Document]()
        self._gone = set[int]()

    def __getitem__(self, id: int) -> Document:
        """One that was read and is there."""
        return self._found[id]

    def left(self, ids: Sequence[int]) -> Sequence[int]:
        """Those that are there, as far as has been read."""
        return [id for id in ids if id not in self._gone] if self._gone else ids

    async def read(self, ids: Collection[int]) -> None:
        """Read those that have not been read yet."""
        wanted = set(ids) - self._found.keys() - self._gone
        if not wanted:
            return
        with self._watch.stage("documents"):
            found = await self._library.documents(self._scope.tenant, wanted)
            there = {id: one for id, one in found.items() if self._allows(one)}
        self._found |= there
        self._gone |= wanted - there.keys()

    async def first(self, some: Iterable[T], most: int, id_of: Callable[[T], int]) -> list[T]:
        """The first `most` of these that are there; so many are read as it takes."""
        rest = iter(some)
        there: list[T] = []
        while some_more := list(islice(rest, most - len(there))):
            await self.read([id_of(one) for one in some_more])
            there += [one for one in some_more if id_of(one) in self._found]
        return there

    def _allows(self, document: Document) -> bool:
        if self._channels and document.channel not in self._channels:
            return False
        return self._scope.holds(document) and self._query.allows(document.text)
