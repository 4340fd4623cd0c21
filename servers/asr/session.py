"""A live session: audio in, events out, in order, with bounded memory."""

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import numpy as np

from servers.asr import audio
from servers.asr.audio import Decoder, Samples
from servers.asr.endpointing import EndpointRules
from servers.asr.refinements import Refinements
from servers.asr.results import Cursors, Event, Final, Happening, Partial, Status
from servers.asr.scheduling import Scheduler
from servers.asr.track import STATE_EVERY, Track, VoiceDetector
from servers.asr.utterance import Manner, Utterance, seen
from servers.asr.wording import Refiner
from servers.common.errors import InvalidInput, SessionTakenOver, StreamIdle

MAX_FINISHED = 4
"""Utterances that may wait for their finals; then the client is held back."""
CREDIT_MS = 5_000
"""The audio that each place among them is worth to the client: most utterances are shorter."""
MAX_EVENTS = 64
"""Events that may wait for the client; partials beyond are shed, all else waits."""
LAST_REFINEMENT_S = 3.0
"""How long the end of a session may wait for refinements."""
STATUS_EVERY_MS = 10_000
"""Audio after which the status is told anew, if nothing else was told: so the client sees the cursors."""
MAX_STEP_MS = 1_000
"""Audio is taken in by steps of this length, so that a large chunk does not delay the events."""
REPLAY_MS = 1_024
"""Audio before the settled position that a resumed session hears again at least: the model wants what is soft before
the first voice, and the voice detector something to begin with, should its state be lost."""


@dataclass(frozen=True)
class SessionRules:
    """How a session behaves."""

    manner: Manner = field(default_factory=Manner)
    channels: int = 1
    partials: bool = True
    refinements: bool = True
    partial_every_ms: int = 600
    """Audio between the partials of one utterance, when the model has time for all."""
    first_partial_ms: int = 700
    """Audio before the first partial: Whisper is unreliable below."""
    endpoint: EndpointRules = field(default_factory=EndpointRules)
    unread_s: float = 60.0
    """How long a client may leave events unread while others wait."""


@dataclass(frozen=True)
class Progress:
    """How far a session has come: what another server needs to go on. Positions are samples since it began."""

    settled: tuple[int, ...] = (0,)
    """For each channel."""
    final_index: int = 0
    language: str = ""
    """Of the newest final."""
    detector_states: tuple[bytes, ...] = ()
    """The state of each channel's voice detector at `replay_from`; empty where it is not known."""
    said: tuple[int, ...] = ()
    """For each channel where the last of what is settled ended: it must not be heard again. Empty where not known."""

    @property
    def replay_from(self) -> int:
        """Where the audio must begin again: where the state of the voice detectors is remembered."""
        return max(0, min(self.settled) - audio.samples(REPLAY_MS)) // STATE_EVERY * STATE_EVERY


class Keeper(Protocol):
    """Remembers a session outside of it, and stores what was said."""

    @property
    def saved(self) -> Progress:
        """How far the session had come when it was last remembered: who resumes it begins there."""
        ...

    async def keep(self, final: Final, progress: Progress) -> None:
        """Called with each final before it is told. Raises SessionTakenOver when the session is no longer ours."""
        ...


class NoKeeper:
    """Remembers nothing."""

    saved = Progress()

    async def keep(self, final: Final, progress: Progress) -> None:
        """See Keeper."""


