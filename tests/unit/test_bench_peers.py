"""When a peer that tells no finals had settled what was said."""

from pathlib import Path

import numpy as np
import pytest

from bench.clips import Clip
from bench.peers.livekit import Heard, settling_times
from bench.peers.padded import Silences, utterances
from bench.scripts import Script, Turn
from bench.voices import SAMPLES_PER_MS, Voice


def turn(start_ms: int, transcript: str) -> Turn:
    pcm = np.zeros(2000 * SAMPLES_PER_MS, np.int16)
    return Turn(Voice(Clip(Path(transcript), "en", transcript), pcm, ((0, 2000),)), start_ms)


SCRIPT = Script("en", (turn(0, "one two three"), turn(5000, "four five"), turn(10_000, "six")), 12_000)
"""The first two are whole; they end at 2 and at 7 s."""


def settled(*moments: tuple[float, str]) -> Heard:
    return Heard(100.0, 120.0, [(100 + at, words.split()) for at, words in moments])


def test_a_turn_is_settled_with_the_last_of_its_words() -> None:
    heard = settled((2.5, "one two"), (3.0, "one two three"), (9.0, "one two three four five"))
    assert list(settling_times(SCRIPT, heard)) == pytest.approx([1000, 2000])


def test_a_backlog_does_not_shift_words_to_the_next_turn() -> None:
    heard = settled((8.0, "one two"), (9.0, "one two tree four"), (9.5, "one two tree four five"))
    assert list(settling_times(SCRIPT, heard)) == pytest.approx([6000, 2500])


def test_what_was_never_settled_counts_until_nobody_waited_any_longer() -> None:
    assert list(settling_times(SCRIPT, settled((3.0, "one two three")))) == pytest.approx([1000, 13_000])
    assert list(settling_times(SCRIPT, settled())) == pytest.approx([18_000, 13_000])


def test_a_turn_of_which_nothing_was_understood_is_passed_over() -> None:
    assert list(settling_times(SCRIPT, settled((3.0, "wan"), (8.0, "wan four five")))) == pytest.approx([1000])


def test_short_utterances_wait_longer_for_what_follows() -> None:
    silences = Silences(short_ms=448, long_ms=256)
    regions = [(0, 1000), (1400, 2400), (2800, 3000), (4000, 4100)]
    assert list(utterances(regions, silences)) == [(0, 2400, 2656), (2800, 3000, 3448), (4000, 4100, 4548)]
    assert list(utterances([], silences)) == []
