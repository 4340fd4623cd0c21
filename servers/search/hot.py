"""The answers to hot queries, kept for a while, until anything changes of what the tenant's searches may find.

What is kept may vanish at any time; an answer is never found under another tenant, another request or another
generation of the tenant, for all three are in its name.
"""

import hashlib
from typing import Protocol

from opentelemetry import metrics

from servers.common.tallies import Tally
from servers.search.generations import Generations

MOST_BYTES = 64 * 1024
"""Larger answers are not kept."""

LOOKUPS = Tally(
    metrics.get_meter("ai2text"),
    "ai2text.search.cache.lookups",
    "Searches looked up in the cache of hot queries, by outcome: hit, miss, away when it did not answer, "
    "bypassed while the tenant's documents change or an explanation is wanted.",
    ("outcome",),
)


class CacheAway(Exception):
    """The cache does not answer."""


class Cache(Protocol):
    """Keeps bytes by name. CacheAway, and soon."""

    async def get(self, name: str) -> bytes | None:
        """What was kept under the name, if it is still there."""
        ...

    async def put(self, name: str, answer: bytes) -> None:
        """Keep an answer for a while."""
        ...


class HotQueries:
    """Answers by tenant and request. No cache: nothing is kept, and nobody notices."""

    def __init__(self, cache: Cache | None, generations: Generations) -> None:
        self._cache = cache
        self._generations = generations

    def name(self, tenant: str, request: bytes) -> str | None:
        """What an answer that is made from now on is kept under; None when it is not worth its while."""
        generation = self._generations.of(tenant) if self._cache else None
        if generation is None:
            return None
        digest = hashlib.sha256(request).hexdigest()
        # No tenant, for it comes from a header, holds a zero.
        return hashlib.sha256(f"{tenant}\0{generation}\0{digest}".encode()).hexdigest()

    async def get(self, name: str | None) -> bytes | None:
        """The answer that is kept; None when there is none."""
        if self._cache is None:
            return None
        if name is None:
            LOOKUPS.count("bypassed")
            return None
        try:
            found = await self._cache.get(name)
        except CacheAway:
            LOOKUPS.count("away")
            return None
        LOOKUPS.count("miss" if found is None else "hit")
        return found

    async def holds(self, name: str | None) -> bool:
        """Whether there is an answer; for an explanation, which is not looked up."""
        if self._cache is None:
            return False
        LOOKUPS.count("bypassed")
        try:
            return name is not None and await self._cache.get(name) is not None
        except CacheAway:
            return False

    async def put(self, name: str | None, answer: bytes) -> None:
        """Keep an answer, if it can be."""
        if self._cache is None or name is None or len(answer) > MOST_BYTES:
            return
        try:
            await self._cache.put(name, answer)
        except CacheAway:
            return
