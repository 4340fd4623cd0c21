"""Page tokens and sizes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from servers.common.errors import PageTokenInvalid
from servers.metadata import pages

LIST = ("segments", "acme", "t-1")


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1))
def test_a_token_gives_its_place_back(place: str) -> None:
    assert pages.place(LIST, pages.token(LIST, place)) == place


def test_no_token_is_the_first_page() -> None:
    assert pages.place(LIST, "") is None


@pytest.mark.parametrize(
    "other", [("recordings", "acme", "t-1"), ("segments", "beta", "t-1"), ("segments", "acme", "t-2"), ("segments",)]
)
def test_a_token_of_another_list_is_refused(other: tuple[str, ...]) -> None:
    with pytest.raises(PageTokenInvalid, match="another list"):
        pages.place(LIST, pages.token(other, "7"))


@pytest.mark.parametrize("token", ["!", "a", "YWJj", "ééé", "=" * 8, "A" * 12, "\x00", pages.token(LIST, "7")[:-2]])
def test_a_token_of_nobody_is_refused(token: str) -> None:
    with pytest.raises(PageTokenInvalid):
        pages.place(LIST, token)


def test_a_token_hides_its_place() -> None:
    assert "2026" not in pages.token(LIST, "2026-11-24")


@pytest.mark.parametrize(("asked", "size"), [(0, 50), (1, 1), (1000, 1000), (1001, 1000), (2**32 - 1, 1000)])
def test_sizes(asked: int, size: int) -> None:
    assert pages.size(asked, 50) == size


def test_only_a_page_with_a_successor_has_a_token() -> None:
    assert pages.page(["a", "b"], 2, LIST, str) == pages.Page(["a", "b"], "")
    assert pages.page([], 2, LIST, str) == pages.Page([], "")
    first = pages.page(["a", "b", "c"], 2, LIST, str)
    assert first.items == ["a", "b"]
    assert pages.place(LIST, first.next_token) == "b"
