"""What the transcription of files needs, without servers: recordings, sounds, a refiner."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import numpy as np

from servers.asr.audio import SAMPLE_RATE, Samples
from servers.asr.batch.hearing import Segment
from servers.asr.batch.progress import Job
from servers.asr.batch.transcription import Recording
from servers.asr.recognition import Hypothesis, Request, Word
from servers.common.errors import RecordingNotFound


@dataclass
class Shelf:
    """A Library of one recording that keeps each segment once. `failures` are raised, one a call, before anything."""

    recording_: Recording = field(default_factory=lambda: Recording("audio/acme/1", "vi", 0))
    failures: list[Exception] = field(default_factory=list)
    deleted: bool = False
    transcripts: list[str] = field(default_factory=list)
    complete: list[str] = field(default_factory=list)
    segments: dict[int, Segment] = field(default_factory=dict)
    appended: list[list[int]] = field(default_factory=list)
    """The indexes of each call."""

    async def recording(self, job: Job) -> Recording:
        self._fail()
        self._miss(job, deleted="true")
        return self.recording_

    async def create_transcript(self, job: Job, transcript_id: str) -> int:
        self._miss(job)
        self.transcripts.append(transcript_id)
        return len(self.segments)

    async def complete_transcript(self, job: Job, transcript_id: str) -> None:
        self._miss(job)
        self.complete.append(transcript_id)

    async def append(self, job: Job, transcript_id: str, segments: Sequence[Segment]) -> None:
        self._miss(job)
        self.appended.append([segment.index for segment in segments])
        for segment in segments:
            self.segments.setdefault(segment.index, segment)

    def _fail(self) -> None:
        if self.failures:
            raise self.failures.pop(0)

    def _miss(self, job: Job, **told: str) -> None:
        if self.deleted:
            raise RecordingNotFound("there is no such recording", recording_id=job.recording_id, **told)


@dataclass
class Sounds:
    """A Media that plays the same to everybody, in pieces of `piece` samples."""

    sound: Samples
    piece: int = 30 * SAMPLE_RATE
    failure: Exception | None = None
    opened_: int = 0
    closed: int = 0

    @asynccontextmanager
    async def opened(self, object_key: str) -> AsyncIterator[AsyncIterator[Samples]]:
        if self.failure is not None:
            raise self.failure
        self.opened_ += 1
        try:
            yield pieces(self.sound, self.piece)
        finally:
            self.closed += 1


async def pieces(sound: Samples, size: int) -> AsyncIterator[Samples]:
    """The sound in pieces."""
    for begin in range(0, len(sound), size):
        yield sound[begin : begin + size]


def speech(*stretches: tuple[float, float]) -> Samples:
    """Loudness from 0 to 1 for so many seconds, again and again: LevelDetector hears a voice from 0.25 on."""
    return np.concatenate([np.full(int(seconds * SAMPLE_RATE), loud, np.float32) for loud, seconds in stretches])


@dataclass
class Loudness:
    """A Recognizer that writes down how long its audio is, and how loud where it is loudest."""

    asked: list[Request] = field(default_factory=list)
    before: Callable[[int], None] = lambda count: None
    """Called with the number of each request before it is answered; may raise."""
    answers: dict[int, Hypothesis] = field(default_factory=dict)
    """What to answer to the request of that number instead."""

    async def recognize(self, request: Request) -> Hypothesis:
        number = len(self.asked)
        self.asked.append(request)
        self.before(number)
        if number in self.answers:
            return self.answers[number]
        length_s = len(request.audio) / SAMPLE_RATE
        text = f"Dài {round(length_s * 1000)} to {round(float(request.audio.max()) * 100)}."
        each = length_s / 4
        words = tuple(Word(word, n * each, (n + 1) * each, 0.5) for n, word in enumerate(text.split()))
        return Hypothesis(text, request.language or "en", words, -0.1, 0.0, 1.0)

    async def check(self) -> None:
        """It is always there."""


class Shouting:
    """A Refiner that is easy to see."""

    async def refine(self, text: str, language: str, whole: bool) -> str:
        return text.upper()


class Silent:
    """A Refiner that leaves everything as it is."""

    async def refine(self, text: str, language: str, whole: bool) -> str:
        return text
