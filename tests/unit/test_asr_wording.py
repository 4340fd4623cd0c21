"""Which texts stand for themselves, and which are pieces of sentences."""

import pytest

from servers.asr.wording import NoRefiner, ends_sentence, reads_whole, wholeness


@pytest.mark.parametrize("text", ["Xong.", "Thật à?", 'Anh nói: "Đi!"', "Còn nữa…", "好。", "(Hết.)"])
def test_a_sentence_ends_with_its_mark(text: str) -> None:
    assert ends_sentence(text)


@pytest.mark.parametrize("text", ["", "tôi có", "tôi có,", "Anh nói:", '"Đi"'])
def test_without_it_the_sentence_may_go_on(text: str) -> None:
    assert not ends_sentence(text)


@pytest.mark.parametrize(
    ("text", "whole"), [("Tôi có.", True), ("tôi có.", False), ("Tôi có", False), ("3 con.", True)]
)
def test_a_text_alone_is_whole_if_it_shows_at_both_ends(text: str, whole: bool) -> None:
    assert reads_whole(text) is whole


@pytest.mark.parametrize(
    ("texts", "over", "whole"),
    [
        (["tôi có"], True, [True]),
        (["tôi có"], False, [False]),
        (["tôi có", "hai con mèo"], True, [False, False]),
        (["tôi có.", "hai con mèo"], True, [True, True]),
        (["tôi có.", "hai con mèo"], False, [True, False]),
        (["tôi có", "Hai con mèo."], True, [False, True]),
        (["tôi có", "", "hai con mèo"], True, [False, False, False]),
        (["tôi có.", ""], True, [True, False]),
        (["tôi có", ""], True, [True, False]),
        ([], True, []),
    ],
)
def test_neighbours_tell_more(texts: list[str], over: bool, whole: list[bool]) -> None:
    assert wholeness(texts, over=over) == whole


async def test_who_refines_nothing_leaves_texts_alone() -> None:
    assert await NoRefiner().refine("xin chào", "vi", True) == "xin chào"
