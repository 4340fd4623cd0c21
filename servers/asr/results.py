"""What a session tells its client. Positions and times are milliseconds of audio since the session began."""

from dataclasses import dataclass

from servers.asr import audio
from servers.asr.recognition import Word


@dataclass(frozen=True)
class TimedWord:
    text: str
    start_ms: int
    end_ms: int
    confidence: float


@dataclass(frozen=True)
class Times:
    """Where the time of a result went, in seconds; see `ai2text.asr.v1.ProcessingTimes`."""

    queue_s: float = 0.0
    inference_s: float = 0.0
    post_s: float = 0.0


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
    channel: int = 0
    times: Times = Times()


@dataclass(frozen=True)
class Partial:
    """The text so far of the open utterance."""

    stable: str
    unstable: str
    words: tuple[TimedWord, ...]
    """Of both parts; empty unless they were asked for."""
    start_ms: int
    end_ms: int
    language: str
    complete: bool
    """The speaker paused, and this would be the final."""
    channel: int = 0
    times: Times = Times()


@dataclass(frozen=True)
class Refinement:
    """A better text of a final."""

    final_index: int
    text: str
    words: tuple[TimedWord, ...]
    language: str
    confidence: float
    channel: int = 0
    times: Times = Times()


@dataclass(frozen=True)
class SpeechStarted:
    start_ms: int
    channel: int = 0


@dataclass(frozen=True)
class SpeechEnded:
    end_ms: int
    channel: int = 0


@dataclass(frozen=True)
class Status:
    """How the session stands with this server."""

    credit_ms: int
    partial_every_ms: int
    closing_in_s: float | None = None


@dataclass(frozen=True)
class Cursors:
    """How far a session has come, in all its channels; see `ai2text.asr.v1.Cursors`."""

    received_ms: int
    processed_ms: int
    final_ms: int
    final_index: int


Happening = SpeechStarted | SpeechEnded | Partial | Final | Refinement | Status


@dataclass(frozen=True)
class Event:
    cursors: Cursors
    happening: Happening


def placed(words: tuple[Word, ...], offset: int, start: int, end: int) -> tuple[TimedWord, ...]:
    """Words that were heard in audio from the position `offset` on, within the utterance from `start` to `end`.

    Positions are samples. The model hears some padding and may place a word in it.
    """
    base, earliest, latest = (audio.milliseconds(position) for position in (offset, start, end))

    def place(seconds: float) -> int:
        return min(max(base + round(seconds * 1000), earliest), latest)

    return tuple(TimedWord(w.text, place(w.start_s), place(w.end_s), w.probability) for w in words)
