"""A real Valkey for tests, on a port of its own; it keeps nothing on disk."""

import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from mesh import wheels
from tests.free_ports import free_port

START_TIMEOUT_S = 20.0


@dataclass
class ValkeyServer:
    """A server that can be stopped and started again, on the same port and empty, or only held up."""

    folder: Path
    port: int
    process: subprocess.Popen[bytes] | None = field(default=None)

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"valkey://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start, and wait until it answers."""
        settings = {"bind": "127.0.0.1", "port": str(self.port), "dir": str(self.folder), "save": ""}
        words = (word for name, value in settings.items() for word in (f"--{name}", value))
        self.process = subprocess.Popen(
            [str(wheels.valkey()), *words], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        deadline = time.monotonic() + START_TIMEOUT_S
        while not self._answers():
            assert self.process.poll() is None, "Valkey ended while it started"
            assert time.monotonic() < deadline, "Valkey did not start in time"
            time.sleep(0.02)

    def stop(self) -> None:
        """Kill it, as a crash would."""
        if self.process is not None:
            self.process.kill()
            self.process.wait(START_TIMEOUT_S)
            self.process = None

    @contextmanager
    def held_up(self) -> Iterator[None]:
        """Until the end of the block it takes connections and commands, and does nothing."""
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.process.send_signal(signal.SIGCONT)

    def _answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1) as probe:
                probe.sendall(b"PING\r\n")
                return probe.recv(5) == b"+PONG"
        except OSError:
            return False


@contextmanager
def running() -> Iterator[ValkeyServer]:
    """An empty server, until the end of the block."""
    with tempfile.TemporaryDirectory(prefix="ai2text-valkey-") as folder:
        server = ValkeyServer(Path(folder), free_port())
        try:
            server.start()
            yield server
        finally:
            server.stop()
