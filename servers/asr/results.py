"""What a session tells its client. Positions and times are milliseconds of audio since the session began."""

from dataclasses import dataclass

from servers.asr import audio
from servers.asr.recognition import Hypothesis


@dataclass(frozen=True)
class TimedWord:
    text: str
    start_ms: int
    end_ms: int
    confidence: float


@dataclass(frozen=True)
class Final:
    """The text of one utterance, for good."""

    final_index: int
    text: str
    words: tuple[TimedWord, ...]
    start_ms: int
    end_ms: int
    language: str
    confidence: float


@dataclass(frozen=True)
class Partial:
    """The text so far of the open utterance."""

    stable: str
    unstable: str
    start_ms: int
    end_ms: int
    language: str


@dataclass(frozen=True)
class SpeechStarted:
    start_ms: int


@dataclass(frozen=True)
class SpeechEnded:
    end_ms: int


@dataclass(frozen=True)
class Cursors:
    """How far a session has come; see `ai2text.asr.v1.Cursors`."""

    received_ms: int
    processed_ms: int
    final_ms: int
    final_index: int


Happening = SpeechStarted | SpeechEnded | Partial | Final


@dataclass(frozen=True)
class Event:
    cursors: Cursors
    happening: Happening


def timed_words(hypothesis: Hypothesis, offset: int, start: int, end: int) -> tuple[TimedWord, ...]:
    """The words of a hypothesis whose audio began at the position `offset`, within the utterance from `start` to `end`.

    Positions are samples. The model hears some padding and may place a word in it.
    """
    base, earliest, latest = (audio.milliseconds(position) for position in (offset, start, end))

    def placed(seconds: float) -> int:
        return min(max(base + round(seconds * 1000), earliest), latest)

    return tuple(TimedWord(w.text, placed(w.start_s), placed(w.end_s), w.probability) for w in hypothesis.words)
