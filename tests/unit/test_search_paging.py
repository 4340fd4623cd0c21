"""Tokens of pages."""

import base64

import pytest
from hypothesis import given as drawn
from hypothesis import strategies as st

from servers.common.errors import PageTokenInvalid
from servers.search import paging


@drawn(st.text(), st.lists(st.integers(0, 2**63 - 1), max_size=50))
def test_a_token_holds_the_marks_in_order(of: str, numbers: list[int]) -> None:
    marks = [paging.mark(number) for number in numbers]
    assert list(paging.given(of, paging.token(of, marks))) == marks


def test_no_token_is_the_first_page() -> None:
    assert paging.given("x", "") == ()


def test_the_longest_token_is_read_and_fits_a_header_of_http() -> None:
    token = paging.token("x", range(paging.MOST_GIVEN))
    assert len(paging.given("x", token)) == paging.MOST_GIVEN
    assert len(token) < 6_000
    longer = paging.token("x", range(paging.MOST_GIVEN + 3))
    with pytest.raises(PageTokenInvalid, match="is not a token"):
        paging.given("x", longer)


@drawn(st.text(max_size=200))
def test_any_text_is_refused_in_words(text: str) -> None:
    if text:
        with pytest.raises(PageTokenInvalid):
            paging.given("x", text)


def test_a_changed_token_is_refused() -> None:
    raw = base64.urlsafe_b64decode(paging.token("x", [1, 2, 3]) + "==")
    for place in range(len(raw)):
        changed = raw[:place] + bytes([raw[place] ^ 1]) + raw[place + 1 :]
        with pytest.raises(PageTokenInvalid, match="another request"):
            paging.given("x", base64.urlsafe_b64encode(changed).decode().rstrip("="))


@pytest.mark.parametrize(
    ("wanted", "depths"),
    [
        (1, [100, 250, 500, 1000]),
        (100, [100, 250, 500, 1000]),
        (101, [250, 500, 1000]),
        (1000, [1000]),
        (0, [100, 250, 500, 1000]),
    ],
)
def test_depths_begin_where_there_may_be_enough(wanted: int, depths: list[int]) -> None:
    assert list(paging.depths(wanted)) == depths
