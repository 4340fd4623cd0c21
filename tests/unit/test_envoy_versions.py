"""Two versions of asr behind a real Envoy: weights, pinned versions, sessions that stay with their server."""

import itertools
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent import futures
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
from ai2text.asr.v1 import (
    live_session_service_pb2,
    live_session_service_pb2_grpc,
    session_pb2,
    speech_service_pb2,
    speech_service_pb2_grpc,
)
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from mesh import canary
from mesh.edge import Edge, Endpoint
from mesh.home import Home
from mesh.keys import Keys
from mesh.ports import Ports
from tests.free_ports import free_ports
from tests.unit.running_envoy import running

Headers = dict[str, str]
SERVER, VERSION = "x-ai2text-server", "x-ai2text-version"


class Replica(speech_service_pb2_grpc.SpeechServiceServicer, live_session_service_pb2_grpc.LiveSessionServiceServicer):
    """One asr server: it says who it is, and knows only the sessions that it opened."""

    def __init__(self, name: str, version: str) -> None:
        self.name, self.version = name, version
        self.sessions: set[str] = set()
        self._health = health.HealthServicer()
        self._server = grpc.server(futures.ThreadPoolExecutor(16))
        speech_service_pb2_grpc.add_SpeechServiceServicer_to_server(self, self._server)
        live_session_service_pb2_grpc.add_LiveSessionServiceServicer_to_server(self, self._server)
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        self.say(well=True)
        self.endpoint = Endpoint("127.0.0.1", self._server.add_insecure_port("127.0.0.1:0"))
        self._server.start()

    def say(self, well: bool) -> None:
        """What health checks are told from now on."""
        states = health_pb2.HealthCheckResponse
        self._health.set("", states.SERVING if well else states.NOT_SERVING)

    def stop(self) -> None:
        """Nothing listens any more, and what is open is cut."""
        self._server.stop(0).wait()

    def GetCapabilities(self, request: Any, context: Any) -> speech_service_pb2.GetCapabilitiesResponse:
        return speech_service_pb2.GetCapabilitiesResponse(model=self.name, server_version=self.version)

    def StreamingRecognize(
        self, requests: Any, context: Any
    ) -> Iterator[speech_service_pb2.StreamingRecognizeResponse]:
        for _ in requests:
            started = speech_service_pb2.SessionStarted(session_id=self.name, server_version=self.version)
            yield speech_service_pb2.StreamingRecognizeResponse(session_started=started)

    def OpenSession(self, request: Any, context: Any) -> live_session_service_pb2.OpenSessionResponse:
        session_id = f"{len(self.sessions)}-of-{self.name}"
        self.sessions.add(session_id)
        started = speech_service_pb2.SessionStarted(session_id=session_id, server_version=self.version)
        return live_session_service_pb2.OpenSessionResponse(session=started)

    def PushAudio(self, request: Any, context: Any) -> live_session_service_pb2.PushAudioResponse:
        if request.session_id not in self.sessions:
            context.abort(grpc.StatusCode.NOT_FOUND, f"{self.name} has no such session")
        return live_session_service_pb2.PushAudioResponse(next_sequence=request.sequence + 1)

    def WatchSession(self, request: Any, context: Any) -> Iterator[live_session_service_pb2.WatchSessionResponse]:
        status = session_pb2.SessionStatus()
        if request.session_id in self.sessions:
            event = speech_service_pb2.StreamingRecognizeResponse(status=status)
            yield live_session_service_pb2.WatchSessionResponse(event=event)


