"""When the mesh holds Triton to be well."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from mesh import health
from mesh.health import Health, State

MODELS = ("whisper", "whisper-background")
INSTANCES = {"whisper": 2, "whisper-background": 1}
ONE, TWO, BACKGROUND = (
    "stub /m/whisper/1/model.py a",
    "stub /m/whisper/1/model.py b",
    "stub /m/whisper-background/1/model.py",
)


class Ready(BaseHTTPRequestHandler):
    """A Triton that says that all is ready."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def port() -> Iterator[int]:
    with HTTPServer(("127.0.0.1", 0), Ready) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


def asked(port: int, children: list[str]) -> Health:
    return health.triton(port, MODELS, lambda: children, lambda: INSTANCES)()


def test_triton_is_well_with_a_process_for_each_instance(port: int) -> None:
    assert asked(port, [ONE, TWO, BACKGROUND]).state is State.WELL


@pytest.mark.parametrize("children", [[ONE, BACKGROUND], [BACKGROUND], [ONE, TWO]])
def test_triton_is_broken_when_one_of_them_has_ended_whatever_it_says_itself(port: int, children: list[str]) -> None:
    assert asked(port, children).state is State.BROKEN


def test_triton_that_does_not_answer_is_silent() -> None:
    assert asked(1, [ONE, TWO, BACKGROUND]).state is State.SILENT
