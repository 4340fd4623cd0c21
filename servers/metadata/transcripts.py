"""Transcripts: what was said in a recording, as one run of one model wrote it, in segments."""

import uuid
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Protocol

from servers.common.bounds import MAX_CHANNELS
from servers.common.errors import (
    AlreadyExists,
    FieldInvalid,
    PageTokenInvalid,
    TooManyTranscripts,
    TranscriptNotFound,
)
from servers.common.outbox import Event
from servers.metadata import fields, pages
from servers.metadata.library import Library, Telling, nothing
from servers.metadata.recordings import Recording

MODEL_LENGTH = 100
TEXT_LENGTH = 8192
"""Characters of a segment, and of its words together."""
MOST_SEGMENTS = 500
"""In one append."""
MOST_WORDS = 50_000
"""In one append: five hours of speech. To check them keeps other calls waiting for half a second."""
MOST_TRANSCRIPTS = 100
"""Of a recording: each that is added is told of with all before it."""
KNOWN = 10_000
"""Transcripts whose recording is remembered."""
DEFAULT_PAGE = 200
PAGE_CHARACTERS = 1_000_000
"""A page ends early when its segments hold more than this, so that any client can receive it."""

_HIGHEST_INDEX = 2**32 - 1


@dataclass(frozen=True, slots=True)
class Word:
    """One word as written, with its times in milliseconds since the recording began."""

    text: str
    start_ms: int
    end_ms: int
    confidence: float


@dataclass(frozen=True, slots=True)
class Segment:
    """One utterance, with its times in milliseconds since the recording began."""

    index: int
    text: str
    start_ms: int
    end_ms: int
    language_code: str
    confidence: float
    words: tuple[Word, ...] = ()
    raw_text: str = ""
    """What the speech model wrote; empty when it is the text."""

    def id_in(self, transcript_id: str) -> str:
        """The UUID v5 of transcript and index: the same segment always has the same name."""
        return str(uuid.uuid5(uuid.UUID(transcript_id), str(self.index)))

    @property
    def characters(self) -> int:
        """About how large it is when written."""
        return len(self.text) + len(self.raw_text) + sum(len(word.text) + 30 for word in self.words)


@dataclass(frozen=True, slots=True)
class NewTranscript:
    """What the creator of a transcript says of it."""

    transcript_id: str
    recording_id: str
    model: str
    channel: int = 0
    """Of the audio; 0 where all channels were heard as one."""


@dataclass(frozen=True, slots=True)
class Transcript:
    """A stored transcript."""

    content: NewTranscript
    segment_count: int
    create_time: datetime
    incomplete: bool = False
    """Whether its writer is still at work, or has given up."""

    @property
    def transcript_id(self) -> str:
        """A UUID in lower case."""
        return self.content.transcript_id


@dataclass(frozen=True, slots=True)
class Addition:
    """A segment to keep, and the event that tells of it."""

    segment: Segment
    event: Event


class TranscriptStore(Protocol):
    """Where transcripts are kept. Every method sees the rows of `tenant` alone, and raises DependencyUnavailable."""

    async def add_transcript(
        self, tenant: str, new: NewTranscript, incomplete: bool = False, telling: Telling = nothing
    ) -> Transcript | None:
        """Keep a transcript unless its id is taken; what is now kept under the id, None when not `tenant`'s. The same
        that was kept as `incomplete` is complete after a call that does not say so.

        Where the recording has others of the same channel, one of them counts no more, or this one does not yet: the
        version of the recording counts on, and what is to be told of it is kept with that.

        RecordingNotFound; TooManyTranscripts when it would be more than MOST_TRANSCRIPTS.
        """

    async def transcript(self, tenant: str, transcript_id: str) -> Transcript | None:
        """One transcript."""

    async def transcripts(self, tenant: str, recording_id: str, limit: int) -> Sequence[Transcript]:
        """At most `limit` transcripts of a recording, the newest first."""

    async def add_segments(self, tenant: str, transcript: NewTranscript, additions: Sequence[Addition]) -> int | None:
        """Keep the segments whose index is not taken, with their events, and bring the counts up to date; how many.

        All or nothing, and right when calls for the same recording overlap. None when the recording has been deleted.
        """

    async def segments(self, tenant: str, transcript_id: str, after: int, limit: int) -> Sequence[Segment]:
        """At most `limit` segments whose index is greater than `after`, in order of their index."""


def of_channels(newest_first: Sequence[Transcript]) -> Sequence[Transcript]:
    """What was said in a recording: of each channel the newest transcript that is complete, or else the newest, by
    channel."""
    told: dict[int, Transcript] = {}
    for transcript in sorted(newest_first, key=lambda one: one.incomplete):  # which leaves the newer before the older
        told.setdefault(transcript.content.channel, transcript)
    return [told[channel] for channel in sorted(told)]


