"""Finals that belong together: torn apart by short pauses, heard again as one."""

import asyncio
import math
import time
from dataclasses import dataclass, field
from itertools import pairwise

from servers.asr import audio, guards
from servers.asr.audio import SampleBuffer, Samples
from servers.asr.recognition import Request
from servers.asr.results import Final, Refinement, Times, placed
from servers.asr.scheduling import Errand, Scheduler, Urgency
from servers.asr.utterance import PADDING, Manner, Utterance

GAP_MS = 700
"""Utterances with a shorter pause between them are parts of one passage."""
LONGEST_S = 18.0
"""No utterance is added to a passage that would get longer, and an utterance that is longer by itself is not heard
again: it would take too much of the model's time."""


@dataclass
class Passage:
    """Utterances of one channel in a row, each of which gets a final."""

    utterances: list[Utterance] = field(default_factory=list)
    finals: dict[Utterance, Final | None] = field(default_factory=dict)
    complete: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when nothing is added any more and the final of each utterance is told, or it has turned out to be none."""
    heard: Samples | None = None
    """Its audio, once it is closed."""
    shown: dict[int, asyncio.Task[str]] = field(default_factory=dict)
    """For each final, by its index, what will make known the text that the client has of it."""
    over: bool = False
    """Whether silence followed it; else what was said may go on in the next one."""

    @property
    def begin(self) -> int | None:
        """The position of its first sample; None while it has none."""
        return self.utterances[0].heard_from if self.utterances else None

    @property
    def seconds(self) -> float:
        """How much audio it has, once it is closed."""
        return 0.0 if self.heard is None else len(self.heard) / audio.SAMPLE_RATE

    @property
    def told(self) -> list[Final]:
        """Its finals, in their order."""
        return [final for final in self.finals.values() if final is not None]

    def takes(self, utterance: Utterance) -> bool:
        """Whether an utterance that has ended goes on with what is here."""
        if not self.utterances:
            return True
        last, end = self.utterances[-1].end, utterance.end
        assert last is not None
        assert end is not None
        near = audio.milliseconds(utterance.start - last) < GAP_MS
        return near and end - self.utterances[0].start <= LONGEST_S * audio.SAMPLE_RATE

    def is_over(self, position: int) -> bool:
        """Whether nothing can follow any more, when nobody has spoken until `position`."""
        last = self.utterances[-1].end if self.utterances else None
        return last is not None and audio.milliseconds(position - last) >= GAP_MS

    def close(self, buffer: SampleBuffer, *, over: bool, until: float = math.inf) -> None:
        """Nothing is added any more; what follows begins at `until`."""
        self.over = over
        begin, end = self.begin, self.utterances[-1].end
        assert begin is not None
        assert end is not None
        self.heard = buffer.slice(begin, int(min(end + PADDING, until)))
        self._look()

    def settle(self, utterance: Utterance, final: Final | None) -> None:
        """The final of one utterance is told; None when it was no speech."""
        self.finals[utterance] = final
        self._look()

    def _look(self) -> None:
        if self.heard is not None and len(self.finals) == len(self.utterances):
            self.complete.set()


async def hear_again(passage: Passage, scheduler: Scheduler, manner: Manner) -> list[Refinement]:
    """Hear a complete passage as one: a refinement of each of its finals; none where just one of several is speech.

    Raises DependencyUnavailable.
    """
    finals = passage.told
    torn = len(passage.utterances) > 1
    if len(finals) < 1 + torn or len({final.language for final in finals}) > 1:
        return []
    assert passage.heard is not None
    request = Request(passage.heard, finals[0].language, "", manner.hotwords, careful=True, background=True)
    hypothesis = await scheduler.run(Errand(Urgency.REFINEMENT, lambda: request))
    answered = time.perf_counter()
    if hypothesis is None or guards.rejection(hypothesis, len(passage.heard) / audio.SAMPLE_RATE):
        return []
    begin = passage.begin
    assert begin is not None
    words = placed(hypothesis.words, begin, begin, begin + len(passage.heard))
    bounds = [(one.end_ms + other.start_ms) // 2 for one, other in pairwise(finals)]
    shares = [
        tuple(word for word in words if after <= (word.start_ms + word.end_ms) // 2 < until)
        for after, until in zip([-1, *bounds], [*bounds, math.inf], strict=True)
    ]
    times = Times(hypothesis.queue_s, hypothesis.inference_s, time.perf_counter() - answered)
    confidence = min(1.0, math.exp(hypothesis.avg_logprob))
    texts = [" ".join(word.text for word in share) for share in shares]
    return [
        Refinement(final.final_index, text, share, final.language, confidence, final.channel, times)
        for final, text, share in zip(finals, texts, shares, strict=True)
    ]
