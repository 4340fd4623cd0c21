"""WhisperLiveKit from PyPI: LocalAgreement on faster-whisper with our weights, driven over its websocket.

To run it without a network: `--warmup-file` with a clip of ours (it would fetch one), `--model_dir` with our
CTranslate2 weights (it would fetch them), and the policy `localagreement`, because its default needs weights of
PyTorch. torchaudio, which it names but does not import here, is left out: the registry has none that fits the CPU
build of torch.
"""

import asyncio
import contextlib
import difflib
import json
import os
import signal
import subprocess
import time
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from websockets.asyncio.client import ClientConnection, connect

from bench import scripts
from bench.scoring import normalised
from bench.scripts import Script
from bench.spread import Spread
from bench.voices import Voice
from clients.cli.pcm import BYTES_PER_MS

FOLDER = Path("build/peers/whisperlivekit")
VERSION = "0.2.26"
REQUIREMENTS = (
    ("torch==2.13.0",),  # first and by itself: any other wish brings a CUDA build of several GB
    (
        "fastapi", "faster-whisper>=1.2.1,<1.3", "huggingface-hub", "librosa", "python-multipart", "soundfile",
        "starlette", "tiktoken", "torch==2.13.0", "tqdm", "uvicorn", "websockets",
    ),
    ("--no-deps", f"whisperlivekit=={VERSION}"),
)  # fmt: skip
"""What pip is asked for, in this order."""
START_S = 90.0
DRAIN_S = 8.0
"""How long the last words may take; what is not there then counts as there then."""


class PeerAbsent(Exception):
    """The peer is not installed, or did not start; the message says what to do or why."""


@dataclass
class Heard:
    """One session as it went: the settled words, each time that there were more."""

    began: float = 0.0
    over: float = 0.0
    """When nobody waited any longer."""
    settled: list[tuple[float, list[str]]] = field(default_factory=list)


@contextlib.contextmanager
def serving(weights: Path, port: int, warm_up: Path) -> Iterator[str]:
    """The peer's server, ended with the block; yields its websocket's address. Raises PeerAbsent."""
    program = FOLDER / "bin" / "whisperlivekit-server"
    if not program.is_file():
        raise PeerAbsent(f"{program} is not there: `make bench-asr-peers` installs it")
    command = [
        str(program), "--host", "127.0.0.1", "--port", str(port), "--pcm-input", "--log-level", "WARNING",
        "--backend", "faster-whisper", "--backend-policy", "localagreement",
        "--model_dir", str(weights.absolute()), "--warmup-file", str(warm_up.absolute()), "--language", "en",
    ]  # fmt: skip
    with (FOLDER / "server.log").open("wb") as log:
        server = subprocess.Popen(
            command, stdout=log, stderr=subprocess.STDOUT, env=dict(os.environ) | {"HF_HUB_OFFLINE": "1"}
        )
    try:
        _await_health(server, f"http://127.0.0.1:{port}/health")
        yield f"ws://127.0.0.1:{port}/asr"
    finally:
        server.send_signal(signal.SIGINT)
        try:
            server.wait(10)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def round_(address: str, said: Sequence[Voice], speakers: int, seconds: float, seed: int, chunk_ms: int) -> Spread:
    """From the end of speech of each turn until the last of its words was settled, in milliseconds."""
    played = scripts.conversations(said, speakers, seed, [round(seconds * 1000)] * speakers)
    heard = asyncio.run(_all(address, played, chunk_ms))
    delays = (ms for script, session in zip(played, heard, strict=True) for ms in settling_times(script, session))
    return Spread.of(delays)


def settling_times(script: Script, heard: Heard) -> Iterator[float]:
    """For each whole turn, milliseconds from the end of its speech to the settling of its last word.

    The words are matched in order with those that were said. A turn of which nothing was understood is passed over,
    unless nothing was settled after it either: then it counts as settled when nobody waited any longer.
    """
    words = heard.settled[-1][1] if heard.settled else []
    ends = _ends([normalised(turn.voice.clip.transcript).split() for turn in script.whole_turns], words)
    known = [number for number, end in enumerate(ends) if end]
    for number, (turn, end) in enumerate(zip(script.whole_turns, ends, strict=True)):
        spoken = heard.began + turn.speech_end_ms / 1000
        if end:
            yield 1000 * (next(at for at, settled in heard.settled if len(settled) >= end) - spoken)
        elif not known or number > known[-1]:
            yield 1000 * (heard.over - spoken)


def _ends(said: list[list[str]], heard: list[str]) -> list[int]:
    """For each turn how many of the words heard belong to it and to those before; 0 when none of its own do."""
    every = [word for words in said for word in words]
    owner = [number for number, words in enumerate(said) for _ in words]
    ends = [0] * len(said)
    for match in difflib.SequenceMatcher(None, every, heard, autojunk=False).get_matching_blocks():
        for step in range(match.size):
            ends[owner[match.a + step]] = match.b + step + 1
    return ends


async def _all(address: str, played: Sequence[Script], chunk_ms: int) -> list[Heard]:
    room = scripts.room()
    sounds = [scripts.rendered(script.turns, 0, script.length_ms, room) for script in played]
    return list(
        await asyncio.gather(
            *(
                _session(f"{address}?language={s.language}", sound, chunk_ms)
                for s, sound in zip(played, sounds, strict=True)
            )
        )
    )


async def _session(address: str, sound: bytes, chunk_ms: int) -> Heard:
    heard = Heard()
    async with connect(address, max_size=None, open_timeout=30, close_timeout=1, ping_interval=None) as socket:
        listener = asyncio.create_task(_listen(socket, heard))
        heard.began = time.monotonic()
        step = chunk_ms * BYTES_PER_MS
        for offset in range(0, len(sound), step):
            chunk = sound[offset : offset + step]
            await asyncio.sleep(heard.began + (offset + len(chunk)) / BYTES_PER_MS / 1000 - time.monotonic())
            await socket.send(chunk)
        await socket.send(b"")  # its sign for the end
        await asyncio.wait([listener], timeout=DRAIN_S)
        listener.cancel()
    heard.over = time.monotonic()
    return heard


async def _listen(socket: ClientConnection, heard: Heard) -> None:
    async for message in socket:
        told = json.loads(message)
        if told.get("type") == "ready_to_stop":
            return
        words = normalised(" ".join(line.get("text") or "" for line in told.get("lines", []))).split()
        if words and (not heard.settled or len(words) > len(heard.settled[-1][1])):
            heard.settled.append((time.monotonic(), words))


def _await_health(server: "subprocess.Popen[bytes]", address: str) -> None:
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline and server.poll() is None:
        with contextlib.suppress(OSError), urllib.request.urlopen(address, timeout=2) as answer:
            if json.load(answer).get("ready"):
                return
        time.sleep(0.5)
    tail = (FOLDER / "server.log").read_text(errors="replace").splitlines()[-3:]
    raise PeerAbsent(f"whisperlivekit did not start: {' / '.join(tail)}")
