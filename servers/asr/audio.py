"""What audio is inside this server: float32 samples in [-1, 1], one channel, 16 kHz; positions count samples."""

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
    """Turns encoded bytes into samples, as they come."""

    async def feed(self, data: bytes) -> Samples:
        """The samples that have become available; may be empty. Raises AudioUndecodable."""
        ...

    async def finish(self) -> Samples:
        """The samples that are left when no more bytes come. Raises AudioUndecodable."""
        ...

    def close(self) -> None:
        """Let go of everything, at any time."""
        ...


class SampleBuffer:
    """The newest part of a stream of samples, addressed by position since its beginning."""

    def __init__(self) -> None:
        self._samples = np.zeros(0, np.float32)
        self._start = 0

    @property
    def end(self) -> int:
        """The position after the newest sample."""
        return self._start + len(self._samples)

    def append(self, more: Samples) -> None:
        """Add the next samples."""
        self._samples = np.concatenate((self._samples, more))

    def forget_before(self, position: int) -> None:
        """Free what lies before `position`."""
        cut = min(position, self.end)
        if cut > self._start:
            self._samples = self._samples[cut - self._start :].copy()
            self._start = cut

    def slice(self, start: int, end: int) -> Samples:
        """The samples from `start` to before `end`, as far as they are there."""
        return self._samples[max(0, start - self._start) : max(0, end - self._start)].copy()
