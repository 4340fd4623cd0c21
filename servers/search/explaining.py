"""Why an answer is what it is."""

from collections.abc import Mapping
from dataclasses import dataclass

from servers.search.query import Query
from servers.search.words import words


@dataclass(frozen=True, slots=True)
class Explanation:
    """What was done for an answer."""

    semantic_weight: float
    lexical_weight: float
    """How much each ranking counted; 0 when it took no part."""

    coverage: float
    """The share of the question's words that its best lexical match has."""

    semantic_candidates: int
    lexical_candidates: int
    lists: int
    compared: int
    recordings_left: int | None
    """How many recordings the filters left; None when they left all."""

    hurried: bool
    """Whether the ranking by words was made with less work than usual."""

    took_us: Mapping[str, int]
    """By stage; see `servers.search.timings`."""


@dataclass(frozen=True, slots=True)
class MatchedWords:
    """Which words of a question a text has, each once and as it is spelt in the question."""

    exact: tuple[str, ...] = ()
    folded: tuple[str, ...] = ()
    """Those that it has with other accents only."""


def matched(query: Query, text: str) -> MatchedWords:
    """Which words of `query` are in `text`; of a prefix the first word that begins with it."""
    there = list(words(text))
    spelt, folded = {word.spelt for word in there}, {word.folded for word in there}
    asked = {word.spelt: word for word in query.completed(there)}.values()
    exact = tuple(word.spelt for word in asked if word.spelt in spelt)
    return MatchedWords(exact, tuple(word.spelt for word in asked if word.spelt not in spelt and word.folded in folded))
