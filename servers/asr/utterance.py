"""One utterance, from its first sound to its final text."""

import asyncio
import math
import time
from typing import Any

import structlog
from opentelemetry import metrics

from servers.asr import audio, guards
from servers.asr.agreement import LocalAgreement
from servers.asr.audio import SampleBuffer
from servers.asr.recognition import Hypothesis, Recognizer, Request
from servers.asr.results import Final, Partial, timed_words

log = structlog.get_logger(__name__)

_METER = metrics.get_meter("ai2text")
REJECTED = _METER.create_counter("ai2text.asr.rejected", description="Hypotheses not believed, by reason.")
SPECULATIONS = _METER.create_counter(
    "ai2text.asr.speculations", description="Finals begun at a pause, by whether the pause was the end."
)
FINAL_DELAY = _METER.create_histogram(
    "ai2text.asr.final_delay",
    unit="s",
    description="Time from the endpoint, which is `endpoint_silence_ms` after the last voice, to the final.",
    explicit_bucket_boundaries_advisory=(0.0, 0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0, 2.0, 5.0, 10.0),
)

PADDING = audio.samples(288)
"""Audio that goes to the model before the first and after the last voice: soft sounds are below the threshold."""


class Utterance:
    """Decodes its audio as it grows, and once more, with a beam, when it has ended.

    The final decode begins speculatively when the speaker pauses. If the pause turns out to be the end, its result is
    the final, and the time until the endpoint was not lost.
    """

    def __init__(
        self, recognizer: Recognizer, buffer: SampleBuffer, start: int, language: str, likely_language: str
    ) -> None:
        """`language` is the one asked for, or empty: the final then detects it. Partials, which hear too little to
        detect it well, take `likely_language` if there is one: that of the final before."""
        self._recognizer = recognizer
        self._buffer = buffer
        self._language = language
        self._likely_language = likely_language
        self._agreement = LocalAgreement()
        self._decoding: asyncio.Task[Hypothesis] | None = None
        self._decoded_end = -1
        self._finished = 0.0
        self.start = start
        self.end: int | None = None

    @property
    def audio_start(self) -> int:
        """The position of the first sample that the model hears."""
        return max(0, self.start - PADDING)

    @property
    def pausing(self) -> bool:
        """Whether the speaker is silent, and the final decode under way."""
        return self._decoding is not None

    async def partial(self) -> Partial | None:
        """A hypothesis of what was said so far; None when there is nothing to show."""
        end = self._buffer.end
        hypothesis = await self._recognizer.recognize(
            Request(self._buffer.slice(self.audio_start, end), self._likely_language)
        )
        if self.end is not None or guards.rejection(hypothesis, (end - self.audio_start) / audio.SAMPLE_RATE):
            return None
        agreement = self._agreement.update(hypothesis.text)
        return Partial(
            agreement.stable,
            agreement.unstable,
            audio.milliseconds(self.start),
            audio.milliseconds(end),
            hypothesis.language,
        )

    def pause(self, end: int) -> None:
        """The speaker has been silent since `end`: begin the final decode, in case that was the end."""
        self.abandon()
        heard = self._buffer.slice(self.audio_start, end + PADDING)
        request = Request(heard, self._language, final=True)
        self._decoded_end = end
        self._decoding = asyncio.create_task(self._recognizer.recognize(request))
        self._decoding.add_done_callback(seen)

    def resume(self) -> None:
        """The speaker goes on: the decode that a pause began is void."""
        if self._decoding is not None:
            self._decoding.cancel()
            self._decoding = None
            SPECULATIONS.add(1, {"outcome": "void"})

    def finish(self, end: int) -> None:
        """The utterance ended at `end`."""
        self.end = end
        self._finished = time.perf_counter()
        if self._decoding is not None and self._decoded_end == end:
            SPECULATIONS.add(1, {"outcome": "kept"})
            return
        self.pause(end)

    async def final(self, final_index: int) -> Final | None:
        """The text of the finished utterance; None when it is no speech. The recognizer's errors are raised."""
        assert self._decoding is not None, "finish() comes first"
        assert self.end is not None
        hypothesis = await self._decoding
        FINAL_DELAY.record(time.perf_counter() - self._finished)
        length_s = (self.end + PADDING - self.audio_start) / audio.SAMPLE_RATE
        reason = guards.rejection(hypothesis, length_s)
        if reason:
            REJECTED.add(1, {"reason": reason})
            log.debug("hypothesis rejected", reason=reason, text=hypothesis.text)
            return None
        return Final(
            final_index,
            hypothesis.text,
            timed_words(hypothesis, self.audio_start, self.start, self.end),
            audio.milliseconds(self.start),
            audio.milliseconds(self.end),
            hypothesis.language,
            min(1.0, math.exp(hypothesis.avg_logprob)),
        )

    def abandon(self) -> None:
        """Stop what is still being decoded."""
        if self._decoding is not None:
            self._decoding.cancel()


def seen(task: asyncio.Task[Any]) -> None:
    """Mark the exception of a finished task as seen: whoever awaits it has it, and else nobody needs it."""
    if not task.cancelled():
        task.exception()
