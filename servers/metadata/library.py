"""The library: the rules for recordings."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from servers.common.errors import AlreadyExists, FieldInvalid, RecordingNotFound
from servers.common.outbox import Event
from servers.metadata import fields, files, labels, pages
from servers.metadata.files import MediaInfo, StoredObject
from servers.metadata.listings import Place, Selection
from servers.metadata.pages import Page
from servers.metadata.recordings import TITLE_LENGTH, Change, NewRecording, Recording, Source

DEFAULT_PAGE = 50
MOST_KEYS = 1000
"""In one question for objects."""

CHANGEABLE = ("title", "language_code", "labels")
MOST_PATHS = 32
"""In one mask, which may repeat itself."""


@dataclass(frozen=True, slots=True)
class Draft:
    """What a request says of a new recording; nothing is checked yet."""

    title: str
    source: Source | None
    recording_id: str = ""
    language_code: str = ""
    object: StoredObject | None = None
    media: MediaInfo | None = None
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Update:
    """What a request says of a recording that is there; nothing is checked yet."""

    recording_id: str
    title: str
    language_code: str
    labels: Mapping[str, str]
    mask: Collection[str] = ()
    """Which of CHANGEABLE change; empty: those that are not empty."""
    etag: str = ""


class Announcer(Protocol):
    """Writes the events that tell of recordings."""

    def uploaded(self, tenant: str, subject: str, new: NewRecording) -> Event:
        """That a recording with a file is there."""

    def updated(self, tenant: str, recording: Recording) -> Event:
        """What is known of a recording that is new, or has changed."""

    def deleted(self, tenant: str, recording: Recording) -> Event:
        """That a recording is gone."""


Telling = Callable[[Recording], Sequence[Event]]
"""What is to be told of a recording that was just kept, or changed."""


def nothing(_: Recording) -> Sequence[Event]:
    """A Telling."""
    return ()


class RecordingStore(Protocol):
    """Where recordings are kept. Every method sees the rows of `tenant` alone, and raises DependencyUnavailable."""

    async def add_recording(self, tenant: str, new: NewRecording, telling: Telling) -> Recording | None:
        """Keep a recording, with its events, unless its id is taken; what is now kept under the id.

        None when the id is not `tenant`'s, or was that of a recording that is deleted.
        """

    async def recording(self, tenant: str, recording_id: str) -> Recording | None:
        """One recording."""

    async def was_deleted(self, tenant: str, recording_id: str) -> bool:
        """Whether that was a recording of the tenant."""

    async def recordings(
        self, tenant: str, selection: Selection, after: Place | None, limit: int
    ) -> Sequence[Recording]:
        """At most `limit` recordings of a selection that come after a place in its order."""

    async def change_recording(
        self, tenant: str, recording_id: str, change: Change, etag: str, telling: Telling
    ) -> Recording | None:
        """The changed recording, whose version counts on if anything is different, with its events; None when there is
        none.

        EtagMismatch when it has another etag, unless `etag` is empty.
        """

    async def remove_recording(self, tenant: str, recording_id: str, event: Event, etag: str) -> bool:
        """Remove a recording with all that belongs to it, and keep its event; whether it was there. EtagMismatch."""

    async def objects_in_use(self, tenant: str, keys: Sequence[str]) -> Collection[str]:
        """Those of the keys that belong to a recording."""


class Library:
    """Recordings of all tenants."""

    def __init__(self, store: RecordingStore, announcer: Announcer, stored: Callable[[], None]) -> None:
        """`stored` is called after each event was kept, so that it goes out at once."""
        self._store = store
        self._announcer = announcer
        self._stored = stored

    async def create(self, tenant: str, subject: str, draft: Draft) -> Recording:
        """Register a recording in the name of `subject`. Repeating a call finds what the first one made.

        FieldInvalid; AlreadyExists when the id is taken by other content or another tenant, or was once taken.
        """
        new = _checked(tenant, draft)

        def telling(made: Recording) -> Sequence[Event]:
            uploaded = [self._announcer.uploaded(tenant, subject, new)] if new.file else []
            return [*uploaded, self._announcer.updated(tenant, made)]

        stored = await self._store.add_recording(tenant, new, telling)
        if stored is None or not stored.was_made_of(new):
            raise AlreadyExists("recording_id is taken by another recording")
        self._stored()
        return stored

    async def get(self, tenant: str, recording_id: str) -> Recording:
        """One recording; FieldInvalid, or RecordingNotFound, which says whether it was deleted."""
        recording_id = fields.identifier("recording_id", recording_id)
        found = await self._store.recording(tenant, recording_id)
        if found is None and await self._store.was_deleted(tenant, recording_id):
            raise RecordingNotFound("the recording was deleted", recording_id=recording_id, deleted="true")
        return _found(found, recording_id)

    async def page(self, tenant: str, selection: Selection, asked: int, token: str) -> Page[Recording]:
        """A page of `asked` recordings (0: the default) in the order of the selection; PageTokenInvalid."""
        of = ("recordings", tenant, selection.name)
        after = pages.place(of, token)
        place = Place.parse(selection.order, after) if after else None
        wanted = pages.size(asked, DEFAULT_PAGE)
        found = await self._store.recordings(tenant, selection, place, wanted + 1)
        return pages.page(found, wanted, of, lambda recording: str(Place.of(selection.order, recording)))

    async def update(self, tenant: str, update: Update) -> Recording:
        """The changed recording; FieldInvalid, RecordingNotFound, EtagMismatch."""
        recording_id = fields.identifier("recording.recording_id", update.recording_id)
        change = _change(update)

        def telling(changed: Recording) -> Sequence[Event]:
            return [self._announcer.updated(tenant, changed)]

        stored = await self._store.change_recording(tenant, recording_id, change, update.etag, telling)
        self._stored()
        return _found(stored, recording_id)

    async def delete(self, tenant: str, recording_id: str, etag: str) -> None:
        """Remove a recording and all that belongs to it; FieldInvalid, RecordingNotFound, EtagMismatch."""
        recording = await self.get(tenant, recording_id)
        event = self._announcer.deleted(tenant, recording)
        if not await self._store.remove_recording(tenant, recording.recording_id, event, etag):
            raise _missing(recording.recording_id)
        self._stored()

    async def objects_in_use(self, tenant: str, keys: Sequence[str]) -> Sequence[str]:
        """Those of the keys that belong to a recording, in their order; FieldInvalid."""
        if not 1 <= len(keys) <= MOST_KEYS:
            raise FieldInvalid("keys", f"must hold 1 to {MOST_KEYS} keys, not {len(keys)}")
        asked = [fields.text(f"keys[{number}]", key, files.KEY_LENGTH) for number, key in enumerate(keys)]
        used = set(await self._store.objects_in_use(tenant, asked))
        return [key for key in dict.fromkeys(asked) if key in used]


def _found(recording: Recording | None, recording_id: str) -> Recording:
    if recording is None:
        raise _missing(recording_id)
    return recording


def _missing(recording_id: str) -> RecordingNotFound:
    return RecordingNotFound("there is no such recording", recording_id=recording_id)


def _checked(tenant: str, draft: Draft) -> NewRecording:
    source = fields.known("source", draft.source)
    file = files.checked(tenant, draft.object, draft.media)
    if file and source is not Source.FILE:
        raise FieldInvalid("object", "belongs only to a recording whose source is a file")
    return NewRecording(
        fields.chosen_identifier("recording_id", draft.recording_id),
        fields.text("title", draft.title, TITLE_LENGTH),
        source,
        fields.language("language_code", draft.language_code),
        file,
        labels.checked("labels", draft.labels),
    )


def _change(update: Update) -> Change:
    """What changes, checked."""
    if len(update.mask) > MOST_PATHS:
        raise FieldInvalid("update_mask", f"must not have more than {MOST_PATHS} paths, not {len(update.mask)}")
    for path in update.mask:
        if path not in CHANGEABLE:
            raise FieldInvalid("update_mask", f"may name {', '.join(CHANGEABLE)}, not {path[:50]!r}")
    changing = update.mask or [name for name in CHANGEABLE if getattr(update, name)]
    return Change(
        fields.text("recording.title", update.title, TITLE_LENGTH) if "title" in changing else None,
        fields.language("recording.language_code", update.language_code) if "language_code" in changing else None,
        labels.checked("recording.labels", update.labels) if "labels" in changing else None,
    )
