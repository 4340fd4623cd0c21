"""What the speech model is to the domain: a stateless function from audio to a hypothesis."""

from dataclasses import dataclass
from typing import Protocol

from servers.asr.audio import Samples

MAX_AUDIO_S = 30.0
"""The longest audio that Whisper hears at once, in seconds."""


@dataclass(frozen=True)
class Word:
    """One word; times in seconds since the audio of its hypothesis began."""

    text: str
    start_s: float
    end_s: float
    probability: float


@dataclass(frozen=True)
class Hypothesis:
    """What the model heard, with what is needed to doubt it."""

    text: str
    language: str
    words: tuple[Word, ...]
    avg_logprob: float
    """Mean log-probability of the tokens."""
    no_speech_probability: float
    compression_ratio: float
    """Bytes of the text over bytes of it compressed; loops have a high one."""
    queue_s: float = 0.0
    """How long the request waited for the model, here and there."""
    inference_s: float = 0.0
    """How long the model took, others that it worked on at the same time included."""
    worked_s: float = 0.0
    """The request's share of that work: what it would have taken alone, or less."""


@dataclass(frozen=True)
class Request:
    """One inference."""

    audio: Samples
    """One channel, at most 30 s."""
    language: str = ""
    """ISO 639; several with commas between them: detected among these; empty: among all."""
    context: str = ""
    """Text that was said just before."""
    hotwords: str = ""
    """Terms that are likely to be said, with commas between them."""
    draft: str = ""
    """What was heard in the beginning of this audio before: where it holds, a greedy search does not write it again."""
    careful: bool = False
    """Searched with a beam; otherwise greedily."""
    background: bool = False
    """Whether nobody waits for it, so that it may have what time the others leave."""


class Recognizer(Protocol):
    """The speech model."""

    async def recognize(self, request: Request) -> Hypothesis:
        """Transcribe; raises DependencyUnavailable when the model does not answer in time."""
        ...

    async def check(self) -> None:
        """Raise DependencyUnavailable when the model is not ready."""
        ...
