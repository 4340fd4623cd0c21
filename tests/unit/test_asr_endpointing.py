"""Endpointing: probabilities of windows in, changes out."""

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from servers.asr.audio import samples
from servers.asr.endpointing import WINDOW, Change, Ended, Endpointer, EndpointRules, Paused, Resumed, Started

RULES = EndpointRules(
    min_speech_ms=96,
    pause_ms=192,
    silence_ms=512,
    long_utterance_ms=1_600,
    long_utterance_silence_ms=256,
    max_utterance_ms=3_200,
    cut_search_ms=640,
)


def changes(endpointer: Endpointer, *runs: tuple[float, int]) -> list[Change]:
    """Feed runs of (probability, windows)."""
    return [change for p, count in runs for _ in range(count) for change in endpointer.window(p)]


def test_speech_and_silence_make_one_utterance() -> None:
    got = changes(Endpointer(RULES), (0.0, 10), (0.9, 20), (0.0, 16))
    assert got == [Started(10 * WINDOW), Paused(10 * WINDOW, 30 * WINDOW), Ended(10 * WINDOW, 30 * WINDOW)]


def test_a_click_is_no_speech() -> None:
    assert changes(Endpointer(RULES), (0.0, 5), (0.9, 2), (0.0, 30)) == []


def test_a_short_pause_does_not_end_the_utterance() -> None:
    got = changes(Endpointer(RULES), (0.9, 10), (0.0, 8), (0.9, 10))
    assert got == [Started(0), Paused(0, 10 * WINDOW), Resumed()]


def test_hysteresis_keeps_soft_speech() -> None:
    assert changes(Endpointer(RULES), (0.9, 5), (0.4, 40)) == [Started(0)]


def test_after_a_pause_soft_sounds_do_not_resume() -> None:
    got = changes(Endpointer(RULES), (0.9, 5), (0.0, 6), (0.4, 20))
    assert got[-1] == Ended(0, 5 * WINDOW)


# How long a silence has to be.


def windows_until(kind: type[Change], rules: EndpointRules, spoken: int) -> int:
    """How many silent windows after so many spoken ones it takes until a change of this kind."""
    endpointer = Endpointer(rules)
    changes(endpointer, (0.9, spoken))
    return next(n for n in range(1, 1_000) if any(isinstance(c, kind) for c in changes(endpointer, (0.0, 1))))


@pytest.mark.parametrize("spoken", [10, 60])
@pytest.mark.parametrize("pause_ms", [64, 128, 192])
def test_the_pause_is_told_after_its_time_whatever_the_length(spoken: int, pause_ms: int) -> None:
    assert windows_until(Paused, replace(RULES, pause_ms=pause_ms), spoken) == pause_ms // 32


@pytest.mark.parametrize(
    ("spoken", "silence_ms", "long_ms", "ends_after"),
    [
        (49, 512, 256, 16),  # a short one waits for the whole silence
        (50, 512, 256, 8),  # 1600 ms are long
        (49, 960, 256, 30),
        (50, 960, 256, 8),
        (50, 512, 512, 16),
    ],
)
def test_long_utterances_end_sooner(spoken: int, silence_ms: int, long_ms: int, ends_after: int) -> None:
    rules = replace(RULES, silence_ms=silence_ms, long_utterance_silence_ms=long_ms)
    assert windows_until(Ended, rules, spoken) == ends_after


def test_the_length_that_counts_is_that_of_the_speech_without_the_pause() -> None:
    got = changes(Endpointer(RULES), (0.9, 45), (0.0, 12))
    assert not any(isinstance(change, Ended) for change in got)


def test_pause_and_end_may_fall_together() -> None:
    rules = replace(RULES, pause_ms=512)
    got = changes(Endpointer(rules), (0.9, 10), (0.0, 16))
    assert got == [Started(0), Paused(0, 10 * WINDOW), Ended(0, 10 * WINDOW)]


# Endless speech.


def test_endless_speech_is_cut_at_its_quietest_window_and_goes_on_there() -> None:
    got = changes(Endpointer(RULES), (0.9, 90), (0.5, 1), (0.9, 9))
    assert got[-2:] == [Ended(0, 91 * WINDOW), Started(91 * WINDOW)]
    assert samples(RULES.max_utterance_ms) == 100 * WINDOW


