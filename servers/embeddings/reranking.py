"""How close texts are to a query, by comparing all their tokens; nothing about gRPC or Triton."""

from collections.abc import Sequence
from typing import Protocol

from servers.common.errors import FieldInvalid
from servers.embeddings.admission import Admission
from servers.embeddings.embedding import checked

MOST_QUERY_CHARACTERS = 1_000
MOST_TEXTS = 32

AT_ONCE = 4
"""Texts that are given to the model together: a query that is to be embedded meanwhile waits for no more."""


class Comparer(Protocol):
    """The model. DependencyUnavailable when it does not answer in time."""

    async def closeness(self, query: str, texts: Sequence[str]) -> list[float]:
        """Of each text to the query, -1 to 1, in their order."""
        ...


class Reranker:
    """Checks, and compares a few texts at a time, in the order of the texts."""

    def __init__(self, comparer: Comparer, model: str, places: Admission, longest: int) -> None:
        """`longest` is how many characters a text may have."""
        self._comparer = comparer
        self._places = places
        self._longest = longest
        self.model = model

    async def scores(self, query: str, texts: Sequence[str]) -> list[float]:
        """Of 1 to MOST_TEXTS texts. FieldInvalid, TextTooLong, Overloaded, or what the comparer raises."""
        if not 1 <= len(texts) <= MOST_TEXTS:
            raise FieldInvalid("texts", f"must hold 1 to {MOST_TEXTS} texts, not {len(texts)}")
        asked = checked("query", query, MOST_QUERY_CHARACTERS)
        known = [checked(f"texts[{place}]", text, self._longest) for place, text in enumerate(texts)]
        scores = list[float]()
        async with self._places.entered():
            for start in range(0, len(known), AT_ONCE):
                scores += await self._comparer.closeness(asked, known[start : start + AT_ONCE])
        return scores
