"""Cuts recorded speech into chunks for Whisper: whole passages where there are pauses, 28 s at most.

Everything is counted in windows of 32 ms, whose probabilities of voice come one after another. The same probabilities
always give the same chunks, so that a file which is transcribed anew is cut where it was cut before.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

WINDOW_MS = 32


@dataclass(frozen=True)
class ChunkRules:
    """Times in windows, probabilities of voice from 0 to 1."""

    start_probability: float = 0.5
    """A window at or above it is speech."""
    stop_probability: float = 0.35
    """During speech, a window below it is silence; the gap to `start_probability` is hysteresis."""
    pause: int = 5
    """After so much silence (160 ms) a stretch of speech is over."""
    click: int = 3
    """Speech shorter than this (96 ms) is none."""
    padding: int = 12
    """What is heard before and after the speech, where there is room (384 ms)."""
    longest: int = 860
    """No chunk has more without its padding (27.5 s): Whisper hears 30 s at most."""
    cut_from: int = 430
    """Speech without a pause is cut at its quietest window behind this one (13.8 s)."""
    enough: int = 310
    """A chunk that has as much (9.9 s) ends at `rest`."""
    rest: int = 45
    """A silence (1.4 s) that ends such a chunk: to hear it would cost more than it tells."""
    break_: int = 90
    """A silence (2.9 s) that ends any chunk: Whisper invents text for silence."""


@dataclass(frozen=True)
class Span:
    """Windows from `start` to before `end`."""

    start: int
    end: int

    @property
    def length(self) -> int:
        return self.end - self.start


class Chunker:
    """Takes the probabilities of voice as they come and gives chunks, which do not overlap, in order of time."""

    def __init__(self, rules: ChunkRules = ChunkRules()) -> None:
        self._rules = rules
        self._heard = 0
        self._given = 0
        self._open: int | None = None
        self._silent_since: int | None = None
        self._chunk: Span | None = None
        self._kept: list[float] = []
        self._kept_from = 0

    @property
    def quiet_until(self) -> int:
        """Before this window everything is settled: given as chunks, or known to hold no speech."""
        if self._chunk is not None:
            return max(self._given, self._chunk.start - self._rules.padding)
        if self._open is not None:
            return max(self._given, self._open - self._rules.padding)
        return max(self._given, self._heard - self._rules.padding)

    def feed(self, probabilities: Sequence[float]) -> Iterator[Span]:
        """The chunks that these windows complete."""
        for probability in probabilities:
            window = self._heard
            self._heard += 1
            self._kept.append(probability)
            yield from self._window(window, probability)
            if self._chunk is None and self._open is None:
                self._forget(self._heard)

    def finish(self) -> Iterator[Span]:
        """The chunk that is left when the audio is over."""
        if self._open is not None:
            self._close(self._silent_since if self._silent_since is not None else self._heard)
        if self._chunk is not None:
            yield self._give(self._heard)

    def _window(self, window: int, probability: float) -> Iterator[Span]:
        rules = self._rules
        if self._open is None:
            if probability >= rules.start_probability:
                self._open, self._silent_since = window, None
            elif self._chunk is not None and self._is_over(window + 1 - self._chunk.end):
                yield self._give(self._heard)
            return
        if probability >= rules.stop_probability:
            self._silent_since = None
        elif self._silent_since is None:
            self._silent_since = window
        if self._silent_since is not None and window + 1 - self._silent_since >= rules.pause:
            self._close(self._silent_since)
        elif window + 1 - (self._chunk.start if self._chunk else self._open) >= rules.longest:
            yield from self._overflow(window + 1)

    def _close(self, end: int) -> None:
        """A stretch of speech is over: it joins the chunk."""
        start, self._open, self._silent_since = self._open, None, None
        assert start is not None
        if end - start < self._rules.click:
            return
        if self._chunk is None:
            self._chunk = Span(start, end)
        else:
            self._chunk = Span(self._chunk.start, end)

    def _is_over(self, silence: int) -> bool:
        assert self._chunk is not None
        enough = self._chunk.length >= self._rules.enough
        return silence >= (self._rules.rest if enough else self._rules.break_)

    def _overflow(self, end: int) -> Iterator[Span]:
        """The chunk gets too long with the speech that goes on: it ends before that, or in its quietest window."""
        assert self._open is not None
        if self._chunk is not None and self._chunk.length >= self._rules.cut_from:
            yield self._give(self._open)
            return
        start = self._chunk.start if self._chunk is not None else self._open
        candidates = range(max(start + self._rules.cut_from, self._open), end)
        cut = min(candidates, key=lambda window: (self._kept[window - self._kept_from], -window))
        self._chunk = Span(start, cut)
        yield self._give(cut)
        self._open = cut

    def _give(self, limit: int) -> Span:
        """The chunk with its padding, which reaches to `limit` at most; it is begun anew."""
        chunk = self._chunk
        assert chunk is not None
        padding = self._rules.padding
        given = Span(max(self._given, chunk.start - padding), min(limit, chunk.end + padding))
        self._chunk, self._given = None, given.end
        self._forget(given.end)
        return given

    def _forget(self, before: int) -> None:
        """Let the probabilities of earlier windows go."""
        if before > self._kept_from:
            del self._kept[: before - self._kept_from]
            self._kept_from = before
