"""A live session: audio in, events out, in order, with bounded memory."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import structlog

from servers.asr import audio
from servers.asr.audio import Decoder, SampleBuffer, Samples
from servers.asr.endpointing import Ended, Endpointer, EndpointRules, Paused, Resumed, Started
from servers.asr.recognition import Recognizer
from servers.asr.results import Cursors, Event, Final, Happening, SpeechEnded, SpeechStarted
from servers.asr.utterance import PADDING, Utterance, seen
from servers.common.errors import Ai2TextError

log = structlog.get_logger(__name__)

MAX_FINISHED = 4
"""Utterances that may wait for their finals; then the client is held back."""
MAX_EVENTS = 64
"""Events that may wait for the client; partials beyond are shed, all else waits."""
MAX_STEP_MS = 1_000
"""Audio is taken in by steps of this length, so that a large chunk does not delay the events."""
MEMORY_MS = 1_000
"""Silence that is remembered, in case speech begins."""


class VoiceDetector(Protocol):
    """Tells speech from other sounds; keeps the state of one stream."""

    def probabilities(self, heard: Samples) -> list[float]:
        """The probability of voice of each window of 512 samples that has become complete."""
        ...


@dataclass(frozen=True)
class SessionRules:
    """How a session behaves."""

    language: str = ""
    """ISO 639-1; empty: detected anew for each utterance."""
    partials: bool = True
    partial_every_ms: int = 600
    """Audio between the partials of one utterance."""
    first_partial_ms: int = 900
    """Audio before the first partial: Whisper is unreliable below."""
    endpoint: EndpointRules = field(default_factory=EndpointRules)


class Session:
    """Whoever has the session feeds it and reads `events()`, at the same time.

    `on_final` is called with each final before it is handed out, so that nothing is lost when nobody reads any more.
    """

    def __init__(
        self,
        rules: SessionRules,
        decoder: Decoder,
        detector: VoiceDetector,
        recognizer: Recognizer,
        on_final: Callable[[Final], None] | None = None,
    ) -> None:
        self._rules = rules
        self._decoder = decoder
        self._detector = detector
        self._recognizer = recognizer
        self._on_final = on_final
        self._buffer = SampleBuffer()
        self._endpointer = Endpointer(rules.endpoint)
        self._open: Utterance | None = None
        self._finished: asyncio.Queue[Utterance | None] = asyncio.Queue(MAX_FINISHED)
        self._events: asyncio.Queue[Event | None] = asyncio.Queue(MAX_EVENTS)
        self._grown = asyncio.Event()
        self._settled = 0
        self._pending = 0
        self._final_index = 0
        self._failure: BaseException | None = None
        self._muted = False
        self._heard = rules.language
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
        self._decoder.close()

    async def silence(self, duration_ms: float) -> None:
        """Take in silence that the client left out."""
        await self.hear(np.zeros(audio.samples(duration_ms), np.float32))

    async def force_end(self) -> None:
        """End the open utterance at the audio received so far."""
        for change in list(self._endpointer.force_end()):
            await self._apply(change)

    async def finish(self) -> None:
        """No more audio comes: end what is open. `events()` then ends by itself."""
        await self.hear(await self._decoder.finish())
        await self.force_end()
        await self._finished.put(None)

    async def run(self) -> None:
        """Make finals and partials until `finish()`; raises what the recognizer raises for a final."""
        partials = asyncio.create_task(self._make_partials())
        try:
            while (utterance := await self._finished.get()) is not None:
                await self._make_final(utterance)
        finally:
            partials.cancel()
            await asyncio.wait([partials])
            if self._open is not None:
                self._open.abandon()
            self._decoder.close()
        if not self._muted:
            await self._events.put(None)

    async def events(self) -> AsyncIterator[Event]:
        """What happens, until the session is finished; raises what `fail` was given."""
        while (event := await self._events.get()) is not None and self._failure is None:
            yield event
        if self._failure is not None:
            raise self._failure

    def fail(self, error: BaseException) -> None:
        """End `events()` with this error, at once."""
        self._failure = error
        with suppress(asyncio.QueueFull):  # then the reader is not waiting, and sees the failure at its next step
            self._events.put_nowait(None)

    def mute(self) -> None:
        """Nobody reads `events()` any more: drop them, so that the finals can still be made."""
        self._muted = True
        while not self._events.empty():
            self._events.get_nowait()

    @property
    def cursors(self) -> Cursors:
        """How far the session has come."""
        return Cursors(
            audio.milliseconds(self._buffer.end),
            audio.milliseconds(self._endpointer.position),
            audio.milliseconds(self._settled),
            self._final_index,
        )

    async def hear(self, heard: Samples) -> None:
        """Take in decoded audio."""
        step = audio.samples(MAX_STEP_MS)
        for begin in range(0, len(heard), step):
            part = heard[begin : begin + step]
            self._buffer.append(part)
            for probability in self._detector.probabilities(part):
                for change in self._endpointer.window(probability):
                    await self._apply(change)
            self._forget()
            self._grown.set()
            await asyncio.sleep(0)

    async def _apply(self, change: Started | Paused | Resumed | Ended) -> None:
        if isinstance(change, Started):
            self._open = Utterance(self._recognizer, self._buffer, change.start, self._rules.language, self._heard)
            await self._tell(SpeechStarted(audio.milliseconds(change.start)))
        elif self._open is None:
            return
        elif isinstance(change, Paused):
            self._open.pause(change.end)
        elif isinstance(change, Resumed):
            self._open.resume()
        else:
            utterance, self._open = self._open, None
            utterance.finish(change.end)
            self._pending += 1
            await self._tell(SpeechEnded(audio.milliseconds(change.end)))
            await self._finished.put(utterance)

    def _forget(self) -> None:
        """Free audio that no utterance needs any more; what is in silence is settled."""
        begin = self._endpointer.start
        if begin is None and not self._pending:
            self._settle(self._endpointer.position)
        keep = self._endpointer.position - audio.samples(MEMORY_MS) if begin is None else begin - PADDING
        self._buffer.forget_before(max(0, keep - PADDING))

    def _settle(self, position: int) -> None:
        self._settled = max(self._settled, position)

    async def _make_final(self, utterance: Utterance) -> None:
        final = await utterance.final(self._final_index)
        assert utterance.end is not None
        self._pending -= 1
        self._settle(utterance.end)
        if final is not None:
            self._final_index += 1
            self._heard = final.language
            if self._on_final is not None:
                self._on_final(final)
            await self._tell(final)

    async def _make_partials(self) -> None:
        """One partial at a time, of the newest audio: those that would have come meanwhile are left out."""
        shown: tuple[Utterance | None, int] = (None, 0)
        while self._rules.partials:
            await self._grown.wait()
            self._grown.clear()
            utterance = self._open
            if utterance is None or utterance.pausing:
                continue
            since = shown[1] if shown[0] is utterance else utterance.start
            wanted = self._rules.partial_every_ms if shown[0] is utterance else self._rules.first_partial_ms
            if audio.milliseconds(self._buffer.end - since) < wanted:
                continue
            shown = (utterance, self._buffer.end)
            with suppress(Ai2TextError):  # the final will raise it too; a partial is only left out
                partial = await utterance.partial()
                if partial is not None and utterance is self._open and not self._events.full():
                    await self._tell(partial)

    async def _tell(self, happening: Happening) -> None:
        if not self._muted:
            await self._events.put(Event(self.cursors, happening))
