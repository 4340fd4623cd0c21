"""The metadata server as the Library of the domain, asked in the name of whoever asked for the job."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

import grpc
import structlog
from ai2text.metadata.v1 import (
    recording_pb2,
    recording_service_pb2,
    recording_service_pb2_grpc,
    transcript_pb2,
    transcript_service_pb2,
    transcript_service_pb2_grpc,
)
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from servers.asr import transcripts
from servers.asr.batch.hearing import Segment
from servers.asr.batch.progress import Job
from servers.asr.batch.transcription import Recording
from servers.common.errors import (
    DependencyUnavailable,
    RecordingNotFound,
    RecordingWithoutFile,
    TooManyTranscripts,
)
from servers.common.identity import Caller
from servers.common.retries import Retries

log = structlog.get_logger(__name__)

TIMEOUT_S = 10.0
MOST_SEGMENTS = 500
"""In one call."""

AWAY = frozenset(
    {
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        grpc.StatusCode.CANCELLED,
    }
)

R = TypeVar("R")


class RemoteLibrary:
    """A Library; what is away is asked again a few times."""

    def __init__(self, channel: grpc.aio.Channel, model: str) -> None:
        """`model` is the name that is written into transcripts."""
        self._recordings = recording_service_pb2_grpc.RecordingServiceStub(channel)
        self._transcripts = transcript_service_pb2_grpc.TranscriptServiceStub(channel)
        self._model = model
        self._retries = Retries("metadata")

    async def recording(self, job: Job) -> Recording:
        """See Library."""
        found = await self._recording(job.tenant, job.subject, job.recording_id)
        return Recording(found.object.key, found.language_code, found.media.duration_ms)

    async def check(self, tenant: str, subject: str, recording_id: str) -> None:
        """Raise unless there is such a recording, with a file."""
        await self._recording(tenant, subject, recording_id)

    async def create_transcript(self, job: Job, transcript_id: str) -> int:
        """See Library."""
        return int((await self._create("create_transcript", job, transcript_id, True)).segment_count)

    async def complete_transcript(self, job: Job, transcript_id: str) -> None:
        """See Library."""
        await self._create("complete_transcript", job, transcript_id, False)

    async def append(self, job: Job, transcript_id: str, segments: Sequence[Segment]) -> None:
        """See Library."""
        caller = Caller(job.tenant, job.subject, frozenset({"recordings.write"}))
        for begin in range(0, len(segments), MOST_SEGMENTS):
            some = [_message(segment) for segment in segments[begin : begin + MOST_SEGMENTS]]
            request = transcript_service_pb2.AppendSegmentsRequest(transcript_id=transcript_id, segments=some)
            await self._call("append", self._transcripts.AppendSegments, request, caller, job.recording_id)

    async def _create(
        self, operation: str, job: Job, transcript_id: str, incomplete: bool
    ) -> transcript_pb2.Transcript:
        request = transcript_service_pb2.CreateTranscriptRequest(
            recording_id=job.recording_id, transcript_id=transcript_id, model=self._model, incomplete=incomplete
        )
        caller = Caller(job.tenant, job.subject, frozenset({"recordings.read", "recordings.write"}))

        async def call(method: Callable[..., Awaitable[R]], request: Any) -> R:
            return await self._call(operation, method, request, caller, job.recording_id)

        return await transcripts.created(self._transcripts, request, call)

    async def _recording(self, tenant: str, subject: str, recording_id: str) -> recording_pb2.Recording:
        request = recording_service_pb2.GetRecordingRequest(recording_id=recording_id)
        caller = Caller(tenant, subject, frozenset({"recordings.read"}))
        answer = await self._call("recording", self._recordings.GetRecording, request, caller, recording_id)
        if not answer.recording.object.key:
            raise RecordingWithoutFile("the recording has no file", recording_id=recording_id)
        return answer.recording

    async def _call(
        self, operation: str, method: Callable[..., Awaitable[R]], request: Any, caller: Caller, recording_id: str
    ) -> R:
        async def attempt() -> R:
            try:
                return await method(request, metadata=caller.metadata(), timeout=TIMEOUT_S)
            except grpc.aio.AioRpcError as error:
                raise _translated(error, recording_id) from error

        return await self._retries.call(operation, attempt)


def _translated(error: grpc.aio.AioRpcError, recording_id: str) -> Exception:
    if error.code() is grpc.StatusCode.NOT_FOUND:
        told = _told(error)
        deleted = {"deleted": told["deleted"]} if "deleted" in told else {}
        return RecordingNotFound("there is no such recording", recording_id=recording_id, **deleted)
    if error.code() is grpc.StatusCode.FAILED_PRECONDITION:
        return TooManyTranscripts("the recording has as many transcripts as it may have", **_told(error))
    if error.code() in AWAY:
        log.warning("metadata away", code=error.code().name)
        return DependencyUnavailable("metadata")
    return error


def _told(error: grpc.aio.AioRpcError) -> dict[str, str]:
    """What metadata says of an error besides its reason."""
    status = rpc_status.from_call(error)
    info = error_details_pb2.ErrorInfo()
    told = status is not None and any(detail.Unpack(info) for detail in status.details)
    return dict(info.metadata) if told else {}


def _message(segment: Segment) -> transcript_pb2.Segment:
    return transcript_pb2.Segment(
        segment_index=segment.index,
        text=segment.text,
        raw_text=segment.raw_text,
        start_ms=segment.start_ms,
        end_ms=segment.end_ms,
        language_code=segment.language,
        confidence=segment.confidence,
        words=[
            transcript_pb2.SegmentWord(
                text=word.text, start_ms=word.start_ms, end_ms=word.end_ms, confidence=word.confidence
            )
            for word in segment.words
        ],
    )
