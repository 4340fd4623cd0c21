"""Whole texts: punctuation, questions, and all steps together."""

import time
import timeit
import unicodedata
from itertools import pairwise, repeat

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from servers.common.errors import FieldInvalid, TextTooLong
from servers.nlp import punctuation
from servers.nlp.accents import Lexicon
from servers.nlp.draft import ORDER, Draft, Step, applied
from servers.nlp.questions import is_question
from servers.nlp.refinement import DEFAULT_STEPS, Refiner, Request

SPEECH = """
hai mươi lăm nghìn tháng ba năm giờ rưỡi phần trăm ki lô mét hoà toi di hoc việt nam Tôi nguyễn văn an không gì , . ? …
😀 a\u0301 12 3,5 ß
"""
REFINER = Refiner(
    Lexicon({"toi": 1e-7, "tôi": 0.02, "đi": 0.02, "học": 0.01, "hai": 0.01, "mươi": 0.01}, [["đi", "học"]])
)
WORDS = st.sampled_from([*SPEECH.split(), "\n"])


def marked(text: str, language: str = "vi") -> str:
    draft = Draft(text)
    draft.change(Step.PUNCTUATION, punctuation.changes(text, language))
    return draft.text


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("tôi đi học", "tôi đi học."),
        ("bạn tên là gì", "bạn tên là gì?"),
        ("tuy nhiên tôi không đồng ý", "tuy nhiên, tôi không đồng ý."),
        ("trên thực tế nó đã chạy", "trên thực tế, nó đã chạy."),
        ("  xin   chào \t các bạn ", "xin chào các bạn."),
        ("Xin chào , tôi là Lan .", "Xin chào, tôi là Lan."),
        ("một\n\nhai ba.", "một\nhai ba."),
    ],
)
def test_spaces_and_marks(text: str, wanted: str) -> None:
    assert marked(text) == wanted


@pytest.mark.parametrize(
    "text",
    [
        "Vâng",
        "Xin chào, tôi là Lan",
        "tôi nói rằng",
        "Đi đâu?",
        "Giá 3,5 triệu.",
        "anh ấy nói “đi đi”",
        "Thật à…",
        "😀",
    ],
)
def test_a_text_that_has_marks_or_goes_on_gets_none(text: str) -> None:
    assert marked(text) == text


def test_other_languages_get_their_spaces_only() -> None:
    assert marked("bonjour  le monde", "fr") == "bonjour le monde"
    assert marked("where are you", "en") == "where are you?"
    assert marked("i am going to the", "en") == "i am going to the"


@pytest.mark.parametrize(
    "sentence",
    [
        "bạn đi đâu",
        "anh ăn cơm chưa",
        "có phải anh là lan không",
        "bao nhiêu người đã đến",
        "cầu thủ nào ghi bàn",
        "ai đã viết cuốn sách này",
        "bạn có biết bơi không",
        "anh mệt à",
    ],
)
def test_questions(sentence: str) -> None:
    assert is_question(sentence.split(), "vi")


@pytest.mark.parametrize(
    "sentence",
    [
        "tôi không biết tại sao",
        "một ngày nào đó tôi sẽ đi",
        "tôi không bao giờ quên",
        "không có gì",
        "anh ấy hỏi tôi đi đâu",
        "tôi không sao",
        "ừ",
    ],
)
def test_statements(sentence: str) -> None:
    assert not is_question(sentence.split(), "vi")


@pytest.mark.parametrize(
    ("sentence", "asks"),
    [("do you know", True), ("do not go", False), ("what a day", False), ("who is it", True), ("it is", False)],
)
def test_english_questions(sentence: str, asks: bool) -> None:
    assert is_question(sentence.split(), "en") is asks


def test_all_steps_together() -> None:
    refined = REFINER.refined(Request.checked("tôi hoà giải ngày mười lăm tháng ba ở hà nội"))
    assert refined.text == "Tôi hòa giải ngày 15/3 ở Hà Nội."
    assert refined.steps == list(ORDER)
    assert {edit.step for edit in refined.edits} == set(ORDER) - {Step.DIACRITICS}


def test_accents_come_before_everything_else() -> None:
    refined = REFINER.refined(Request.checked("toi di hoc hai muoi"))
    assert refined.text == "Tôi đi học 20."
    assert [edit.step for edit in refined.edits][-2:] == [Step.NUMBERS, Step.PUNCTUATION]


