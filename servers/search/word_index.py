"""The words of one tenant's documents, as who puts and who searches sees them."""

from dataclasses import dataclass
from typing import Protocol

from servers.search.indexing import Filter
from servers.search.query import Query


@dataclass(frozen=True, slots=True)
class WordRow:
    """A document with what filters ask for, in numbers; see `servers.search.indexing`."""

    id: int
    text: str
    recording: int
    language: int


@dataclass(frozen=True, slots=True)
class WordChanges:
    """What happened up to the number `seq`: these documents went, and those came, or came in place of their like."""

    seq: int
    gone: tuple[int, ...]
    there: tuple[WordRow, ...]


class WordIndexDamaged(Exception):
    """The files of an index cannot be trusted; its message says why."""


class WordIndexUnwritable(Exception):
    """What was taken in could not be written; the index stands as it was committed before."""


class WordIndex(Protocol):
    """One writer at a time; any number of searches beside it, which never wait. Every method blocks."""

    @property
    def seq(self) -> int:
        """It has taken in what came up to this number."""
        ...

    def apply(self, changes: WordChanges) -> None:
        """Take changes in, in the order of their numbers; the same again changes nothing. WordIndexUnwritable."""
        ...

    def commit(self) -> None:
        """Have searches find what was taken in, and keep it with its number when it is much: what is not kept has to be
        taken in again by who opens the index. WordIndexUnwritable."""
        ...

    def matching(self, query: Query, narrowed: Filter, limit: int, thrift: int = 1) -> list[int]:
        """At most `limit` documents that pass the filter and have any word, by BM25, best first. Of a phrase they have
        every two words that follow each other; whether these stand in one row, their text says. With `thrift` frequent
        words count for less, and it takes about so many times less work."""
        ...
