"""One utterance, from its first sound to its final text."""

import asyncio
import math
import time
from dataclasses import dataclass, replace
from typing import Any

import structlog
from opentelemetry import metrics

from servers.asr import audio, guards
from servers.asr.agreement import Agreement, LocalAgreement
from servers.asr.audio import SampleBuffer
from servers.asr.recognition import Hypothesis, Request
from servers.asr.results import Final, Partial, TimedWord, Times, placed
from servers.asr.scheduling import Errand, Scheduler, Urgency

log = structlog.get_logger(__name__)

_METER = metrics.get_meter("ai2text")
REJECTED = _METER.create_counter("ai2text.asr.rejected", description="Hypotheses not believed, by reason.")
SPECULATIONS = _METER.create_counter(
    "ai2text.asr.speculations", description="Finals begun at a pause, by what became of them."
)
FINAL_DELAY = _METER.create_histogram(
    "ai2text.asr.final_delay",
    unit="s",
    description="Time from the endpoint to the final.",
    explicit_bucket_boundaries_advisory=(0.0, 0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0, 2.0, 5.0, 10.0),
)

PADDING = audio.samples(288)
"""Audio that goes to the model before the first and after the last voice: soft sounds are below the threshold."""
TRIM_AFTER_S = 5.0
"""From this length on, what is certain is settled, and decoded no more."""
UNTRIMMED_S = 3.0
"""So much audio at least stays: the last words need it."""
SETTLED_AT_PAUSE_S = 4.0
"""From this length on, a pause that is no end settles all that was said before it."""
BEHIND_PAUSE = audio.samples(48)
"""Where what follows begins: in the middle of the shortest pause."""
CERTAIN_LOGPROB = -0.7
"""A hypothesis below it settles nothing, and is no context for what follows."""


@dataclass(frozen=True)
class Manner:
    """How the utterances of a session are transcribed."""

    language: str = ""
    """See Request.language."""
    hotwords: str = ""
    partial_words: bool = False
    """Whether partials carry words."""


@dataclass
class _Span:
    """What the model hears: samples from `begin` to before `end`."""

    begin: int
    end: int

    @property
    def seconds(self) -> float:
        return (self.end - self.begin) / audio.SAMPLE_RATE


@dataclass(frozen=True)
class _Settled:
    """The part of a long utterance whose words are certain."""

    words: tuple[TimedWord, ...] = ()
    newest: Hypothesis | None = None
    """The one that settled the last of them; None while there are none."""

    @property
    def text(self) -> str:
        """What the model is told of it, too."""
        return " ".join(word.text for word in self.words)

    def before(self, ms: int) -> "_Settled":
        """Without the words of which most lies behind `ms`."""
        words = (word for word in self.words if word.start_ms + word.end_ms < 2 * ms)
        return replace(self, words=tuple(replace(word, end_ms=min(word.end_ms, ms)) for word in words))


class _Decoding:
    """The decode of an utterance up to a pause, which may be its end."""

    def __init__(self, scheduler: Scheduler, request: Request, span: _Span, end: int, settled: _Settled) -> None:
        self.errand = Errand(Urgency.SPECULATION, lambda: request)
        self.task = asyncio.create_task(scheduler.run(self.errand))
        self.task.add_done_callback(self._answer)
        self.span = span
        self.end = end
        self.settled = settled
        self.answered = 0.0

    def _answer(self, task: asyncio.Task[Any]) -> None:
        self.answered = time.perf_counter()
        seen(task)


