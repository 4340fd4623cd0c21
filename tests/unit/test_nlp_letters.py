"""Accents, tone marks, capitals: letter by letter."""

import unicodedata
from pathlib import Path

import pytest

from mesh.models import accents as accents_file
from servers.nlp import accents, capitals, lexicon, tones
from servers.nlp.accents import Lexicon
from servers.nlp.draft import Change, Draft, Step
from servers.nlp.syllables import bare, has_vietnamese_letter, is_bare_syllable

LEXICON = Lexicon(
    {
        "tôi": 0.02,
        "tối": 0.001,
        "đi": 0.02,
        "học": 0.01,
        "việt": 0.003,
        "nam": 0.002,
        "năm": 0.01,
        "là": 0.03,
        "ở": 0.01,
    },
    [["việt", "nam"], ["đi", "học"]],
)


def changed(text: str, changes: list[Change]) -> str:
    draft = Draft(text)
    draft.change(Step.CAPITALISATION, changes)
    return draft.text


def capitalised(text: str, language: str = "vi") -> str:
    return changed(text, list(capitals.changes(text, language)))


@pytest.mark.parametrize(
    ("old", "modern"),
    [
        ("hoà", "hòa"),
        ("HOÀ", "HÒA"),
        ("khoẻ", "khỏe"),
        ("thuý", "thúy"),
        ("uỷ", "ủy"),
        ("hòan", "hoàn"),
        ("hùynh", "huỳnh"),
        ("xóay", "xoáy"),
        ("qúy", "quý"),
        (unicodedata.normalize("NFD", "Việt"), "Việt"),
    ],
)
def test_the_tone_mark_has_its_modern_place(old: str, modern: str) -> None:
    assert tones.placed(old) == modern


@pytest.mark.parametrize("word", ["quý", "hoàn", "huỳnh", "hòa", "toán", "quả", "người", "của", "Oáp", "mùa", "tuần"])
def test_a_word_that_is_spelt_well_stays(word: str) -> None:
    assert tones.placed(word) == word


def test_other_languages_keep_their_spelling_and_get_composed_letters() -> None:
    text = unicodedata.normalize("NFD", "café") + " hoà"
    assert changed(text, list(tones.composed(text))) == "café hoà"


@pytest.mark.parametrize("word", ["nguyen", "giuong", "quyet", "khuya", "gi", "ngoeo", "xuong", "a", "y"])
def test_syllables(word: str) -> None:
    assert is_bare_syllable(word)


@pytest.mark.parametrize("word", ["the1", "friend", "school", "string", "w", "jazz", "ngng", ""])
def test_what_is_no_syllable(word: str) -> None:
    assert not is_bare_syllable(word)


def test_accents_go_and_are_noticed() -> None:
    assert bare("Đường Nguyễn Trãi") == "Duong Nguyen Trai"
    assert has_vietnamese_letter("đi")
    assert has_vietnamese_letter("ma" + "\u0300")
    assert not has_vietnamese_letter("di")


def test_accents_come_back_by_words_of_the_dictionary_and_by_the_commonest_syllable() -> None:
    text = "Toi di hoc o Viet Nam nam nay"
    assert changed(text, list(accents.changes(text, LEXICON))) == "Tôi đi học ở Việt Nam năm nay"


@pytest.mark.parametrize(
    "text",
    [
        "tôi di hoc",
        "toi di",
        "the weather is fine",
        "i will go to school after this",
        "12 34 56",
        "toi xyz brrr school street",
    ],
)
def test_a_text_with_accents_or_in_another_language_or_too_short_is_left_alone(text: str) -> None:
    assert list(accents.changes(text, LEXICON)) == []


def test_unknown_words_stay_among_those_that_are_known() -> None:
    assert LEXICON.restored(["toi", "brrr", "hoc"]) == ["tôi", "brrr", "học"]


def test_the_file_of_words_is_read_as_it_is_written(tmp_path: Path) -> None:
    shares = {"hoà": 0.01, "toi": 1e-5, "tôi": 0.02, "abc1": 0.5, "school": 0.1}
    lines = accents_file.lines(shares, ["Hoà bình", "rất", "a b c d e", "x-quang máy"])
    (tmp_path / lexicon.FILE).write_text("\n".join(lines), encoding="utf-8")
    read = lexicon.read(tmp_path)
    assert read.restored(["hoa", "binh"]) == ["hòa", "bình"]
    assert read.restored(["toi", "rat"]) == ["tôi", "rất"]
    assert read.spelling(("school",)) is None
    assert read.restored(["viet", "nam"]) == ["việt", "nam"], "our own names are among the words"


def test_a_file_that_is_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / lexicon.FILE).write_text("tôi\n", encoding="utf-8")
    with pytest.raises(ValueError, match="without a share"):
        lexicon.read(tmp_path)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("xin chào. tôi là lan", "Xin chào. Tôi là lan"),
        ("đi đâu? “về nhà.” anh nói", "Đi đâu? “Về nhà.” Anh nói"),
        ("tôi ở hà nội, việt nam", "Tôi ở Hà Nội, Việt Nam"),
        ("ông trần văn bình nói tiếng anh", "Ông Trần Văn Bình nói tiếng Anh"),
        ("nguyễn thị mai", "Nguyễn Thị Mai"),
        ("người nhật đến châu âu", "Người Nhật đến châu Âu"),
        ("các nước asean", "Các nước ASEAN"),
        ("tỉnh hòa bình", "Tỉnh Hòa Bình"),
    ],
)
def test_sentences_and_names_begin_with_capitals(text: str, wanted: str) -> None:
    assert capitalised(text) == wanted


@pytest.mark.parametrize(
    "text",
    [
        "và Lan đi về nhà.",
        "Anh ấy ở tp. hồ, tôi nghĩ vậy… nhưng không chắc",
        "Họ muốn hòa bình",
        "Trần nhà cao ba mét",
        "Liên hợp quốc họp",
        "Ngày 3.5 tôi đi",
        "Tiếng anh ấy nói",
        "Xây dựng nhà nước pháp quyền",
        "Giao lưu văn hóa và quản lý thị trường",
    ],
)
def test_what_may_be_meant_so_stays_small(text: str) -> None:
    assert capitalised(text) == text


def test_english_says_i() -> None:
    assert capitalised("you and i know. i'm here, i.e. there", "en") == "You and I know. I'm here, i.e. there"


@pytest.mark.parametrize("text", ["ßa", "ŉa", "ﬁn"])
def test_letters_without_one_capital_stay(text: str) -> None:
    assert capitalised(text, "en") == text
