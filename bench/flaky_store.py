"""An object store that fails now and then: an HTTP proxy in front of the real one, for what uploads do about it."""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator

BODY = b"<Error><Code>ServiceUnavailable</Code><Message>try again</Message></Error>"
FAILURE = (
    b"HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/xml\r\nconnection: close\r\n"
    b"content-length: %d\r\n\r\n%b" % (len(BODY), BODY)
)
HEAD_LIMIT = 64 * 1024
CHUNK = 64 * 1024


class FlakyStore:
    """Answers a share of the requests with 503, cuts as many connections before they answer, and passes on the rest.

    One request a connection: what follows on it is passed on as bytes, so the store is told to close after the answer.
    """

    def __init__(self, target: str, share: float, seed: int) -> None:
        """`target`: host:port of the store; `share` of the requests fails, 0 to 1."""
        self.port = 0
        """Of 127.0.0.1, to call."""
        self.requests = 0
        self.failed = 0
        self._host, _, port = target.rpartition(":")
        self._target_port = int(port)
        self._share = share
        self._chance = random.Random(seed)

    async def serve(self, client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        """One connection, to its end."""
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            head = await client.readuntil(b"\r\n\r\n")
            self.requests += 1
            if self._chance.random() < self._share:
                self.failed += 1
                if self._chance.random() < 0.5:
                    to_client.write(FAILURE)
                    await to_client.drain()
            else:
                await self._pass_on(head, client, to_client)
        to_client.close()

    async def _pass_on(self, head: bytes, client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        store, to_store = await asyncio.open_connection(self._host, self._target_port)
        try:
            to_store.write(_closing(head))
            there = asyncio.create_task(_pump(client, to_store))
            await _pump(store, to_client)
            there.cancel()
            await asyncio.wait([there])
        finally:
            to_store.close()


def _closing(head: bytes) -> bytes:
    """The head of a request, which now asks for the connection to be closed afterwards."""
    first, *lines = head.split(b"\r\n")
    kept = [line for line in lines if line and not line.lower().startswith(b"connection:")]
    return b"\r\n".join([first, *kept, b"Connection: close", b"", b""])


async def _pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    while data := await source.read(CHUNK):
        sink.write(data)
        await sink.drain()


@contextlib.asynccontextmanager
async def flaky(target: str, share: float, seed: int) -> AsyncIterator[FlakyStore]:
    """The proxy, on a free port, until the block ends."""
    store = FlakyStore(target, share, seed)
    server = await asyncio.start_server(store.serve, "127.0.0.1", 0, limit=HEAD_LIMIT)
    store.port = server.sockets[0].getsockname()[1]
    async with server:
        yield store
