"""What a rule found among the words of a run: which words, and what is written for them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True)
class Span:
    """The words from `first` up to, but without, `end`."""

    first: int
    end: int
    written: str


Rule: TypeAlias = Callable[[Sequence[str], int], Span | None]
"""Looks at the words of a run, by their keys, from one place on; a span may begin behind that place, never before."""
