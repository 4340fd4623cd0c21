"""Fuses two rankings by reciprocal rank (Cormack, Clarke and Buettcher, SIGIR 2009), each with the weight it deserves.

`make bench-relevance` measures what comes of it; docs/adr/0002-search-store.md says how the numbers below were chosen.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from servers.search.syllables import seem_vietnamese
from servers.search.words import Word

RANK_OFFSET = 60
"""The k of reciprocal rank fusion: how little the first few places differ."""

LITTLE_COVERAGE = 0.3
FULL_COVERAGE = 0.7
LEAST_WEIGHT = 0.01
UNACCENTED_SEMANTIC_WEIGHT = 0.01


@dataclass(frozen=True, slots=True)
class Weights:
    """How much each ranking counts."""

    lexical: float
    semantic: float


class Place(NamedTuple):
    """Where one document stands. Ranks count from 1; 0 says that it is not among the candidates."""

    id: int
    score: float
    semantic_rank: int
    lexical_rank: int


def weights(asked: Sequence[Word], best_match: Sequence[Word]) -> Weights:
    """The weights for a question, by what its best lexical match shares with it.

    A question in another language shares a name or two with the answer and chance words with all else: so the words
    count the less, the fewer of them the best match has. Vietnamese typed without accents is the reverse: its words
    match folded, while the embedding model, which never learnt such text, ranks almost at random.
    """
    covered = coverage(asked, best_match)
    if covered >= LITTLE_COVERAGE and _typed_without_accents(asked):
        return Weights(lexical=1.0, semantic=UNACCENTED_SEMANTIC_WEIGHT)
    share = (covered - LITTLE_COVERAGE) / (FULL_COVERAGE - LITTLE_COVERAGE)
    return Weights(lexical=min(1.0, max(LEAST_WEIGHT, share)), semantic=1.0)


def coverage(asked: Sequence[Word], match: Sequence[Word]) -> float:
    """The share of the question's different words that the match has, accents folded; 0 to 1."""
    wanted = {word.folded for word in asked}
    return len(wanted & {word.folded for word in match}) / len(wanted) if wanted else 0.0


def _typed_without_accents(asked: Sequence[Word]) -> bool:
    return all(word.spelt == word.folded for word in asked) and seem_vietnamese([word.folded for word in asked])


def fused(lexical: Sequence[int], semantic: Sequence[int], weighing: Weights) -> list[Place]:
    """Every document of both rankings, best first; of two with the same score, the one whose words match better."""
    lexical_ranks = {id: rank for rank, id in enumerate(lexical, 1)}
    semantic_ranks = {id: rank for rank, id in enumerate(semantic, 1)}
    places = [
        Place(
            id,
            share(weighing.lexical, lexical_ranks.get(id, 0)) + share(weighing.semantic, semantic_ranks.get(id, 0)),
            semantic_ranks.get(id, 0),
            lexical_ranks.get(id, 0),
        )
        for id in lexical_ranks | semantic_ranks
    ]
    return sorted(places, key=lambda place: (-place.score, place.lexical_rank or math.inf, place.semantic_rank))


def share(weight: float, rank: int) -> float:
    """What a ranking of that weight gives to the score of the document with that rank; nothing without one."""
    return weight / (RANK_OFFSET + rank) if rank else 0.0