def test_what_whisper_wrote_well_stays_as_it_is() -> None:
    text = "Hôm nay trời đẹp. Bạn có đi chơi không? Ông Nam trả 3,5 triệu đồng, còn lại 20% để năm 2025."
    assert REFINER.refined(Request.checked(text)).edits == []


def test_without_a_lexicon_no_accents_are_promised() -> None:
    refined = Refiner(None).refined(Request.checked("toi di hoc"))
    assert (refined.text, Step.DIACRITICS in refined.steps) == ("Toi di hoc.", False)


@pytest.mark.parametrize(
    ("language", "steps"),
    [
        ("fr", [Step.TONE_PLACEMENT, Step.PUNCTUATION]),
        ("en-US", [Step.TONE_PLACEMENT, Step.PUNCTUATION, Step.CAPITALISATION]),
        ("VI", list(ORDER)),
    ],
)
def test_only_steps_that_a_language_has_rules_for_are_applied(language: str, steps: list[Step]) -> None:
    refined = REFINER.refined(Request.checked("cafe\u0301  noir", language))
    assert refined.steps == steps
    assert refined.text.lower().startswith("café noir")


@given(st.text(max_size=80), st.sets(st.sampled_from(ORDER)), st.sampled_from(["vi", "en", "fr"]))
@example("İi ŉ ǆ. ŉa ﬁ", set(), "en")
@example(".\u0301.", set(), "vi")
def test_the_edits_give_the_text_whatever_the_text(text: str, steps: set[Step], language: str) -> None:
    refined = REFINER.refined(Request(text, language, steps or DEFAULT_STEPS))
    assert applied(text, refined.edits) == refined.text


@given(st.lists(WORDS, min_size=1, max_size=25).map(" ".join))
def test_the_edits_give_the_text_of_speech(text: str) -> None:
    refined = REFINER.refined(Request(text))
    assert applied(text, refined.edits) == refined.text
    assert REFINER.refined(Request(text)) == refined, "the same request has the same answer"
    places = [(edit.start, edit.end) for edit in refined.edits]
    assert places == sorted(set(places))
    assert all(one[1] <= other[0] for one, other in pairwise(places))


@pytest.mark.parametrize("text", ["", " \n\t ", "\u3000"])
def test_an_empty_text_is_refused(text: str) -> None:
    with pytest.raises(FieldInvalid) as refused:
        Request.checked(text)
    assert refused.value.field == "text"


@pytest.mark.parametrize("text", ["a\x00b", "a\x1bb", "a\x85b", "\x7f"])
def test_control_characters_are_refused_and_named(text: str) -> None:
    with pytest.raises(FieldInvalid, match=r"U\+00"):
        Request.checked(text)


@pytest.mark.parametrize("text", ["a\tb\r\nc", "😀👍🏽", unicodedata.normalize("NFD", "Việt"), "\u202eabc", "\ufeffa"])
def test_other_characters_are_taken(text: str) -> None:
    assert Request.checked(text).text == text


@pytest.mark.parametrize("code", ["v", "vietnamese!", "vi_VN", "1", "vi-", "việt"])
def test_a_language_that_is_no_code_is_refused(code: str) -> None:
    with pytest.raises(FieldInvalid) as refused:
        Request.checked("a", code)
    assert refused.value.field == "language_code"


def test_steps_are_read_no_further_than_there_may_be() -> None:
    assert Request.checked("a", steps=repeat(Step.NUMBERS, 32)).steps == {Step.NUMBERS}
    endless = repeat(Step.NUMBERS)
    with pytest.raises(FieldInvalid, match="steps must not hold more than 32"):
        Request.checked("a", steps=endless)


def test_a_text_of_just_the_limit_is_taken_and_one_more_is_not() -> None:
    assert len(REFINER.refined(Request.checked("ạ" * 8192)).text) == 8192
    with pytest.raises(TextTooLong):
        Request.checked("ạ" * 8193)


@pytest.mark.parametrize(
    "unit", ["hai mươi ", "một ", "ba đến ", "tháng năm ", "năm năm ", "không phẩy ", "nguyễn văn ", ". ", "a.", "toi "]
)
def test_a_long_text_takes_time_in_proportion_to_its_length(unit: str) -> None:
    def took(characters: int) -> float:
        text = (unit * characters)[:characters]
        return min(timeit.repeat(lambda: REFINER.refined(Request(text)), timer=time.thread_time, number=1, repeat=3))

    assert took(8192) < 40 * max(took(1024), 0.002)
