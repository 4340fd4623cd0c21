"""What the running Envoy is told, and what it is not."""

from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import pytest

from bench import writes
from mesh import runtime
from mesh.ports import Ports
from tests.free_ports import free_ports

ASKED: list[str] = []


class Admin(BaseHTTPRequestHandler):
    """Answers as the administration of Envoy does."""

    def do_GET(self) -> None:
        self._answer(b'{"entries": {"a.key": {"final_value": "25"}}}')

    def do_POST(self) -> None:
        ASKED.append(self.path)
        self._answer(b"OK\n" if "refused" not in self.path else b"", 200 if "refused" not in self.path else 503)

    def _answer(self, said: bytes, status: int = 200) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(said)))
        self.end_headers()
        self.wfile.write(said)

    def log_message(self, *_: object) -> None:
        """Be quiet."""


@pytest.fixture
def ports() -> Iterator[Ports]:
    ports = free_ports()
    ASKED.clear()
    with HTTPServer(("127.0.0.1", ports.envoy_admin), Admin) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield ports
        server.shutdown()


def test_a_key_is_read_told_and_forgotten(ports: Ports) -> None:
    assert runtime.value(ports, "a.key") == "25"
    with pytest.raises(KeyError):
        runtime.value(ports, "another.key")
    runtime.tell(ports, "a.key", 7)
    runtime.forget(ports, "a.key")
    assert ASKED == ["/runtime_modify?a.key=7", "/runtime_modify?a.key="]


def test_what_envoy_refuses_is_said(ports: Ports) -> None:
    with pytest.raises(runtime.EdgeAway, match="503"):
        runtime.tell(ports, "refused", 1)


def test_writes_are_hardly_traced_while_they_are_measured_however_that_ends(ports: Ports) -> None:
    with pytest.raises(RuntimeError, match="broken off"), writes.sampled(ports):
        raise RuntimeError("broken off")
    assert ASKED == ["/runtime_modify?tracing.random_sampling=1", "/runtime_modify?tracing.random_sampling="]
