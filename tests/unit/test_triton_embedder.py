"""The embedder's prompts, and the threads that it works on."""

import os
import threading

import pytest

from batches import by_length
from lanes import NICENESS, making_way
from prompts import LONGEST_TEXT, UnusableRequest, dressed

E5 = {"query": "query: ", "document": "", "passage": "passage: "}


@pytest.mark.parametrize(
    ("kind", "prompts", "expected"),
    [
        ("query", E5, "query: mưa"),
        ("passage", E5, "passage: mưa"),
        ("", E5, "passage: mưa"),
        ("passage", {"query": "Q ", "document": "D "}, "D mưa"),
        ("query", {}, "mưa"),
    ],
)
def test_a_text_gets_the_prompt_of_its_kind(kind: str, prompts: dict[str, str], expected: str) -> None:
    assert dressed("mưa", kind, prompts) == expected


def test_another_kind_is_refused() -> None:
    with pytest.raises(UnusableRequest, match="'title'"):
        dressed("mưa", "title", E5)


def test_a_text_without_end_is_cut() -> None:
    assert len(dressed("x" * (LONGEST_TEXT + 5), "query", {})) == LONGEST_TEXT


def test_texts_of_like_length_go_together_and_none_is_lost() -> None:
    texts = ["x" * length for length in (3, 9, 1, 7, 5)]
    assert by_length(texts, 2) == [[1, 3], [4, 0], [2]]
    assert by_length([], 2) == []


def test_a_thread_that_makes_way_leaves_all_others_as_they_are() -> None:
    def niceness() -> int:
        return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())

    before = niceness()
    with making_way("patient") as lane:
        assert lane.submit(niceness).result() == min(19, before + NICENESS)
    assert niceness() == before
