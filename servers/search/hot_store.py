"""The cache of hot queries in Valkey."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from valkey.asyncio import Valkey

from servers.common import valkey
from servers.common.valkey import Asking, ValkeyAway
from servers.search.hot import CacheAway
from servers.search.settings import Settings

MAX_CONNECTIONS = 16


class ValkeyAnswers:
    """A Cache; answers end after `ttl_s` seconds."""

    def __init__(self, client: Valkey, ttl_s: float, timeout_s: float) -> None:
        self._client = client
        self._ttl_ms = int(ttl_s * 1000)
        self._asking = Asking(timeout_s, "every search is made anew")

    async def get(self, name: str) -> bytes | None:
        """See Cache."""
        try:
            answer: bytes | None = await self._asking.answer(lambda: self._client.get(_key(name)))
        except ValkeyAway as away:
            raise CacheAway from away
        return answer

    async def put(self, name: str, answer: bytes) -> None:
        """See Cache."""
        try:
            await self._asking.answer(lambda: self._client.set(_key(name), answer, px=self._ttl_ms))
        except ValkeyAway as away:
            raise CacheAway from away


def _key(name: str) -> str:
    return f"ai2text:search:{name}"


@asynccontextmanager
async def opened(settings: Settings) -> AsyncIterator[ValkeyAnswers | None]:
    """The cache, until the end of the block; None when the settings want none."""
    if not settings.hot_cache or not settings.valkey_url:
        yield None
        return
    async with valkey.connected(settings.valkey_url, settings.hot_cache_timeout_s, MAX_CONNECTIONS) as client:
        yield ValkeyAnswers(client, settings.hot_cache_ttl_s, settings.hot_cache_timeout_s)
