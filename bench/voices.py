"""Clips made ready to be spoken: their samples, and where in them somebody speaks."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from faster_whisper.vad import VadOptions, get_speech_timestamps
from numpy.typing import NDArray

from bench.clips import Clip, pcm16

Pcm = NDArray[np.int16]
"""Mono samples at 16 kHz."""

SAMPLES_PER_MS = 16
VOICED_AT, UNVOICED_BELOW = 0.5, 0.35
"""Silero's probability of voice from which on somebody speaks, and below which nobody does."""


@dataclass(frozen=True, eq=False)  # each is itself: samples are not compared
class Voice:
    """One clip."""

    clip: Clip
    pcm: Pcm
    regions: tuple[tuple[int, int], ...]
    """Where somebody speaks, in milliseconds: at least one, as Silero hears it in the whole clip, whatever the server
    says of it."""

    @property
    def speech_start_ms(self) -> int:
        """Where speech begins."""
        return self.regions[0][0]

    @property
    def speech_end_ms(self) -> int:
        """Where speech ends."""
        return self.regions[-1][1]

    @property
    def length_ms(self) -> int:
        """How long the clip is, rounded up."""
        return -(-len(self.pcm) // SAMPLES_PER_MS)


def ready(clips: Iterable[Clip]) -> list[Voice]:
    """The clips in which somebody speaks."""
    decoded = ((clip, np.frombuffer(pcm16(clip.path), "<i2")) for clip in clips)
    heard = ((clip, pcm, regions(pcm, silence_ms=100)) for clip, pcm in decoded)
    return [Voice(clip, pcm, tuple(spoken)) for clip, pcm, spoken in heard if spoken]


def regions(pcm: Pcm, silence_ms: int) -> list[tuple[int, int]]:
    """Where somebody speaks, from and to in milliseconds; less silence than `silence_ms` does not part two regions."""
    options = VadOptions(
        threshold=VOICED_AT,
        neg_threshold=UNVOICED_BELOW,
        min_speech_duration_ms=96,
        min_silence_duration_ms=silence_ms,
        speech_pad_ms=0,
    )
    found = get_speech_timestamps(pcm.astype(np.float32) / 32768.0, options)
    return [(region["start"] // SAMPLES_PER_MS, region["end"] // SAMPLES_PER_MS) for region in found]
