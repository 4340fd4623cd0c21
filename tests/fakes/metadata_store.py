"""Metadata's stores in memory. They pass the same suite as Postgres does: `tests/stores/test_metadata_store.py`."""

from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from servers.common.errors import DependencyUnavailable
from servers.metadata.outbox import Backlog, Kept
from servers.metadata.recordings import NewRecording, Place, Recording
from servers.metadata.transcripts import Addition, NewTranscript, Segment, Transcript


@dataclass
class MemoryBatch:
    """See `servers.metadata.outbox.Batch`."""

    kept: Sequence[Kept]
    outbox: "MemoryStore"

    async def remove(self, sequences: Collection[int]) -> None:
        self.outbox.events = [kept for kept in self.outbox.events if kept.sequence not in sequences]


@dataclass
class MemoryStore:
    """A RecordingStore, a TranscriptStore and an Outbox, in which one thing happens after another."""

    down: bool = False
    """Whether every method raises DependencyUnavailable, as when Postgres is away."""
    recordings_by_id: dict[str, tuple[str, Recording]] = field(default_factory=dict)
    transcripts_by_id: dict[str, tuple[str, Transcript]] = field(default_factory=dict)
    segments_by_id: dict[str, dict[int, Segment]] = field(default_factory=dict)
    events: list[Kept] = field(default_factory=list)

    def _answer(self) -> None:
        if self.down:
            raise DependencyUnavailable("postgres")

    async def add_recording(self, tenant: str, new: NewRecording) -> Recording | None:
        self._answer()
        now = datetime.now(UTC)
        self.recordings_by_id.setdefault(new.recording_id, (tenant, Recording(new, "", 0, 0, now, now)))
        return await self.recording(tenant, new.recording_id)

    async def recording(self, tenant: str, recording_id: str) -> Recording | None:
        self._answer()
        owner, found = self.recordings_by_id.get(recording_id, ("", None))
        return found if owner == tenant else None

    async def recordings(self, tenant: str, after: Place | None, limit: int) -> Sequence[Recording]:
        self._answer()
        found = [recording for owner, recording in self.recordings_by_id.values() if owner == tenant]
        found.sort(key=lambda recording: (recording.create_time, recording.recording_id), reverse=True)
        if after:
            place = (after.create_time, after.recording_id)
            found = [recording for recording in found if (recording.create_time, recording.recording_id) < place]
        return found[:limit]

    async def add_transcript(self, tenant: str, new: NewTranscript) -> Transcript | None:
        self._answer()
        self.transcripts_by_id.setdefault(new.transcript_id, (tenant, Transcript(new, 0, datetime.now(UTC))))
        return await self.transcript(tenant, new.transcript_id)

    async def transcript(self, tenant: str, transcript_id: str) -> Transcript | None:
        self._answer()
        owner, found = self.transcripts_by_id.get(transcript_id, ("", None))
        return found if owner == tenant else None

    async def transcripts(self, tenant: str, recording_id: str, limit: int) -> Sequence[Transcript]:
        self._answer()
        found = [
            transcript
            for owner, transcript in self.transcripts_by_id.values()
            if owner == tenant and transcript.content.recording_id == recording_id
        ]
        found.sort(key=lambda transcript: (transcript.create_time, transcript.transcript_id), reverse=True)
        return found[:limit]

    async def add_segments(self, tenant: str, transcript: NewTranscript, additions: Sequence[Addition]) -> int:
        self._answer()
        kept = self.segments_by_id.setdefault(transcript.transcript_id, {})
        added = [addition for addition in additions if addition.segment.index not in kept]
        for addition in added:
            kept[addition.segment.index] = addition.segment
            self.events.append(Kept(len(self.events) + 1, addition.event))
        if added:
            self._count(transcript, [addition.segment for addition in added])
        return len(added)

    def _count(self, new: NewTranscript, added: Sequence[Segment]) -> None:
        owner, recording = self.recordings_by_id[new.recording_id]
        heard = next((segment.language_code for segment in added if segment.language_code), "")
        self.recordings_by_id[new.recording_id] = (
            owner,
            replace(
                recording,
                heard_language_code=recording.heard_language_code or heard,
                duration_ms=max(recording.duration_ms, *(segment.end_ms for segment in added)),
                segment_count=recording.segment_count + len(added),
                update_time=datetime.now(UTC),
            ),
        )
        owner, transcript = self.transcripts_by_id[new.transcript_id]
        count = transcript.segment_count + len(added)
        self.transcripts_by_id[new.transcript_id] = owner, replace(transcript, segment_count=count)

    async def segments(self, tenant: str, transcript_id: str, after: int, limit: int) -> Sequence[Segment]:
        self._answer()
        if await self.transcript(tenant, transcript_id) is None:
            return []
        kept = self.segments_by_id.get(transcript_id, {})
        return [kept[index] for index in sorted(kept) if index > after][:limit]

    @asynccontextmanager
    async def batch(self, limit: int) -> AsyncIterator[MemoryBatch]:
        self._answer()
        yield MemoryBatch(self.events[:limit], self)

    async def backlog(self) -> Backlog:
        self._answer()
        return Backlog(len(self.events), 1.0 if self.events else 0.0)
