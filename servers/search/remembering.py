"""Remembers the vectors of questions: to embed one takes longer than all else of a search, and many are asked again.

Under the tenant as well as the text, so that how soon an answer comes tells nobody what another tenant has asked.
"""

import time
from collections import OrderedDict
from collections.abc import Callable, Sequence

from servers.search.candidates import QueryEmbedder
from servers.search.documents import Embedding

MOST = 4_096
"""How many are remembered; the one unused for longest goes first. About 2 KB each."""

KEPT_S = 300.0
"""For how long: another model may come to be used meanwhile."""


class RememberingEmbedder:
    """A QueryEmbedder in front of another one."""

    def __init__(
        self,
        embedder: QueryEmbedder,
        most: int = MOST,
        kept_s: float = KEPT_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._embedder = embedder
        self._most = most
        self._kept_s = kept_s
        self._clock = clock
        self._known: OrderedDict[tuple[str, str], tuple[float, Embedding]] = OrderedDict()

    async def embed(self, text: str, tenant: str, subject: str) -> Embedding:
        """See QueryEmbedder."""
        found = self._remembered(text, tenant)
        if found is None:
            found = await self._embedder.embed(text, tenant, subject)
            self._remember(text, tenant, found)
        return found

    async def embed_all(self, texts: Sequence[str], tenant: str, subject: str) -> list[Embedding]:
        """See QueryEmbedder. What is not remembered is asked for in one call."""
        known = {text: self._remembered(text, tenant) for text in texts}
        missing = [text for text, found in known.items() if found is None]
        if missing:
            for text, made in zip(missing, await self._embedder.embed_all(missing, tenant, subject), strict=True):
                known[text] = made
                self._remember(text, tenant, made)
        return [found for text in texts if (found := known[text]) is not None]

    def _remembered(self, text: str, tenant: str) -> Embedding | None:
        made_at, found = self._known.get((tenant, text), (0.0, None))
        if found is None or self._clock() - made_at > self._kept_s:
            return None
        self._known.move_to_end((tenant, text))
        return found

    def _remember(self, text: str, tenant: str, made: Embedding) -> None:
        self._known[tenant, text] = self._clock(), made
        self._known.move_to_end((tenant, text))
        if len(self._known) > self._most:
            self._known.popitem(last=False)
