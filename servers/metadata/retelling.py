"""Retelling: what is stored is told again, so that an index that was lost fills from the truth.

See docs/adr/0015-retelling.md. What is told again comes to its readers by the ordinary way, a little at a time: the
next few events only when nearly all before them are done with, so that what is new waits for a few at most.
"""

import asyncio
import json
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Protocol

from servers.common.errors import FieldInvalid, PageTokenInvalid, RecordingNotFound
from servers.common.outbox import Event
from servers.metadata import fields, pages
from servers.metadata.library import RecordingStore
from servers.metadata.listings import Order, Place, Selection
from servers.metadata.recordings import Recording
from servers.metadata.transcripts import MOST_TRANSCRIPTS, NewTranscript, Segment, TranscriptStore, superseded

FEWEST, MOST = 8, 128
"""Events told at a time."""
QUICK_S = 0.5
"""Within this time what is told at a time should be taken in: so long, or twice, what is new waits for it."""
LASTS_S = 2.0
"""After so long a call ends, with more to tell or without."""
LOOK_EVERY_S = 0.05
"""How often it is looked whether the readers have caught up."""

CLOCKS_DIFFER = timedelta(minutes=1)
"""By less than this, those of this server and of the store."""

_HIGHEST_INDEX = 2**32


@dataclass(frozen=True, slots=True)
class Asked:
    """Of what is to be told."""

    tenant: str = ""
    """Empty: of what all tenants have."""
    recording_id: str = ""
    """Empty: of all recordings."""

    @property
    def list(self) -> tuple[str, ...]:
        """Binds page tokens to it."""
        return ("retelling", self.tenant, self.recording_id)


@dataclass(frozen=True, slots=True)
class Cursor:
    """How far a retelling has come: of each tenant first the deleted recordings, by their ids, then the others, the
    oldest first, and of each its segments by transcript and index."""

    telling: str
    """A UUID of its own: what is told again in two retellings makes two events."""
    until: datetime
    """What was created later was told when it was."""
    tenant: str
    deleted: str | None = ""
    """The last deleted recording that was told of; None after all of them."""
    place: str = ""
    """Of the last recording that was told of with all its segments."""
    recording_id: str = ""
    """Of which is being told; empty between two recordings."""
    transcript_id: str = ""
    index: int = -1
    """The last segment of this recording that was told of."""

    @property
    def after(self) -> Place | None:
        """Where the list of recordings goes on."""
        return Place.parse(Order.OLDEST, self.place) if self.place else None

    def __str__(self) -> str:
        return json.dumps(asdict(self) | {"until": self.until.isoformat()})

    @classmethod
    def parse(cls, text: str) -> "Cursor":
        """What `str` wrote; PageTokenInvalid for anything else."""
        try:
            values = json.loads(text)
            cursor = cls(**(values | {"until": datetime.fromisoformat(values["until"])}))
            cursor._check()
            return cursor
        except (ValueError, TypeError, KeyError, FieldInvalid, PageTokenInvalid) as error:
            raise PageTokenInvalid("page_token is not a token of this service") from error

    def _check(self) -> None:
        ids = ("" if self.deleted is None else self.deleted, self.recording_id, self.transcript_id)
        right = (
            _is_id(self.telling)
            and self.until.tzinfo
            and fields.storable("tenant", self.tenant)
            and all(id == "" or _is_id(id) for id in ids)
            and type(self.place) is str
            and type(self.index) is int
            and -1 <= self.index < _HIGHEST_INDEX
        )
        if not right or (self.place and self.after is None):
            raise ValueError("this is no cursor")


@dataclass(frozen=True, slots=True)
class Told:
    """How much was told."""

    recordings: int = 0
    segments: int = 0
    deleted: int = 0

    def __add__(self, other: "Told") -> "Told":
        return Told(self.recordings + other.recordings, self.segments + other.segments, self.deleted + other.deleted)


@dataclass(frozen=True, slots=True)
class Stretch:
    """What one call has told."""

    told: Told
    tenant: str
    """That it has come to."""
    waiting: int
    """Events that waited when it looked last."""
    next_token: str
    """Empty when all is told."""


