"""What the speech model is to the domain: a stateless function from audio to a hypothesis."""

from dataclasses import dataclass
from typing import Protocol

from servers.asr.audio import Samples

MAX_AUDIO_S = 30.0
"""The longest audio that Whisper hears at once, in seconds."""


@dataclass(frozen=True)
class Word:
    """One word; times in seconds since the audio of its hypothesis began, or in samples of the session once placed."""

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


@dataclass(frozen=True)
class Request:
    """One inference."""

    audio: Samples
    """At most 30 s."""
    language: str = ""
    """ISO 639-1; empty: detect."""
    context: str = ""
    """Text that was said just before."""
    final: bool = False
    """Finals are searched with a beam and carry word times; partials are greedy and have none."""


class Recognizer(Protocol):
    """The speech model."""

    async def recognize(self, request: Request) -> Hypothesis:
        """Transcribe; raises DependencyUnavailable when the model does not answer in time."""
        ...

    async def check(self) -> None:
        """Raise DependencyUnavailable when the model is not ready."""
        ...
