"""What stands around a speech server in tests: a model that counts, metadata and nlp that remember what is said."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import grpc
import numpy as np
from ai2text.metadata.v1 import (
    recording_service_pb2,
    recording_service_pb2_grpc,
    transcript_pb2,
    transcript_service_pb2,
    transcript_service_pb2_grpc,
)
from ai2text.nlp.v1 import text_service_pb2, text_service_pb2_grpc

from servers.asr.recognition import Hypothesis, Request, Word
from servers.common import identity, lifecycle
from servers.common.errors import DependencyUnavailable

WORDS = ("one", "two", "three", "four", "five", "six", "seven")


@dataclass
class CountingRecognizer:
    """Writes one word for each whole second of loud audio: "one two three"."""

    requests: list[Request] = field(default_factory=list)
    away: bool = False
    language: str = "vi"
    """What it detects where the language is not given."""

    def __post_init__(self) -> None:
        self.ready = asyncio.Event()
        self.ready.set()

    async def recognize(self, request: Request) -> Hypothesis:
        self.requests.append(request)
        await asyncio.sleep(0.005)
        await self.ready.wait()
        await self.check()
        loud = np.flatnonzero(np.abs(request.audio) > 0.1)
        begin_s = float(loud[0]) / 16_000 if loud.size else 0.0
        words = tuple(
            Word(text, begin_s + n, begin_s + n + 1, 0.9) for n, text in enumerate(WORDS[: round(loud.size / 16_000)])
        )
        language = self.language if not request.language or "," in request.language else request.language
        return Hypothesis(
            text=" ".join(word.text for word in words),
            language=language,
            words=words,
            avg_logprob=-0.1,
            no_speech_probability=0.0,
            compression_ratio=1.0,
            inference_s=0.004,
            worked_s=0.004,
        )

    async def check(self) -> None:
        if self.away:
            raise DependencyUnavailable("triton")


@dataclass
class MetadataServer(
    recording_service_pb2_grpc.RecordingServiceServicer, transcript_service_pb2_grpc.TranscriptServiceServicer
):
    """Remembers what it is told, and who told it; `away` makes it fail."""

    away: bool = False
    recordings: list[recording_service_pb2.CreateRecordingRequest] = field(default_factory=list)
    transcripts: list[transcript_service_pb2.CreateTranscriptRequest] = field(default_factory=list)
    stored: dict[tuple[str, int], transcript_pb2.Segment] = field(default_factory=dict)
    """By transcript and number; what came first stays."""
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
        self.transcripts.append(request)
        count = sum(transcript_id == request.transcript_id for transcript_id, _ in self.stored)
        transcript = transcript_pb2.Transcript(transcript_id=request.transcript_id, segment_count=count)
        return transcript_service_pb2.CreateTranscriptResponse(transcript=transcript)

    async def AppendSegments(self, request: Any, context: Any) -> transcript_service_pb2.AppendSegmentsResponse:
        await self._admit(context)
        for segment in request.segments:
            self.stored.setdefault((request.transcript_id, segment.segment_index), segment)
        return transcript_service_pb2.AppendSegmentsResponse()

    @property
    def segments(self) -> dict[tuple[str, int], str]:
        """The text of each segment, by transcript and number."""
        return {key: segment.text for key, segment in self.stored.items()}

    @property
    def texts(self) -> list[str]:
        """The texts of all segments, by their number."""
        return [text for _, text in sorted(self.segments.items(), key=lambda segment: segment[0][1])]


@dataclass
class NlpServer(text_service_pb2_grpc.TextServiceServicer):
    """Writes what it was taught, leaves the rest as it is; answers when it is `ready`."""

    taught: dict[str, str] = field(default_factory=dict)
    refusal: grpc.StatusCode | None = None
    asked: list[text_service_pb2.RefineRequest] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.ready = asyncio.Event()
        self.ready.set()

    async def Refine(self, request: text_service_pb2.RefineRequest, context: Any) -> text_service_pb2.RefineResponse:
        identity.require(context, "speech")
        self.asked.append(request)
        await self.ready.wait()
        if self.refusal is not None:
            await context.abort(self.refusal, "no")
        return text_service_pb2.RefineResponse(text=self.taught.get(request.text, request.text))


class serving:  # noqa: N801 - used as a context manager, like a function
    """A server on a free port of 127.0.0.1; gives its address."""

    def __init__(self, *mounts: Callable[[grpc.aio.Server], str]) -> None:
        self._server, _, _ = lifecycle.build(mounts)

    async def __aenter__(self) -> str:
        port = self._server.add_insecure_port("127.0.0.1:0")
        await self._server.start()
        return f"127.0.0.1:{port}"

    async def __aexit__(self, *_: object) -> None:
        await self._server.stop(0)


def mount_metadata(server: grpc.aio.Server, metadata: MetadataServer) -> str:
    recording_service_pb2_grpc.add_RecordingServiceServicer_to_server(metadata, server)
    transcript_service_pb2_grpc.add_TranscriptServiceServicer_to_server(metadata, server)
    return "metadata"


def mount_nlp(server: grpc.aio.Server, nlp: NlpServer) -> str:
    text_service_pb2_grpc.add_TextServiceServicer_to_server(nlp, server)
    return "nlp"
