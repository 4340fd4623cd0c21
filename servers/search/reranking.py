"""Puts the best hits in a better order, by comparing their texts with the query token by token.

docs/adr/0014-reranking-by-late-interaction.md says how CLOSENESS_WEIGHT was chosen, what is gained, and what it costs.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from servers.search.ranking import Place
from servers.search.reading import Reading

CLOSENESS_WEIGHT = 2.0
"""How much closeness counts beside the fused score, both counted in standard deviations."""

MOST_CANDIDATES = 32


class TextComparer(Protocol):
    """Compares a query with texts, in the name of who asks. DependencyUnavailable when there is no answer in time."""

    async def closeness(self, query: str, texts: Sequence[str], tenant: str, subject: str) -> list[float]:
        """Of each text to the query, in their order: the larger, the closer."""
        ...


@dataclass(frozen=True, slots=True)
class Reranked:
    """All places, the first of them in another order, and how close each of these is to the query."""

    places: list[Place]
    closeness: Mapping[int, float]


class Reranker:
    """Compares the first `candidates` hits of an answer."""

    def __init__(self, comparer: TextComparer, candidates: int) -> None:
        """`candidates`: 0 to MOST_CANDIDATES; 0 leaves every answer as it is."""
        self._comparer = comparer
        self._candidates = candidates

    async def rerank(
        self, query: str, places: Sequence[Place], reading: Reading, tenant: str, subject: str
    ) -> Reranked | None:
        """None when there is nothing to compare: the order then stays. DependencyUnavailable when there is no answer in
        time."""
        first = await reading.first(places, self._candidates, _id)
        if len(first) < 2:
            return None
        rest = places[places.index(first[-1]) + 1 :]
        found = await self._comparer.closeness(query, [reading[one.id].text for one in first], tenant, subject)
        scores = _standard([place.score for place in first]) + CLOSENESS_WEIGHT * _standard(found)
        order = np.argsort(-scores, kind="stable").tolist()
        closeness = {place.id: close for place, close in zip(first, found, strict=True)}
        return Reranked([*(first[place] for place in order), *rest], closeness)


def _id(place: Place) -> int:
    return place.id


def _standard(values: Sequence[float]) -> npt.NDArray[np.float64]:
    """How many standard deviations each value is above the mean; 0 where all are the same."""
    array = np.asarray(values, np.float64)
    spread = array.std()
    return np.zeros_like(array) if spread == 0 else (array - array.mean()) / spread
