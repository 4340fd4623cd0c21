"""Other weights behind the running mesh for a while: Triton is started anew with them, and with its own afterwards."""

import contextlib
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from mesh.home import REPOSITORY, Home
from mesh.ports import HOST, Ports
from mesh.supervision import Supervisor, environment
from mesh.wheels import BIN

MULTILINGUAL_TOKENS = 51_865
READY_S = 120.0
STOP_S = 30.0


class NotReady(Exception):
    """Triton did not come up in time."""


@contextlib.contextmanager
def served(weights: Path, home: Home, ports: Ports) -> Iterator[None]:
    """Within the block Triton serves the faster-whisper folder `weights`. Raises NotReady."""
    supervisor = Supervisor(home, ports)
    supervisor.stop("triton")
    try:
        with _triton(weights, home, ports):
            yield
    finally:
        supervisor.start("triton")
        await_ready(ports)


def await_ready(ports: Ports) -> None:
    """Returns when Triton has loaded its models. Raises NotReady."""
    deadline = time.monotonic() + READY_S
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError):
            for path in ("health/ready", "models/whisper/ready", "models/embedder/ready"):
                urllib.request.urlopen(f"http://{HOST}:{ports.triton_http}/v2/{path}", timeout=2).close()
            return
        time.sleep(0.5)
    raise NotReady(f"Triton was not ready within {READY_S:.0f} s")


@contextlib.contextmanager
def _triton(weights: Path, home: Home, ports: Ports) -> Iterator[None]:
    """Started as the mesh starts it, so that its use of the machine is seen, and `mesh down` would end it."""
    with (home.logs / "triton-bench.log").open("wb") as log:
        triton = subprocess.Popen(
            [str(BIN / "python"), "-m", "mesh.launch", "triton"],
            cwd=REPOSITORY,
            env=environment(home, ports) | {"AI2TEXT_WHISPER_MODEL": str(weights.absolute())},
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    try:
        await_ready(ports)
        yield
    finally:
        triton.terminate()
        try:
            triton.wait(STOP_S)
        except subprocess.TimeoutExpired:
            triton.kill()
            triton.wait()


def is_english_only(weights: Path) -> bool:
    """Whether the model knows English only: its vocabulary then lacks a token, as CTranslate2 tells them apart."""
    return (weights / "vocabulary.txt").read_text(encoding="utf-8").count("\n") < MULTILINGUAL_TOKENS
