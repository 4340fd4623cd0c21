"""Words and folding."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from servers.search.syllables import seem_vietnamese
from servers.search.words import cut, fold, forms_of, words


def test_words_are_spelt_in_lower_case_and_folded() -> None:
    assert [(word.spelt, word.folded) for word in words("Đường Nguyễn Huệ, số 12!")] == [
        ("đường", "duong"),
        ("nguyễn", "nguyen"),
        ("huệ", "hue"),
        ("số", "so"),
        ("12", "12"),
    ]


def test_offsets_are_those_of_the_text_composed_or_not() -> None:
    for form in ("NFC", "NFD"):
        text = unicodedata.normalize(form, "«Xin chào», Đà Nẵng")
        cut = [text[word.start : word.end] for word in words(text)]
        assert [unicodedata.normalize("NFC", word) for word in cut] == ["Xin", "chào", "Đà", "Nẵng"]


def test_composed_and_decomposed_text_have_the_same_words() -> None:
    composed, decomposed = (unicodedata.normalize(form, "tiếng Việt") for form in ("NFC", "NFD"))
    assert [word.spelt for word in words(composed)] == [word.spelt for word in words(decomposed)]


@given(st.text(max_size=200))
def test_any_text_has_clean_words_in_order(text: str) -> None:
    end = 0
    for word in words(text):
        assert end <= word.start < word.end <= len(text)
        assert not any(letter.isspace() or letter in "\"'\0():*^" for letter in word.spelt + word.folded)
        assert fold(text[word.start : word.end]) == word.folded
        end = word.end


@given(st.text(max_size=200))
def test_the_pieces_of_a_text_have_the_forms_of_its_words(text: str) -> None:
    forms = map(forms_of, cut(text))
    assert [both for both in forms if both[1]] == [(word.spelt, word.folded) for word in words(text)]


@pytest.mark.parametrize(
    ("query", "vietnamese"),
    [
        ("chieu nay troi se mua", True),
        ("nguyen van an o dau", True),
        ("dai hoc quoc gia ha noi", True),
        ("what is the weather like today", False),
        ("who wrote this book", False),
        ("machine learning", False),
        ("2024", False),
        ("", False),
    ],
)
def test_vietnamese_without_accents_is_told_by_its_syllables(query: str, vietnamese: bool) -> None:
    assert seem_vietnamese([word.folded for word in words(query)]) is vietnamese