@dataclass
class Fleet:
    """Two stable replicas and a canary behind the edge."""

    home: Home
    ports: Ports
    replicas: dict[str, Replica]

    def __post_init__(self) -> None:
        self._token = Keys(self.home.keys).mint("an", "acme")
        self.channel = grpc.insecure_channel(self.ports.address("edge"))
        self._speech = speech_service_pb2_grpc.SpeechServiceStub(self.channel)
        self._live = live_session_service_pb2_grpc.LiveSessionServiceStub(self.channel)

    def metadata(self, headers: Headers) -> list[tuple[str, str]]:
        return [("authorization", f"Bearer {self._token}"), *headers.items()]

    def weigh(self, weight: int) -> None:
        canary.change(self.home, self.ports, weight)

    def answered(self, calls: int, headers: Headers | None = None) -> Counter[str]:
        """Which replicas answered how many of so many calls."""
        request, metadata = speech_service_pb2.GetCapabilitiesRequest(), self.metadata(headers or {})
        answers = (self._speech.GetCapabilities(request, metadata=metadata, timeout=10) for _ in range(calls))
        return Counter(answer.model for answer in answers)

    def open(self, headers: Headers | None = None) -> tuple[str, Headers]:
        """A session, and the headers of its answer that its calls need."""
        request = live_session_service_pb2.OpenSessionRequest(config=speech_service_pb2.StreamingConfig())
        answer, call = self._live.OpenSession.with_call(request, metadata=self.metadata(headers or {}), timeout=10)
        said = dict(call.initial_metadata())
        return answer.session.session_id, {name: str(said[name]) for name in (SERVER, VERSION)}

    def push(self, session_id: str, headers: Headers, pieces: int = 20) -> None:
        """Raises grpc.RpcError when a piece reaches a server that does not know the session."""
        for sequence in range(pieces):
            request = live_session_service_pb2.PushAudioRequest(session_id=session_id, sequence=sequence)
            self._live.PushAudio(request, metadata=self.metadata(headers), timeout=10)

    def watch(self, session_id: str, headers: Headers) -> int:
        """How many events came."""
        request = live_session_service_pb2.WatchSessionRequest(session_id=session_id)
        return len(list(self._live.WatchSession(request, metadata=self.metadata(headers), timeout=10)))

    @contextmanager
    def stream(self, headers: Headers | None = None) -> Iterator[Iterator[str]]:
        """One stream that goes on as it is read: the names of those that answer its messages."""
        asked = itertools.repeat(speech_service_pb2.StreamingRecognizeRequest(audio=b"\0\0"))
        call = self._speech.StreamingRecognize(asked, metadata=self.metadata(headers or {}), timeout=30)
        try:
            yield (answer.session_started.session_id for answer in call)
        finally:
            call.cancel()


@contextmanager
def started(folder: Path) -> Iterator[Fleet]:
    home, ports = Home.from_env({"AI2TEXT_HOME": str(folder)}), free_ports()
    home.create()
    Keys(home.keys).ensure()
    replicas = [Replica("asr-1", "stable"), Replica("asr-2", "stable"), Replica("asr-canary", "canary")]
    first, second, third = (replica.endpoint for replica in replicas)
    edge = replace(Edge.local(ports, home), asr_stable=(first, second), asr_canary=(third,))
    fleet = Fleet(home, ports, {replica.name: replica for replica in replicas})
    try:
        with running(folder, edge):
            yield fleet
    finally:
        fleet.channel.close()
        for replica in replicas:
            replica.stop()


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """One whose replicas stay well."""
    with started(tmp_path_factory.mktemp("fleet")) as fleet:
        yield fleet


@pytest.fixture
def doomed(tmp_path: Path) -> Iterator[Fleet]:
    """One whose replicas the test may stop."""
    with started(tmp_path) as fleet:
        yield fleet


def eventually(look: Callable[[], bool], within_s: float = 10) -> None:
    deadline = time.monotonic() + within_s
    while not look():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.parametrize(
    ("weight", "answer"), [(0, {"asr-1", "asr-2"}), (50, {"asr-1", "asr-2", "asr-canary"}), (100, {"asr-canary"})]
)
def test_calls_are_spread_by_a_weight_that_is_set_while_the_edge_runs(
    fleet: Fleet, weight: int, answer: set[str]
) -> None:
    fleet.weigh(weight)
    assert canary.current(fleet.ports) == weight
    assert set(fleet.answered(60)) == answer


@pytest.mark.parametrize("weight", [0, 100])
def test_a_named_version_is_obeyed_whatever_the_weight(fleet: Fleet, weight: int) -> None:
    fleet.weigh(weight)
    assert set(fleet.answered(10, {VERSION: "canary"})) == {"asr-canary"}
    assert set(fleet.answered(20, {VERSION: "stable"})) == {"asr-1", "asr-2"}


def test_a_version_that_there_is_not_is_as_good_as_none(fleet: Fleet) -> None:
    fleet.weigh(100)
    assert set(fleet.answered(10, {VERSION: "beta"})) == {"asr-canary"}


@pytest.mark.parametrize("version", ["stable", "canary"])
def test_calls_of_a_session_reach_the_server_that_opened_it(fleet: Fleet, version: str) -> None:
    session_id, headers = fleet.open({VERSION: version})
    assert headers[VERSION] == version
    fleet.push(session_id, headers)
    assert fleet.watch(session_id, headers) == 1