def superseded(newest_first: Sequence[Transcript]) -> tuple[str, ...]:
    """The ids of all others."""
    counting = {one.transcript_id for one in of_channels(newest_first)}
    return tuple(sorted({one.transcript_id for one in newest_first} - counting))


def too_many(recording_id: str) -> TooManyTranscripts:
    """What is raised when a recording has MOST_TRANSCRIPTS."""
    words = f"the recording has {MOST_TRANSCRIPTS} transcripts, and may have no more"
    return TooManyTranscripts(words, recording_id=recording_id, limit=str(MOST_TRANSCRIPTS))


class Announcer(Protocol):
    """Writes the events that tell of what a tenant's transcripts have become."""

    def finalized(self, tenant: str, transcript: NewTranscript, segment: Segment) -> Event:
        """That a segment was stored."""

    def updated(self, tenant: str, recording: Recording) -> Event:
        """What is known of a recording."""


class Transcripts:
    """The rules for transcripts and segments."""

    def __init__(
        self, library: Library, store: TranscriptStore, announcer: Announcer, stored: Callable[[], None]
    ) -> None:
        """`stored` is called after each call that kept something, so that its events go out at once."""
        self._library = library
        self._store = store
        self._announcer = announcer
        self._stored = stored
        self._known: dict[tuple[str, str], NewTranscript] = {}

    async def create(
        self,
        tenant: str,
        recording_id: str,
        transcript_id: str,
        model: str,
        channel: int = 0,
        incomplete: bool = False,
    ) -> Transcript:
        """Begin a transcript; `transcript_id` may be empty. Repeating a call finds what the first one made, and makes
        it complete unless it says `incomplete`, too.

        FieldInvalid; RecordingNotFound; AlreadyExists when the id is taken by other content or another tenant;
        TooManyTranscripts.
        """
        new = NewTranscript(
            fields.chosen_identifier("transcript_id", transcript_id),
            fields.identifier("recording_id", recording_id),
            fields.text("model", model, MODEL_LENGTH),
            fields.number("channel", channel, 0, MAX_CHANNELS - 1),
        )
        told: list[Event] = []

        def telling(recording: Recording) -> Sequence[Event]:
            told.append(self._announcer.updated(tenant, recording))
            return told

        stored = await self._store.add_transcript(tenant, new, incomplete, telling)
        # A session that began before channels were kept goes on with transcripts that are all of channel 0.
        if stored is None or stored.content not in (new, replace(new, channel=0)):
            raise AlreadyExists("transcript_id is taken by another transcript")
        if told:
            self._stored()
        return stored

    async def get(self, tenant: str, transcript_id: str) -> Transcript:
        """One transcript; FieldInvalid or TranscriptNotFound."""
        transcript_id = fields.identifier("transcript_id", transcript_id)
        found = await self._store.transcript(tenant, transcript_id)
        if found is None:
            raise _missing(transcript_id)
        return found

    async def of_recording(self, tenant: str, recording_id: str) -> Sequence[Transcript]:
        """The newest transcripts of a recording; FieldInvalid or RecordingNotFound."""
        recording = await self._library.get(tenant, recording_id)
        return await self._store.transcripts(tenant, recording.recording_id, MOST_TRANSCRIPTS)

    async def append(self, tenant: str, transcript_id: str, segments: Sequence[Segment]) -> int:
        """Keep segments whose index is new, and announce them; how many. FieldInvalid or TranscriptNotFound."""
        checked = _checked(segments)
        transcript_id = fields.identifier("transcript_id", transcript_id)
        known = self._known.get((tenant, transcript_id))
        added = await self._added(tenant, known, checked) if known else None
        if added is None:  # not known yet, or deleted since; then the id may have been given again
            found = (await self.get(tenant, transcript_id)).content
            added = await self._added(tenant, found, checked)
            if added is None:
                raise _missing(transcript_id)
            self._know(tenant, found)
        if added:
            self._stored()
        return added

    async def _added(self, tenant: str, to: NewTranscript, segments: Sequence[Segment]) -> int | None:
        additions = [Addition(segment, self._announcer.finalized(tenant, to, segment)) for segment in segments]
        return await self._store.add_segments(tenant, to, additions)

    def _know(self, tenant: str, transcript: NewTranscript) -> None:
        """What a transcript is never changes, so appends need not ask for it again; the longest known is forgotten."""
        if len(self._known) >= KNOWN:
            del self._known[next(iter(self._known))]
        self._known[tenant, transcript.transcript_id] = transcript

    async def page(self, tenant: str, transcript_id: str, asked: int, token: str) -> pages.Page[Segment]:
        """A page of `asked` segments (0: the default) in order of their index; it ends early at PAGE_CHARACTERS.

        FieldInvalid, TranscriptNotFound, PageTokenInvalid.
        """
        transcript_id = fields.identifier("transcript_id", transcript_id)
        of = ("segments", tenant, transcript_id)
        after = _index(pages.place(of, token))
        await self.get(tenant, transcript_id)
        wanted = pages.size(asked, DEFAULT_PAGE)
        found = await self._store.segments(tenant, transcript_id, after, wanted + 1)
        return pages.page(found, min(wanted, _fitting(found)), of, lambda segment: str(segment.index))


