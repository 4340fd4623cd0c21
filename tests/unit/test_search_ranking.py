"""Weights and fusion."""

import pytest

from servers.search.ranking import RANK_OFFSET, Weights, coverage, fused, weights
from servers.search.words import Word, words


def cut(text: str) -> tuple[Word, ...]:
    return tuple(words(text))


def test_scores_are_the_weighted_reciprocal_ranks() -> None:
    first, second, third = fused([7, 8], [8, 9], Weights(lexical=1.0, semantic=0.5))
    assert (first.id, first.lexical_rank, first.semantic_rank) == (8, 2, 1)
    assert first.score == pytest.approx(1 / (RANK_OFFSET + 2) + 0.5 / (RANK_OFFSET + 1))
    assert (second.id, second.lexical_rank, second.semantic_rank) == (7, 1, 0)
    assert (third.id, third.lexical_rank, third.semantic_rank) == (9, 0, 2)


def test_of_two_with_the_same_score_the_one_whose_words_match_better_comes_first() -> None:
    assert [place.id for place in fused([5], [3], Weights(1.0, 1.0))] == [5, 3]
    assert [place.id for place in fused([3, 5], [5, 3], Weights(1.0, 1.0))] == [3, 5]


def test_coverage_folds_accents_and_counts_each_word_once() -> None:
    assert coverage(cut("xin xin chao"), cut("Chào buổi sáng")) == 0.5
    assert coverage((), cut("chào")) == 0.0


def test_both_rankings_count_when_the_words_are_there() -> None:
    assert weights(cut("thời tiết hôm nay"), cut("Hôm nay thời tiết đẹp")) == Weights(1.0, 1.0)


def test_without_accents_the_words_decide() -> None:
    weighing = weights(cut("thoi tiet hom nay"), cut("Hôm nay thời tiết đẹp"))
    assert weighing.lexical > 50 * weighing.semantic


def test_in_another_language_the_meaning_decides() -> None:
    weighing = weights(cut("what is the weather like in Hanoi today"), cut("Thời tiết ở Hanoi đẹp"))
    assert weighing.semantic > 20 * weighing.lexical


def test_words_that_match_nothing_leave_it_to_the_meaning() -> None:
    assert weights(cut("thoi tiet"), ()).semantic == 1.0
