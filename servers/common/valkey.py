"""Connections to Valkey for servers whose data in it may vanish: none waits for it longer than it said."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from valkey.asyncio import BlockingConnectionPool, Valkey


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
