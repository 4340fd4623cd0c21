"""Percentiles and the time that a run may take."""

import math

import pytest

from bench.budget import Budget
from bench.spread import Spread, percentile


def test_percentiles_are_values_that_were_seen() -> None:
    spread = Spread.of(float(value) for value in range(100, 0, -1))
    assert (spread.count, spread.p50, spread.p95, spread.p99) == (100, 50.0, 95.0, 99.0)


def test_of_few_values_a_high_percentile_is_the_highest() -> None:
    assert Spread.of([3.0, 1.0, 2.0]).p95 == 3.0


def test_nothing_has_no_spread() -> None:
    spread = Spread.of([])
    assert not spread
    assert math.isnan(spread.p95)


@pytest.mark.parametrize(("share", "expected"), [(0.0, 1.0), (0.5, 2.0), (0.51, 3.0), (1.0, 4.0)])
def test_the_least_value_that_is_no_less_than_the_share(share: float, expected: float) -> None:
    assert percentile([4.0, 2.0, 1.0, 3.0], share) == expected


def test_a_budget_says_what_it_leaves_out() -> None:
    now = [0.0]
    budget = Budget(10, clock=lambda: now[0])
    assert budget.allows(6, "the first")
    now[0] = 6.0
    assert not budget.allows(6, "the second")
    assert budget.allows(4, "the third")
    assert budget.left_out == ["the second: it takes 6 s, and 4 s were left"]
