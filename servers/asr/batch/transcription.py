"""Transcribes one file after another, round by round; each round is stored and noted before the next begins.

What was stored but not noted when a server died is found in the transcript, and noted by who goes on: heard again, the
round might read otherwise, because what Triton decodes together pads it differently.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager, suppress
from dataclasses import dataclass, replace
from typing import Protocol

import structlog
from opentelemetry import metrics

from servers.asr import audio
from servers.asr.audio import Samples
from servers.asr.batch.hearing import Hearing, Segment
from servers.asr.batch.operations import transcript_of
from servers.asr.batch.progress import File, FileState, Job, Progress, TakenOver
from servers.asr.batch.rounds import Detector, rounds
from servers.asr.changes import Changes
from servers.common.errors import (
    Ai2TextError,
    DependencyUnavailable,
    Draining,
    InvalidInput,
    NotFound,
    RecordingWithoutFile,
    TooManyTranscripts,
)

log = structlog.get_logger(__name__)

_METER = metrics.get_meter("ai2text")
FILES = _METER.create_counter("ai2text.batch.files", description="Files that were ended, by outcome.")
AUDIO = _METER.create_counter("ai2text.batch.audio", unit="s", description="Audio that was transcribed, in seconds.")
SEGMENTS = _METER.create_counter("ai2text.batch.segments", description="Segments that were stored.")

HOPELESS = (InvalidInput, NotFound, RecordingWithoutFile, TooManyTranscripts)
"""Whatever is tried, these stay."""


class TooSlow(Exception):
    """A file was not transcribed in its time. It goes on where it had come to, so another try may end it.

    No caller ever sees it: when the last try has ended so, the operation says that it was given up.
    """


class Ledger(Protocol):
    """Keeps how far each file has come. Every method raises DependencyUnavailable."""

    async def begin(self, job: Job) -> File | None:
        """The file, now running and tried once more; as it is when it has succeeded or was cancelled; None when the
        operation is gone. One that has failed begins anew, where it had come to."""

    async def language(self, job: Job) -> str:
        """The language that the operation asks for; empty: as the recording says."""

    async def holds(self, job: Job) -> bool:
        """Whether the file is still to be transcribed: False when it was cancelled. TakenOver."""

    async def advance(self, job: Job, progress: Progress) -> bool:
        """Note it; False when the file was cancelled. A file that has come further was tried once, whatever befell it
        before. TakenOver, as all that follow."""

    async def succeed(self, job: Job) -> None:
        """All of it is transcribed."""

    async def fail(self, job: Job, error: Ai2TextError) -> None:
        """It never will be."""

    async def put_back(self, job: Job, counted: bool) -> None:
        """It waits for another try; unless `counted`, this one was none."""


@dataclass(frozen=True)
class Recording:
    """What a transcription needs of a recording."""

    object_key: str
    language_code: str
    duration_ms: int


class Library(Protocol):
    """The recordings and their transcripts, as the one who asked for the job may see them. Every method raises
    DependencyUnavailable, and RecordingNotFound when the recording is gone."""

    async def recording(self, job: Job) -> Recording:
        """RecordingWithoutFile. A RecordingNotFound says in its metadata whether it was `deleted`."""

    async def create_transcript(self, job: Job, transcript_id: str) -> int:
        """How many segments it has: it may have been there before."""

    async def complete_transcript(self, job: Job, transcript_id: str) -> None:
        """All its segments are there. Until then an older one stands before it."""

    async def append(self, job: Job, transcript_id: str, segments: Sequence[Segment]) -> None:
        """A segment whose index is there already stays as it is."""


class Media(Protocol):
    """The files."""

    def opened(self, object_key: str) -> AbstractAsyncContextManager[AsyncIterator[Samples]]:
        """The audio in pieces of some seconds. RecordingWithoutFile, AudioUndecodable, DependencyUnavailable."""


@dataclass(frozen=True)
class Tools:
    """What every transcription works with."""

    ledger: Ledger
    library: Library
    media: Media
    hearing: Hearing
    detector: Callable[[], Detector]
    chunks: int
    """In one round."""


@dataclass
class Try:
    """One beginning of a file."""

    job: Job
    file: File
    """As it was begun."""
    came_further: bool = False

    @property
    def number(self) -> int:
        """How many tries there were since the file last came further, with this one."""
        return 1 if self.came_further else self.file.tries


class Transcriber:
    """Transcribes files, as many at once as it is asked to."""

    def __init__(self, tools: Tools, languages: frozenset[str], most_tries: int, limit_s: float) -> None:
        """`languages` are those that the model knows; any other is detected anew. A file is begun `most_tries` times
        without coming further before it is given up; waiting for something that is away does not count. Each may take
        `limit_s` seconds."""
        self._tools = tools
        self._languages = languages
        self._most_tries = most_tries
        self._limit_s = limit_s
        self._draining = False
        self._busy = 0
        self._changes = Changes()

    async def drain(self, timeout_s: float) -> None:
        """Take no more files; return when those in work have ended their round, or after `timeout_s`."""
        self._draining = True
        with suppress(TimeoutError):
            await asyncio.wait_for(self._changes.until(lambda: self._busy == 0), timeout_s)

    async def transcribe(self, job: Job) -> None:
        """Returns when nothing is left to do for the job, also when its recording was deleted, which the ledger notes
        as a failure. InvalidInput when it can never be done; Draining and other errors that a retry helps when it is to
        be tried again; any other error is counted as a try."""
        if self._draining:
            raise Draining("the server is shutting down")
        file = await self._tools.ledger.begin(job)
        if file is None or file.state is not FileState.RUNNING:
            return
        this = Try(replace(job, attempt=file.attempt), file)
        async with self._working(), self._accounted(this):
            if file.tries > self._most_tries:
                raise InvalidInput(f"the server failed {self._most_tries} times while it transcribed this file")
            await self._transcribe_in_time(this)

    @asynccontextmanager
    async def _working(self) -> AsyncIterator[None]:
        self._busy += 1
        try:
            yield
        finally:
            self._busy -= 1
            self._changes.tell()

    @asynccontextmanager
    async def _accounted(self, this: Try) -> AsyncIterator[None]:
        """However the block ends, the ledger says so."""
        ledger, job = self._tools.ledger, this.job
        try:
            yield
        except HOPELESS as error:
            await self._fail(job, error)
            if "deleted" not in error.metadata:  # else nobody wants it any more, and no replay could bring it back
                raise InvalidInput(f"{error.reason}: {error}") from error
        except TakenOver:
            raise
        except asyncio.CancelledError:
            with suppress(DependencyUnavailable, TakenOver):
                await ledger.put_back(job, counted=False)
            raise
        except Exception as error:
            waits = isinstance(error, Ai2TextError) and error.retry_after_s is not None
            if waits or this.number < self._most_tries:
                await ledger.put_back(job, counted=not waits)
                raise
            log.exception("file given up", recording=job.recording_id, tries=this.number)
            ours = isinstance(error, (Ai2TextError, TooSlow))
            told = str(error) if ours else "the last error is logged"
            await self._fail(job, Ai2TextError(f"gave up after {this.number} tries: {told}"))
            named = f"{type(error).__name__}: {error}" if ours else type(error).__name__
            raise InvalidInput(f"gave up after {this.number} tries: {named}") from error

    async def _fail(self, job: Job, error: Ai2TextError) -> None:
        await self._tools.ledger.fail(job, error)
        FILES.add(1, {"outcome": "failed"})

    async def _transcribe_in_time(self, this: Try) -> None:
        try:
            async with asyncio.timeout(self._limit_s) as limit:
                await self._transcribe_what_is_there(this)
        except TimeoutError as error:
            if not limit.expired():  # then it is another's
                raise
            raise TooSlow(f"the file took longer than {self._limit_s:g} s") from error

    async def _transcribe_what_is_there(self, this: Try) -> None:
        try:
            await self._transcribe(this)
        except (NotFound, RecordingWithoutFile):  # its transcript and its file go with a recording that is deleted
            await self._tools.library.recording(this.job)
            raise

    async def _transcribe(self, this: Try) -> None:
        tools, job, file = self._tools, this.job, this.file
        recording = await tools.library.recording(job)
        asked = await tools.ledger.language(job) or recording.language_code
        language = asked if asked in self._languages else ""
        progress = replace(
            file.progress,
            transcript_id=transcript_of(job.operation_id, job.recording_id),
            duration_ms=max(recording.duration_ms, file.progress.duration_ms),
        )
        stored = await tools.library.create_transcript(job, progress.transcript_id)
        async with tools.media.opened(recording.object_key) as pieces:
            if await self._all_rounds(this, progress, stored, pieces, language):
                await tools.library.complete_transcript(job, progress.transcript_id)
                await tools.ledger.succeed(job)
                FILES.add(1, {"outcome": "succeeded"})

    async def _all_rounds(
        self, this: Try, progress: Progress, stored: int, pieces: AsyncIterator[Samples], language: str
    ) -> bool:
        """Whether all were heard: False when the file was cancelled. `stored` segments are in the transcript: if they
        are more than the progress says, the next round was stored and not noted."""
        tools, job = self._tools, this.job
        start = audio.samples(progress.done_ms)
        async with aclosing(rounds(pieces, tools.detector, start, tools.chunks)) as found:
            async for round_ in found:
                if stored <= progress.segment_count:
                    segments = await tools.hearing.hear(round_, language, progress.segment_count)
                    if not await tools.ledger.holds(job):
                        FILES.add(1, {"outcome": "cancelled"})
                        return False
                    if segments:
                        await tools.library.append(job, progress.transcript_id, segments)
                    stored = progress.segment_count + len(segments)
                    SEGMENTS.add(len(segments))
                done_ms, before_ms = audio.milliseconds(round_.end), progress.done_ms
                del round_  # its sound, before that of the next is gathered
                AUDIO.add((done_ms - before_ms) / 1000)
                progress = replace(
                    progress, done_ms=done_ms, segment_count=stored, duration_ms=max(progress.duration_ms, done_ms)
                )
                if not await tools.ledger.advance(job, progress):
                    FILES.add(1, {"outcome": "cancelled"})
                    return False
                this.came_further = this.came_further or done_ms > before_ms
                if self._draining:
                    raise Draining("the server is shutting down")
        return True
