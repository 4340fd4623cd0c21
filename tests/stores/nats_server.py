"""A real NATS server with JetStream for tests, in a folder and on a port of its own."""

import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from mesh.wheels import BIN
from tests.free_ports import free_port

START_TIMEOUT_S = 20.0


@dataclass
class NatsServer:
    """A server that can be stopped and started again; it keeps its port and its streams."""

    folder: Path
    port: int
    process: subprocess.Popen[bytes] | None = field(default=None)

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"nats://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start, and wait until it listens."""
        self.process = subprocess.Popen(
            [str(BIN / "nats-server"), "-js", "-sd", str(self.folder), "-a", "127.0.0.1", "-p", str(self.port)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + START_TIMEOUT_S
        while not self._listens():
            assert self.process.poll() is None, "NATS ended while it started"
            assert time.monotonic() < deadline, "NATS did not start in time"
            time.sleep(0.02)

    def stop(self) -> None:
        """Kill it, as a crash would."""
        if self.process is not None:
            self.process.kill()
            self.process.wait(START_TIMEOUT_S)
            self.process = None

    def _listens(self) -> bool:
        with socket.socket() as probe:
            probe.settimeout(1)
            return probe.connect_ex(("127.0.0.1", self.port)) == 0


@contextmanager
def running() -> Iterator[NatsServer]:
    """A server in a temporary folder, until the end of the block."""
    folder = Path(tempfile.mkdtemp(prefix="ai2text-nats-"))
    server = NatsServer(folder, free_port())
    try:
        server.start()
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder)
