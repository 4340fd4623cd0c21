"""The vectors of one tenant in one space, as who puts and who searches sees them."""

import hashlib
from dataclasses import dataclass
from typing import Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from servers.search.documents import Scope, Vector

Ids: TypeAlias = npt.NDArray[np.int64]
Places: TypeAlias = npt.NDArray[np.int64]
"""Numbers of rows, or of entries."""

Mask: TypeAlias = npt.NDArray[np.bool_]
Halves: TypeAlias = npt.NDArray[np.float16]
"""Vectors as they are stored, shape [n, dimensions]."""

Codes: TypeAlias = npt.NDArray[np.int8]
"""Vectors in one byte a dimension, shape [n, dimensions] or [dimensions]; see `servers.search.codes`."""

_LETTERS = 26


def recording_number(recording_id: str) -> int:
    """63 bits that stand for the recording wherever its name would be too long."""
    return int.from_bytes(hashlib.blake2b(recording_id.encode(), digest_size=8).digest()) >> 1


def language_number(code: str) -> int:
    """An ISO 639 code of two or three letters as a number of 16 bits; 0 stands for everything else."""
    if not (2 <= len(code) <= 3 and code.isascii() and code.isalpha() and code.islower()):
        return 0
    number = 0
    for letter in code:
        number = number * (_LETTERS + 1) + ord(letter) - ord("a") + 1
    return number


@dataclass(frozen=True, slots=True)
class Filter:
    """What of the tenant a search looks at, in numbers."""

    recordings: tuple[int, ...] = ()
    """Empty: every recording."""

    language: int | None = None
    """None: every language."""

    @classmethod
    def of(cls, scope: Scope) -> "Filter":
        """What `scope` leaves of its tenant."""
        recordings = scope.recording_numbers
        if recordings is None:
            recordings = tuple(sorted({recording_number(recording_id) for recording_id in scope.recording_ids}))
        return cls(recordings, language_number(scope.language_code) if scope.language_code else None)

    @property
    def everything(self) -> bool:
        """Whether nothing is left out."""
        return not self.recordings and self.language is None


@dataclass(frozen=True, slots=True)
class Rows:
    """Vectors with what filters ask for; the arrays are of one length."""

    ids: Ids
    vectors: Halves
    recordings: Ids
    languages: npt.NDArray[np.uint16]


@dataclass(frozen=True, slots=True)
class Changes:
    """What happened up to the number `seq`: these vectors went, and those came, or came in place of their like."""

    seq: int
    gone: Ids
    there: Rows


@dataclass(frozen=True, slots=True)
class Ranked:
    """The nearest, nearest first, and what it took to find them."""

    ids: list[int]
    lists: int
    """How many lists were looked through."""

    compared: int
    """How many vectors were compared."""


@dataclass(frozen=True, slots=True)
class Stats:
    """How an index stands."""

    seq: int
    """It holds what came up to this number."""

    vectors: int
    """Those that can be found."""

    dead: int
    """Those that cannot, and still take room."""

    loose: int
    """Those that are in no list yet."""

    lists: int
    bytes: int


class VectorIndex(Protocol):
    """One writer at a time; any number of searches beside it, which never wait. Every method blocks."""

    @property
    def seq(self) -> int:
        """It holds what came up to this number."""
        ...

    def apply(self, changes: Changes) -> None:
        """Take changes in, in the order of their numbers; the same again changes nothing."""
        ...

    def nearest(self, vector: Vector, narrowed: Filter, limit: int) -> Ranked:
        """At most `limit` vectors that pass the filter and have the largest inner products."""
        ...

    def stats(self) -> Stats:
        """How it stands now."""
        ...
