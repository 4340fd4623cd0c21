"""A real SeaweedFS for tests, as the mesh starts it, in a folder and on ports of its own; and a bad line to it."""

import io
import os
import random
import shutil
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from aiohttp import ClientSession, web
from yarl import URL

from mesh import objects
from mesh.ports import Ports
from servers.common.objects import StoreAddress
from tests.free_ports import free_port

START_TIMEOUT_S = 40.0


@dataclass
class ObjectServer:
    """A server that can be stopped and started again; it keeps its ports and its files."""

    folder: Path
    ports: Ports
    process: subprocess.Popen[bytes] | None = field(default=None)

    @property
    def endpoint(self) -> str:
        """Where S3 is."""
        return f"http://127.0.0.1:{self.ports.objects}"

    def address(self, bucket: str, endpoint: str = "") -> StoreAddress:
        """As a server is told it."""
        pair = objects.credentials(self.folder / "keys")
        return StoreAddress(
            endpoint or self.endpoint, bucket, pair.access_key, pair.secret_key, public_endpoint=self.endpoint
        )

    def start(self) -> None:
        """Start, and wait until it takes files."""
        data, keys = self.folder / "data", self.folder / "keys"
        data.mkdir(exist_ok=True)
        keys.mkdir(exist_ok=True)
        objects.ensure_credentials(keys)
        command = objects.command(data, keys, self.ports)
        # Each test has a bucket of its own; seven volumes for each are more than 30 GB of disk have room for.
        few = os.environ | {"WEED_MASTER_VOLUME_GROWTH_COPY_1": "1"}
        self.process = subprocess.Popen(command, env=few, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + START_TIMEOUT_S
        while not self._takes_files():
            assert self.process.poll() is None, "SeaweedFS ended while it started"
            assert time.monotonic() < deadline, "SeaweedFS did not start in time"
            time.sleep(0.05)

    def stop(self) -> None:
        """Kill it, as a crash would."""
        if self.process is not None:
            self.process.kill()
            self.process.wait(START_TIMEOUT_S)
            self.process = None

    def _takes_files(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.endpoint}/healthz", timeout=1) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False


@contextmanager
def running() -> Iterator[ObjectServer]:
    """A server in a temporary folder, until the end of the block."""
    folder = Path(tempfile.mkdtemp(prefix="ai2text-objects-"))
    base = Ports.from_base(20_000)
    own = {name: free_port() for name in base.names() if name.startswith("objects")}
    server = ObjectServer(folder, replace(base, **own))
    try:
        server.start()
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder)
        for port in own.values():  # it puts them there whatever it is told
            for leftover in Path("/tmp").glob(f"seaweedfs-*-{port}.sock"):
                leftover.unlink()


@dataclass
class Line:
    """A proxy before the store that answers some requests with 503, or cuts them off, without asking the store."""

    endpoint: str
    failures: int = 0
    requests: int = 0


@asynccontextmanager
async def failing_line(to: str, share: float, seed: int = 1) -> AsyncIterator[Line]:
    """A line to the store at `to` on which so large a share of the requests fails, until the end of the block."""
    dice = random.Random(seed)
    line = Line("")
    async with ClientSession(auto_decompress=False) as session:

        async def passed_on(request: web.Request) -> web.StreamResponse:
            line.requests += 1
            body = await request.read()
            if dice.random() < share:
                line.failures += 1
                if dice.random() < 0.5 and request.transport is not None:
                    request.transport.close()
                return web.Response(status=503, text="the line fails")
            async with session.request(
                request.method,
                URL(f"{to}{request.raw_path}", encoded=True),
                data=io.BytesIO(body) if body else None,
                headers={name: value for name, value in request.headers.items() if name != "Transfer-Encoding"},
                skip_auto_headers=("User-Agent", "Content-Type", "Accept", "Accept-Encoding"),
            ) as answer:
                headers = {name: value for name, value in answer.headers.items() if name.lower() != "transfer-encoding"}
                if request.method == "HEAD":
                    return web.StreamResponse(status=answer.status, headers=headers)
                return web.Response(status=answer.status, body=await answer.read(), headers=headers)

        app = web.Application(client_max_size=1 << 30)
        app.router.add_route("*", "/{path:.*}", passed_on)
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        try:
            line.endpoint = f"http://127.0.0.1:{runner.addresses[0][1]}"
            yield line
        finally:
            await runner.cleanup()
