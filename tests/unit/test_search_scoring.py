"""BM25 over postings, beside the formula in plain Python."""

import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from servers.search import scoring
from servers.search.scoring import K1, LENGTHS, MOST_OFTEN, B

ROWS = 3 * scoring.WINDOW + 5
NONE = np.empty(0, np.bool_)


class Lists:
    """Entries of some terms over ROWS rows, drawn by a seed: frequent ones and rare ones."""

    def __init__(self, seed: int, sizes: Sequence[int] = (1, 40, 3_000, 50_000)) -> None:
        numbers = np.random.default_rng(seed)
        some = [np.sort(numbers.choice(ROWS, size, replace=False)).astype(np.uint32) for size in sizes]
        self.rows = np.concatenate(some)
        self.codes = numbers.integers(0, 256, len(self.rows)).astype(np.uint8)
        self.ends = np.cumsum(sizes, dtype=np.int64)
        self.starts = self.ends - np.array(sizes)
        self.tables = numbers.uniform(0.1, 3, (len(sizes), 256)).astype(np.float32)
        self.recording = numbers.integers(0, 4, ROWS).astype(np.uint32)
        self.languages = numbers.integers(0, 3, ROWS).astype(np.uint16)
        self.alive = numbers.random(ROWS) < 0.7

    def sums(self) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        """What each row counts."""
        sums = np.zeros(ROWS)
        for term, (start, end) in enumerate(zip(self.starts, self.ends, strict=True)):
            sums[self.rows[start:end]] += self.tables[term, self.codes[start:end]]
        return sums


@given(seed=st.integers(0, 2**32), limit=st.integers(1, 300), filters=st.sets(st.sampled_from("arl")))
@settings(deadline=None, max_examples=40)
def test_the_best_are_those_with_the_largest_sums(seed: int, limit: int, filters: set[str]) -> None:
    lists = Lists(seed)
    allowed = np.array([True, False, True, False]) if "r" in filters else NONE
    rows, scores = scoring.best(
        lists.rows, lists.codes, lists.starts, lists.ends, lists.tables, lists.alive if "a" in filters else NONE,
        lists.recording, allowed, lists.languages, 1 if "l" in filters else -1, limit,
    )  # fmt: skip
    sums = lists.sums()
    sums[~lists.alive & ("a" in filters)] = 0
    sums[(lists.recording % 2 == 1) & ("r" in filters)] = 0
    sums[(lists.languages != 1) & ("l" in filters)] = 0
    assert len({*rows.tolist()}) == len(rows) == min(limit, np.count_nonzero(sums))
    np.testing.assert_allclose(scores, sums[rows], rtol=1e-5)
    np.testing.assert_allclose(np.sort(scores)[::-1], np.sort(sums)[::-1][: len(rows)], rtol=1e-5)


@given(seed=st.integers(0, 2**32), count=st.integers(0, 2_000))
@settings(deadline=None, max_examples=40)
def test_given_rows_count_what_they_do_in_all(seed: int, count: int) -> None:
    lists = Lists(seed)
    places = np.sort(np.random.default_rng(seed).choice(ROWS, count, replace=False)).astype(np.int64)
    scores = scoring.scored(places, lists.rows, lists.codes, lists.starts, lists.ends, lists.tables)
    np.testing.assert_allclose(scores, lists.sums()[places], rtol=1e-5)


@given(places=st.sets(st.integers(0, 300)), entries=st.sets(st.integers(0, 300)), before=st.sets(st.integers(0, 300)))
def test_what_two_lists_have_in_common(places: set[int], entries: set[int], before: set[int]) -> None:
    rows = np.array([*sorted(before), *sorted(entries), *sorted(before)], np.uint32)
    wanted = np.array(sorted(places), np.int64)
    found = scoring.common(wanted, rows, len(before), len(before) + len(entries))
    assert found.tolist() == sorted(places & entries)


@pytest.mark.parametrize(("often", "length"), [(1, 1), (1, 7), (3, 15), (1, 120), (8, 400), (30, 16)])
def test_an_entry_counts_by_the_formula(often: int, length: int) -> None:
    """Up to MOST_OFTEN, and by the step of lengths that the text is in."""
    documents, holding, mean, weight = 1_000, 30, 12.5, 0.5
    (table,) = scoring.tables(np.array([weight]), documents, np.array([holding]), mean)
    told, step = min(often, MOST_OFTEN), max(one for one in LENGTHS.tolist() if one <= length)
    rarity = math.log(1 + (documents - holding + 0.5) / (holding + 0.5))
    expected = weight * rarity * told * (K1 + 1) / (told + K1 * (1 - B + B * step / mean))
    assert table[scoring.code(often, length, LENGTHS)] == pytest.approx(expected, rel=1e-5)


def test_every_length_has_a_step() -> None:
    assert len(LENGTHS) * MOST_OFTEN == 256
    assert sorted({*LENGTHS.tolist()}) == LENGTHS.tolist()
    assert scoring.code(1, 0, LENGTHS) == 0
    assert scoring.code(10**6, 10**9, LENGTHS) == 255
