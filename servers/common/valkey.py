"""Connections to Valkey for servers whose data in it may vanish: none waits for it longer than it said."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

import structlog
from valkey.asyncio import BlockingConnectionPool, Valkey
from valkey.exceptions import ValkeyError

log = structlog.get_logger(__name__)

T = TypeVar("T")


class ValkeyAway(Exception):
    """Valkey does not answer, or is left alone because it did not."""


class Asking:
    """Asks Valkey for what can be done without. After it failed to answer it is left alone for `pause_s` seconds, so
    that hardly a call waits for it in vain; that it is away, and back, is logged once."""

    def __init__(self, timeout_s: float, meanwhile: str, pause_s: float = 1.0) -> None:
        """`timeout_s` is how long one answer may take; `meanwhile` is what is done without it, for the log."""
        self._timeout_s = timeout_s
        self._meanwhile = meanwhile
        self._pause_s = pause_s
        self._paused_until = 0.0
        self._away = False

    async def answer(self, ask: Callable[[], Awaitable[T]]) -> T:
        """What Valkey answers. ValkeyAway."""
        if asyncio.get_running_loop().time() < self._paused_until:
            raise ValkeyAway
        try:
            async with asyncio.timeout(self._timeout_s):
                answer = await ask()
        except (ValkeyError, OSError) as error:  # a TimeoutError is an OSError
            self._paused_until = asyncio.get_running_loop().time() + self._pause_s
            if not self._away:
                log.warning("valkey does not answer", meanwhile=self._meanwhile, error=repr(error))
            self._away = True
            raise ValkeyAway from error
        if self._away:
            log.info("valkey answers again")
        self._away = False
        return answer


@asynccontextmanager
async def connected(url: str, timeout_s: float, max_connections: int) -> AsyncIterator[Valkey]:
    """A client of `valkey://host:port`, until the end of the block.

    It connects at the first use, and again after each failure; no call is tried twice. `timeout_s` bounds connecting,
    each answer, and the wait for one of the connections.
    """
    pool = BlockingConnectionPool.from_url(
        url,
        max_connections=max_connections,
        timeout=timeout_s,
        socket_timeout=timeout_s,
        socket_connect_timeout=timeout_s,
        lib_name=None,
        lib_version=None,
    )
    client = Valkey.from_pool(pool)
    try:
        yield client
    finally:
        await client.aclose()