class Session:
    """Whoever has the session feeds it and reads `events()`, at the same time."""

    def __init__(
        self,
        rules: SessionRules,
        decoder: Decoder,
        detector: Callable[[], VoiceDetector],
        scheduler: Scheduler,
        refiner: Refiner,
        keeper: Keeper,
        progress: Progress | None = None,
    ) -> None:
        """`progress`: how far it had come when it is resumed; its audio then begins at `progress.replay_from`, unless
        the decoder begins at 0 anyway: then what lies before is skipped."""
        zeros = (0,) * rules.channels
        progress = progress or Progress(zeros)
        self._rules = rules
        self._decoder = decoder
        self._scheduler = scheduler
        self._keeper = keeper
        self._begin = progress.replay_from
        self._received = 0 if decoder.begins_anew else self._begin
        self._final_index = self._sent = progress.final_index
        self._language = progress.language
        self._tracks = [
            Track(
                channel, settled, self._begin, rules.endpoint, rules.manner,
                Refinements(refiner, scheduler, rules.manner, self._tell, wanted=rules.refinements),
                progress.language, own, scheduler, self._tell, self._end, said,
            )
            for channel, (settled, said, own) in enumerate(
                zip(progress.settled, progress.said or zeros, _detectors(detector, progress), strict=True)
            )
        ]  # fmt: skip
        self._finished: asyncio.Queue[tuple[Track, Utterance] | None] = asyncio.Queue(MAX_FINISHED)
        self._events: asyncio.Queue[Event | None] = asyncio.Queue(MAX_EVENTS)
        self._failure: BaseException | None = None
        self.failed = asyncio.Event()
        """Set when `events()` ends with an error."""
        self._muted = False
        self._told = Status(0, 0)
        self._told_at = 0
        self._step: asyncio.Task[None] | None = None

    async def feed(self, data: bytes) -> None:
        """Take in encoded audio; waits while too much is unfinished."""
        await self.hear(await self._decoder.feed(data))

    async def take(self, step: Coroutine[Any, Any, None]) -> None:
        """Do one step of input to its end, even if the caller is cancelled meanwhile: `settle` then waits for it."""
        self._step = asyncio.ensure_future(step)
        self._step.add_done_callback(seen)
        await asyncio.shield(self._step)

    async def settle(self) -> None:
        """Wait for the step that was being taken, whatever comes of it."""
        if self._step is not None:
            await asyncio.wait([self._step])

    def close(self) -> None:
        """Stop everything, finished or not."""
        if self._step is not None:
            self._step.cancel()
        for track in self._tracks:
            track.close()
        self._decoder.close()

    async def silence(self, duration_ms: float) -> None:
        """Take in silence that the client left out."""
        await self.hear(np.zeros((self._rules.channels, audio.samples(duration_ms)), np.float32))

    async def force_end(self) -> None:
        """End the open utterances at the audio received so far."""
        for track in self._tracks:
            await track.force_end()

    async def finish(self) -> None:
        """No more audio comes: end what is open, whatever the last bytes are. `events()` then ends by itself."""
        try:
            await self.hear(await self._decoder.finish())
        finally:
            await self.force_end()
            await self._finished.put(None)

    async def hear(self, heard: Samples) -> None:
        """Take in decoded audio, [channels, n]."""
        skipped = min(heard.shape[1], max(0, self._begin - self._received))
        self._received += skipped
        step = audio.samples(MAX_STEP_MS)
        for begin in range(skipped, heard.shape[1], step):
            part = heard[:, begin : begin + step]
            self._received += part.shape[1]
            for track, samples in zip(self._tracks, part, strict=True):
                await track.hear(samples)
            await self._tell_status()
            await asyncio.sleep(0)

    async def run(self) -> None:
        """Make finals and partials until `finish()`; raises what the recognizer raises for a final."""
        partials = [
            asyncio.create_task(track.make_partials(self._partial_every_ms, self._rules.first_partial_ms))
            for track in (self._tracks if self._rules.partials else [])
        ]
        for task in partials:
            task.add_done_callback(seen)
        try:
            while (finished := await self._finished.get()) is not None:
                await self._tell_status()  # whoever waits for credit sends nothing that would make us say it
                await self._make_final(*finished)
            if not self._muted:
                await asyncio.gather(*(track.refined(LAST_REFINEMENT_S) for track in self._tracks))
        finally:
            for task in partials:
                task.cancel()
            self.close()
        await self._tell(self._status())  # the last word: with it the client knows that all its audio was heard
        if not self._muted:
            await self._put(None)

    async def events(self) -> AsyncIterator[Event]:
        """What happens, until the session is finished; raises what `fail` was given."""
        while (event := await self._events.get()) is not None and self._failure is None:
            yield event
        if self._failure is not None:
            raise self._failure

    def fail(self, error: BaseException) -> None:
        """End `events()` with this error, at once."""
        if self._failure is None:
            self._failure = error
        self.failed.set()
        with suppress(asyncio.QueueFull):  # then the reader is not waiting, and sees the failure at its next step
            self._events.put_nowait(None)

    def mute(self) -> None:
        """Nobody reads `events()` any more: drop them, so that the finals can still be made."""
        self._muted = True
        while not self._events.empty():
            self._events.get_nowait()

    def warn(self, closing_in_s: float) -> None:
        """Tell the client that the server is about to stop."""
        status = replace(self._status(), closing_in_s=closing_in_s)
        with suppress(asyncio.QueueFull):  # a client that does not read learns it when the stream ends
            if not self._muted:
                self._events.put_nowait(Event(self.cursors, status))

    @property
    def cursors(self) -> Cursors:
        """How far the session has come."""
        return Cursors(
            audio.milliseconds(max(self._received, self._begin)),
            audio.milliseconds(min(track.processed for track in self._tracks)),
            audio.milliseconds(self._keeper.saved.replay_from),
            self._sent,
        )

    @property
    def progress(self) -> Progress:
        """What another server would need to go on."""
        settled, said = zip(*((track.settled, track.said) for track in self._tracks), strict=True)
        progress = Progress(settled, self._final_index, self._language, said=said)
        states = tuple(track.detector_state(progress.replay_from) for track in self._tracks)
        return replace(progress, detector_states=states)

    @property
    def failure(self) -> BaseException | None:
        """What `events()` ends with; None while nothing is wrong."""
        return self._failure

    @property
    def taken_over(self) -> bool:
        """Whether it goes on elsewhere, so that nothing of it may be finished here."""
        return isinstance(self._failure, SessionTakenOver)

    @property
    def refused(self) -> bool:
        """Whether it failed for what the client sent: it would fail again."""
        return isinstance(self._failure, InvalidInput)

    @property
    def credit_ms(self) -> int:
        """How much more audio is taken before the client is held back."""
        return CREDIT_MS * (MAX_FINISHED - self._finished.qsize())

    async def _end(self, track: Track, utterance: Utterance) -> None:
        await self._finished.put((track, utterance))

    async def _make_final(self, track: Track, utterance: Utterance) -> None:
        final = await utterance.final(self._final_index)
        made = time.perf_counter()
        track.settle(utterance)
        if final is None:
            track.note_told(utterance, None)
            return
        self._final_index += 1
        self._language = track.language = final.language
        await self._keeper.keep(final, self.progress)
        self._sent = self._final_index
        times = replace(final.times, post_s=final.times.post_s + time.perf_counter() - made)
        await self._tell(replace(final, times=times))
        track.note_told(utterance, final)

    def _partial_every_ms(self) -> float:
        """Under load partials become rarer, by powers of two."""
        return self._rules.partial_every_ms * self._scheduler.load.slowdown

    def _status(self) -> Status:
        return Status(self.credit_ms, round(self._partial_every_ms()))

    async def _tell_status(self) -> None:
        """Tell how the session stands when that has changed, the credit where it reaches or leaves 0; and by and by."""
        status = self._status()
        changed = status.partial_every_ms != self._told.partial_every_ms
        late = audio.milliseconds(self._received - self._told_at) >= STATUS_EVERY_MS
        if changed or late or (status.credit_ms == 0) != (self._told.credit_ms == 0):
            self._told = status
            await self._tell(status)

    async def _tell(self, happening: Happening) -> None:
        shed = isinstance(happening, Partial) and (self._events.full() or not self._rules.partials)
        if self._muted or shed:
            return
        self._told_at = self._received
        await self._put(Event(self.cursors, happening))

    async def _put(self, event: Event | None) -> None:
        try:
            async with asyncio.timeout(self._rules.unread_s):
                await self._events.put(event)
        except TimeoutError:
            limit = f"{self._rules.unread_s:g}"
            raise StreamIdle(f"the client read nothing for {limit} s", limit_seconds=limit) from None


def _detectors(detector: Callable[[], VoiceDetector], progress: Progress) -> Iterator[VoiceDetector]:
    """A voice detector for each channel, in the state that the progress has for it, if any."""
    for _, state in itertools.zip_longest(progress.settled, progress.detector_states, fillvalue=b""):
        own = detector()
        if state:
            with suppress(ValueError):  # of another version's detector: the replayed audio is all that it knows
                own.restore(state)
        yield own