def _missing(transcript_id: str) -> TranscriptNotFound:
    return TranscriptNotFound("there is no such transcript", transcript_id=transcript_id)


def _index(place: str | None) -> int:
    if place is None:
        return -1
    if not place.isdecimal() or int(place) > _HIGHEST_INDEX:
        raise PageTokenInvalid("page_token is not a token of this service")
    return int(place)


def _fitting(segments: Sequence[Segment]) -> int:
    """How many of the first segments fit a page: one at least."""
    total = 0
    for count, segment in enumerate(segments):
        total += segment.characters
        if count and total > PAGE_CHARACTERS:
            return count
    return max(1, len(segments))


def check_counts(segments: int, words: Iterable[int]) -> None:
    """Whether one append may have so many segments, with so many words each: FieldInvalid. To be asked before any of
    them is read. `words` is left alone when there are too many segments."""
    if not 1 <= segments <= MOST_SEGMENTS:
        raise FieldInvalid("segments", f"must hold 1 to {MOST_SEGMENTS} segments, not {segments}")
    total = 0
    for number, count in enumerate(words):
        total += count
        if total > MOST_WORDS:
            raise FieldInvalid(f"segments[{number}].words", f"brings the words of all to more than {MOST_WORDS}")


def _checked(segments: Sequence[Segment]) -> list[Segment]:
    """The segments of one append in order of their index; FieldInvalid names the first that is wrong."""
    check_counts(len(segments), (len(segment.words) for segment in segments))
    taken: set[int] = set()
    checked = []
    for number, segment in enumerate(segments):
        if segment.index in taken:
            raise FieldInvalid(f"segments[{number}].segment_index", "repeats that of another segment")
        taken.add(segment.index)
        checked.append(_checked_segment(f"segments[{number}]", segment))
    return sorted(checked, key=lambda segment: segment.index)


def _checked_segment(field: str, segment: Segment) -> Segment:
    if not 0 <= segment.index <= _HIGHEST_INDEX:
        raise FieldInvalid(f"{field}.segment_index", "must be a 32-bit number")
    start_ms = fields.time_ms(f"{field}.start_ms", segment.start_ms)
    text = fields.text(f"{field}.text", segment.text, TEXT_LENGTH)
    return Segment(
        segment.index,
        text,
        start_ms,
        fields.time_ms(f"{field}.end_ms", segment.end_ms, start_ms),
        fields.language(f"{field}.language_code", segment.language_code),
        fields.probability(f"{field}.confidence", segment.confidence),
        _checked_words(f"{field}.words", segment.words),
        _checked_raw(f"{field}.raw_text", segment.raw_text, text),
    )


def _checked_raw(field: str, raw_text: str, text: str) -> str:
    """Empty when it says nothing new."""
    if len(raw_text) > TEXT_LENGTH:
        raise FieldInvalid(field, f"must not have more than {TEXT_LENGTH} characters, not {len(raw_text)}")
    return "" if raw_text == text else fields.storable(field, raw_text)


def _checked_words(field: str, words: Sequence[Word]) -> tuple[Word, ...]:
    if sum(len(word.text) for word in words) > TEXT_LENGTH:
        raise FieldInvalid(field, f"must not hold more than {TEXT_LENGTH} characters together")
    checked: list[Word] = []
    for number, word in enumerate(words):
        earliest = checked[-1].start_ms if checked else 0
        try:
            checked.append(_checked_word(word, earliest))
        except FieldInvalid as error:  # named here, for to name the fields of every word takes longer than to check it
            raise FieldInvalid(f"{field}[{number}].{error.field}", error.problem) from error
    return tuple(checked)


def _checked_word(word: Word, earliest_ms: int) -> Word:
    start_ms = fields.time_ms("start_ms", word.start_ms, earliest_ms)
    return Word(
        fields.text("text", word.text, TEXT_LENGTH),
        start_ms,
        fields.time_ms("end_ms", word.end_ms, start_ms),
        fields.probability("confidence", word.confidence),
    )