class Utterance:
    """Decodes its audio as it grows, and with a beam whenever the speaker pauses: if that was the end, it is the final.

    A long one settles its first words: those before a pause, and where two hypotheses agree on them with room to spare.
    The audio up to there is not decoded again, and the model is told the text instead.
    """

    def __init__(
        self,
        scheduler: Scheduler,
        buffer: SampleBuffer,
        start: int,
        manner: Manner,
        likely_language: str,
        channel: int,
        after: int = 0,
    ) -> None:
        """Finals detect the language as `manner` says; partials, which hear too little to detect it well, take
        `likely_language` if there is one: that of the final before. What lies before `after` is another utterance's:
        its words must not be heard twice."""
        self._scheduler = scheduler
        self._buffer = buffer
        self._manner = manner
        self._likely_language = likely_language
        self._channel = channel
        self._agreement = LocalAgreement()
        self._decoding: _Decoding | None = None
        self._settling: _Decoding | None = None
        self._silence = (-1, -1)  # where it began, and how far it was heard when it was noticed
        self._settled = _Settled()
        self._begin = self.heard_from = max(after, start - PADDING)
        self._draft = ""  # what was heard last, from `_begin` on
        self._shown = start
        self._finished = 0.0
        self.start = start
        self.end: int | None = None

    @property
    def needed_from(self) -> int:
        """Audio before this position is needed no more, but to hear the whole passage again."""
        return self._begin

    @property
    def pausing(self) -> bool:
        """Whether the speaker is silent, and the text up to there under way."""
        return self._decoding is not None

    @property
    def is_long(self) -> bool:
        """Whether so much of it is not settled that its final would take long."""
        return self._buffer.end - self._begin > TRIM_AFTER_S * audio.SAMPLE_RATE

    async def partial(self) -> Partial | None:
        """A hypothesis of what was said so far; None when there is nothing new to show."""
        span = _Span(self._begin, self._begin)

        def make() -> Request | None:
            if self.pausing or self.end is not None:
                return None
            span.begin, span.end = self._begin, self._buffer.end
            return self._request(span, self._likely_language, careful=False)

        urgency = Urgency.SETTLING if self.is_long else Urgency.PARTIAL
        hypothesis = await self._scheduler.run(Errand(urgency, make))
        answered = time.perf_counter()
        if hypothesis is None or self.end is not None or span.end <= self._shown or span.begin != self._begin:
            return None
        if not self._believed(hypothesis, span):
            return None
        self._sketch(hypothesis, span)
        agreement = self._agreement.update(hypothesis.text)
        settled = self._settled
        shown = agreement.held_back(hypothesis.words, span.seconds, alone=not settled.words)
        partial = None
        if shown.words or settled.words:
            partial = self._partial(shown, hypothesis, span, settled, answered, complete=False)
        if span.seconds > TRIM_AFTER_S and not self.pausing:
            self._settle(agreement, hypothesis, span)
        return partial

    def pause(self, end: int, heard: int) -> None:
        """The speaker has been silent since `end`: begin the decode that is the final if that was the end.

        It hears no more than until `heard`, however much more audio is here already: so the text does not depend on how
        the audio came, and is the same when it is sent again.
        """
        self.note_silence(end, heard)
        if self._decoding is not None:
            self._decoding.task.cancel()
        span = _Span(self._begin, min(end + PADDING, heard))
        request = self._request(span, self._manner.language, careful=True)
        self._decoding = _Decoding(self._scheduler, request, span, end, self._settled)

    def note_silence(self, end: int, heard: int) -> None:
        """As `pause`, when there is no time to decode what may be thrown away: the final shall hear no more for it."""
        self._silence = end, heard

    def resume(self) -> None:
        """The speaker goes on: the decode that a pause began is void, or, where it has heard much, settles that."""
        decoding, self._decoding = self._decoding, None
        if decoding is None:
            return
        free = self._settling is None or self._settling.task.done()
        if free and decoding.span.seconds >= SETTLED_AT_PAUSE_S and decoding.span.begin == self._begin:
            self._settling = decoding
            decoding.task.add_done_callback(lambda _: self._settle_before(decoding))
        else:
            decoding.task.cancel()
            SPECULATIONS.add(1, {"outcome": "void"})

    async def speculation(self) -> Partial | None:
        """The whole text up to the pause that has just begun; None when the speaker went on, or it is no speech."""
        decoding = self._decoding
        if decoding is None:
            return None
        await asyncio.wait([decoding.task])
        if decoding is not self._decoding or decoding.task.cancelled() or decoding.task.exception() is not None:
            return None
        hypothesis = decoding.task.result()
        if hypothesis is None or self.end is not None or not self._believed(hypothesis, decoding.span):
            return None
        self._sketch(hypothesis, decoding.span)
        agreement = Agreement(hypothesis.text, "")
        return self._partial(agreement, hypothesis, decoding.span, decoding.settled, decoding.answered, complete=True)

    def finish(self, end: int, heard: int) -> None:
        """The utterance ended at `end`; see `pause` for `heard`, which counts where no pause was noticed there.

        One that is cut, at its quietest moment, may end before what is settled does: what was said after its end is the
        next one's, and of this one nothing is left to be heard.
        """
        self.end = end
        self._finished = time.perf_counter()
        if self._settling is not None:
            self._settling.task.cancel()
        if end <= self._begin:
            self._settled = self._settled.before(audio.milliseconds(end))
            if self._decoding is not None:
                self._decoding.task.cancel()
                self._decoding = None
            return
        if self._decoding is not None and self._decoding.end == end:
            SPECULATIONS.add(1, {"outcome": "kept"})
        else:
            since, until = self._silence
            self.pause(end, until if since == end else heard)
        assert self._decoding is not None
        self._scheduler.hasten(self._decoding.errand)

    async def final(self, final_index: int) -> Final | None:
        """The text of the finished utterance; None when it is no speech. The recognizer's errors are raised."""
        assert self.end is not None, "finish() comes first"
        decoding, settled, answered = self._decoding, self._settled, self._finished
        words, text, hypothesis = settled.words, settled.text, settled.newest
        if decoding is not None:
            hypothesis, settled = await decoding.task, decoding.settled
            assert hypothesis is not None, "only partials are ever unwanted"
            words, text, answered = settled.words, settled.text, decoding.answered
            if self._believed(hypothesis, decoding.span):
                words += placed(hypothesis.words, decoding.span.begin, self.start, self.end)
                text = f"{text} {hypothesis.text}".strip()
        if not text:
            return None
        assert hypothesis is not None, "whatever has words was heard"
        FINAL_DELAY.record(time.perf_counter() - self._finished)
        return Final(
            final_index,
            text,
            words,
            audio.milliseconds(self.start),
            audio.milliseconds(self.end),
            hypothesis.language,
            min(1.0, math.exp(hypothesis.avg_logprob)),
            self._channel,
            _times(hypothesis, answered),
        )

    def abandon(self) -> None:
        """Stop what is still being decoded."""
        for decoding in (self._decoding, self._settling):
            if decoding is not None:
                decoding.task.cancel()

    def _request(self, span: _Span, language: str, *, careful: bool) -> Request:
        heard = self._buffer.slice(span.begin, span.end)
        context, hotwords, draft = self._settled.text, self._manner.hotwords, "" if careful else self._draft
        background = not careful
        return Request(heard, language, context, hotwords, draft, careful, background)

    def _sketch(self, hypothesis: Hypothesis, span: _Span) -> None:
        """What was heard now is what the next partial goes on from."""
        if span.begin == self._begin:
            self._draft = hypothesis.text

    def _believed(self, hypothesis: Hypothesis, span: _Span) -> bool:
        reason = guards.rejection(hypothesis, span.seconds)
        if reason:
            REJECTED.add(1, {"reason": reason})
            log.debug("hypothesis rejected", reason=reason, text=hypothesis.text)
        return not reason

    def _partial(
        self,
        agreement: Agreement,
        hypothesis: Hypothesis,
        span: _Span,
        settled: _Settled,
        answered: float,
        *,
        complete: bool,
    ) -> Partial:
        self._shown = span.end
        words: tuple[TimedWord, ...] = ()
        if self._manner.partial_words:
            words = settled.words + placed(hypothesis.words[: agreement.words], span.begin, self.start, span.end)
        stable = f"{settled.text} {agreement.stable}".strip()
        gap = " " if stable and not agreement.stable and agreement.unstable else ""
        return Partial(
            stable,
            gap + agreement.unstable,
            words,
            audio.milliseconds(self.start),
            audio.milliseconds(span.end),
            hypothesis.language,
            complete,
            self._channel,
            _times(hypothesis, answered),
        )

    def _settle(self, agreement: Agreement, hypothesis: Hypothesis, span: _Span) -> None:
        """Settle the agreed words that end well before the newest audio, up to the widest gap between two of them."""
        words = hypothesis.words
        if not _certain(hypothesis):
            return
        latest = span.seconds - UNTRIMMED_S
        agreed = [n for n in range(1, agreement.stable_words) if words[n].start_s <= latest]
        if not agreed:
            return
        cut = max(agreed, key=lambda n: (words[n].start_s - words[n - 1].end_s, n))
        position = span.begin + audio.samples(500 * (words[cut - 1].end_s + words[cut].start_s))
        self._go_on_from(position, placed(words[:cut], span.begin, self.start, position), hypothesis)
        self._draft = " ".join(word.text for word in words[cut:])
        self._agreement.drop(cut)

    def _settle_before(self, decoding: _Decoding) -> None:
        """Settle all that was said before a pause, unless the utterance is over or went on elsewhere by now."""
        task, span = decoding.task, decoding.span
        if task.cancelled() or task.exception() is not None or self.end is not None or span.begin != self._begin:
            hypothesis = None
        else:
            hypothesis = task.result()
        if hypothesis is not None and _certain(hypothesis) and self._believed(hypothesis, span):
            position = decoding.end + BEHIND_PAUSE
            self._go_on_from(position, placed(hypothesis.words, span.begin, self.start, decoding.end), hypothesis)
            self._draft = ""
            self._agreement = LocalAgreement()
            SPECULATIONS.add(1, {"outcome": "settled"})
        else:
            SPECULATIONS.add(1, {"outcome": "void"})

    def _go_on_from(self, position: int, words: tuple[TimedWord, ...], heard: Hypothesis) -> None:
        """These words are settled, and the audio before the position is not heard again."""
        self._settled = _Settled(self._settled.words + words, heard)
        self._begin = position


def _certain(hypothesis: Hypothesis) -> bool:
    """Whether its words can be settled."""
    return len(hypothesis.words) == len(hypothesis.text.split()) and hypothesis.avg_logprob >= CERTAIN_LOGPROB


def _times(hypothesis: Hypothesis, answered: float) -> Times:
    return Times(hypothesis.queue_s, hypothesis.inference_s, time.perf_counter() - answered)


def seen(task: asyncio.Task[Any]) -> None:
    """Mark the exception of a finished task as seen: whoever awaits it has it, and else nobody needs it."""
    if not task.cancelled():
        task.exception()
