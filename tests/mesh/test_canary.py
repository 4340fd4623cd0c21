"""Two versions of asr behind the edge: spread by weight, named by clients, kept by sessions, replaced when they end."""

import base64
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from ai2text.asr.v1 import audio_pb2, live_session_service_pb2, speech_service_pb2

from bench.clips import pcm16
from mesh import replicas
from tests.mesh.running_mesh import Client, RunningMesh, eventually
from tests.mesh.speaking import CHUNK, clips, requests

SERVER, VERSION = "x-ai2text-server", "x-ai2text-version"
Headers = dict[str, str]


@pytest.fixture(autouse=True)
def weight_as_before(running: RunningMesh) -> Iterator[None]:
    before = running.mesh("canary").stdout.split()[3]
    yield
    weigh(running, int(before))


def weigh(running: RunningMesh, weight: int) -> None:
    done = running.mesh("canary", str(weight))
    assert done.stdout == f"The canary gets {weight} % of what begins.\n", done.stderr


def versions(client: Client, running: RunningMesh, calls: int, headers: Headers | None = None) -> Counter[str]:
    """Which versions answered how many of so many calls."""
    request = speech_service_pb2.GetCapabilitiesRequest()
    metadata = [*running.bearer(), *(headers or {}).items()]
    answers = (client.speech.GetCapabilities(request, metadata=metadata, timeout=10) for _ in range(calls))
    return Counter(answer.server_version for answer in answers)


class LiveSession:
    """A session as a browser has it, all silence."""

    def __init__(self, client: Client, running: RunningMesh, headers: Headers | None = None) -> None:
        self._live, self._bearer, self._sequence = client.live, running.bearer(), 0
        linear = audio_pb2.AudioFormat(encoding=audio_pb2.AUDIO_ENCODING_LINEAR16, sample_rate_hz=16_000)
        config = speech_service_pb2.StreamingConfig(format=linear, language_code="vi", storage_disabled=True)
        request = live_session_service_pb2.OpenSessionRequest(config=config)
        metadata = [*self._bearer, *(headers or {}).items()]
        answer, call = client.live.OpenSession.with_call(request, metadata=metadata, timeout=10)
        said = dict(call.initial_metadata())
        self.headers = {name: str(said[name]) for name in (SERVER, VERSION)}
        self.session = answer.session

    @property
    def port(self) -> int:
        """Where its server listens, as the edge says in the header that binds the session."""
        return int(base64.b64decode(self.headers[SERVER]).decode().rpartition(":")[2])

    @property
    def _metadata(self) -> list[tuple[str, str]]:
        return [*self._bearer, *self.headers.items()]

    def push(self, pieces: int) -> int:
        """Sends so many pieces, and returns how many were acknowledged since it began."""
        for _ in range(pieces):
            request = live_session_service_pb2.PushAudioRequest(
                session_id=self.session.session_id,
                resume_token=self.session.resume_token,
                sequence=self._sequence,
                audio=bytes(CHUNK),
            )
            answer = self._live.PushAudio(request, metadata=self._metadata, timeout=10)
            self._sequence = answer.next_sequence
        return self._sequence

    def close(self) -> int:
        """Ends it, and returns how much audio was received, in milliseconds."""
        request = live_session_service_pb2.CloseSessionRequest(
            session_id=self.session.session_id, resume_token=self.session.resume_token
        )
        return int(self._live.CloseSession(request, metadata=self._metadata, timeout=20).cursors.received_ms)


@pytest.mark.parametrize(("weight", "seen"), [(0, {"stable"}), (50, {"stable", "canary"}), (100, {"canary"})])
def test_calls_are_spread_by_a_weight_that_is_set_while_the_mesh_runs(
    client: Client, running: RunningMesh, weight: int, seen: set[str]
) -> None:
    weigh(running, weight)
    assert set(versions(client, running, 60)) == seen


def test_a_weight_outlives_envoy(client: Client, running: RunningMesh) -> None:
    weigh(running, 100)
    assert running.mesh("restart", "envoy").returncode == 0
    assert set(eventually(lambda: _answers(client, running), bool)) == {"canary"}


def _answers(client: Client, running: RunningMesh) -> Counter[str]:
    try:
        return versions(client, running, 10)
    except grpc.RpcError:
        return Counter()


@pytest.mark.parametrize("version", ["stable", "canary"])
def test_a_named_version_is_obeyed_whatever_the_weight(client: Client, running: RunningMesh, version: str) -> None:
    weigh(running, 100 if version == "stable" else 0)
    assert set(versions(client, running, 20, {VERSION: version})) == {version}


@pytest.mark.parametrize("version", ["stable", "canary"])
def test_the_pieces_of_a_live_session_reach_the_server_that_opened_it(
    client: Client, running: RunningMesh, version: str
) -> None:
    session = LiveSession(client, running, {VERSION: version})
    assert session.headers[VERSION] == session.session.server_version == version
    assert session.push(20) == 20
    assert session.close() == 2_000


def test_a_live_session_stays_with_its_version_when_the_weight_changes(client: Client, running: RunningMesh) -> None:
    weigh(running, 0)
    session = LiveSession(client, running)
    weigh(running, 100)
    assert set(versions(client, running, 10)) == {"canary"}
    assert session.push(10) == 10
    assert session.close() == 1_000


@pytest.mark.timeout(120)
def test_a_stream_stays_with_its_version_when_the_weight_changes(
    client: Client, running: RunningMesh, speech_folder: Path
) -> None:
    clip, _ = clips(speech_folder, "vi")[0]
    weigh(running, 0)
    asked = requests(pcm16(clip), "vi", pace=1)
    responses = client.speech.StreamingRecognize(asked, metadata=running.bearer(), timeout=90)
    started = next(responses).session_started
    weigh(running, 100)
    finals = [response.final for response in responses if response.HasField("final")]
    assert started.server_version == "stable"
    assert finals[0].text


@pytest.mark.timeout(120)
def test_a_replica_that_stops_gets_nothing_new_and_is_still_heard(client: Client, running: RunningMesh) -> None:
    ports = running.ports.names()
    parts = {ports[replicas.port(part)]: part for part in replicas.asr()}
    session = LiveSession(client, running, {VERSION: "stable"})
    assert running.mesh("kill", parts[session.port], "--signal", "TERM").returncode == 0

    def elsewhere() -> LiveSession | None:
        """A session of another replica, once the edge has asked: it does so every second."""
        try:
            opened = LiveSession(client, running, {VERSION: "stable"})
        except grpc.RpcError:
            return None
        if opened.port != session.port:
            return opened
        opened.close()
        return None

    another = eventually(elsewhere, bool)
    assert session.push(5) == 5
    assert set(versions(client, running, 20, {VERSION: "stable"})) == {"stable"}
    assert (session.close(), another.close()) == (500, 0)
    running.wait_well()
