"""Makes segments of chunks of speech: transcribes those of a round together, doubts them, cuts and refines the text."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np
import structlog
from opentelemetry import metrics

from servers.asr import guards
from servers.asr.audio import SAMPLE_RATE
from servers.asr.batch.rounds import Chunk, Round
from servers.asr.batch.segmenting import Passage, is_whole, passages
from servers.asr.recognition import Hypothesis, Recognizer, Request
from servers.asr.results import TimedWord, placed
from servers.asr.wording import Refiner

log = structlog.get_logger(__name__)

_METER = metrics.get_meter("ai2text")
REJECTED = _METER.create_counter("ai2text.batch.rejected", description="What was not believed, by reason.")

HALVED_FROM_S = 10.0
"""A chunk of this length that is not believed is heard again in two halves: something in it is at fault, not all."""
REFINED_AT_ONCE = 4

T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True)
class Segment:
    """What is stored of a passage."""

    index: int
    text: str
    raw_text: str
    """What the model wrote, where `text` is another; else empty."""
    start_ms: int
    end_ms: int
    language: str
    confidence: float
    words: tuple[TimedWord, ...]


@dataclass(frozen=True)
class Found:
    """A passage that was said."""

    passage: Passage
    language: str
    whole: bool
    """Whether it is no piece of a sentence."""


class Hearing:
    """From sound to segments."""

    def __init__(self, recognizer: Recognizer, refiner: Refiner) -> None:
        self._recognizer = recognizer
        self._refiner = refiner

    async def hear(self, round_: Round, language: str, first_index: int) -> list[Segment]:
        """The segments of a round, in order of time, numbered from `first_index`. DependencyUnavailable."""
        heard = await _all(round_.chunks, lambda chunk: self._chunk(chunk, language))
        found = [passage for of_chunk in heard for passage in of_chunk]
        slots = asyncio.Semaphore(REFINED_AT_ONCE)

        async def refined(found: Found) -> str:
            async with slots:
                return await self._refiner.refine(found.passage.text, found.language, found.whole)

        texts = await _all(found, refined)
        return [
            _segment(index, one.passage, text, one.language)
            for index, (one, text) in enumerate(zip(found, texts, strict=True), first_index)
        ]

    async def _chunk(self, chunk: Chunk, language: str) -> list[Found]:
        """What is said in a chunk."""
        request = Request(chunk.audio, language, careful=True, background=True)
        hypothesis = await self._recognizer.recognize(request)
        length_s = len(chunk.audio) / SAMPLE_RATE
        why = guards.rejection(hypothesis, length_s)
        if why in ("repetitive", "improbable") and length_s >= HALVED_FROM_S:
            halves = await _all(_halves(chunk), lambda half: self._chunk(half, language))
            return [found for half in halves for found in half]
        if why:
            REJECTED.add(1, {"reason": why})
            return []
        words = placed(hypothesis.words, chunk.start, chunk.start, chunk.start + len(chunk.audio))
        found = passages(hypothesis.text, words)
        return [
            Found(passage, hypothesis.language, is_whole(found, place))
            for place, passage in enumerate(found)
            if _is_believed(passage, hypothesis)
        ]


def _is_believed(passage: Passage, hypothesis: Hypothesis) -> bool:
    """Whether it is none of the phrases that Whisper invents, which may stand in the midst of what was said, nor one
    that nobody can have said in its time: what is written twice is heard once."""
    alone = replace(hypothesis, text=passage.text, compression_ratio=0.0)
    why = guards.rejection(alone, (passage.end_ms - passage.start_ms) / 1000)
    if why:
        REJECTED.add(1, {"reason": why})
    return not why


def _halves(chunk: Chunk) -> list[Chunk]:
    """A chunk cut where it is most quiet, in its middle third."""
    step = SAMPLE_RATE // 10
    third = len(chunk.audio) // 3 // step
    loudness = [
        float(np.square(chunk.audio[place * step : (place + 1) * step]).mean()) for place in range(third, 2 * third)
    ]
    cut = (third + int(np.argmin(loudness))) * step + step // 2
    return [Chunk(chunk.start, chunk.audio[:cut]), Chunk(chunk.start + cut, chunk.audio[cut:])]


def _segment(index: int, passage: Passage, text: str, language: str) -> Segment:
    raw_text = "" if text == passage.text else passage.text
    return Segment(index, text, raw_text, passage.start_ms, passage.end_ms, language, passage.confidence, passage.words)


async def _all(items: Sequence[T], work: Callable[[T], Coroutine[Any, Any, R]]) -> list[R]:
    """What `work` makes of each, side by side; the first error when any fails."""
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(work(item)) for item in items]
    except ExceptionGroup as failed:
        raise failed.exceptions[0] from None
    return [task.result() for task in tasks]
