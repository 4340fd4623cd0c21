"""Snippets and their highlights."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from servers.search.query import parsed
from servers.search.snippets import ELLIPSIS, MOST_CHARACTERS, Marker, Snippet


def shown(text: str, query: str) -> Snippet:
    return Marker(parsed(query)).snippet(text)


def marked(made: Snippet) -> list[str]:
    return [made.text[span.start : span.end] for span in made.highlights]


def test_a_short_text_is_whole_and_its_accents_are_kept() -> None:
    made = shown("Xin chào các bạn.", "xin chao")
    assert made.text == "Xin chào các bạn."
    assert marked(made) == ["Xin", "chào"]


def test_a_word_is_marked_where_it_is_spelt_as_asked_and_only_there() -> None:
    assert marked(shown("bán bạn bàn", "bạn")) == ["bạn"]
    assert marked(shown("bán bàn", "bạn")) == ["bán", "bàn"]


def test_a_phrase_is_marked_as_one_and_its_words_nowhere_else() -> None:
    text = "bạn của tôi, bạn thân của bạn tôi"
    assert marked(shown(text, '"bạn thân"')) == ["bạn thân"]
    assert marked(shown(text, '"ban than" tôi')) == ["tôi", "bạn thân", "tôi"]
    assert marked(shown(text, '"bạn thân" "thân của"')) == ["bạn thân của"]
    assert marked(shown(text, '"bàn thân"')) == []


def test_every_word_that_a_prefix_begins_is_marked() -> None:
    assert marked(shown("Nguyên và nguyễn, nguy hiểm, ngủ", "nguye*")) == ["Nguyên", "nguyễn"]
    assert marked(shown("Nguyên và nguyễn", "và nguyễ*")) == ["Nguyên", "và", "nguyễn"]


def test_offsets_count_code_points_beyond_the_first_plane() -> None:
    assert marked(shown("🎉🎉 chào 🎉 mừng", "chào mừng")) == ["chào", "mừng"]


def test_a_long_text_is_cut_at_words_around_most_of_the_matches() -> None:
    text = "mở đầu " * 100 + "hôm nay trời nắng đẹp " + "kết thúc " * 100
    made = shown(text, "trời nắng")
    assert len(made.text) <= MOST_CHARACTERS
    assert made.text.startswith(ELLIPSIS)
    assert made.text.endswith(ELLIPSIS)
    assert marked(made) == ["trời", "nắng"]
    assert all(
        word in ("mở", "đầu", "hôm", "nay", "trời", "nắng", "đẹp", "kết", "thúc")
        for word in made.text.strip(ELLIPSIS).split()
    )


@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_a_long_text_without_spaces_is_cut_between_words(form: str) -> None:
    text = unicodedata.normalize(form, "nước/" * 100 + "Huế/" * 20 + "nước/" * 100)
    for query, found in (("huế", {"Huế"}), ("nước", {"nước"}), ("gì", set())):
        made = shown(text, query)
        there = unicodedata.normalize("NFC", made.text.strip(ELLIPSIS)).strip("/").split("/")
        assert set(there) <= {"nước", "Huế"}
        assert {unicodedata.normalize("NFC", one) for one in marked(made)} == found
        assert len(marked(made)) == sum(one in found for one in there)


def test_a_long_text_without_a_match_shows_its_beginning() -> None:
    made = shown("một hai ba " * 100, "không có")
    assert made.text.startswith("một hai ba")
    assert made.highlights == ()


def test_a_match_longer_than_a_snippet_is_cut() -> None:
    made = shown("x" * 1000, "x" * 1000)
    assert len(made.text) <= MOST_CHARACTERS
    assert len(marked(made)) == 1


@given(st.text(alphabet="aáàbđ c.\n🎉", max_size=900), st.text(alphabet='aábd c"*', max_size=20))
def test_any_snippet_keeps_its_limits(text: str, query: str) -> None:
    made = shown(text, query)
    assert len(made.text) <= MOST_CHARACTERS
    assert made.text.strip(ELLIPSIS) in text
    end = 0
    for span in made.highlights:
        assert end <= span.start < span.end <= len(made.text)
        assert ELLIPSIS not in made.text[span.start : span.end]
        end = span.end
