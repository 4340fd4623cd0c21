"""What a typed query asks for."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from servers.search.query import Query, parsed
from servers.search.words import words


def phrases(query: Query) -> list[str]:
    return [" ".join(word.spelt for word in phrase) for phrase in query.phrases]


def spelt(query: Query) -> list[str]:
    return [word.spelt for word in query.words]


def test_words_without_signs_ask_for_nothing_else() -> None:
    asked = parsed("Xin chào, Việt Nam!")
    assert spelt(asked) == ["xin", "chào", "việt", "nam"]
    assert (asked.text, asked.phrases, asked.prefix) == ("Xin chào, Việt Nam!", (), None)


@pytest.mark.parametrize("quoted", ['"Việt Nam"', "“Việt Nam”", '"Việt, Nam"', '" việt  nam "'])
def test_what_is_in_quotes_is_a_phrase_and_its_words_count_as_words(quoted: str) -> None:
    asked = parsed(f"xin chào {quoted} nhé")
    assert phrases(asked) == ["việt nam"]
    assert spelt(asked) == ["xin", "chào", "việt", "nam", "nhé"]
    assert not {*'"“”'} & {*asked.text}


def test_several_phrases() -> None:
    assert phrases(parsed('"một hai" ba "bốn năm"')) == ["một hai", "bốn năm"]


@pytest.mark.parametrize(
    "query", ['"', 'xin "chào', "xin “chào", "”xin“", '""', '"?!"', "xin *", "*", "**", "a*", "à*"]
)
def test_signs_that_ask_for_nothing_are_no_error(query: str) -> None:
    asked = parsed(query)
    assert (asked.phrases, asked.prefix) == ((), None)
    assert spelt(asked) == [word.spelt for word in words(query)]
    assert asked.text


@pytest.mark.parametrize("form", ["NFC", "NFD"])
@pytest.mark.parametrize(
    ("query", "prefix"), [("nguy*", "nguy"), ("ông Nguyễ* ", "nguyễ"), ("đà*", "đà"), ("12*", "12")]
)
def test_a_star_behind_the_last_word_makes_a_prefix_of_it(query: str, prefix: str, form: str) -> None:
    asked = parsed(unicodedata.normalize(form, query))
    assert asked.prefix
    assert asked.prefix.spelt == prefix
    assert prefix not in spelt(asked)
    assert "*" not in asked.text


@pytest.mark.parametrize("query", ["nguy* văn", "nguy *", '"ông nguy*"', '"ông nguy"*', "nguy*."])
def test_a_star_anywhere_else_does_not(query: str) -> None:
    assert parsed(query).prefix is None


def test_a_phrase_and_a_prefix() -> None:
    asked = parsed('"ông già" nguy*')
    assert phrases(asked) == ["ông già"]
    assert asked.prefix
    assert asked.text == "ông già nguy"


def test_a_query_of_signs_only_is_empty() -> None:
    assert parsed('"?" *').empty
    assert not parsed("nguy*").empty


@pytest.mark.parametrize(
    ("query", "text", "allowed"),
    [
        ("chào", "gì cũng được", True),
        ('"xin chào"', "Xin, chào!", True),
        ('"xin chao"', "Xin chào", True),
        ('"xin chào"', "Xin chao", False),
        ('"xin cháo"', "Xin chào", False),
        ('"chào xin"', "xin chào", False),
        ('"xin bạn"', "xin chào bạn", False),
        ('"xin chào" "các bạn"', "xin chào bạn", False),
        ('"xin chào" "các bạn"', "các bạn xin chào", True),
        ('"dai hoc"', "Đại học", True),
    ],
)
def test_a_text_is_allowed_when_it_holds_every_phrase(query: str, text: str, allowed: bool) -> None:
    for form in ("NFC", "NFD"):
        assert parsed(query).allows(unicodedata.normalize(form, text)) is allowed


def test_a_prefix_is_completed_by_what_was_found() -> None:
    asked = parsed("ông nguy*")
    assert [word.spelt for word in asked.completed(tuple(words("có ông Nguyễn Nguyên")))] == ["ông", "nguyễn"]
    assert [word.spelt for word in asked.completed(())] == ["ông", "nguy"]


@given(st.text(max_size=200))
def test_no_text_is_an_error_and_no_word_gets_lost(query: str) -> None:
    asked = parsed(query)
    there = [word.start for word in words(query)]
    found = [word.start for word in asked.words] + ([asked.prefix.start] if asked.prefix else [])
    assert found == there
    assert all(word in asked.words for phrase in asked.phrases for word in phrase)


@given(st.text(alphabet='aáđ* "“”.', max_size=30))
def test_signs_anywhere(query: str) -> None:
    test_no_text_is_an_error_and_no_word_gets_lost.hypothesis.inner_test(query)
