"""The cache of hot queries in Valkey."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

import structlog
from valkey.asyncio import Valkey
from valkey.exceptions import ValkeyError

from servers.common import valkey
from servers.search.hot import CacheAway
from servers.search.settings import Settings

log = structlog.get_logger(__name__)

MAX_CONNECTIONS = 16

T = TypeVar("T")


class ValkeyAnswers:
    """A Cache. After Valkey failed to answer it is left alone for `pause_s`: hardly a search waits for it in vain."""

    def __init__(self, client: Valkey, ttl_s: float, timeout_s: float, pause_s: float = 1.0) -> None:
        self._client = client
        self._ttl_ms = int(ttl_s * 1000)
        self._timeout_s = timeout_s
        self._pause_s = pause_s
        self._paused_until = 0.0
        self._away = False

    async def get(self, name: str) -> bytes | None:
        """See Cache."""
        answer: bytes | None = await self._answer(lambda: self._client.get(_key(name)))
        return answer

    async def put(self, name: str, answer: bytes) -> None:
        """See Cache."""
        await self._answer(lambda: self._client.set(_key(name), answer, px=self._ttl_ms))

    async def _answer(self, ask: Callable[[], Awaitable[T]]) -> T:
        """What Valkey answers; CacheAway while it does not."""
        if asyncio.get_running_loop().time() < self._paused_until:
            raise CacheAway
        try:
            async with asyncio.timeout(self._timeout_s):
                answer = await ask()
        except (ValkeyError, OSError) as error:  # a TimeoutError is an OSError
            self._paused_until = asyncio.get_running_loop().time() + self._pause_s
            if not self._away:
                log.warning("valkey does not answer: every search is made anew", error=repr(error))
            self._away = True
            raise CacheAway from error
        if self._away:
            log.info("valkey answers again")
        self._away = False
        return answer


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
