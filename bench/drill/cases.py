"""The kinds of poison: how each comes into the pipeline, how its cause is mended, how its success is seen."""

import asyncio
import hashlib
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import av
import google_crc32c
from ai2text.asr.v1 import batch_pb2
from ai2text.events.v1 import recording_events_pb2, transcript_events_pb2
from ai2text.metadata.v1 import media_pb2, recording_pb2, recording_service_pb2
from ai2text.metadata.v1.recording_service_pb2_grpc import RecordingServiceStub
from google.longrunning import operations_pb2, operations_pb2_grpc

from bench.drill.ground import Ground
from servers.common import streams

LIMIT = 4000
"""Characters that the bad release of embeddings takes. No real final is as long, so it does no harm to others."""


class Case(Protocol):
    """One kind of poison."""

    name: str
    consumer: str
    """The one that must give it up."""
    reason: str
    """What its letter must say, among other things."""
    tries: int
    """So many deliveries it must have had: poison is given up at the first, other faults after all their tries."""
    mendable: bool
    """Whether a replay can succeed. If not, it must come back, and is discarded."""

    async def poison(self, ground: Ground) -> None:
        """Put it in."""

    async def mend(self, ground: Ground) -> None:
        """Take away the cause."""

    async def succeeded(self, ground: Ground) -> bool:
        """Whether the replay has had its effect."""

    async def clear(self, ground: Ground) -> None:
        """Remove what it stored."""


@dataclass
class NoEvent:
    """Bytes that no version of an event ever was."""

    name: str = "bytes that are no event"
    consumer: str = "embeddings"
    reason: str = "DecodeError"
    tries: int = 1
    mendable: bool = False

    async def poison(self, ground: Ground) -> None:
        await ground.publish(streams.TRANSCRIPT_FINALIZED, b"\xff\xff\xff")

    async def mend(self, ground: Ground) -> None:
        """There is nothing to mend."""

    async def succeeded(self, ground: Ground) -> bool:
        return False

    async def clear(self, ground: Ground) -> None:
        """It stored nothing."""


