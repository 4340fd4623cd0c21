"""The audio of one request: what is accepted, and how much of it the encoder sees."""

import math

import numpy as np
from numpy.typing import NDArray

SAMPLE_RATE = 16_000
FRAMES_PER_SECOND = 100
LONGEST_SECONDS = 30
SHORTEST_CONTEXT_SECONDS = 8
CONTEXT_MARGIN_SECONDS = 2
LONGEST_ALONE_SECONDS = 12
SILENCE_SECONDS = 0.75
STEP_SAMPLES = 1280
LOUDEST = 8.0

Samples = NDArray[np.float32]


class UnusableRequest(ValueError):
    """The request itself is at fault; its message is fit for the caller."""


def check(samples: Samples) -> None:
    """Raises UnusableRequest unless `samples` is 0 to 30 s, exclusive of 0, of finite numbers around [-1, 1].

    The bound on loudness is a loose one: it is there for integers that nobody scaled, not for clipped speech.
    """
    if samples.ndim != 1:
        raise UnusableRequest(f"AUDIO must have one dimension, not {samples.ndim}")
    if samples.size == 0:
        raise UnusableRequest("AUDIO is empty")
    if samples.size > LONGEST_SECONDS * SAMPLE_RATE:
        given = samples.size / SAMPLE_RATE
        raise UnusableRequest(f"AUDIO lasts {given:.2f} s at 16 kHz; at most {LONGEST_SECONDS} s are taken at once")
    peak = float(np.max(np.abs(samples)))
    if not math.isfinite(peak):
        raise UnusableRequest("AUDIO holds values that are not numbers")
    if peak > LOUDEST:
        raise UnusableRequest(f"AUDIO must lie in [-1, 1]; its peak is {peak:.0f}: scale integers by 1/32768")


def context_seconds(sample_count: int) -> int:
    """How many whole seconds the encoder gets to see: Whisper is trained on 30, and fewer cost far less.

    2 s more than the clip and at least 8, below which base begins to repeat itself.
    """
    wanted = math.ceil(sample_count / SAMPLE_RATE + CONTEXT_MARGIN_SECONDS)
    return min(LONGEST_SECONDS, max(SHORTEST_CONTEXT_SECONDS, wanted))


def followed(samples: Samples) -> Samples:
    """The clip as an encoder gets to see it behind whose output silence is put: with some of its own.

    Without it last words are lost. Whole steps of .08 s, in which that silence lies; at least 1 s. Clips of which there
    would be next to nothing behind are given back as they are.
    """
    if samples.size > LONGEST_ALONE_SECONDS * SAMPLE_RATE:
        return samples
    wanted = max(SAMPLE_RATE, samples.size + round(SILENCE_SECONDS * SAMPLE_RATE))
    return np.pad(samples, (0, math.ceil(wanted / STEP_SAMPLES) * STEP_SAMPLES - samples.size))
