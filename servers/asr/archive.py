"""Stores finals through the metadata server: in order, at least once, without holding up the speech.

Each is refined just before, if that is done at once. While the metadata server is away, finals wait in memory and are
tried again; every call may be repeated, since recording, transcript and segments carry identifiers that were chosen
here. A segment that is there already stays as it is.
"""

import asyncio
import itertools
import uuid
from collections import deque
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import grpc
import structlog
from ai2text.asr.v1 import speech_service_pb2
from ai2text.metadata.v1 import (
    recording_pb2,
    recording_service_pb2,
    recording_service_pb2_grpc,
    transcript_pb2,
    transcript_service_pb2,
    transcript_service_pb2_grpc,
)
from opentelemetry import context, metrics

from servers.asr import transcripts
from servers.asr.results import Final
from servers.asr.wording import NoRefiner, Refiner, reads_whole
from servers.common import backoff
from servers.common.errors import DependencyUnavailable, Overloaded
from servers.common.identity import Caller

log = structlog.get_logger(__name__)

_METER = metrics.get_meter("ai2text")
UNSAVED = _METER.create_up_down_counter("ai2text.asr.unsaved", description="Finals that wait to be stored.")
LOST = _METER.create_counter("ai2text.asr.unsaved_lost", description="Finals that the metadata server refused.")

TIMEOUT_S = 5.0
MAX_BATCH = 100

RETRYABLE = frozenset(
    {
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        grpc.StatusCode.ABORTED,
        grpc.StatusCode.CANCELLED,
        grpc.StatusCode.INTERNAL,
        grpc.StatusCode.UNKNOWN,
    }
)


class Archive:
    """All recordings that this server writes."""

    def __init__(self, channel: grpc.aio.Channel, model: str, refiner: Refiner, max_unsaved: int) -> None:
        self.recordings = recording_service_pb2_grpc.RecordingServiceStub(channel)
        self.transcripts = transcript_service_pb2_grpc.TranscriptServiceStub(channel)
        self.model = model
        self._refiner = refiner
        self._max_unsaved = max_unsaved
        self._unsaved = 0
        self._writers: set[asyncio.Task[None]] = set()

    def writer(
        self,
        caller: Caller,
        config: speech_service_pb2.StreamingConfig,
        channels: int,
        recording_id: str = "",
        transcript_ids: tuple[str, ...] = (),
    ) -> "RecordingWriter | NoWriter":
        """What keeps the finals of a session, unless storage is disabled: a recording of the caller, with a transcript
        for each channel; new ones unless their names are given.

        The recording comes into being with its first final. Overloaded when too many finals wait already, but not for
        a recording that has a name: its session goes on from elsewhere, where it has been let go.
        """
        if config.storage_disabled:
            return NoWriter()
        if self._unsaved >= self._max_unsaved and not recording_id:
            raise Overloaded("too many transcripts wait to be stored")
        names = transcript_ids or tuple(str(uuid.uuid4()) for _ in range(channels))
        recording_id = recording_id or str(uuid.uuid4())
        refiner = NoRefiner() if config.refinements_disabled else self._refiner
        return RecordingWriter(self, caller, refiner, config.title, config.language_code, recording_id, names)

    def begin(self, writing: Awaitable[None]) -> None:
        """Keep a writer going until it is done."""
        task = asyncio.ensure_future(writing)
        self._writers.add(task)
        task.add_done_callback(self._writers.discard)

    def count(self, change: int) -> None:
        """Finals that came, or were stored."""
        self._unsaved += change
        UNSAVED.add(change)

    async def close(self, timeout_s: float = 4.0) -> None:
        """Store what waits, within `timeout_s`; log what could not be stored."""
        if self._writers:
            await asyncio.wait(self._writers, timeout=timeout_s)
        if self._unsaved:
            log.error("finals not stored", count=self._unsaved)
        for task in self._writers:
            task.cancel()


def default_title() -> str:
    """What a recording is called that nobody named."""
    return f"Live session {datetime.now(UTC):%Y-%m-%d %H:%M} UTC"


class NoWriter:
    """Keeps nothing."""

    recording_id = ""
    transcript_ids: tuple[str, ...] = ()

    def append(self, final: Final) -> None:
        """Let it go."""


