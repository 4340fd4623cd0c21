"""When a peer that tells no finals had settled what was said, and how other indexes are asked."""

import threading
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from bench.clips import Clip
from bench.peers import vector_indexes
from bench.peers.livekit import Heard, settling_times
from bench.peers.padded import Silences, utterances
from bench.peers.rounds import largest
from bench.scripts import Script, Turn
from bench.spread import Spread
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


def spreads(**p95: float) -> dict[int, Spread]:
    return {int(name[1:]): Spread(1, value, value, value) for name, value in p95.items()}


def test_the_most_speakers_of_a_peer_are_known_only_when_more_were_too_many() -> None:
    assert largest(spreads(n1=400, n2=450, n5=900), 500) == 2
    assert largest(spreads(n1=900), 500) == 0
    assert largest(spreads(n1=900, n2=400), 500) == 0
    assert largest(spreads(n1=400, n2=450), 500) is None
    assert largest({}, 500) is None


def test_an_index_is_asked_from_as_many_threads_as_are_told_and_with_one_effort() -> None:
    efforts: list[int] = []
    askers: set[int] = set()

    def asking(effort: int) -> vector_indexes.Ask:
        efforts.append(effort)

        def ask(question: vector_indexes.Matrix, count: int) -> Sequence[int]:
            askers.add(threading.get_ident())
            time.sleep(0.001)  # as those do that let other threads run meanwhile
            return list(range(count)) if effort >= 32 else []

        return ask

    questions, right = np.zeros((20, 4), np.float32), np.tile(np.arange(10), (20, 1))
    found = vector_indexes.measured(asking, questions, right, 0.95, threads=2)
    assert (found["effort"], found["recall_at_10"], found["qps_threads"]) == (32, 1.0, 2)
    assert efforts == [16, 24, 32]
    assert len(askers - {threading.get_ident()}) == 2
