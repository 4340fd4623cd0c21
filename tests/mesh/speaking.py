"""Speaking real clips to the edge."""

import json
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import grpc
import numpy as np
from ai2text.asr.v1 import audio_pb2, result_pb2, speech_service_pb2

from bench.clips import pcm16
from tests.mesh.running_mesh import Client, RunningMesh, eventually
from tests.rpc import refusals

CHUNK = 3_200
"""100 ms of 16 kHz PCM16, in bytes."""

PATIENT_FOR_S = 60.0
"""How long a session that finds no place asks again."""


@dataclass(frozen=True)
class Spoken:
    """What a live session answered."""

    recording_id: str
    transcript_id: str
    finals: list[result_pb2.FinalResult]
    partials: int
    refinements: list[result_pb2.RefinementResult]

    @property
    def text(self) -> str:
        return " ".join(final.text for final in self.finals)


def clips(folder: Path, language: str) -> list[tuple[Path, str]]:
    """The clips of `make speech` in a language, the shortest first, with what is said in them."""
    rows = [json.loads(line) for line in (folder / "manifest.jsonl").read_text(encoding="utf-8").splitlines()]
    chosen = [(folder / row["file"], row["transcript"]) for row in rows if row["lang"] == language]
    return sorted(chosen, key=lambda clip: clip[0].stat().st_size)


def interleaved(channels: Sequence[bytes]) -> bytes:
    """Mono PCM16 as the channels of one, all as long as the longest."""
    both = np.zeros((max(map(len, channels)) // 2, len(channels)), "<i2")
    for place, pcm in enumerate(channels):
        both[: len(pcm) // 2, place] = np.frombuffer(pcm, "<i2")
    return both.tobytes()


def requests(
    pcm: bytes, language: str, pace: float = 0, hotwords: Sequence[str] = (), channels: int = 1
) -> Iterator[speech_service_pb2.StreamingRecognizeRequest]:
    """A session's messages; `pace` 1 is real time, 0 as fast as it goes."""
    linear = audio_pb2.AudioFormat(
        encoding=audio_pb2.AUDIO_ENCODING_LINEAR16, sample_rate_hz=16_000, channel_count=channels
    )
    config = speech_service_pb2.StreamingConfig(
        format=linear, language_code=language, title="mesh test", hotwords=hotwords
    )
    yield speech_service_pb2.StreamingRecognizeRequest(config=config)
    for begin in range(0, len(pcm), CHUNK * channels):
        yield speech_service_pb2.StreamingRecognizeRequest(audio=pcm[begin : begin + CHUNK * channels])
        time.sleep(0.1 / pace if pace else 0)


def admitted(
    session: Callable[[], Iterable[speech_service_pb2.StreamingRecognizeResponse]],
) -> list[speech_service_pb2.StreamingRecognizeResponse]:
    """All that a session is told. While the model has no time left it comes again when the server says, as clients do:
    tests speak faster than anybody can, one after the other."""
    until = time.monotonic() + PATIENT_FOR_S
    while True:
        try:
            return list(session())
        except grpc.RpcError as error:
            refused = refusals.of(error)
            if refused.reason != "OVERLOADED" or time.monotonic() > until:
                raise
            time.sleep(refused.retry_s or 1.0)


def speak(
    client: Client,
    running: RunningMesh,
    clip: Path,
    language: str,
    tenant: str = "acme",
    pace: float = 0,
    hotwords: Sequence[str] = (),
    beside: Sequence[Path] = (),
) -> Spoken:
    """Speak one clip, with others in channels `beside` it, and return what came back."""
    pcm = interleaved([pcm16(path) for path in (clip, *beside)])
    responses = admitted(
        lambda: client.speech.StreamingRecognize(
            requests(pcm, language, pace, hotwords, 1 + len(beside)), metadata=running.bearer(tenant), timeout=90
        )
    )
    session = responses[0].session_started
    finals = [response.final for response in responses if response.HasField("final")]
    partials = sum(response.HasField("partial") for response in responses)
    refinements = [response.refinement for response in responses if response.HasField("refinement")]
    return Spoken(session.recording_id, session.transcript_id, finals, partials, refinements)


def found(client: Client, running: RunningMesh, query: str, recording_id: str, tenant: str = "acme") -> object:
    """Search until the recording is among the 100 best hits, for at most 20 s; returns its best hit."""
    from ai2text.search.v1 import search_service_pb2

    def look() -> list[object]:
        request = search_service_pb2.SearchRequest(query=query, limit=100)  # the same clip is spoken often
        hits = client.search.Search(request, metadata=running.bearer(tenant), timeout=10).hits
        return [hit for hit in hits if hit.recording_id == recording_id]

    return eventually(look, bool)[0]
