"""Which indexes are open: never two of the same, and no more than there may be."""

from collections.abc import Iterator

import pytest

from servers.search.open_indexes import OpenIndexes


@pytest.fixture
def few() -> Iterator[OpenIndexes[str, list[str]]]:
    """Room for two; nobody uses any at the end."""
    few = OpenIndexes[str, list[str]](lambda name: [name], 2)
    yield few
    assert not few._users


def use(few: OpenIndexes[str, list[str]], *names: str) -> None:
    for name in names:
        with few.using(name) as index:
            assert index == [name]


def test_the_one_unused_for_longest_is_closed(few: OpenIndexes[str, list[str]]) -> None:
    use(few, "a", "b", "a", "c")
    assert few.names() == ["a", "c"]


def test_what_is_in_use_stays_open(few: OpenIndexes[str, list[str]]) -> None:
    with few.using("a") as index:
        use(few, "b", "c", "d")
        with few.using("a") as again:
            assert again is index
        use(few, "b", "c")
        assert few.names() == ["a", "c"], "who uses it twice uses it still"
    use(few, "b", "d")
    assert few.names() == ["b", "d"]


def test_where_all_are_in_use_there_is_one_more(few: OpenIndexes[str, list[str]]) -> None:
    with few.using("a"), few.using("b"), few.using("c"):
        assert len(few) == 3
    use(few, "d")
    assert "d" in few.names()


def test_to_look_at_what_is_open_opens_nothing(few: OpenIndexes[str, list[str]]) -> None:
    with few.using_if_open("a") as index:
        assert index is None
    use(few, "a", "b")
    with few.using_if_open("a") as index:
        assert index == ["a"]
        use(few, "c")
        assert few.names() == ["a", "c"], "it was in use"
    use(few, "d")
    assert few.names() == ["c", "d"], "to have looked at it was no use of it"


def test_who_fails_has_left(few: OpenIndexes[str, list[str]]) -> None:
    for using in (few.using, few.using_if_open):
        with pytest.raises(OSError, match="full"), using("a"):
            raise OSError("full")