class LongFinal:
    """A final that a release of embeddings with too low a limit refuses; the release before takes it."""

    name = "embedding: a limit set too low"
    consumer = "embeddings"
    reason = f"text has more than {LIMIT} characters"
    tries = 1
    mendable = True

    def __init__(self) -> None:
        self._recording_id = str(uuid.uuid4())
        self._release: asyncio.Task[None] | None = None
        self._mended = asyncio.Event()
        self._running = asyncio.Event()

    async def poison(self, ground: Ground) -> None:
        self._release = asyncio.create_task(self._bad_release(ground))
        running = asyncio.create_task(self._running.wait())
        await asyncio.wait((self._release, running), return_when=asyncio.FIRST_COMPLETED)
        if not running.done():  # it did not come up
            running.cancel()
            release, self._release = self._release, None
            await release
        segment = transcript_events_pb2.SegmentContent(
            recording_id=self._recording_id,
            transcript_id=str(uuid.uuid4()),
            segment_id=str(uuid.uuid4()),
            end_ms=60_000,
            text="diễn tập thư chết " * (LIMIT // 10),
            language_code="vi",
        )
        event = transcript_events_pb2.TranscriptFinalized(
            event_id=str(uuid.uuid4()), tenant=ground.tenant, segment=segment
        )
        await ground.publish(streams.TRANSCRIPT_FINALIZED, event.SerializeToString())

    async def _bad_release(self, ground: Ground) -> None:
        release = ground.bad_release("embeddings", AI2TEXT_MAX_CHARACTERS=str(LIMIT))
        await asyncio.to_thread(release.__enter__)
        self._running.set()
        await self._mended.wait()
        await asyncio.to_thread(release.__exit__, None, None, None)

    async def mend(self, ground: Ground) -> None:
        self._mended.set()
        if self._release is not None:
            await self._release

    async def succeeded(self, ground: Ground) -> bool:
        return await ground.found("diễn tập", self._recording_id) == 1

    async def clear(self, ground: Ground) -> None:
        await self.mend(ground)
        event = recording_events_pb2.RecordingDeleted(
            event_id=str(uuid.uuid4()), tenant=ground.tenant, recording_id=self._recording_id
        )
        await ground.publish(streams.RECORDING_DELETED, event.SerializeToString())


class _File:
    """A recording made of one clip, and the operation that transcribes it."""

    consumer = "batch"
    tries = 1
    mendable = True

    def __init__(self, clip: Path) -> None:
        self._content = clip.read_bytes()
        self._sha256 = hashlib.sha256(self._content)
        self.recording_id = str(uuid.uuid4())
        with av.open(str(clip)) as opened:
            stream = opened.streams.audio[0]
            self._media = media_pb2.MediaInfo(
                container=opened.format.name,
                codec=stream.codec_context.name,
                sample_rate_hz=stream.rate,
                channel_count=stream.channels,
                duration_ms=int((opened.duration or 0) / 1000),
            )

    async def store(self, ground: Ground, content: bytes | None = None) -> None:
        """Lay the clip, or other bytes, where the recording's file belongs."""
        await ground.store.write(self._key(ground), self._content if content is None else content)

    def _key(self, ground: Ground) -> str:
        return f"audio/{ground.tenant}/{self._sha256.hexdigest()}"

    async def register(self, ground: Ground) -> None:
        """Have metadata know the recording, which tells of it."""
        stored = media_pb2.StoredObject(
            key=self._key(ground),
            size_bytes=len(self._content),
            sha256=self._sha256.digest(),
            crc32c=google_crc32c.value(self._content),
        )
        request = recording_service_pb2.CreateRecordingRequest(
            recording_id=self.recording_id,
            title="Diễn tập",
            source=recording_pb2.RECORDING_SOURCE_FILE,
            language_code="vi",
            object=stored,
            media=self._media,
        )
        await RecordingServiceStub(ground.edge).CreateRecording(request, metadata=ground.headers, timeout=15)

    def uploaded(self, ground: Ground) -> bytes:
        """The event that tells of the recording."""
        return recording_events_pb2.RecordingUploaded(
            event_id=str(uuid.uuid4()),
            tenant=ground.tenant,
            subject="drill",
            recording_id=self.recording_id,
            object_key=self._key(ground),
            duration_ms=self._media.duration_ms,
        ).SerializeToString()

    async def succeeded(self, ground: Ground) -> bool:
        """Whether the file is transcribed and its segments are found."""
        operation_id = uuid.uuid5(uuid.UUID(self.recording_id), "transcription")
        request = operations_pb2.GetOperationRequest(name=f"operations/{operation_id}")
        operations = operations_pb2_grpc.OperationsStub(ground.edge)
        operation = await operations.GetOperation(request, metadata=ground.headers, timeout=15)
        told = batch_pb2.BatchRecognizeMetadata()
        if not operation.metadata.Unpack(told):
            return False
        (file,) = told.files
        done = file.state == batch_pb2.BATCH_FILE_STATE_SUCCEEDED and file.segment_count > 0
        return done and await ground.found("là", self.recording_id) == file.segment_count

    async def clear(self, ground: Ground) -> None:
        """Delete the recording, with all that came of it."""
        request = recording_service_pb2.DeleteRecordingRequest(recording_id=self.recording_id)
        await RecordingServiceStub(ground.edge).DeleteRecording(request, metadata=ground.headers, timeout=15)


class DamagedFile(_File):
    """A file that is no audio where its recording says it lies; the good one takes its place."""

    name = "file: damaged in the store"
    reason = "AUDIO_UNDECODABLE"

    async def poison(self, ground: Ground) -> None:
        await self.store(ground, b"this is no sound" * 64)
        await self.register(ground)

    async def mend(self, ground: Ground) -> None:
        await self.store(ground)


class EarlyEvent(_File):
    """An event of a recording that metadata does not know; it is registered then.

    To be registered is told by an event of its own, which may well be the one that the file is transcribed by: the
    success shows that the two do no harm to each other. That the consumer took the replay, the drill asks JetStream.
    """

    name = "event: of a recording that is not registered"
    reason = "RECORDING_NOT_FOUND"

    async def poison(self, ground: Ground) -> None:
        await self.store(ground)
        await ground.publish(streams.RECORDING_UPLOADED, self.uploaded(ground))

    async def mend(self, ground: Ground) -> None:
        await self.register(ground)


@asynccontextmanager
async def cleared(case: Case, ground: Ground) -> AsyncIterator[None]:
    """After the block nothing is left of the case."""
    try:
        yield
    finally:
        await case.clear(ground)


def cases(clips: list[Path]) -> list[Case]:
    """All kinds; `clips` are two short ones that differ."""
    return [NoEvent(), LongFinal(), DamagedFile(clips[0]), EarlyEvent(clips[1])]
