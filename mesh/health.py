"""One question to each kind of part: are you there, and can you do your work? Each answers within two seconds."""

import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from http.client import HTTPConnection, HTTPException

import grpc
import psycopg
from grpc_health.v1 import health_pb2, health_pb2_grpc

from mesh.ports import HOST

DEADLINE_S = 2.0


class State(Enum):
    """How a part is."""

    WELL = "well"
    UNREADY = "unready"  # it answers, but lacks something it needs
    SILENT = "silent"  # it does not answer
    BROKEN = "broken"  # it answers, but will not be well again without a new start


@dataclass(frozen=True)
class Health:
    """How a part is, and what it said, for people."""

    state: State
    words: str

    @property
    def well(self) -> bool:
        """Whether it can do its work."""
        return self.state is State.WELL


Check = Callable[[], Health]


def http(port: int, path: str, well: str = "answers") -> Check:
    """Well when GET `path` answers 200."""

    def check() -> Health:
        status = _get(port, path)
        if isinstance(status, Health):
            return status
        return Health(State.WELL, well) if status == 200 else Health(State.UNREADY, f"{path} answers {status}")

    return check


def triton(
    port: int,
    grpc_port: int,
    models: tuple[str, ...],
    children: Callable[[], list[str]],
    instances: Callable[[], Mapping[str, int]],
) -> Check:
    """Well when the server and each of the models are ready.

    `children` gives the command lines of the server's child processes, `instances` in how many of them each model runs.
    Triton goes on to say "ready" when one has died, while every request that it is given hangs or fails. And it goes on
    to say so over HTTP when its gRPC server, which everybody uses, hangs: seen once, under load, with cancelled calls.
    """

    def check() -> Health:
        live = _get(port, "/v2/health/live")
        if isinstance(live, Health):
            return live
        if silent := _silent_triton(grpc_port):
            return silent
        missing = [model for model in models if _get(port, f"/v2/models/{model}/ready") != 200]
        if missing:
            return Health(State.UNREADY, f"not ready: {', '.join(missing)}")
        commands = children()
        wanted = instances()
        if dead := [model for model in models if _running(model, commands) < wanted.get(model, 1)]:
            return Health(State.BROKEN, f"a process of the model has ended: {', '.join(dead)}")
        return Health(State.WELL, f"ready: {', '.join(models)}")

    return check


def _silent_triton(port: int) -> Health | None:
    """None when its gRPC server says anything."""
    with _channel(port) as channel:
        ask: grpc.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(
            "/inference.GRPCInferenceService/ServerLive"
        )
        try:
            ask(b"", timeout=DEADLINE_S)
        except grpc.RpcError as error:
            return _silent(port, error)
    return None


def _running(model: str, commands: list[str]) -> int:
    """How many of the processes have the model's own file as an argument; its name may be in any path of the mesh."""
    file = f"/{model}/1/model.py"
    return sum(any(word.endswith(file) for word in command.split()) for command in commands)


def grpc_server(port: int, services: tuple[str, ...]) -> Check:
    """Well when the health service says SERVING of each of the services: then all that they need answers too."""

    def check() -> Health:
        with _channel(port) as channel:
            ask = health_pb2_grpc.HealthStub(channel).Check
            try:
                answers = [ask(health_pb2.HealthCheckRequest(service=name), timeout=DEADLINE_S) for name in services]
            except grpc.RpcError as error:
                return _silent(port, error)
        if all(answer.status == health_pb2.HealthCheckResponse.SERVING for answer in answers):
            return Health(State.WELL, "serving")
        return Health(State.UNREADY, "up, but something it needs is missing")

    return check


def _channel(port: int) -> grpc.Channel:
    return grpc.insecure_channel(f"{HOST}:{port}", options=[("grpc.enable_http_proxy", 0)])


def _silent(port: int, error: grpc.RpcError) -> Health:
    return Health(State.SILENT, f"no answer on port {port} ({error.code().name})")


def postgres(port: int, dsn: str) -> Check:
    """Well when the application's role can ask it something."""

    def check() -> Health:
        try:
            with psycopg.connect(dsn, connect_timeout=2, options="-c statement_timeout=2000") as connection:
                connection.execute("SELECT 1")
        except psycopg.OperationalError as error:
            words = str(error).strip().splitlines()
            starting = any("starting up" in line or "recovery" in line for line in words)
            state = State.UNREADY if starting else State.SILENT
            return Health(state, words[-1] if words else f"no answer on port {port}")
        return Health(State.WELL, "answers queries")

    return check


def valkey(port: int) -> Check:
    """Well when PING is answered; it says LOADING while it reads its snapshot."""

    def check() -> Health:
        try:
            with socket.create_connection((HOST, port), timeout=DEADLINE_S) as connection:
                connection.settimeout(DEADLINE_S)
                connection.sendall(b"PING\r\n")
                answer = connection.recv(256)
        except OSError as error:
            return Health(State.SILENT, f"no answer on port {port} ({error.strerror or error})")
        if answer.startswith(b"+PONG"):
            return Health(State.WELL, "answers PING")
        return Health(State.UNREADY, answer.decode(errors="replace").strip())

    return check


def alive() -> Health:
    """For a part that serves nobody: that the supervisor sees it running is all there is to know."""
    return Health(State.WELL, "runs")


def _get(port: int, path: str) -> int | Health:
    connection = HTTPConnection(HOST, port, timeout=DEADLINE_S)
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    except OSError as error:
        return Health(State.SILENT, f"no answer on port {port} ({error.strerror or error})")
    except HTTPException as error:
        return Health(State.SILENT, f"no HTTP on port {port} ({type(error).__name__})")
    finally:
        connection.close()
