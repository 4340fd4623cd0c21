"""How texts are compared: what does not count, and what does."""

import pytest

from bench.scoring import normalised, rates


@pytest.mark.parametrize(
    ("one", "other"),
    [("Hòa bình!", "hoà bình"), ("thủy", "thuỷ"), ("It's — fine.", "its fine"), ("ĐƯỜNG", "đường")],
)
def test_case_punctuation_and_tone_placement_do_not_count(one: str, other: str) -> None:
    assert normalised(one) == normalised(other)


@pytest.mark.parametrize(("one", "other"), [("ma", "má"), ("mơ", "mo"), ("đi", "di"), ("hoà", "hoá")])
def test_accents_do_count(one: str, other: str) -> None:
    assert normalised(one) != normalised(other)


def test_rates_are_over_all_words_together() -> None:
    scored = rates(["a b c d", "e f g h"], ["a b c d", "e f g x"])
    assert scored.wer == pytest.approx(1 / 8)
