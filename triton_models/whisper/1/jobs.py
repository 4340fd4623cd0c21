"""What is asked of Whisper, what it answers, and which questions can be answered together."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from waveform import Samples, context_seconds
from words import Word

LARGEST_BEAM = 10
WIDEST_SPREAD_SECONDS = 4


@dataclass(frozen=True)
class Job:
    """One clip: mono samples at 16 kHz, a Whisper language code or "" to detect it, the text said before."""

    samples: Samples
    language: str = ""
    previous_text: str = ""
    word_times: bool = False
    beam_size: int = 1


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


def plan(jobs: Sequence[tuple[int, Job]], prompt_length: Callable[[Job], int]) -> list[Batch]:
    """Batches of one beam size and one prompt length, which is all that CTranslate2 decodes together.

    Who asks for a beam cares for accuracy more than for time, and gets the longer context.
    Clips share the longest context among them as long as that is at most 4 s more than the shortest needs: an encoder
    pass over 4 s more costs less than a decoder pass of one's own.
    """
    alike: dict[tuple[int, int], list[tuple[int, int]]] = defaultdict(list)
    for place, job in jobs:
        alike[job.beam_size, prompt_length(job)].append(
            (context_seconds(job.samples.size, careful=job.beam_size > 1), place)
        )
    return [batch for wants in alike.values() for batch in _by_context(sorted(wants))]


def _by_context(wants: list[tuple[int, int]]) -> list[Batch]:
    """Cuts (seconds, place) pairs, shortest first, wherever the spread grows too wide."""
    batches: list[list[tuple[int, int]]] = []
    for want in wants:
        if batches and want[0] - batches[-1][0][0] <= WIDEST_SPREAD_SECONDS:
            batches[-1].append(want)
        else:
            batches.append([want])
    return [Batch([place for _, place in batch], batch[-1][0]) for batch in batches]