def test_the_server_alone_is_enough_to_find_a_session(fleet: Fleet) -> None:
    fleet.weigh(50)
    for _ in range(5):
        session_id, headers = fleet.open()
        fleet.push(session_id, {SERVER: headers[SERVER]})


def test_streams_and_single_calls_are_bound_to_no_server(fleet: Fleet) -> None:
    _, headers = fleet.open({VERSION: "stable"})
    assert set(fleet.answered(40, headers)) == {"asr-1", "asr-2"}


def test_a_stream_stays_where_it_is_when_the_weight_changes(fleet: Fleet) -> None:
    fleet.weigh(0)
    with fleet.stream() as answers:
        name = next(answers)
        fleet.weigh(100)
        assert set(fleet.answered(10)) == {"asr-canary"}
        assert {next(answers) for _ in range(10)} == {name}


def test_a_browser_may_send_and_read_what_binds_a_session(fleet: Fleet) -> None:
    origin = {"origin": "http://localhost:5173", "access-control-request-method": "POST"}
    url = f"http://{fleet.ports.address('edge')}/ai2text.asr.v1.LiveSessionService/PushAudio"
    allowed = httpx.options(url, headers=origin, timeout=5).headers["access-control-allow-headers"]
    shown = httpx.post(url, headers=origin | dict(fleet.metadata({})), timeout=5).headers[
        "access-control-expose-headers"
    ]
    for header in (SERVER, VERSION):
        assert header in allowed
        assert header in shown


def test_a_session_over_json(fleet: Fleet) -> None:
    url = f"http://{fleet.ports.address('edge')}/v1/speech/sessions"
    opened = httpx.post(url, json={"config": {}}, headers=dict(fleet.metadata({VERSION: "canary"})), timeout=10)
    session_id = opened.json()["session"]["sessionId"]
    binding = dict(fleet.metadata({name: opened.headers[name] for name in (SERVER, VERSION)}))
    pushed = httpx.post(f"{url}/{session_id}:push", json={"sequence": "4"}, headers=binding, timeout=10)
    assert pushed.json() == {"nextSequence": "5"}
    watched = httpx.post(f"{url}/{session_id}:watch", json={}, headers=binding, timeout=10)
    assert len(watched.json()) == 1


def test_a_replica_that_drains_gets_nothing_new_and_keeps_what_it_has(doomed: Fleet) -> None:
    session_id, headers = doomed.open({VERSION: "stable"})
    name = session_id.split("-of-")[-1]
    with doomed.stream({VERSION: "stable"}) as answers:
        streaming = next(answers)
        for draining in {name, streaming}:
            doomed.replicas[draining].say(well=False)
        others = set(doomed.replicas) - {name, streaming}
        eventually(lambda: set(doomed.answered(40)) <= others)
        assert set(doomed.answered(40)) <= others
        assert {next(answers) for _ in range(10)} == {streaming}
    doomed.push(session_id, headers)
    assert doomed.watch(session_id, headers) == 1


def test_a_session_whose_server_is_gone_is_unknown_to_the_others_at_once(doomed: Fleet) -> None:
    session_id, headers = doomed.open({VERSION: "stable"})
    doomed.replicas[session_id.split("-of-")[-1]].stop()
    with pytest.raises(grpc.RpcError) as lost:
        doomed.push(session_id, headers, pieces=1)
    assert lost.value.code() == grpc.StatusCode.NOT_FOUND
    _, anew = doomed.open({VERSION: "stable"})
    assert anew[VERSION] == "stable"


def test_no_call_is_lost_while_a_replica_goes_away(doomed: Fleet) -> None:
    doomed.replicas["asr-1"].stop()
    assert set(doomed.answered(40)) == {"asr-2"}


@pytest.mark.parametrize(
    ("version", "lost", "answer"),
    [("canary", ["asr-canary"], {"asr-1", "asr-2"}), ("stable", ["asr-1", "asr-2"], {"asr-canary"})],
)
def test_the_other_version_stands_in_for_one_that_is_gone(
    doomed: Fleet, version: str, lost: list[str], answer: set[str]
) -> None:
    for name in lost:
        doomed.replicas[name].stop()
    assert set(doomed.answered(20, {VERSION: version})) == answer
    _, headers = doomed.open({VERSION: version})
    assert headers[VERSION] != version
