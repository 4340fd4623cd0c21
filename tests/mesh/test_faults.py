"""kill -9 of each process, and dependencies that are down: everything comes back, nothing stored is lost."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import grpc
import psutil
import pytest
from ai2text.metadata.v1 import transcript_service_pb2

from bench.clips import pcm16
from mesh import replicas
from mesh.supervision import Supervisor
from tests.mesh.running_mesh import Client, RunningMesh, eventually
from tests.mesh.speaking import Spoken, clips, found, requests, speak
from tests.rpc import refusals

TENANT = "faults"
BACKGROUND = ["whisper-background", "whisper-batch"]
"""The models that only get the time that nothing else wants."""

PARTS = (
    "postgres",
    "nats",
    "valkey",
    "triton",
    "metadata",
    "embeddings",
    "search",
    *replicas.asr(),
    "envoy",
    "traces",
    "watchdog",
)


@contextmanager
def stopped(running: RunningMesh, part: str) -> Iterator[None]:
    """Keeps a part down until the block ends."""
    supervisor = Supervisor(running.home, running.ports)
    supervisor.stop(part)
    try:
        yield
    finally:
        supervisor.start(part)


def spoken_in_the_end(client: Client, running: RunningMesh, clip: Path) -> Spoken:
    """`live` works, after refusals that say when to retry: a replica may not know yet that all is well again."""

    def attempt() -> Spoken | str | None:
        try:
            return speak(client, running, clip, "vi", TENANT)
        except grpc.RpcError as error:
            retryable = error.code() == grpc.StatusCode.UNAVAILABLE or refusals.of(error).retry_s
            return None if retryable else str(error)

    spoken = eventually(attempt, bool, within_s=90)
    assert isinstance(spoken, Spoken), spoken  # anything else is an error that no retry would mend
    return spoken


def spoken_and_found(client: Client, running: RunningMesh, clip: Path) -> Spoken:
    """`live` and `search` work again."""
    spoken = spoken_in_the_end(client, running, clip)
    found(client, running, spoken.finals[0].text, spoken.recording_id, TENANT)
    return spoken


def segments(client: Client, running: RunningMesh, transcript_id: str) -> list[str]:
    """What the model wrote, as it is stored."""
    request = transcript_service_pb2.ListSegmentsRequest(transcript_id=transcript_id)
    answer = client.transcripts.ListSegments(request, metadata=running.bearer(TENANT), timeout=10)
    return [segment.raw_text or segment.text for segment in answer.segments]


@pytest.mark.timeout(240)
@pytest.mark.parametrize("part", PARTS)
def test_a_killed_process_comes_back(client: Client, running: RunningMesh, speech_folder: Path, part: str) -> None:
    clip, _ = clips(speech_folder, "vi")[0]
    before = spoken_and_found(client, running, clip)
    pid = running.kill(part)
    eventually(running.parts, lambda parts: parts[part]["well"] and parts[part]["pid"] != pid, within_s=90)
    spoken_and_found(client, running, clip)
    assert segments(client, running, before.transcript_id) == [final.text for final in before.finals]
    found(client, running, before.finals[0].text, before.recording_id, TENANT)


@pytest.mark.timeout(240)
@pytest.mark.parametrize("killed", ["that of live speech", "all"])
def test_a_killed_model_process_inside_triton_comes_back(
    client: Client, running: RunningMesh, speech_folder: Path, killed: str
) -> None:
    clip, _ = clips(speech_folder, "vi")[0]
    triton = psutil.Process(int(running.parts()["triton"]["pid"]))
    stubs = {" ".join(child.cmdline()): child for child in triton.children(recursive=True)}
    whisper = [child for command, child in stubs.items() if "/whisper/" in command]
    assert len(whisper) == 1  # its threads decode
    idle = {command for command, child in stubs.items() if os.sched_getscheduler(child.pid) == os.SCHED_IDLE}
    assert len(idle) == len(BACKGROUND)
    assert sorted(name for command in idle for name in BACKGROUND if f"/{name}/" in command) == BACKGROUND
    for stub in stubs.values() if killed == "all" else whisper:
        stub.kill()
    spoken_and_found(client, running, clip)
    eventually(running.parts, lambda parts: parts["triton"]["pid"] != triton.pid, within_s=90)
    running.wait_well()


@pytest.mark.timeout(240)
def test_the_killed_supervisor_comes_back(client: Client, running: RunningMesh, speech_folder: Path) -> None:
    clip, _ = clips(speech_folder, "vi")[0]
    supervisor = psutil.Process(int(running.parts()["asr-1"]["pid"])).parent()
    assert supervisor is not None
    supervisor.kill()
    running.wait_well(within_s=120)
    spoken_and_found(client, running, clip)


@pytest.mark.timeout(240)
def test_without_triton_a_stream_ends_with_unavailable_and_a_time_to_retry(
    client: Client, running: RunningMesh, speech_folder: Path
) -> None:
    clip, _ = clips(speech_folder, "vi")[0]
    with stopped(running, "triton"):
        began = time.monotonic()
        with pytest.raises(grpc.RpcError) as info:
            for _ in client.speech.StreamingRecognize(
                requests(pcm16(clip)[:64_000], "vi", pace=1), metadata=running.bearer(), timeout=60
            ):
                pass
        assert time.monotonic() - began < 30
        refused = refusals.of(info.value)
        assert (refused.code, refused.reason) == (grpc.StatusCode.UNAVAILABLE, "DEPENDENCY_UNAVAILABLE")
        assert refused.retry_s
    running.wait_well()


@pytest.mark.timeout(240)
def test_with_postgres_down_finals_reach_the_client_and_are_stored_later(
    client: Client, running: RunningMesh, speech_folder: Path
) -> None:
    clip, _ = clips(speech_folder, "vi")[0]
    with stopped(running, "postgres"):
        spoken = spoken_in_the_end(client, running, clip)
        assert spoken.finals
        with pytest.raises(grpc.RpcError) as info:
            segments(client, running, spoken.transcript_id)
        assert refusals.of(info.value).code == grpc.StatusCode.UNAVAILABLE
    running.wait_well()
    found(client, running, spoken.finals[0].text, spoken.recording_id, TENANT)
    assert segments(client, running, spoken.transcript_id) == [final.text for final in spoken.finals]