class RecordingWriter:
    """Appends the finals of one session to the transcripts of its channels."""

    def __init__(
        self,
        archive: Archive,
        caller: Caller,
        refiner: Refiner,
        title: str,
        language: str,
        recording_id: str,
        transcript_ids: tuple[str, ...],
    ) -> None:
        self._archive = archive
        scopes = frozenset({"recordings.read", "recordings.write"})
        self._metadata = Caller(caller.tenant, caller.subject, scopes).metadata()
        self._refiner = refiner
        self._title = title
        self._language = language
        self._waiting: deque[Final] = deque()
        self._created = False
        self._stored = [0] * len(transcript_ids)
        """How many segments each transcript had when the writing began: all that another server told it to store."""
        self._busy = False
        self._context = context.get_current()
        self.recording_id = recording_id
        self.transcript_ids = transcript_ids

    def append(self, final: Final) -> None:
        """Take a final to be stored; returns at once."""
        self._waiting.append(final)
        self._archive.count(+1)
        if not self._busy:
            self._busy = True
            self._archive.begin(self._write())

    async def _write(self) -> None:
        token = context.attach(self._context)
        try:
            while self._waiting:
                batch = list(itertools.islice(self._waiting, MAX_BATCH))
                await self._persist(batch)
                for _ in batch:
                    self._waiting.popleft()
                self._archive.count(-len(batch))
        finally:
            self._busy = False
            context.detach(token)

    async def _persist(self, batch: list[Final]) -> None:
        """Try until it is stored, or refused for good."""
        segments: list[transcript_pb2.Segment] = []
        for delay in backoff.delays(first_s=0.2, longest_s=3.0):
            try:
                if not self._created:
                    await self._create()
                    self._created = True
                segments = segments or await self._refined(batch)
                await self._append(batch, segments)
                return
            except DependencyUnavailable:
                await asyncio.sleep(delay)
            except grpc.aio.AioRpcError as error:
                await self._give_up(batch, error)
                return
            except Exception:
                LOST.add(len(batch))
                log.exception("finals lost", recording=self.recording_id, count=len(batch))
                return

    async def _give_up(self, batch: list[Final], error: grpc.aio.AioRpcError) -> None:
        """Refused for good: if one final of several is at fault, the others are still stored."""
        if len(batch) > 1 and self._created:
            for final in batch:
                await self._persist([final])
            return
        LOST.add(len(batch))
        log.error("finals refused", recording=self.recording_id, code=error.code().name, why=error.details())

    async def _create(self) -> None:
        recording = recording_service_pb2.CreateRecordingRequest(
            recording_id=self.recording_id,
            title=self._title,
            source=recording_pb2.RECORDING_SOURCE_LIVE,
            language_code=self._language,
        )
        await self._call(self._archive.recordings.CreateRecording, recording)
        for channel, transcript_id in enumerate(self.transcript_ids):
            transcript = transcript_service_pb2.CreateTranscriptRequest(
                recording_id=self.recording_id,
                transcript_id=transcript_id,
                model=self._archive.model,
                channel=channel,
            )
            there = await transcripts.created(self._archive.transcripts, transcript, self._call)
            self._stored[channel] = there.segment_count

    async def _refined(self, batch: list[Final]) -> list[transcript_pb2.Segment]:
        texts = await asyncio.gather(*(self._text(final) for final in batch))
        return [_segment(final, text) for final, text in zip(batch, texts, strict=True)]

    async def _text(self, final: Final) -> str:
        """What is stored of a final, as it reads best.

        Who resumes a session hands on again what another server stored, up to 64 finals, and that stays as it is: to
        refine them anew would be a flood when a server stops. Finals are stored in order, so all with a number below
        the count of segments are there.
        """
        if final.final_index < self._stored[final.channel]:
            return final.text
        return await self._refiner.refine(final.text, final.language, reads_whole(final.text))

    async def _append(self, batch: list[Final], segments: list[transcript_pb2.Segment]) -> None:
        for channel, transcript_id in enumerate(self.transcript_ids):
            own = [segment for final, segment in zip(batch, segments, strict=True) if final.channel == channel]
            if own:
                request = transcript_service_pb2.AppendSegmentsRequest(transcript_id=transcript_id, segments=own)
                await self._call(self._archive.transcripts.AppendSegments, request)

    async def _call(self, method: Callable[..., Awaitable[Any]], request: object) -> Any:
        try:
            return await method(request, metadata=self._metadata, timeout=TIMEOUT_S)
        except grpc.aio.AioRpcError as error:
            if error.code() in RETRYABLE:
                log.warning("metadata away", code=error.code().name, recording=self.recording_id)
                raise DependencyUnavailable("metadata") from error
            raise


def _segment(final: Final, text: str) -> transcript_pb2.Segment:
    return transcript_pb2.Segment(
        segment_index=final.final_index,
        text=text,
        raw_text=final.text if text != final.text else "",
        start_ms=final.start_ms,
        end_ms=final.end_ms,
        language_code=final.language,
        confidence=final.confidence,
        words=[
            transcript_pb2.SegmentWord(
                text=word.text, start_ms=word.start_ms, end_ms=word.end_ms, confidence=word.confidence
            )
            for word in final.words
        ],
    )
