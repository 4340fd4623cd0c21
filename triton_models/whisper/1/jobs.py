"""What is asked of Whisper, what it answers, and which questions can be answered together."""

import math
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

from waveform import SAMPLE_RATE, Samples, UnusableRequest, check, context_seconds
from words import Piece, Word, time_words

LARGEST_BEAM = 10
WIDEST_SPREAD_SECONDS = 4

T = TypeVar("T")


class GivenUp(Exception):
    """Nobody waits for the answer any more."""


@dataclass(frozen=True)
class Job:
    """One clip: mono samples at 16 kHz, and what its caller knows of them.

    `language` is a Whisper code, or several with commas between of which the likeliest is taken, or "" for any.
    `hotwords` are terms that may be spoken, with commas or line ends between them. `draft` is what was heard in the
    beginning of the clip before: without a beam, where it holds it need not be written again. `given_up` says whether
    the caller has gone: a third of what is decoded at a pause is void a moment later.
    """

    samples: Samples
    language: str = ""
    previous_text: str = ""
    beam_size: int = 1
    hotwords: str = ""
    draft: str = ""
    given_up: Callable[[], bool] = lambda: False

    @property
    def duration(self) -> float:
        """How long the clip lasts, in seconds."""
        return self.samples.size / SAMPLE_RATE

    def check(self) -> None:
        """Raises UnusableRequest when no recogniser can serve it."""
        check(self.samples)
        if not 1 <= self.beam_size <= LARGEST_BEAM:
            raise UnusableRequest(f"BEAM_SIZE must lie in 1..{LARGEST_BEAM}, not {self.beam_size}")


@dataclass(frozen=True)
class Hypothesis:
    """What was heard. `token_logprobs` and `words` are empty where nothing was heard."""

    text: str
    tokens: list[int]
    avg_logprob: float
    no_speech_prob: float
    compression_ratio: float
    language: str
    language_prob: float
    context_seconds: int
    token_logprobs: list[float] = field(default_factory=list)
    words: list[Word] = field(default_factory=list)

    def timed(
        self,
        pieces: Sequence[Piece],
        probabilities: Sequence[float],
        alignment: Sequence[tuple[int, int]],
        duration: float,
    ) -> "Hypothesis":
        """The same with words and log-probabilities. See `time_words`."""
        words = time_words(pieces, probabilities, alignment, duration)
        return replace(self, words=words, token_logprobs=[math.log(max(each, 1e-10)) for each in probabilities])


@dataclass(frozen=True)
class Batch:
    """Jobs that one call decodes, by their places in the request; `seconds` is the encoder context of all of them."""

    places: list[int]
    seconds: int


def grouped(items: Iterable[T], kind: Callable[[T], Hashable]) -> list[list[T]]:
    """Items of one kind together, in their order."""
    groups: dict[Hashable, list[T]] = defaultdict(list)
    for item in items:
        groups[kind(item)].append(item)
    return list(groups.values())


def plan(jobs: Sequence[tuple[int, Job]], kind: Callable[[Job], Hashable]) -> list[Batch]:
    """Batches of jobs of one kind.

    Clips share the longest context among them as long as that is at most 4 s more than the shortest needs: an encoder
    pass over 4 s more costs less than a decoder pass of one's own.
    """
    return [
        batch
        for alike in grouped(jobs, lambda job: kind(job[1]))
        for batch in _by_context(sorted((context_seconds(job.samples.size), place) for place, job in alike))
    ]


def _by_context(wants: list[tuple[int, int]]) -> list[Batch]:
    """Cuts (seconds, place) pairs, shortest first, wherever the spread grows too wide."""
    batches: list[list[tuple[int, int]]] = []
    for want in wants:
        if batches and want[0] - batches[-1][0][0] <= WIDEST_SPREAD_SECONDS:
            batches[-1].append(want)
        else:
            batches.append([want])
    return [Batch([place for _, place in batch], batch[-1][0]) for batch in batches]
