"""What is asked of Whisper, what it answers, and which questions can be answered together."""

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from waveform import SAMPLE_RATE, Samples, context_seconds
from words import Word

LARGEST_BEAM = 10
WIDEST_SPREAD_SECONDS = 4

T = TypeVar("T")


class GivenUp(Exception):
    """Nobody waits for the answer any more."""


@dataclass(frozen=True)
class Job:
    """One clip: mono samples at 16 kHz, and what its caller knows of them.

    `language` is a Whisper code, or several with commas between of which the likeliest is taken, or "" for any.
    `hotwords` are terms that may be spoken, with commas or line ends between them. `given_up` says whether the caller
    has gone: a third of what is decoded at a pause is void a moment later.
    """

    samples: Samples
    language: str = ""
    previous_text: str = ""
    word_times: bool = False
    beam_size: int = 1
    hotwords: str = ""
    given_up: Callable[[], bool] = lambda: False

    @property
    def duration(self) -> float:
        """How long the clip lasts, in seconds."""
        return self.samples.size / SAMPLE_RATE


@dataclass(frozen=True)
class Hypothesis:
    """What was heard. `token_logprobs` and `words` are empty unless the job asked for word times."""

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
