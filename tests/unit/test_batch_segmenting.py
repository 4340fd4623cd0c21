"""How what was heard is cut into segments."""

import random

import pytest

from servers.asr.batch.segmenting import LONGEST_CHARACTERS, LONGEST_MS, PAUSE_MS, is_whole, passages
from servers.asr.results import TimedWord


def spoken(text: str, word_ms: int = 300, gap_ms: int = 20, pauses: dict[int, int] | None = None) -> list[TimedWord]:
    """The words of a text at a steady pace; `pauses`: silence behind the word of that place, counted from 1."""
    words, now = [], 0
    for place, word in enumerate(text.split(), 1):
        words.append(TimedWord(word, now, now + word_ms, 0.5))
        now += word_ms + gap_ms + (pauses or {}).get(place, 0)
    return words


def texts(text: str, words: list[TimedWord]) -> list[str]:
    return [passage.text for passage in passages(text, words)]


def test_nothing_heard_is_no_segment() -> None:
    assert passages("", []) == []


def test_a_sentence_is_a_segment() -> None:
    text = "Hôm nay trời rất đẹp. Chúng ta cùng đi chơi nhé?"
    assert texts(text, spoken(text)) == ["Hôm nay trời rất đẹp.", "Chúng ta cùng đi chơi nhé?"]


def test_a_segment_has_the_times_and_the_confidence_of_its_words() -> None:
    text = "Hôm nay trời rất đẹp. Chúng ta cùng đi chơi nhé?"
    second = passages(text, spoken(text))[1]
    assert (second.start_ms, second.end_ms, second.confidence) == (1600, 3500, 0.5)
    assert [word.text for word in second.words] == text.split()[5:]


def test_a_full_stop_before_a_small_letter_ends_nothing() -> None:
    text = "Ông ở TP. hồ chí minh năm ngoái."
    assert texts(text, spoken(text)) == [text]


def test_a_pause_ends_a_segment() -> None:
    text = "hôm nay trời rất đẹp chúng ta cùng đi"
    assert texts(text, spoken(text, pauses={5: PAUSE_MS})) == ["hôm nay trời rất đẹp", "chúng ta cùng đi"]


def test_a_short_answer_goes_with_its_neighbour_unless_there_is_a_pause() -> None:
    text = "Vâng. Tôi biết điều đó từ lâu rồi."
    assert texts(text, spoken(text)) == [text]
    assert texts(text, spoken(text, pauses={1: 900})) == ["Vâng.", "Tôi biết điều đó từ lâu rồi."]


def test_a_long_sentence_is_cut_at_a_breath() -> None:
    text = "khi chúng tôi đến nơi thì trời đã bắt đầu tối rồi, cho nên mọi người quyết định ở lại đó thêm một đêm nữa."
    assert texts(text, spoken(text, word_ms=200)) == [text[: text.index(",") + 1], text[text.index(",") + 2 :]]


def test_languages_without_spaces_stay_without_them() -> None:
    words = [
        TimedWord(word, place * 300, place * 300 + 280, 0.5) for place, word in enumerate(("今天", "天气", "很好。"))
    ]
    assert [passage.text for passage in passages("今天天气很好。", words)] == ["今天天气很好。"]


def test_words_that_the_text_lacks_are_put_between_spaces() -> None:
    assert texts("something else", spoken("xin chào bạn")) == ["xin chào bạn"]


@pytest.mark.parametrize("seed", range(30))
def test_every_word_is_in_one_segment_and_every_segment_fits_a_screen(seed: int) -> None:
    random_ = random.Random(seed)
    vocabulary = ["xin", "chào", "các", "bạn,", "nghiêng", "ngả.", "không?", "Một", "và"]
    text = " ".join(random_.choice(vocabulary) for _ in range(random_.randrange(1, 120)))
    pauses = {random_.randrange(1, 100): random_.randrange(2000) for _ in range(10)}
    words = spoken(text, word_ms=random_.randrange(80, 700), pauses=pauses)
    found = passages(text, words)
    assert [word for passage in found for word in passage.words] == words
    assert " ".join(passage.text for passage in found) == text
    for passage in found:
        assert passage.end_ms - passage.start_ms <= LONGEST_MS
        assert len(passage.text) <= LONGEST_CHARACTERS


def test_pieces_of_a_sentence_that_is_too_long_are_not_whole() -> None:
    text = (
        "Hôm qua trời vẫn còn rất đẹp. "
        "Khi mưa kéo dài suốt ba ngày liền trên khắp các tỉnh miền trung nước sông lại dâng lên rất nhanh "
        "và tràn qua các con đê. Ai cũng lo cho nhà mình."
    )
    found = passages(text, spoken(text))
    assert [is_whole(found, place) for place in range(len(found))] == [True, False, False, True]


def test_a_pause_ends_a_sentence_without_a_full_stop() -> None:
    text = "hôm nay trời rất đẹp chúng ta cùng đi"
    found = passages(text, spoken(text, pauses={5: PAUSE_MS}))
    assert [is_whole(found, place) for place in (0, 1)] == [True, True]