@dataclass(slots=True)
class Pace:
    """How many events are told at a time: about as many as their readers take in within QUICK_S. The next are told when
    fewer than that wait, with those that are new."""

    size: int = field(default_factory=lambda: FEWEST)
    _told_at: float | None = None

    def allows(self, waiting: int) -> bool:
        """Whether `size` more may be told."""
        if waiting >= self.size:
            return False
        if self._told_at is not None:
            took_s, self._told_at = time.monotonic() - self._told_at, None
            if took_s < QUICK_S / 2:
                self.size = min(self.size * 2, MOST)
            elif took_s > QUICK_S:
                self.size = max(self.size // 2, FEWEST)
        return True

    def told(self) -> None:
        """So many were told just now."""
        self._told_at = time.monotonic()


@dataclass(slots=True)
class Batch:
    """Events to tell, of one tenant, and where to go on after them; None when all is told."""

    cursor: Cursor | None
    size: int
    """How many at most, or one more."""
    events: list[Event] = field(default_factory=list)
    told: Told = Told()

    @property
    def room(self) -> int:
        """For how many events."""
        return max(0, self.size - len(self.events))

    def add(self, events: Sequence[Event], told: Told) -> None:
        """Take in some more."""
        self.events += events
        self.told += told


class RetellingStore(RecordingStore, TranscriptStore, Protocol):
    """Where all is kept. Every method raises DependencyUnavailable."""

    async def next_tenant(self, after: str) -> str | None:
        """The first tenant after this name, in an order of the store's, that has or had recordings."""

    async def deleted_recordings(self, tenant: str, after: str, limit: int) -> Sequence[str]:
        """At most `limit` ids of deleted recordings, in their order, that come after an id, or from the first on."""

    async def transcripts_in_order(self, tenant: str, recording_id: str) -> Sequence[NewTranscript]:
        """All of a recording, in the order of their ids."""

    async def keep(self, tenant: str, events: Sequence[Event]) -> None:
        """Put events into the outbox."""

    async def waiting(self) -> int:
        """How many events are in the outbox."""


class Repeater(Protocol):
    """Writes the events that tell again, under other ids than the first time, and than in another retelling."""

    def recording(self, tenant: str, recording: Recording, telling: str) -> Event:
        """What is known of a recording."""

    def uploaded(self, tenant: str, recording: Recording, telling: str) -> Event:
        """That a recording has a file, which is to have an operation, if it has none."""

    def segment(self, tenant: str, transcript: NewTranscript, segment: Segment, telling: str) -> Event:
        """That a segment is there."""

    def deleted(self, tenant: str, recording_id: str, telling: str) -> Event:
        """That a recording is gone."""


class Listeners(Protocol):
    """Who is told. Every method raises DependencyUnavailable."""

    async def waiting(self) -> int:
        """How many events of segments they have not done with."""

    async def announce(self, goes_on: bool) -> None:
        """Say that a retelling goes on, or that it is over."""


class Retelling:
    """Tells again. Any number may do so at a time, of the same or not: what comes twice changes nothing."""

    def __init__(
        self, store: RetellingStore, repeater: Repeater, listeners: Listeners, stored: Callable[[], None]
    ) -> None:
        """`stored` is called after each batch was kept, so that it goes out at once."""
        self._store = store
        self._repeater = repeater
        self._listeners = listeners
        self._stored = stored

    async def go_on(self, asked: Asked, token: str) -> Stretch:
        """Tell for LASTS_S at most, from the place of the token on, or from the beginning.

        FieldInvalid, PageTokenInvalid; RecordingNotFound when the one that was asked for never was there.
        """
        asked = _checked(asked)
        cursor = await self._begun(asked) if not token else Cursor.parse(pages.place(asked.list, token) or "")
        tenant, told, waiting = cursor.tenant if cursor else "", Told(), 0
        pace, ends = Pace(), time.monotonic() + LASTS_S
        if cursor and not asked.recording_id:
            await self._listeners.announce(True)
        while cursor:
            waiting = await self._store.waiting() + await self._listeners.waiting()
            if allowed := pace.allows(waiting):
                batch = await self._batch(asked, cursor, pace.size)
                if batch.events:
                    await self._store.keep(cursor.tenant, batch.events)
                    self._stored()
                    pace.told()
                tenant, told, cursor = cursor.tenant, told + batch.told, batch.cursor
            if time.monotonic() >= ends:
                break
            if not allowed:
                await asyncio.sleep(LOOK_EVERY_S)
        if cursor is None and not asked.recording_id:
            await self._listeners.announce(False)
        return Stretch(told, tenant, waiting, pages.token(asked.list, str(cursor)) if cursor else "")

    async def _begun(self, asked: Asked) -> Cursor | None:
        """Where a retelling begins; None when there is nothing to tell."""
        tenant = asked.tenant or await self._store.next_tenant("")
        until = datetime.now(UTC) + CLOCKS_DIFFER
        return Cursor(str(uuid.uuid4()), until, tenant) if tenant else None

    async def _batch(self, asked: Asked, cursor: Cursor, size: int) -> Batch:
        """What is told next."""
        if asked.recording_id:
            return await self._of_one(asked.recording_id, cursor, size)
        if cursor.deleted is not None:
            return await self._of_deleted(cursor, cursor.deleted, size)
        batch = await self._of_recordings(cursor, size)
        if batch.cursor is None and not asked.tenant:
            following = await self._store.next_tenant(cursor.tenant)
            batch.cursor = Cursor(cursor.telling, cursor.until, following) if following else None
        return batch

    async def _of_one(self, recording_id: str, cursor: Cursor, size: int) -> Batch:
        recording = await self._store.recording(cursor.tenant, recording_id)
        batch = Batch(None, size)
        if recording is not None:
            batch.cursor = await self._of_recording(recording, cursor, batch)
            return batch
        if not await self._store.was_deleted(cursor.tenant, recording_id):
            raise RecordingNotFound("there is no such recording", recording_id=recording_id)
        batch.add([self._repeater.deleted(cursor.tenant, recording_id, cursor.telling)], Told(deleted=1))
        return batch

    async def _of_deleted(self, cursor: Cursor, after: str, size: int) -> Batch:
        found = await self._store.deleted_recordings(cursor.tenant, after, size)
        events = [self._repeater.deleted(cursor.tenant, id, cursor.telling) for id in found]
        last = found[-1] if len(found) == size else None
        return Batch(replace(cursor, deleted=last), size, events, Told(deleted=len(events)))

    async def _of_recordings(self, cursor: Cursor, size: int) -> Batch:
        """Of as many as there is room for; its cursor is None when there is none after them."""
        selection = Selection(created_before=cursor.until, order=Order.OLDEST)
        found = await self._store.recordings(cursor.tenant, selection, cursor.after, size)
        batch, place = Batch(None, size), cursor
        for recording in found:
            within = await self._of_recording(recording, place, batch)
            if within is not None:
                batch.cursor = within
                return batch
            place = replace(_between(place), place=str(Place.of(Order.OLDEST, recording)))
        batch.cursor = place if len(found) == size else None
        return batch

    async def _of_recording(self, recording: Recording, cursor: Cursor, batch: Batch) -> Cursor | None:
        """Put what is told of a recording into the batch, which has room; where to go on within the recording once the
        batch is full, None when that was all."""
        id = recording.recording_id
        if cursor.recording_id != id:
            cursor = replace(_between(cursor), recording_id=id)
            there = await self._store.transcripts(cursor.tenant, recording.recording_id, MOST_TRANSCRIPTS)
            whole = replace(recording, superseded=superseded(there))
            events = [self._repeater.recording(cursor.tenant, whole, cursor.telling)]
            if recording.content.file:
                events.append(self._repeater.uploaded(cursor.tenant, recording, cursor.telling))
            batch.add(events, Told(recordings=1))
        for transcript in await self._store.transcripts_in_order(cursor.tenant, id):
            if not batch.room:
                break
            if transcript.transcript_id < cursor.transcript_id:
                continue
            if transcript.transcript_id > cursor.transcript_id:
                cursor = replace(cursor, transcript_id=transcript.transcript_id, index=-1)
            segments = await self._store.segments(cursor.tenant, transcript.transcript_id, cursor.index, batch.room)
            events = [self._repeater.segment(cursor.tenant, transcript, one, cursor.telling) for one in segments]
            batch.add(events, Told(segments=len(events)))
            if segments:
                cursor = replace(cursor, index=segments[-1].index)
        return None if batch.room else cursor


def _is_id(value: object) -> bool:
    """FieldInvalid, too, when it is not."""
    return type(value) is str and fields.identifier("id", value) == value


def _between(cursor: Cursor) -> Cursor:
    """The same place, in no recording."""
    return replace(cursor, recording_id="", transcript_id="", index=-1)


def _checked(asked: Asked) -> Asked:
    tenant = fields.storable("tenant", asked.tenant)
    if not asked.recording_id:
        return asked
    if not tenant:
        raise FieldInvalid("tenant", "is required with recording_id")
    return replace(asked, recording_id=fields.identifier("recording_id", asked.recording_id))
