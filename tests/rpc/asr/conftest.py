"""A speech server in this process, over a real port: the model and the voice detector are fakes, the rest is real."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

import grpc
import numpy as np
import pytest
from ai2text.asr.v1 import audio_pb2, speech_service_pb2, speech_service_pb2_grpc
from ai2text.metadata.v1 import (
    recording_service_pb2,
    recording_service_pb2_grpc,
    transcript_service_pb2,
    transcript_service_pb2_grpc,
)

from servers.asr import service
from servers.asr.archive import Archive
from servers.asr.audio import Samples
from servers.asr.endpointing import WINDOW
from servers.asr.live import Limits, Sessions
from servers.asr.recognition import Hypothesis, Request, Word
from servers.asr.scheduling import Scheduler
from servers.asr.session import SessionRules
from servers.common import channel, lifecycle
from servers.common.errors import DependencyUnavailable
from servers.common.identity import Caller

CALLER = Caller("acme", "lan", frozenset({"speech"}))
LINEAR16 = audio_pb2.AudioFormat(encoding=audio_pb2.AUDIO_ENCODING_LINEAR16, sample_rate_hz=16_000)


class LevelDetector:
    """Voice is what is loud."""

    def __init__(self) -> None:
        self._rest: Samples = np.zeros(0, np.float32)

    def probabilities(self, heard: Samples) -> list[float]:
        known = np.concatenate((self._rest, heard))
        count = len(known) // WINDOW
        self._rest = known[count * WINDOW :]
        return [float(np.abs(known[n * WINDOW : (n + 1) * WINDOW]).max() > 0.1) for n in range(count)]


@dataclass
class CountingRecognizer:
    """Writes one word for each whole second of loud audio: "one two three"."""

    requests: list[Request] = field(default_factory=list)
    away: bool = False
    language: str = "vi"

    async def recognize(self, request: Request) -> Hypothesis:
        self.requests.append(request)
        await asyncio.sleep(0.005)
        await self.check()
        seconds = round(float((np.abs(request.audio) > 0.1).sum()) / 16_000)
        words = tuple(Word(text, n, n + 1, 0.9) for n, text in enumerate(WORDS[:seconds]))
        text = " ".join(word.text for word in words)
        return Hypothesis(text, request.language or self.language, words if request.final else (), -0.1, 0.0, 1.0)

    async def check(self) -> None:
        if self.away:
            raise DependencyUnavailable("triton")


WORDS = ("one", "two", "three", "four", "five", "six", "seven")


@dataclass
class MetadataServer(
    recording_service_pb2_grpc.RecordingServiceServicer, transcript_service_pb2_grpc.TranscriptServiceServicer
):
    """Remembers what it is told, and who told it; `away` makes it fail."""

    away: bool = False
    recordings: list[recording_service_pb2.CreateRecordingRequest] = field(default_factory=list)
    segments: dict[tuple[str, int], str] = field(default_factory=dict)
    tenants: set[str] = field(default_factory=set)

    async def _admit(self, context: Any) -> None:
        self.tenants.add(dict(context.invocation_metadata())["x-ai2text-tenant"])
        if self.away:
            await context.abort(grpc.StatusCode.UNAVAILABLE, "postgres is down")

    async def CreateRecording(self, request: Any, context: Any) -> recording_service_pb2.CreateRecordingResponse:
        await self._admit(context)
        self.recordings.append(request)
        return recording_service_pb2.CreateRecordingResponse()

    async def CreateTranscript(self, request: Any, context: Any) -> transcript_service_pb2.CreateTranscriptResponse:
        await self._admit(context)
        return transcript_service_pb2.CreateTranscriptResponse()

    async def AppendSegments(self, request: Any, context: Any) -> transcript_service_pb2.AppendSegmentsResponse:
        await self._admit(context)
        for segment in request.segments:
            self.segments.setdefault((request.transcript_id, segment.segment_index), segment.text)
        return transcript_service_pb2.AppendSegmentsResponse()


@dataclass
class Speech:
    """The server under test and what stands around it."""

    stub: speech_service_pb2_grpc.SpeechServiceStub
    recognizer: CountingRecognizer
    metadata: MetadataServer
    archive: Archive
    sessions: Sessions

    async def settled(self, condition: Callable[[], bool], within_s: float = 5.0) -> None:
        """Wait until something has come true."""
        async with asyncio.timeout(within_s):
            while not condition():
                await asyncio.sleep(0.01)

    def stream(self, *sent: speech_service_pb2.StreamingRecognizeRequest, caller: Caller = CALLER) -> Any:
        """A live stream that sends these messages and half-closes."""

        async def messages() -> AsyncIterator[speech_service_pb2.StreamingRecognizeRequest]:
            for message in sent:
                yield message

        return self.stub.StreamingRecognize(messages(), metadata=caller.metadata(), timeout=20)


@pytest.fixture
def limits() -> Limits:
    return Limits(max_sessions=2, idle_s=1.0, farewell_s=5.0)


@pytest.fixture
async def speech(limits: Limits) -> AsyncIterator[Speech]:
    """A speech server with room for two sessions."""
    metadata = MetadataServer()
    async with serving(lambda server: _mount_metadata(server, metadata)) as target, channel.connect(target) as to:
        recognizer = CountingRecognizer()
        archive = Archive(to, "counting", max_unsaved=5)
        languages = frozenset({"vi", "en"})
        scheduler = Scheduler(recognizer, in_flight=2, max_waiting=10, retry_s=0.3)
        sessions = Sessions(scheduler, LevelDetector, languages, SessionRules(), limits)
        mount = service.mount(sessions, archive, "counting", languages)
        async with serving(mount) as address, channel.connect(address) as client:
            stub = speech_service_pb2_grpc.SpeechServiceStub(client)
            yield Speech(stub, recognizer, metadata, archive, sessions)
        await sessions.close()
        await archive.close(timeout_s=1)


class serving:  # noqa: N801 - used as a context manager, like a function
    """A server of one mount on a free port of 127.0.0.1; gives its address."""

    def __init__(self, mount: Callable[[grpc.aio.Server], str]) -> None:
        self._server, _, _ = lifecycle.build([mount])

    async def __aenter__(self) -> str:
        port = self._server.add_insecure_port("127.0.0.1:0")
        await self._server.start()
        return f"127.0.0.1:{port}"

    async def __aexit__(self, *_: object) -> None:
        await self._server.stop(0)


def _mount_metadata(server: grpc.aio.Server, metadata: MetadataServer) -> str:
    recording_service_pb2_grpc.add_RecordingServiceServicer_to_server(metadata, server)
    transcript_service_pb2_grpc.add_TranscriptServiceServicer_to_server(metadata, server)
    return "metadata"


def config(**fields: Any) -> speech_service_pb2.StreamingRecognizeRequest:
    """The first message of a stream."""
    return speech_service_pb2.StreamingRecognizeRequest(
        config=speech_service_pb2.StreamingConfig(**({"format": LINEAR16} | fields))
    )


def pcm(*parts: tuple[float, float]) -> bytes:
    """Parts of (seconds, level) as 16-bit PCM."""
    levels = [np.full(int(seconds * 16_000), level * 32_767) for seconds, level in parts]
    return np.concatenate(levels).astype("<i2").tobytes()


def audio(*parts: tuple[float, float], chunk_s: float = 0.1) -> list[speech_service_pb2.StreamingRecognizeRequest]:
    """Audio messages of `chunk_s`."""
    data, step = pcm(*parts), int(chunk_s * 16_000) * 2
    pieces = (data[begin : begin + step] for begin in range(0, len(data), step))
    return [speech_service_pb2.StreamingRecognizeRequest(audio=piece) for piece in pieces]
