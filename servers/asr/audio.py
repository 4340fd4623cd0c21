"""What audio is inside this server: float32 samples in [-1, 1] at 16 kHz; positions count samples of one channel."""

from typing import Protocol

import numpy as np
import numpy.typing as npt

Samples = npt.NDArray[np.float32]

SAMPLE_RATE = 16_000
"""Samples a second, as Whisper and Silero VAD want them."""


def milliseconds(position: int) -> int:
    """The position in milliseconds, rounded down."""
    return position * 1000 // SAMPLE_RATE


def samples(ms: float) -> int:
    """How many samples last `ms` milliseconds."""
    return int(ms * SAMPLE_RATE / 1000)


class Decoder(Protocol):
    """Turns encoded bytes into samples of all channels, [channels, n], as they come."""

    @property
    def begins_anew(self) -> bool:
        """Whether the audio of a resumed session must begin again with its header."""
        ...

    async def feed(self, data: bytes) -> Samples:
        """The samples that have become available; n may be 0. Raises AudioUndecodable."""
        ...

    async def finish(self) -> Samples:
        """The samples that are left when no more bytes come. Raises AudioUndecodable."""
        ...

    def close(self) -> None:
        """Let go of everything, at any time."""
        ...


class SampleBuffer:
    """The newest part of a stream of samples, addressed by position since its beginning."""

    def __init__(self, start: int = 0) -> None:
        """`start`: the position of the first sample that will be appended."""
        self._memory = np.zeros(SAMPLE_RATE, np.float32)
        self._length = 0
        self._start = start

    @property
    def end(self) -> int:
        """The position after the newest sample."""
        return self._start + self._length

    def append(self, more: Samples) -> None:
        """Add the next samples."""
        length = self._length + len(more)
        if length > len(self._memory):
            self._move(0, 2 * length)
        self._memory[self._length : length] = more
        self._length = length

    def forget_before(self, position: int) -> None:
        """Free what lies before `position`, by and by: a second or more at a time, to move the rest rarely."""
        cut = min(position, self.end) - self._start
        if cut >= SAMPLE_RATE:
            self._move(cut, max(SAMPLE_RATE, 2 * (self._length - cut)))
            self._start += cut

    def slice(self, start: int, end: int) -> Samples:
        """The samples from `start` to before `end`, as far as they are there; a copy."""
        begin, beyond = (min(max(0, position - self._start), self._length) for position in (start, end))
        return self._memory[begin:beyond].copy()

    def _move(self, cut: int, size: int) -> None:
        kept = self._memory[cut : self._length]
        memory = np.zeros(size, np.float32)
        memory[: len(kept)] = kept
        self._memory, self._length = memory, len(kept)
