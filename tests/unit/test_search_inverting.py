"""Parts of an index of words: made of texts, and of other parts."""

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from servers.search import matching
from servers.search.indexing import Filter
from servers.search.inverting import Buffer, merged
from servers.search.matching import FOLDED, FOLDED_PAIRS, SPELT, SPELT_PAIRS
from servers.search.postings import MOST_SPELLING, Postings
from servers.search.query import parsed
from servers.search.term_keys import key_of
from servers.search.word_index import WordRow

LETTERS = st.text("aăâbcdđeê uưôơ'", min_size=1, max_size=60)


def part(*texts: str, first: int = 1) -> Postings:
    buffer = Buffer()
    for number, text in enumerate(texts, first):
        buffer.add(WordRow(number, text, number % 3, number % 2))
    return buffer.part()


def having(of: Postings, field: str, text: str) -> list[int]:
    """The ids of the rows that have a term."""
    (start,), (end,) = of.lists(np.array([key_of(field, text)], np.uint64))
    return of.table.ids[of.rows[start:end]].tolist()


def content(of: Postings) -> list[object]:
    """All that can be told of a part."""
    starts, ends = of.lists(of.keys)
    return [
        (of.words, of.table.ids.tolist(), of.table.languages.tolist(), of.table.recordings().tolist()),
        [
            (key, of.rows[start:end].tolist(), of.codes[start:end].tolist())
            for key, start, end in zip(of.keys.tolist(), starts, ends, strict=True)
        ],
        [(field, one.words.tolist(), one.keys.tolist()) for field, one in of.spellings.items()],
    ]


def test_a_text_has_its_words_and_pairs_folded_and_spelt() -> None:
    made = part("Đại học, Huế", "dai hoc")
    assert having(made, FOLDED, "dai") == having(made, FOLDED_PAIRS, "dai_hoc") == [1, 2]
    assert having(made, SPELT, "đại") == having(made, SPELT_PAIRS, "đại_học") == [1]
    assert having(made, SPELT, "dai") == [2]
    assert having(made, FOLDED_PAIRS, "hoc_hue") == [1]
    assert having(made, FOLDED_PAIRS, "dai_hue") == []
    assert len(made.keys) == 3 + 5 + 2 + 3


@given(st.text(max_size=300))
@settings(deadline=None)
def test_whatever_a_text_asks_for_it_has(text: str) -> None:
    made = part("khác", text)
    for term in matching.asked(parsed(text.replace('"', " ").replace("*", " "))):
        assert 2 in having(made, *term.place)


def test_no_pair_reaches_into_the_next_text() -> None:
    made = part("một hai", "ba bốn")
    assert having(made, FOLDED_PAIRS, "hai_ba") == []
    assert having(made, FOLDED_PAIRS, "ba_bon") == [2]


def test_a_text_takes_the_place_of_its_like() -> None:
    buffer = Buffer()
    for text in ("cũ", "mới"):
        buffer.add(WordRow(7, text, 1, 1))
    buffer.add(WordRow(8, "bỏ", 1, 1))
    buffer.drop(8)
    made = buffer.part()
    assert (made.table.ids.tolist(), having(made, SPELT, "cũ"), having(made, SPELT, "mới")) == ([7], [], [7])


def test_prefixes_are_those_of_bytes_and_of_words_that_are_not_very_long() -> None:
    made = part("nguyên Nguyễn ngủ nguy", "x" * (MOST_SPELLING + 1) + " " + "x" * MOST_SPELLING)

    def completed(field: str, prefix: str) -> list[str]:
        spellings = made.spellings[field]
        return [word.decode() for word in spellings.words[spellings.completions(prefix)].tolist()]

    assert completed(FOLDED, "nguy") == ["nguy", "nguyen"]
    assert completed(SPELT, "nguyễ") == ["nguyễn"]
    assert completed(SPELT, "z") == completed(SPELT, "x" * 500) == []
    assert completed(FOLDED, "x" * 30) == ["x" * MOST_SPELLING]


def test_rows_are_found_by_id_by_recording_and_by_language(tmp_path: Path) -> None:
    whole = part(*[f"câu {n}" for n in range(20)])
    merged([whole], [np.ones(20, np.bool_)], tmp_path / "part")
    made = Postings.opened(tmp_path / "part")
    assert content(made) == content(whole)
    assert made.table.ids[made.table.find(np.array([3, 99, 20, 0]))].tolist() == [3, 20]
    rows = made.table.of_recordings([2, 7, 0])
    assert made.table.ids[rows].tolist() == [n for n in range(1, 21) if n % 3 in (0, 2)]
    assert made.table.count(Filter()) == 20
    assert made.table.count(Filter((1,))) == 7
    assert made.table.count(Filter((1,), 9)) == 0
    assert made.table.count(Filter((), 1)) == 10


@given(texts=st.lists(LETTERS, min_size=1, max_size=12), cuts=st.lists(st.integers(0, 12), max_size=3))
@settings(deadline=None)
def test_merged_parts_are_what_their_texts_would_have_made(texts: Sequence[str], cuts: Sequence[int]) -> None:
    bounds = sorted({0, len(texts), *(cut for cut in cuts if cut < len(texts))})
    parts = [part(*texts[start:end], first=start + 1) for start, end in pairwise(bounds)]
    whole = merged(parts, [np.ones(len(one), np.bool_) for one in parts], None)
    assert content(whole) == content(part(*texts))


@given(texts=st.lists(LETTERS, min_size=2, max_size=12), seed=st.integers(0, 2**32))
@settings(deadline=None)
def test_what_is_dead_does_not_come_along(texts: Sequence[str], seed: int) -> None:
    alive = np.random.default_rng(seed).random(len(texts)) < 0.5
    half = len(texts) // 2
    parts = part(*texts[:half]), part(*texts[half:], first=half + 1)
    whole = merged(parts, [alive[:half], alive[half:]], None)
    buffer = Buffer()
    for number, text in enumerate(texts, 1):
        if alive[number - 1]:
            buffer.add(WordRow(number, text, number % 3, number % 2))
    assert content(whole)[1] == content(buffer.part())[1]
    assert whole.table.ids.tolist() == (np.flatnonzero(alive) + 1).tolist()
