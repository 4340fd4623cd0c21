"""A local mesh of the tests' own: its home, its ports, its tokens; started and stopped by the command people use."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import grpc
from ai2text.asr.v1 import live_session_service_pb2_grpc, speech_service_pb2_grpc
from ai2text.metadata.v1 import recording_service_pb2_grpc, transcript_service_pb2_grpc
from ai2text.search.v1 import search_service_pb2_grpc
from rich.console import Console

from mesh import status
from mesh.home import Home
from mesh.keys import SCOPES, Keys
from mesh.lifecycle import Mesh
from mesh.ports import Ports

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class RunningMesh:
    """A mesh that is up."""

    home: Home
    ports: Ports

    @property
    def environment(self) -> dict[str, str]:
        """What names this mesh to every command."""
        return {
            **os.environ,
            "AI2TEXT_HOME": str(self.home.root),
            "AI2TEXT_MODELS": str(self.home.models),
            "AI2TEXT_PORT_BASE": str(self.ports.base),
            "NO_COLOR": "1",
        }

    @property
    def url(self) -> str:
        """The edge, for HTTP."""
        return f"http://{self.ports.address('edge')}"

    def token(self, tenant: str = "acme", scopes: tuple[str, ...] = SCOPES) -> str:
        """A development token."""
        return Keys(self.home.keys).mint("tester", tenant, scopes, 3600)

    def bearer(self, tenant: str = "acme", scopes: tuple[str, ...] = SCOPES) -> list[tuple[str, str]]:
        """The metadata of a call with a token."""
        return [("authorization", f"Bearer {self.token(tenant, scopes)}")]

    def run(self, *command: str, timeout_s: float = 60) -> subprocess.CompletedProcess[str]:
        """Run a command of this project on this mesh."""
        return subprocess.run(
            command, cwd=ROOT, env=self.environment, capture_output=True, text=True, timeout=timeout_s, check=False
        )

    def mesh(self, *arguments: str, timeout_s: float = 300) -> subprocess.CompletedProcess[str]:
        """`python -m mesh …`."""
        return self.run(sys.executable, "-m", "mesh", *arguments, timeout_s=timeout_s)

    def parts(self) -> dict[str, dict[str, Any]]:
        """Each part as `make status` shows it, by its name. Asked here: a command takes a second to begin."""
        seen = status.look(Mesh(self.home, self.ports, Console(quiet=True)))
        return {part.part: asdict(part) for part in seen.parts}

    def kill(self, part: str) -> int:
        """kill -9 of the process of a part; returns its pid."""
        pid = int(self.parts()[part]["pid"])
        os.kill(pid, signal.SIGKILL)
        return pid

    def wait_well(self, within_s: float = 90) -> dict[str, dict[str, Any]]:
        """Wait until every part is well."""
        return eventually(self.parts, lambda parts: all(part["well"] for part in parts.values()), within_s)


def eventually(look: Callable[[], Any], holds: Callable[[Any], bool], within_s: float = 20) -> Any:
    """Look again and again until what is seen holds; returns it. AssertionError with what was seen last."""
    deadline = time.monotonic() + within_s
    while not holds(seen := look()):
        assert time.monotonic() < deadline, f"after {within_s:g} s still {seen}"
        time.sleep(0.2)
    return seen


@contextmanager
def started() -> Iterator[RunningMesh]:
    """The tests' mesh, up and well; down at the end."""
    root = ROOT / "build" / "test-mesh"
    models = Path(os.environ.get("AI2TEXT_MODELS") or Home.from_env().models)
    base = int(os.environ.get("AI2TEXT_TEST_PORT_BASE", "8280"))
    running = RunningMesh(Home(root, models), Ports.from_base(base))
    running.mesh("down")
    shutil.rmtree(root, ignore_errors=True)  # what earlier runs said would be found as well
    up = running.mesh("up")
    assert up.returncode == 0, up.stdout + up.stderr
    try:
        yield running
    finally:
        down = running.mesh("down")
        assert down.returncode == 0, down.stdout + down.stderr


@dataclass(frozen=True)
class Client:
    """Stubs through the edge."""

    speech: speech_service_pb2_grpc.SpeechServiceStub
    live: live_session_service_pb2_grpc.LiveSessionServiceStub
    recordings: recording_service_pb2_grpc.RecordingServiceStub
    transcripts: transcript_service_pb2_grpc.TranscriptServiceStub
    search: search_service_pb2_grpc.SearchServiceStub


@contextmanager
def client(running: RunningMesh) -> Iterator[Client]:
    """Synchronous stubs of every service, through the edge."""
    options = [("grpc.max_send_message_length", 64 * 1024 * 1024)]
    with grpc.insecure_channel(running.ports.address("edge"), options) as channel:
        yield Client(
            speech_service_pb2_grpc.SpeechServiceStub(channel),
            live_session_service_pb2_grpc.LiveSessionServiceStub(channel),
            recording_service_pb2_grpc.RecordingServiceStub(channel),
            transcript_service_pb2_grpc.TranscriptServiceStub(channel),
            search_service_pb2_grpc.SearchServiceStub(channel),
        )
