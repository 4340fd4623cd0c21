"""Segments cut into subtitle cues."""

import itertools
import re

from hypothesis import given
from hypothesis import strategies as st

from servers.metadata.cues import LINE_LENGTH, Cue, cues, plain
from servers.metadata.transcripts import Segment, Word

LONG = (
    "Hôm nay, Hà Nội có mưa rào và dông vài nơi, nhiệt độ thấp nhất hai mươi ba độ. "
    "Ngày mai trời nắng, gió nhẹ, thích hợp cho các hoạt động ngoài trời của bà con."
)


def segment(text: str, start_ms: int = 0, end_ms: int = 10_000, words: tuple[Word, ...] = ()) -> Segment:
    return Segment(0, text, start_ms, end_ms, "vi", 0.9, words)


def spoken(text: str, ms: int = 100) -> tuple[Word, ...]:
    """Each word `ms` long, one after another."""
    return tuple(Word(word, at * ms, at * ms + ms, 0.9) for at, word in enumerate(text.split()))


def test_a_short_segment_is_one_cue_of_one_line() -> None:
    assert list(cues(segment("Xin chào.", 1200, 2500))) == [Cue(1200, 2500, ("Xin chào.",))]


def test_a_longer_one_has_two_even_lines() -> None:
    (cue,) = cues(segment("xin chào các bạn, hôm nay trời đẹp và tôi đi học"))
    assert cue.lines == ("xin chào các bạn, hôm nay", "trời đẹp và tôi đi học")


def test_a_long_one_is_cut_after_punctuation_by_word_times() -> None:
    assert list(cues(segment(LONG, 0, 4000, spoken(LONG)))) == [
        Cue(0, 1900, ("Hôm nay, Hà Nội có mưa rào và dông vài", "nơi, nhiệt độ thấp nhất hai mươi ba độ.")),
        Cue(1900, 4000, ("Ngày mai trời nắng, gió nhẹ, thích hợp", "cho các hoạt động ngoài trời của bà con.")),
    ]


def test_a_pause_between_cues_is_left_empty() -> None:
    words = spoken(LONG)
    late = tuple(Word(word.text, word.start_ms + 5000, word.end_ms + 5000, 1.0) for word in words[19:])
    first, second = cues(segment(LONG, 0, 10_000, words[:19] + late))
    assert (first.end_ms, second.start_ms) == (1900, 6900)


def test_words_that_are_not_the_text_are_not_used() -> None:
    shown = list(cues(segment(LONG, 0, 10_000, spoken("một hai ba bốn"))))
    assert " ".join(line for cue in shown for line in cue.lines) == LONG
    assert shown[0].end_ms > 1000


def test_words_without_blanks_between_them() -> None:
    text = "今天天气很好我们去公园玩吧" * 8
    words = tuple(Word(character, at * 50, at * 50 + 50, 1.0) for at, character in enumerate(text))
    shown = list(cues(segment(text, 0, len(text) * 50, words)))
    assert "".join(line for cue in shown for line in cue.lines) == text
    assert all(cue.end_ms - cue.start_ms <= 2 * LINE_LENGTH * 50 for cue in shown)


def test_one_endless_word_is_cut_but_no_letter_is_parted_from_its_marks() -> None:
    text = "e\u0302\u0323" * 50
    shown = [line for cue in cues(segment(text)) for line in cue.lines]
    assert "".join(shown) == text
    assert all(line[0] == "e" for line in shown)


def test_plain_text_has_no_line_breaks_and_no_control_characters() -> None:
    assert plain(" a\n\nb\u2028c\x1bd\x85 ") == "a b cd"


def test_nothing_visible_makes_no_cue() -> None:
    assert list(cues(segment("\x1b\x02"))) == []


def test_a_segment_without_length_still_shows() -> None:
    assert list(cues(segment("A", 5, 5))) == [Cue(5, 6, ("A",))]


WORDS = st.lists(st.text("aăâ.,!ềộ", min_size=1, max_size=60), min_size=1, max_size=60)
TIMES = st.lists(st.integers(0, 20_000), min_size=60, max_size=60)


@given(WORDS, TIMES, st.integers(0, 5000), st.integers(0, 20_000), st.booleans())
def test_whatever_the_words_are(written: list[str], times: list[int], start: int, length: int, timed: bool) -> None:
    text = " ".join(written)
    words = tuple(Word(word, at, at + 200, 1.0) for word, at in zip(written, sorted(times), strict=False))
    shown = list(cues(segment(text, start, start + length, words if timed else ())))
    assert all(1 <= len(cue.lines) <= 2 and all(0 < len(line) <= LINE_LENGTH for line in cue.lines) for cue in shown)
    assert re.sub(r"\s", "", "".join(line for cue in shown for line in cue.lines)) == re.sub(r"\s", "", text)
    assert all(cue.start_ms < cue.end_ms for cue in shown)
    assert all(before.end_ms <= after.start_ms for before, after in itertools.pairwise(shown))
    assert shown[0].start_ms >= start
