"""Metadata's stores in memory. They pass the same suite as Postgres does: `tests/stores/test_metadata_store.py`."""

from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from servers.common.errors import DependencyUnavailable, RecordingNotFound
from servers.common.outbox import Event
from servers.metadata.labels import Wanted
from servers.metadata.library import Telling, nothing
from servers.metadata.listings import Order, Place, Selection, folded
from servers.metadata.outbox import Backlog, Kept
from servers.metadata.recordings import Change, NewRecording, Recording
from servers.metadata.transcripts import (
    MOST_TRANSCRIPTS,
    Addition,
    NewTranscript,
    Segment,
    Transcript,
    superseded,
    too_many,
)


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
    deleted: set[tuple[str, str]] = field(default_factory=set)
    """Tenants and the ids of their deleted recordings."""
    events: list[Kept] = field(default_factory=list)
    kept_events: int = 0
    """Of all times."""

    def _answer(self) -> None:
        if self.down:
            raise DependencyUnavailable("postgres")

    def _keep(self, event: Event) -> None:
        self.kept_events += 1
        self.events.append(Kept(self.kept_events, event))

    async def add_recording(self, tenant: str, new: NewRecording, telling: Telling) -> Recording | None:
        self._answer()
        if new.recording_id not in self.recordings_by_id and (tenant, new.recording_id) not in self.deleted:
            now = datetime.now(UTC)
            duration_ms = new.file.media.duration_ms if new.file else 0
            made = Recording(new, "", duration_ms, 0, now, now)
            self.recordings_by_id[new.recording_id] = tenant, made
            for event in telling(made):
                self._keep(event)
        return await self.recording(tenant, new.recording_id)

    async def recording(self, tenant: str, recording_id: str) -> Recording | None:
        self._answer()
        owner, found = self.recordings_by_id.get(recording_id, ("", None))
        return found if owner == tenant else None

    async def was_deleted(self, tenant: str, recording_id: str) -> bool:
        self._answer()
        return (tenant, recording_id) in self.deleted

    async def recordings(
        self, tenant: str, selection: Selection, after: Place | None, limit: int
    ) -> Sequence[Recording]:
        self._answer()
        found = [recording for owner, recording in self.recordings_by_id.values() if owner == tenant]
        found = [recording for recording in found if _passes(recording, selection)]
        backwards = selection.order in (Order.NEWEST, Order.LONGEST)

        def place(recording: Recording) -> Any:
            at = Place.of(selection.order, recording)
            return at.value, at.recording_id

        found.sort(key=place, reverse=backwards)
        if after:
            end = (after.value, after.recording_id)
            found = [one for one in found if (place(one) < end if backwards else place(one) > end)]
        return found[:limit]

    async def change_recording(
        self, tenant: str, recording_id: str, change: Change, etag: str, telling: Telling
    ) -> Recording | None:
        before = await self.recording(tenant, recording_id)
        if before is None:
            return None
        before.check_etag(etag)
        content = before.content.changed(change)
        if content == before.content:
            return before
        created_as = before.created_as or before.content.digest()
        now = datetime.now(UTC)
        changed = replace(before, content=content, created_as=created_as, version=before.version + 1, update_time=now)
        self.recordings_by_id[recording_id] = tenant, changed
        for event in telling(changed):
            self._keep(event)
        return changed

    async def remove_recording(self, tenant: str, recording_id: str, event: Event, etag: str) -> bool:
        before = await self.recording(tenant, recording_id)
        if before is None:
            return False
        before.check_etag(etag)
        del self.recordings_by_id[recording_id]
        for transcript in await self.transcripts(tenant, recording_id, len(self.transcripts_by_id)):
            del self.transcripts_by_id[transcript.transcript_id]
            self.segments_by_id.pop(transcript.transcript_id, None)
        self.deleted.add((tenant, recording_id))
        self._keep(event)
        return True

    async def objects_in_use(self, tenant: str, keys: Sequence[str]) -> Collection[str]:
        self._answer()
        files = [recording.content.file for owner, recording in self.recordings_by_id.values() if owner == tenant]
        return {file.object.key for file in files if file} & set(keys)

    async def add_transcript(
        self, tenant: str, new: NewTranscript, incomplete: bool = False, telling: Telling = nothing
    ) -> Transcript | None:
        recording = await self.recording(tenant, new.recording_id)
        if recording is None:
            raise RecordingNotFound("there is no such recording", recording_id=new.recording_id)
        before = self.transcripts_by_id.get(new.transcript_id)
        there = await self.transcripts(tenant, new.recording_id, MOST_TRANSCRIPTS)
        if new.transcript_id not in self.transcripts_by_id and len(there) == MOST_TRANSCRIPTS:
            raise too_many(new.recording_id)
        begun = Transcript(new, 0, datetime.now(UTC), incomplete)
        owner, kept = self.transcripts_by_id.setdefault(new.transcript_id, (tenant, begun))
        if owner == tenant and kept.content == new and not incomplete:
            self.transcripts_by_id[new.transcript_id] = (owner, replace(kept, incomplete=False))
        changed = before != self.transcripts_by_id[new.transcript_id]
        all_of_it = await self.transcripts(tenant, new.recording_id, len(self.transcripts_by_id))
        if changed and sum(one.content.channel == new.channel for one in all_of_it) > 1:
            counting = replace(recording, version=recording.version + 1, superseded=superseded(all_of_it))
            self.recordings_by_id[new.recording_id] = tenant, counting
            for event in telling(counting):
                self._keep(event)
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

    async def add_segments(self, tenant: str, transcript: NewTranscript, additions: Sequence[Addition]) -> int | None:
        if await self.recording(tenant, transcript.recording_id) is None:
            return None
        kept = self.segments_by_id.setdefault(transcript.transcript_id, {})
        added = [addition for addition in additions if addition.segment.index not in kept]
        for addition in added:
            kept[addition.segment.index] = addition.segment
            self._keep(addition.event)
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


def _passes(recording: Recording, selection: Selection) -> bool:
    return (
        selection.source in (None, recording.content.source)
        and selection.language_code in ("", recording.language_code)
        and folded(selection.title_contains) in folded(recording.content.title)
        and (selection.created_after is None or recording.create_time >= selection.created_after)
        and (selection.created_before is None or recording.create_time < selection.created_before)
        and all(_has(recording, label) for label in selection.labels)
    )


def _has(recording: Recording, label: Wanted) -> bool:
    found = recording.content.labels.get(label.key)
    return found is not None and label.value in (None, found)
