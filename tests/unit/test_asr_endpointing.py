"""Endpointing: probabilities of windows in, changes out."""

from servers.asr.audio import samples
from servers.asr.endpointing import WINDOW, Change, Ended, Endpointer, EndpointRules, Paused, Resumed, Started

RULES = EndpointRules(min_speech_ms=96, pause_ms=192, silence_ms=512, max_utterance_ms=3_200, cut_search_ms=640)


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


def test_endless_speech_is_cut_at_its_quietest_window_and_goes_on_there() -> None:
    got = changes(Endpointer(RULES), (0.9, 90), (0.5, 1), (0.9, 9))
    assert got[-2:] == [Ended(0, 91 * WINDOW), Started(91 * WINDOW)]
    assert samples(RULES.max_utterance_ms) == 100 * WINDOW


def test_force_end_ends_here_while_somebody_speaks() -> None:
    endpointer = Endpointer(RULES)
    changes(endpointer, (0.9, 10))
    assert list(endpointer.force_end()) == [Ended(0, 10 * WINDOW)]
    assert list(endpointer.force_end()) == []
