"""A line that can be cut."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from bench.proxy import TcpProxy, proxied
from tests.fakes.clocks import LoopTime


@pytest.fixture
async def proxy() -> AsyncIterator[TcpProxy]:
    answering: list[asyncio.Task[None]] = []

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(1024):
                writer.write(data)
        except ConnectionResetError:
            pass
        finally:
            writer.transport.abort()

    def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        answering.append(asyncio.create_task(echo(reader, writer)))

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    async with server:
        async with proxied(f"{host}:{port}") as proxy:
            yield proxy
        await asyncio.gather(*answering)


async def connected(proxy: TcpProxy) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    host, _, port = proxy.address.rpartition(":")
    return await asyncio.open_connection(host, int(port))


async def test_it_passes_on_both_ways(proxy: TcpProxy) -> None:
    reader, writer = await connected(proxy)
    writer.write(b"hello")
    assert await reader.readexactly(5) == b"hello"
    writer.close()


async def test_a_cut_ends_connections_at_once(proxy: TcpProxy, monkeypatch: pytest.MonkeyPatch) -> None:
    time = LoopTime(monkeypatch)
    reader, writer = await connected(proxy)
    writer.write(b"hello")
    await reader.readexactly(5)
    cut = asyncio.create_task(proxy.cut_for(60, silently=False))
    with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):
        await reader.readexactly(1)
    assert not cut.done()
    writer.close()
    time.passes(60)
    await cut


async def test_a_silent_cut_lets_nothing_through_and_then_ends_connections(
    proxy: TcpProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    time = LoopTime(monkeypatch)
    reader, writer = await connected(proxy)
    writer.write(b"hello")
    await reader.readexactly(5)
    cut = asyncio.create_task(proxy.cut_for(60, silently=True))
    await asyncio.sleep(0)
    writer.write(b"lost")
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(reader.read(4), 0.1)
    time.passes(60)
    await cut
    with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):
        await reader.readexactly(1)
    writer.close()


async def test_after_a_cut_new_connections_work(proxy: TcpProxy, monkeypatch: pytest.MonkeyPatch) -> None:
    time = LoopTime(monkeypatch)
    cut = asyncio.create_task(proxy.cut_for(60, silently=False))
    await asyncio.sleep(0)
    early, early_writer = await connected(proxy)
    early_writer.write(b"early")
    time.passes(60)
    await cut
    with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):
        await early.readexactly(5)
    reader, writer = await connected(proxy)
    writer.write(b"hello")
    assert await reader.readexactly(5) == b"hello"
    writer.close()
    early_writer.close()
