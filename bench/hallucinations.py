"""Text that is heard where nobody speaks: through the edge, and by faster-whisper without a voice detector."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from faster_whisper import WhisperModel

from bench.noises import Noise
from bench.speaker import Manner, SessionBroken, speak_each


@dataclass
class Invented:
    """What was heard in sounds without speech."""

    sounds: int = 0
    kinds: Counter[str] = field(default_factory=Counter)
    """How many sounds of each kind yielded text."""
    examples: list[str] = field(default_factory=list)

    def note(self, noise: Noise, text: str) -> None:
        """What was heard in one sound."""
        self.sounds += 1
        if text.strip():
            self.kinds[noise.kind] += 1
            self.examples.append(f"{noise.kind}: {text.strip()[:80]}")

    @property
    def rate(self) -> float:
        """Sounds with text, of all."""
        return self.kinds.total() / self.sounds if self.sounds else 0.0


def live(noises: Sequence[Noise], target: str, token: str, at_once: int, told: Callable[[], None]) -> Invented:
    """Each sound in a session of its own, as fast as it goes; Vietnamese and English in turn. Raises SessionBroken."""
    manners = [Manner(("vi", "en")[number % 2], paced=False) for number in range(len(noises))]
    sounds = [(noise.pcm.tobytes(), manner) for noise, manner in zip(noises, manners, strict=True)]
    invented = Invented()
    for noise, take in zip(noises, asyncio.run(speak_each(target, token, sounds, at_once, told)), strict=True):
        if take.ending:
            raise SessionBroken(f"{noise.kind}: the session ended with {take.ending}")
        invented.note(noise, take.text)
    return invented


def without_detector(noises: Sequence[Noise], weights: Path, seconds: float, told: Callable[[], None]) -> Invented:
    """By faster-whisper's own transcribe(), as many as `seconds` allow.

    Its defaults, but for the second tries at higher temperatures: these take up to a minute for one sound.
    """
    whisper, invented = WhisperModel(str(weights), device="cpu", compute_type="int8"), Invented()
    end = time.monotonic() + seconds
    for number, noise in enumerate(noises):
        if time.monotonic() >= end:
            break
        audio, language = noise.pcm.astype(np.float32) / 32768.0, ("vi", "en")[number % 2]
        segments, _ = whisper.transcribe(audio, language=language, temperature=0.0)
        invented.note(noise, " ".join(segment.text for segment in segments))
        told()
    return invented
