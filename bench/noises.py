"""Sounds in which nobody speaks: made, not recorded, the same ones for the same seed."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bench.voices import Pcm

RATE = 16_000
SECONDS = 8
LENGTH = RATE * SECONDS

Wave = NDArray[np.float64]
Chance = np.random.Generator


@dataclass(frozen=True)
class Noise:
    """One sound of eight seconds."""

    kind: str
    pcm: Pcm


def noises(count: int, seed: int = 0) -> Iterator[Noise]:
    """`count` sounds of all kinds in turn, from hardly audible to loud."""
    kinds = list(_KINDS.items())
    for number in range(count):
        kind, make = kinds[number % len(kinds)]
        chance = np.random.default_rng((seed, number))
        wave = make(chance)
        loudest = np.abs(wave).max() or 1.0
        level = 10 ** (chance.uniform(-45, -6) / 20)
        yield Noise(kind, (wave / loudest * level * 32767).round().astype(np.int16))


def _silence(_: Chance) -> Wave:
    return np.zeros(LENGTH)


def _white(chance: Chance) -> Wave:
    return chance.normal(size=LENGTH)


def _coloured(exponent: float) -> Callable[[Chance], Wave]:
    """Noise whose power falls with frequency to the `exponent`: 1 is pink, 2 is brown."""

    def make(chance: Chance) -> Wave:
        spectrum = np.fft.rfft(chance.normal(size=LENGTH))
        frequency = np.fft.rfftfreq(LENGTH, 1 / RATE)
        spectrum *= np.where(frequency > 20, np.maximum(frequency, 20) ** (-exponent / 2), 0)
        return np.fft.irfft(spectrum, LENGTH)

    return make


def _tone(chance: Chance) -> Wave:
    return _sine(chance.uniform(80, 4000))


def _hum(chance: Chance) -> Wave:
    """Mains with its harmonics, and a little noise."""
    mains = chance.choice([50.0, 60.0])
    harmonics = sum((_sine(mains * n) * chance.uniform(0.1, 1) / n for n in range(1, 9)), np.zeros(LENGTH))
    return harmonics + 0.02 * chance.normal(size=LENGTH)


def _clicks(chance: Chance) -> Wave:
    """Keys, doors, a ticking clock: short bursts that die away, over a quiet room."""
    wave = 0.003 * chance.normal(size=LENGTH)
    for start in np.sort(chance.integers(0, LENGTH - RATE // 2, size=chance.integers(4, 40))):
        length = int(chance.uniform(0.004, 0.12) * RATE)
        fade = np.exp(-np.arange(length) / (length / 5))
        wave[start : start + length] += chance.uniform(0.2, 1) * fade * chance.normal(size=length)
    return wave


def _chords(chance: Chance) -> Wave:
    """Three voices with overtones that change together once or twice a second."""
    return _played(chance, notes_at_once=3, seconds=chance.uniform(0.5, 1.2))


def _melody(chance: Chance) -> Wave:
    return _played(chance, notes_at_once=1, seconds=chance.uniform(0.15, 0.5))


def _played(chance: Chance, notes_at_once: int, seconds: float) -> Wave:
    wave, step = np.zeros(LENGTH), int(seconds * RATE)
    scale = np.array([0, 2, 4, 5, 7, 9, 11, 12])
    for start in range(0, LENGTH, step):
        length = min(step, LENGTH - start)
        envelope = np.minimum(1, np.arange(length) / 400) * np.exp(-np.arange(length) / (0.6 * RATE))
        for note in chance.choice(scale, size=notes_at_once, replace=False):
            pitch = 220 * 2 ** (note / 12)
            wave[start : start + length] += envelope * sum(_sine(pitch * n)[:length] / n**1.5 for n in range(1, 6))
    return wave


def _sweep(chance: Chance) -> Wave:
    """A tone that glides up and down, as a siren does."""
    low, high = chance.uniform(100, 600), chance.uniform(700, 3000)
    pitch = low + (high - low) * (0.5 + 0.5 * np.sin(2 * np.pi * chance.uniform(0.1, 1) * _seconds()))
    return np.sin(2 * np.pi * np.cumsum(pitch) / RATE)


def _fan(chance: Chance) -> Wave:
    """Pink noise that swells and falls, as fans, rain and traffic do."""
    swell = 1 + chance.uniform(0.1, 0.6) * np.sin(2 * np.pi * chance.uniform(0.2, 6) * _seconds())
    return _coloured(chance.uniform(0.8, 1.6))(chance) * swell


def _beeps(chance: Chance) -> Wave:
    """A tone that comes and goes, as telephones and machines do."""
    period = chance.uniform(0.3, 2.0)
    return _sine(chance.uniform(400, 2500)) * ((_seconds() % period) < period * chance.uniform(0.2, 0.7))


def _seconds() -> Wave:
    return np.arange(LENGTH) / RATE


def _sine(frequency: float) -> Wave:
    return np.sin(2 * np.pi * frequency * _seconds())


_KINDS: dict[str, Callable[[Chance], Wave]] = {
    "silence": _silence,
    "white noise": _white,
    "pink noise": _coloured(1),
    "brown noise": _coloured(2),
    "tone": _tone,
    "hum": _hum,
    "clicks": _clicks,
    "chords": _chords,
    "melody": _melody,
    "sweep": _sweep,
    "fan": _fan,
    "beeps": _beeps,
}
