"""Recordings: something that was spoken, of one tenant."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Protocol

from servers.common.errors import AlreadyExists, PageTokenInvalid, RecordingNotFound
from servers.metadata import fields, pages

TITLE_LENGTH = 200
DEFAULT_PAGE = 50


class Source(Enum):
    """Where a recording came from."""

    LIVE = "live"
    FILE = "file"


@dataclass(frozen=True, slots=True)
class NewRecording:
    """What the creator of a recording says of it."""

    recording_id: str
    title: str
    source: Source
    language_code: str
    """ISO 639-1, or -3 where there is none; empty when unknown."""


@dataclass(frozen=True, slots=True)
class Recording:
    """A stored recording."""

    content: NewRecording
    heard_language_code: str
    """The language of the first segment that names one; empty before."""
    duration_ms: int
    """Where its last segment ends."""
    segment_count: int
    """Of all its transcripts."""
    create_time: datetime
    update_time: datetime

    @property
    def recording_id(self) -> str:
        """A UUID in lower case."""
        return self.content.recording_id

    @property
    def language_code(self) -> str:
        """What the creator said, else what was heard."""
        return self.content.language_code or self.heard_language_code


@dataclass(frozen=True, slots=True)
class Place:
    """Where a page of recordings ends."""

    create_time: datetime
    recording_id: str

    @classmethod
    def of(cls, recording: Recording) -> "Place":
        """The place of a recording in the list of its tenant."""
        return cls(recording.create_time, recording.recording_id)

    @classmethod
    def parse(cls, text: str) -> "Place":
        """The place that `str` wrote."""
        time, _, recording_id = text.partition("|")
        try:
            return cls(datetime.fromisoformat(time), recording_id)
        except ValueError as error:
            raise PageTokenInvalid("page_token is not a token of this service") from error

    def __str__(self) -> str:
        return f"{self.create_time.isoformat()}|{self.recording_id}"


class RecordingStore(Protocol):
    """Where recordings are kept. Every method sees the rows of `tenant` alone, and raises DependencyUnavailable."""

    async def add_recording(self, tenant: str, new: NewRecording) -> Recording | None:
        """Keep a recording unless its id is taken; what is now kept under the id, None when that is not `tenant`'s."""

    async def recording(self, tenant: str, recording_id: str) -> Recording | None:
        """One recording."""

    async def recordings(self, tenant: str, after: Place | None, limit: int) -> Sequence[Recording]:
        """At most `limit` recordings, the newest first, that come after a place in that order."""


class Recordings:
    """The rules for recordings."""

    def __init__(self, store: RecordingStore) -> None:
        self._store = store

    async def create(
        self, tenant: str, recording_id: str, title: str, source: Source | None, language_code: str
    ) -> Recording:
        """Register a recording; `recording_id` may be empty. Repeating a call finds what the first one made.

        FieldInvalid; AlreadyExists when the id is taken by other content or another tenant.
        """
        new = NewRecording(
            fields.chosen_identifier("recording_id", recording_id),
            fields.text("title", title, TITLE_LENGTH),
            fields.known("source", source),
            fields.language("language_code", language_code),
        )
        stored = await self._store.add_recording(tenant, new)
        if stored is None or stored.content != new:
            raise AlreadyExists("recording_id is taken by another recording")
        return stored

    async def get(self, tenant: str, recording_id: str) -> Recording:
        """One recording; FieldInvalid or RecordingNotFound."""
        recording_id = fields.identifier("recording_id", recording_id)
        found = await self._store.recording(tenant, recording_id)
        if found is None:
            raise RecordingNotFound("there is no such recording", recording_id=recording_id)
        return found

    async def page(self, tenant: str, asked: int, token: str) -> pages.Page[Recording]:
        """A page of `asked` recordings (0: the default), the newest first; PageTokenInvalid."""
        of = ("recordings", tenant)
        after = pages.place(of, token)
        wanted = pages.size(asked, DEFAULT_PAGE)
        found = await self._store.recordings(tenant, Place.parse(after) if after else None, wanted + 1)
        return pages.page(found, wanted, of, lambda recording: str(Place.of(recording)))
