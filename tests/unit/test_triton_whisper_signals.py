"""Whisper's pure parts: what audio is taken, what counts as a loop, when words were spoken."""

import numpy as np
import pytest

from loops import compression_ratio, is_looping, repeats_at_end
from waveform import SAMPLE_RATE, UnusableRequest, check, context_seconds
from words import Piece, time_words


@pytest.mark.parametrize(
    ("samples", "complaint"),
    [
        (np.zeros(0, np.float32), "empty"),
        (np.zeros(30 * SAMPLE_RATE + 1, np.float32), "at most 30 s"),
        (np.array([0.0, np.nan], np.float32), "not numbers"),
        (np.array([0.0, -np.inf], np.float32), "not numbers"),
        (np.array([0.0, 20_000.0], np.float32), "1/32768"),
        (np.zeros((2, 16), np.float32), "one dimension"),
    ],
)
def test_unusable_audio_is_refused_with_the_reason(samples: np.ndarray, complaint: str) -> None:
    with pytest.raises(UnusableRequest, match=complaint):
        check(samples)


def test_thirty_seconds_and_clipped_speech_are_taken() -> None:
    check(np.full(30 * SAMPLE_RATE, 1.2, np.float32))


@pytest.mark.parametrize(("seconds", "context"), [(0.1, 8), (6.0, 8), (6.1, 9), (10.5, 13), (28.0, 30), (30.0, 30)])
def test_the_encoder_sees_more_than_the_clip_up_to_thirty_seconds(seconds: float, context: int) -> None:
    assert context_seconds(round(seconds * SAMPLE_RATE)) == context


def test_prose_does_not_loop() -> None:
    text = "Nuôi con theo phong cách Do Thái, không chỉ tốt cho đứa trẻ, mà còn tốt cho cả các bậc cha mẹ."
    assert compression_ratio(text) < 2.4
    assert not is_looping(text, [3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5, 8, 9, 7, 9, 3])
    assert compression_ratio("") == 0.0


def test_a_text_that_compresses_too_well_loops() -> None:
    assert is_looping("Lobsters and lobsters " * 8, [])


@pytest.mark.parametrize(
    ("tokens", "loops"),
    [
        ([9, 9, 9, 9], False),  # "no no no no" is said
        ([1, 2, 3] + [7, 8] * 5, True),
        ([1, 2, 3] + [7, 8] * 5 + [7], True),  # cut in the middle of the phrase
        ([5] * 12, True),
        (list(range(20)) * 2, False),
        (list(range(20)) * 3, True),
        ([7, 8] * 5 + [1], False),  # it went on
        ([], False),
    ],
)
def test_a_phrase_said_over_and_over_at_the_end_is_a_loop(tokens: list[int], loops: bool) -> None:
    assert repeats_at_end(tokens) is loops


def path(*starts: int, end: int) -> list[tuple[int, int]]:
    """An alignment in which token i begins at position starts[i] and the end of the text at `end`."""
    bounds = [*starts, end, end + 1]
    return [
        (token, position) for token in range(len(bounds) - 1) for position in range(bounds[token], bounds[token + 1])
    ]


def test_words_take_their_tokens_times_and_mean_probability() -> None:
    pieces = [Piece(" xin", 1), Piece(" chào", 2), Piece(".", 1)]
    words = time_words(pieces, [0.9, 0.8, 0.4, 0.1], path(5, 20, 30, 45, end=50), 2.0)
    assert [(word.text, word.start, word.end) for word in words] == [("xin", 0.1, 0.4), ("chào.", 0.4, 0.9)]
    assert [word.probability for word in words] == pytest.approx([0.9, 0.6])


def test_opening_marks_go_to_the_word_behind_them_and_closing_ones_to_the_word_before() -> None:
    pieces = [Piece(" nói", 1), Piece(' "', 1), Piece("đi", 1), Piece('"', 1), Piece("!", 1)]
    words = time_words(pieces, [1.0] * 5, path(0, 10, 12, 22, 24, end=26), 1.0)
    assert [word.text for word in words] == ["nói", '"đi"!']


def test_words_of_marks_alone_still_come_out() -> None:
    assert [word.text for word in time_words([Piece("...", 1)], [0.2], path(0, end=10), 1.0)] == ["..."]
    assert time_words([Piece(' "', 1)], [0.2], path(0, end=10), 1.0) == []


def test_silence_is_taken_away_from_the_first_word_and_from_one_after_a_pause() -> None:
    pieces = [Piece(f" từ{i}", 1) for i in range(5)]
    words = time_words(pieces, [1.0] * 5, path(0, 100, 110, 120, 300, end=310), 10.0)
    assert (words[0].start, words[0].end) == pytest.approx((1.6, 2.0))
    assert (words[3].start, words[3].end) == pytest.approx((5.2, 6.0))
    assert [word.start for word in words] == sorted(word.start for word in words)


def test_no_word_ends_after_the_audio() -> None:
    words = time_words([Piece(" a", 1), Piece(" b", 1)], [1.0, 1.0], path(0, 40, end=90), 1.0)
    assert words[-1].end == 1.0
