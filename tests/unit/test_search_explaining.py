"""Which words of a question a text has."""

import pytest

from servers.search.explaining import MatchedWords, matched
from servers.search.query import parsed


@pytest.mark.parametrize(
    ("query", "text", "exact", "folded"),
    [
        ("xin chào", "Xin CHÀO Việt Nam", ("xin", "chào"), ()),
        ("xin chao", "Xin chào", ("xin",), ("chao",)),
        ("xín chao đi", "xin chào di", (), ("xín", "chao", "đi")),
        ("xin xin chao", "xin chào", ("xin",), ("chao",)),
        ("không có gì", "xin chào", (), ()),
        ('"xin chào" việt', "xin chào", ("xin", "chào"), ()),
        ("xin ch*", "xin chào", ("xin", "chào"), ()),
        ("xin ng*", "xin chào", ("xin",), ()),
        ("?!", "xin chào", (), ()),
    ],
)
def test_words_with_the_same_accents_and_with_others(
    query: str, text: str, exact: tuple[str, ...], folded: tuple[str, ...]
) -> None:
    assert matched(parsed(query), text) == MatchedWords(exact, folded)
