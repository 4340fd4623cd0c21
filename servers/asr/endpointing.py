"""Where speech begins and ends, told from the voice activity of 32 ms windows."""

from collections.abc import Iterator
from dataclasses import dataclass

from servers.asr.audio import samples

WINDOW = 512
"""Samples in a window of Silero VAD: 32 ms at 16 kHz."""


@dataclass(frozen=True)
class EndpointRules:
    """Times in milliseconds, probabilities of voice from 0 to 1."""

    start_probability: float = 0.5
    """A window at or above it is speech."""
    stop_probability: float = 0.35
    """During speech, a window below it is silence; the gap to `start_probability` is hysteresis."""
    min_speech_ms: int = 96
    """Speech shorter than this is a click."""
    pause_ms: int = 96
    """After so much silence the utterance may have ended."""
    silence_ms: int = 320
    """After so much silence it has ended."""
    long_utterance_ms: int = 1_500
    """From this length on it can stand alone: words that are torn from a short sentence are misheard."""
    long_utterance_silence_ms: int = 256
    """After so much silence such a one has ended."""
    max_utterance_ms: int = 27_000
    """At this length it is cut at the quietest window of the last `cut_search_ms`: Whisper hears 30 s at most."""
    cut_search_ms: int = 4_000


@dataclass(frozen=True)
class Started:
    """Speech began at the position `start`."""

    start: int


@dataclass(frozen=True)
class Paused:
    """Nobody has spoken since the position `end`, for `pause_ms` by now: it may be the end."""

    start: int
    end: int


@dataclass(frozen=True)
class Resumed:
    """The pause was none: the utterance goes on."""


@dataclass(frozen=True)
class Ended:
    """The utterance from `start` to `end` is over."""

    start: int
    end: int


Change = Started | Paused | Resumed | Ended


class Endpointer:
    """A state machine over windows. Positions are samples since the session began."""

    def __init__(self, rules: EndpointRules, position: int = 0, deaf_before: int = 0) -> None:
        """`position`: that of the first window; windows before `deaf_before` are heard, but count as silence."""
        self._rules = rules
        self._position = position
        self._deaf_before = deaf_before
        self._onset: int | None = None
        self._start: int | None = None
        self._last_voice = 0
        self._paused = False
        self._recent: list[tuple[float, int]] = []
        self._reach = samples(min(rules.cut_search_ms, rules.max_utterance_ms // 2))  # so that a cut goes forward

    @property
    def position(self) -> int:
        """How far the windows reach."""
        return self._position

    @property
    def start(self) -> int | None:
        """Where the open utterance, or what may become one, began; None in silence."""
        return self._start if self._start is not None else self._onset

    @property
    def earliest_cut(self) -> int:
        """Where an open utterance that gets too long may be cut, at the earliest."""
        return self._position - self._reach

    @property
    def speaking(self) -> bool:
        """Whether an utterance is open."""
        return self._start is not None

    def window(self, probability: float) -> Iterator[Change]:
        """Take in the next window; yields what it changed."""
        if self._position < self._deaf_before:
            probability = 0.0
        self._position += WINDOW
        if self._start is None:
            yield from self._listen(probability)
        else:
            yield from self._follow(probability, self._start)

    def force_end(self) -> Iterator[Change]:
        """End the open utterance here."""
        if self._start is not None:
            yield self._end(self._start, self._last_voice if self._paused else self._position)
        self._onset = None

    def _listen(self, probability: float) -> Iterator[Change]:
        if probability < self._rules.start_probability:
            self._onset = None
            return
        if self._onset is None:
            self._onset = self._position - WINDOW
        if self._position - self._onset >= samples(self._rules.min_speech_ms):
            self._start, self._onset = self._onset, None
            self._last_voice, self._paused, self._recent = self._position, False, []
            yield Started(self._start)

    def _follow(self, probability: float, start: int) -> Iterator[Change]:
        rules = self._rules
        self._remember(probability)
        voiced = probability >= (rules.start_probability if self._paused else rules.stop_probability)
        if voiced:
            self._last_voice = self._position
            if self._paused:
                self._paused = False
                yield Resumed()
        if not self._paused and self._position - self._last_voice >= samples(rules.pause_ms):
            self._paused = True
            yield Paused(start, self._last_voice)
        yield from self._end_if_silent()
        if self._start is not None and self._position - start >= samples(rules.max_utterance_ms):
            yield from self._cut(start)

    def _end_if_silent(self) -> Iterator[Change]:
        assert self._start is not None
        rules = self._rules
        long = self._last_voice - self._start >= samples(rules.long_utterance_ms)
        patience = rules.long_utterance_silence_ms if long else rules.silence_ms
        if self._position - self._last_voice >= samples(patience):
            yield self._end(self._start, self._last_voice)

    def _remember(self, probability: float) -> None:
        self._recent.append((probability, self._position))
        del self._recent[: -self._reach // WINDOW]

    def _end(self, start: int, end: int) -> Ended:
        self._start, self._paused = None, False
        return Ended(start, end)

    def _cut(self, start: int) -> Iterator[Change]:
        """End at the quietest recent window, and go on from there without a gap if somebody has spoken since."""
        _, cut = min(self._recent)
        yield self._end(start, cut)
        if self._last_voice > cut:
            self._start = cut
            yield Started(cut)
