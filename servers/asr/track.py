"""One channel of a session: where somebody speaks in it, and what is said."""

import asyncio
import math
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import suppress
from typing import Protocol

import numpy as np

from servers.asr import audio
from servers.asr.audio import SampleBuffer, Samples
from servers.asr.endpointing import Change, Ended, Endpointer, EndpointRules, Paused, Resumed, Started
from servers.asr.passage import Passage
from servers.asr.refinements import Refinements, Tell
from servers.asr.results import Final, SpeechEnded, SpeechStarted
from servers.asr.scheduling import Scheduler
from servers.asr.utterance import PADDING, Manner, Utterance, seen
from servers.common.errors import Ai2TextError

LONG_EVERY_MS = 1_200
"""Partials of a long utterance are no rarer, however busy the model is: what two of them agree on is settled, and its
final has less to decode. Nor are they before there is a first one, since whoever sees nothing thinks that nothing is
heard."""
MEMORY_MS = 1_000
"""Silence that is remembered, in case speech begins."""
STATE_EVERY = audio.samples(1_024)
"""The state of the voice detector is remembered at every multiple of this position: whoever hears the audio again from
there on then finds the same beginnings and ends."""
MAX_STATES = 64
"""That is a minute: no utterance is longer than half of one, and its final is given up on after another half."""


class VoiceDetector(Protocol):
    """Tells speech from other sounds; keeps the state of one channel."""

    def probabilities(self, heard: Samples) -> list[float]:
        """The probability of voice of each window of 512 samples that has become complete."""
        ...

    def state(self) -> bytes:
        """All that it keeps, between two windows."""
        ...

    def restore(self, state: bytes) -> None:
        """Go on from there. Raises ValueError when it cannot."""
        ...


End = Callable[["Track", Utterance], Awaitable[None]]
"""Takes an utterance that has ended; waits while too many have."""


