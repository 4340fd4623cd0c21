"""When the mesh holds Triton to be well."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, HTTPServer

import grpc
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
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield server.server_port
        server.shutdown()


class Live(grpc.GenericRpcHandler):
    """Its gRPC server, as long as it does not hang."""

    def __init__(self) -> None:
        self.hang = threading.Event()
        self.goes_on = threading.Event()

    def service(self, call: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler | None:
        return grpc.unary_unary_rpc_method_handler(self._answer) if call.method.endswith("/ServerLive") else None

    def _answer(self, _: bytes, context: grpc.ServicerContext) -> bytes:
        if self.hang.is_set():
            self.goes_on.wait(30)
        return b"\x08\x01"


@pytest.fixture
def live() -> Iterator[tuple[Live, int]]:
    handler = Live()
    server = grpc.server(ThreadPoolExecutor(2), handlers=(handler,))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield handler, port
    handler.goes_on.set()
    server.stop(0).wait()


@pytest.fixture
def grpc_port(live: tuple[Live, int]) -> int:
    return live[1]


def asked(port: int, grpc_port: int, children: list[str]) -> Health:
    return health.triton(port, grpc_port, MODELS, lambda: children, lambda: INSTANCES)()


def test_triton_is_well_with_a_process_for_each_instance(port: int, grpc_port: int) -> None:
    assert asked(port, grpc_port, [ONE, TWO, BACKGROUND]).state is State.WELL


@pytest.mark.parametrize("children", [[ONE, BACKGROUND], [BACKGROUND], [ONE, TWO]])
def test_triton_is_broken_when_one_of_them_has_ended_whatever_it_says_itself(
    port: int, grpc_port: int, children: list[str]
) -> None:
    assert asked(port, grpc_port, children).state is State.BROKEN


@pytest.mark.parametrize("ended", [ONE, TWO, BACKGROUND])
def test_a_home_whose_path_has_the_name_of_a_model_hides_no_process_that_has_ended(
    port: int, grpc_port: int, ended: str
) -> None:
    def elsewhere(*commands: str) -> list[str]:
        return [command.replace("/m/", "/srv/whisper/whisper-background/") for command in commands]

    running = [command for command in (ONE, TWO, BACKGROUND) if command != ended]
    assert asked(port, grpc_port, elsewhere(*running)).state is State.BROKEN
    assert asked(port, grpc_port, elsewhere(*running, ended)).state is State.WELL


def test_triton_that_does_not_answer_is_silent(port: int, grpc_port: int) -> None:
    assert asked(1, grpc_port, [ONE, TWO, BACKGROUND]).state is State.SILENT
    assert asked(port, 1, [ONE, TWO, BACKGROUND]).state is State.SILENT


def test_triton_whose_grpc_server_hangs_is_silent_though_http_says_that_it_is_well(
    port: int, live: tuple[Live, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    handler, grpc_port = live
    monkeypatch.setattr(health, "DEADLINE_S", 0.2)
    handler.hang.set()
    silent = asked(port, grpc_port, [ONE, TWO, BACKGROUND])
    assert (silent.state, silent.words) == (State.SILENT, f"no answer on port {grpc_port} (DEADLINE_EXCEEDED)")
