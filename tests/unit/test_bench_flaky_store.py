"""The store that fails now and then, in front of one that never does."""

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest

from bench.flaky_store import flaky

BODY = b"x" * 200_000


@pytest.fixture
async def store() -> AsyncIterator[str]:
    """Answers every PUT with the length of its body."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        assert b"connection: close" in head
        length = int(head.partition(b"content-length: ")[2].split(b"\r\n")[0])
        told = str(len(await reader.readexactly(length))).encode()
        writer.write(b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: %d\r\n\r\n%b" % (len(told), told))
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
async def test_a_share_of_the_requests_fails_and_the_rest_pass_whole(store: str, share: float) -> None:
    answers: list[str] = []
    async with flaky(store, share, seed=1) as proxy, httpx.AsyncClient() as client:
        for _ in range(40):
            try:
                answers.append((await client.put(f"http://127.0.0.1:{proxy.port}/a", content=BODY)).text)
            except httpx.TransportError:
                answers.append("cut")
    whole = answers.count(str(len(BODY)))
    assert proxy.requests == 40
    assert whole == 40 - proxy.failed
    assert abs(proxy.failed - 40 * share) <= 6
    assert ("cut" in answers) == any("ServiceUnavailable" in answer for answer in answers) == (share > 0)