class Track:
    """Feeds on one channel's audio. Positions are samples since the session began."""

    def __init__(
        self,
        channel: int,
        settled: int,
        begin: int,
        rules: EndpointRules,
        manner: Manner,
        refinements: Refinements,
        language: str,
        detector: VoiceDetector,
        scheduler: Scheduler,
        tell: Tell,
        end: End,
        said: int = 0,
    ) -> None:
        """Hears audio from the position `begin` on; what was said before `settled` is known already, and the last of it
        ended at `said`. `language` is that of the newest final, if any."""
        self.channel = channel
        self.settled = settled
        self.said = said
        self.language = language
        self._manner = manner
        self._detector = detector
        self._heard = begin
        self._states: dict[int, bytes] = {}
        self._scheduler = scheduler
        self._tell = tell
        self._end = end
        self._buffer = SampleBuffer(begin)
        self._endpointer = Endpointer(rules, begin, settled)
        self._open: Utterance | None = None
        self._spoken_until = said
        self._refinements = refinements
        self._passage = Passage()
        self._passages: dict[Utterance, Passage] = {}
        self._changing = asyncio.Lock()
        self._grown = asyncio.Event()
        self._speculating: asyncio.Task[None] | None = None

    @property
    def processed(self) -> int:
        """How far voice activity is known."""
        return self._endpointer.position

    async def hear(self, heard: Samples) -> None:
        """Take in the next samples."""
        self._buffer.append(heard)
        async with self._changing:
            for part in self._between_states(heard):
                for probability in self._detector.probabilities(part):
                    await self._apply(self._endpointer.window(probability))
            if self._endpointer.start is None and self._passage.is_over(self._endpointer.position):
                self._close_passage(over=True)
            self._forget()
        self._grown.set()

    def detector_state(self, position: int) -> bytes:
        """The state of the voice detector at a multiple of STATE_EVERY; empty where it is not remembered."""
        return self._states.get(position, b"")

    async def force_end(self) -> None:
        """End the open utterance at the audio received so far."""
        async with self._changing:
            await self._apply(self._endpointer.force_end())

    async def make_partials(self, interval_ms: Callable[[], float], first_ms: float) -> None:
        """One partial at a time, for ever; those that would have come meanwhile are left out."""
        last: tuple[Utterance | None, int] = (None, 0)
        shown = False
        while True:
            await self._grown.wait()
            self._grown.clear()
            utterance = self._open
            if utterance is None or utterance.pausing:
                continue
            known = last[0] is utterance
            shown = shown and known
            since = last[1] if known else utterance.start
            wait_ms = interval_ms() if known else first_ms
            if utterance.is_long or not shown:
                wait_ms = min(wait_ms, LONG_EVERY_MS)
            if audio.milliseconds(self._buffer.end - since) < wait_ms:
                continue
            last = (utterance, self._buffer.end)
            with suppress(Ai2TextError):  # the final will raise it too; a partial is only left out
                partial = await utterance.partial()
                if partial is not None and utterance is self._open:
                    await self._tell(partial)
                    shown = True

    def settle(self, utterance: Utterance) -> None:
        """The final of an utterance that ended is made, or it was no speech."""
        assert utterance.end is not None
        self.said = utterance.end
        self.settled = max(self.settled, utterance.end)

    def note_told(self, utterance: Utterance, final: Final | None) -> None:
        """The client has the final of an utterance; None when it was no speech."""
        passage = self._passages.pop(utterance)
        if final is not None:
            self._refinements.of_final(passage, final)
        passage.settle(utterance, final)

    async def refined(self, timeout_s: float) -> None:
        """No more audio comes: wait for the last refinements, for a while."""
        if self._passage.utterances:
            self._close_passage(over=True)
        await self._refinements.done(timeout_s)

    def close(self) -> None:
        """Stop everything."""
        self._refinements.close()
        if self._open is not None:
            self._open.abandon()
        for utterance in self._passages:  # they have ended, and nobody waits for their finals any more
            utterance.abandon()
        if self._speculating is not None:
            self._speculating.cancel()

    async def _apply(self, changes: Iterable[Change]) -> None:
        for change in list(changes):
            match change:
                case Started(start):
                    self._open = Utterance(
                        self._scheduler,
                        self._buffer,
                        start,
                        self._manner,
                        self._likely_language,
                        self.channel,
                        self._spoken_until,
                    )
                    await self._tell(SpeechStarted(audio.milliseconds(start), self.channel))
                case Paused(_, end) if self._open is not None and self._scheduler.load.hurried:
                    self._open.note_silence(end, self._endpointer.position)
                case Paused(_, end) if self._open is not None:
                    self._open.pause(end, self._endpointer.position)
                    self._speculate(self._open)
                case Resumed() if self._open is not None:
                    self._open.resume()
                case Ended(_, end) if self._open is not None:
                    utterance, self._open, self._spoken_until = self._open, None, end
                    goes_on = self._endpointer.speaking  # cut: what follows is the next one's
                    utterance.finish(end, end if goes_on else self._endpointer.position)
                    self._add_to_passage(utterance)
                    await self._tell(SpeechEnded(audio.milliseconds(end), self.channel))
                    await self._end(self, utterance)

    def _between_states(self, heard: Samples) -> Iterator[Samples]:
        """The samples in parts, and the state remembered where it is due between them."""
        while len(heard):
            if self._heard % STATE_EVERY == 0:
                self._states[self._heard] = self._detector.state()
                if len(self._states) > MAX_STATES:
                    del self._states[next(iter(self._states))]
            part, heard = np.split(heard, [STATE_EVERY - self._heard % STATE_EVERY])
            self._heard += len(part)
            yield part

    @property
    def _likely_language(self) -> str:
        return self.language or self._manner.language

    def _speculate(self, utterance: Utterance) -> None:
        async def show() -> None:
            partial = await utterance.speculation()
            if partial is not None and utterance is self._open:
                await self._tell(partial)

        self._speculating = asyncio.create_task(show())
        self._speculating.add_done_callback(seen)

    def _add_to_passage(self, utterance: Utterance) -> None:
        if not self._passage.takes(utterance):
            self._close_passage(over=self._passage.is_over(utterance.start), until=utterance.start)
        self._passage.utterances.append(utterance)
        self._passages[utterance] = self._passage

    def _close_passage(self, *, over: bool, until: float = math.inf) -> None:
        passage, self._passage = self._passage, Passage()
        passage.close(self._buffer, over=over, until=until)
        self._refinements.of_passage(passage)

    def _forget(self) -> None:
        """Free audio that no utterance needs any more; what is in silence is settled."""
        begin = self._endpointer.start
        if begin is None and not self._passages:
            self.settled = max(self.settled, self._endpointer.position)
        if begin is None:
            needed = self._endpointer.position - audio.samples(MEMORY_MS)
        else:
            needed = begin - PADDING
            if self._open is not None:
                needed = self._open.heard_from
                if not self._refinements.wanted:
                    needed = max(needed, min(self._open.needed_from, self._endpointer.earliest_cut))
        if self._passage.begin is not None:
            needed = min(needed, self._passage.begin)
        self._buffer.forget_before(max(0, needed - PADDING))
