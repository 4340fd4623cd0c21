"""A TCP proxy between a client and the edge, whose line can be cut."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

CHUNK = 64 * 1024


class TcpProxy:
    """Forwards what comes to its port, until the line is cut."""

    def __init__(self, target: str) -> None:
        """`target`: host:port to pass on to."""
        self.port = 0
        """Of 127.0.0.1, to connect to."""
        self.connections = 0
        """How many were ever made."""
        self._host, _, port = target.rpartition(":")
        self._target_port = int(port)
        self._open = asyncio.Event()
        self._open.set()
        self._refuses = False
        self._writers: set[asyncio.StreamWriter] = set()

    @property
    def address(self) -> str:
        """host:port to connect to."""
        return f"127.0.0.1:{self.port}"

    def blackhole(self) -> None:
        """From now on nothing passes; both ends believe that the other is only silent."""
        self._open.clear()

    def cut(self, refuse: bool = False) -> None:
        """Resets every connection, and, if told so, those to come."""
        self._refuses = refuse
        for writer in self._writers:
            writer.transport.abort()

    def mend(self) -> None:
        """What waited passes, and all that follows."""
        self._refuses = False
        self._open.set()

    async def cut_for(self, seconds: float, silently: bool) -> None:
        """Nothing passes for so long. `silently`: connections stay open meanwhile and are reset afterwards, as when the
        net is gone; else they are reset at once, and new ones refused."""
        if silently:
            self.blackhole()
        else:
            self.cut(refuse=True)
        await asyncio.sleep(seconds)
        self.cut()
        self.mend()

    async def serve(self, client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        """Forwards one connection, both ways, until either end closes it."""
        self.connections += 1
        if self._refuses:
            return to_client.transport.abort()
        with contextlib.suppress(OSError):
            server, to_server = await asyncio.open_connection(self._host, self._target_port)
            ends = {to_client, to_server}
            self._writers |= ends
            try:
                await asyncio.wait(
                    {
                        asyncio.create_task(self._forward(client, to_server)),
                        asyncio.create_task(self._forward(server, to_client)),
                    }
                )
            finally:
                self._writers -= ends

    async def _forward(self, source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await source.read(CHUNK):
                await self._open.wait()
                target.write(data)
                await target.drain()
        target.transport.abort()


@contextlib.asynccontextmanager
async def proxied(target: str) -> AsyncIterator[TcpProxy]:
    """A proxy on a free port of 127.0.0.1, until the end of the block."""
    proxy = TcpProxy(target)
    server = await asyncio.start_server(proxy.serve, "127.0.0.1", 0)
    proxy.port = server.sockets[0].getsockname()[1]
    try:
        yield proxy
    finally:
        server.close()
        proxy.mend()
        proxy.cut()
        await asyncio.sleep(0.05)  # the forwarding ends by itself
