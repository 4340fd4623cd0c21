"""An index of words while it changes: whatever a search runs beside, it finds what it would have before, or after."""

from collections.abc import Callable
from pathlib import Path

import pytest

from servers.search import inverted
from servers.search.indexing import Filter, Ids
from servers.search.inverted import InvertedIndex, Part
from servers.search.query import parsed
from servers.search.word_index import WordChanges, WordRow
from servers.search.word_search import WordSearch


@pytest.fixture
def index(tmp_path: Path) -> InvertedIndex:
    """One part, of whose two rows one is dead."""
    index = InvertedIndex(tmp_path, "")
    index.apply(WordChanges(1, (), (WordRow(1, "xin", 1, 1), WordRow(2, "xin", 1, 1))))
    index.commit()
    index.apply(WordChanges(2, (2,), ()))
    index.commit()
    return index


def rewrite(index: InvertedIndex) -> None:
    index.apply(WordChanges(3, (), (WordRow(1, "xin chào", 1, 1),)))
    index.commit()


def found(index: InvertedIndex, query: str = "xin") -> list[int]:
    return index.matching(parsed(query), Filter(), 10)


def test_what_is_rewritten_beside_a_search_is_found(index: InvertedIndex, monkeypatch: pytest.MonkeyPatch) -> None:
    class Beside(WordSearch):
        def ids(self, thrift: int) -> list[int]:
            rewrite(index)
            return super().ids(thrift)

    with monkeypatch.context() as patched:
        patched.setattr(inverted, "WordSearch", Beside)
        assert found(index) == [1]
    assert (found(index), found(index, "chào")) == ([1], [1])


def test_what_is_being_rewritten_is_found(index: InvertedIndex, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = list[list[int]]()

    def watched(method: Callable[[Part, Ids], None]) -> Callable[[Part, Ids], None]:
        def kill(self: Part, ids: Ids) -> None:
            seen.append(found(index))
            method(self, ids)
            seen.append(found(index))

        return kill

    monkeypatch.setattr(Part, "kill", watched(Part.kill))
    rewrite(index)
    assert seen == [[1], [1]]


def test_a_row_that_went_and_came_back_in_one_commit_died_once(
    index: InvertedIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(inverted, "SAVED", 1)
        rewrite(index)
    index.apply(WordChanges(4, (1,), ()))
    index.apply(WordChanges(5, (), (WordRow(1, "xin", 1, 1),)))
    index.commit()
    assert [(part.dead, part.alive.tolist()) for part in index._parts] == [(1, [False]), (0, [True])]
    assert found(index) == [1]