def test_silence_after_a_cut_ends_what_goes_on() -> None:
    endpointer = Endpointer(RULES)
    changes(endpointer, (0.9, 90), (0.5, 1), (0.9, 9))
    assert changes(endpointer, (0.0, 16))[-1] == Ended(91 * WINDOW, 100 * WINDOW)
    assert not endpointer.speaking


@pytest.mark.parametrize("max_ms", [2_000, 3_200, 27_000])
def test_a_cut_goes_forward_even_when_little_speech_is_allowed(max_ms: int) -> None:
    rules = EndpointRules(max_utterance_ms=max_ms)
    got = changes(Endpointer(rules), (0.9, 30), (0.5, 1), (0.9, 4 * max_ms // 32))
    ends = [change for change in got if isinstance(change, Ended)]
    assert len(ends) >= 3
    for ended in ends:
        assert samples(max_ms) // 2 <= ended.end - ended.start <= samples(max_ms)
    assert [ended.start for ended in ends[1:]] == [ended.end for ended in ends[:-1]]


# Forced ends.


def test_force_end_ends_here_while_somebody_speaks() -> None:
    endpointer = Endpointer(RULES)
    changes(endpointer, (0.9, 10))
    assert list(endpointer.force_end()) == [Ended(0, 10 * WINDOW)]
    assert list(endpointer.force_end()) == []


def test_force_end_in_a_pause_ends_where_the_pause_began() -> None:
    endpointer = Endpointer(RULES)
    changes(endpointer, (0.9, 10), (0.0, 7))
    assert list(endpointer.force_end()) == [Ended(0, 10 * WINDOW)]


def test_force_end_forgets_a_sound_that_might_have_become_speech() -> None:
    endpointer = Endpointer(RULES)
    changes(endpointer, (0.9, 2))
    assert list(endpointer.force_end()) == []
    assert changes(endpointer, (0.9, 3)) == [Started(2 * WINDOW)]


# Resumed sessions.


def test_a_session_that_is_resumed_counts_from_where_its_audio_begins() -> None:
    endpointer = Endpointer(RULES, position=1_000 * WINDOW)
    assert endpointer.position == 1_000 * WINDOW
    got = changes(endpointer, (0.0, 5), (0.9, 20), (0.0, 16))
    assert got[0] == Started(1_005 * WINDOW)
    assert got[-1] == Ended(1_005 * WINDOW, 1_025 * WINDOW)


def test_what_was_settled_before_is_heard_as_silence() -> None:
    endpointer = Endpointer(RULES, position=100 * WINDOW, deaf_before=116 * WINDOW)
    assert changes(endpointer, (0.9, 16)) == []
    assert endpointer.start is None
    assert endpointer.position == 116 * WINDOW
    assert changes(endpointer, (0.9, 3)) == [Started(116 * WINDOW)]


# Whatever is said.

PROBABILITIES = st.lists(st.tuples(st.sampled_from([0.0, 0.2, 0.4, 0.6, 0.95]), st.integers(1, 40)), max_size=30)


@given(PROBABILITIES, st.sampled_from([2_000, 3_200, 5_000]), st.sampled_from([192, 512]))
def test_utterances_follow_each_other_and_have_a_length(
    runs: list[tuple[float, int]], max_ms: int, pause_ms: int
) -> None:
    endpointer = Endpointer(replace(RULES, max_utterance_ms=max_ms, pause_ms=pause_ms, long_utterance_silence_ms=512))
    got = [*changes(endpointer, *runs), *endpointer.force_end()]
    bounds = [change for change in got if isinstance(change, Started | Ended)]
    assert all(isinstance(change, Started if n % 2 == 0 else Ended) for n, change in enumerate(bounds))
    edges = [change.start if isinstance(change, Started) else change.end for change in bounds]
    assert all(before <= after for before, after in pairwise(edges))
    lengths = [ended.end - ended.start for ended in bounds if isinstance(ended, Ended)]
    assert all(0 < length < samples(max_ms) + WINDOW for length in lengths)
    paused = False
    for change in got:
        assert not (isinstance(change, Resumed) and not paused)
        paused = isinstance(change, Paused)
