"""Repeats: few, and within a budget."""

import pytest

from servers.common.errors import AlreadyExists, DependencyUnavailable
from servers.common.retries import Retries, RetryBudget


class Flaky:
    """Fails so many times, then answers."""

    def __init__(self, failures: int, error: Exception | None = None) -> None:
        self.failures = failures
        self.error = error or DependencyUnavailable("it")
        self.calls = 0

    async def __call__(self) -> str:
        self.calls += 1
        if self.calls <= self.failures:
            raise self.error
        return "well"


def retries(tries: int = 3, budget: RetryBudget | None = None) -> Retries:
    return Retries("it", tries=tries, first_s=0.001, longest_s=0.002, budget=budget)


async def test_a_call_that_fails_for_a_moment_succeeds() -> None:
    flaky = Flaky(2)
    assert await retries().call("ask", flaky) == "well"
    assert flaky.calls == 3


async def test_a_call_that_goes_on_failing_is_given_up() -> None:
    flaky = Flaky(9)
    with pytest.raises(DependencyUnavailable):
        await retries().call("ask", flaky)
    assert flaky.calls == 3


@pytest.mark.parametrize("error", [AlreadyExists("taken"), ValueError("a fault of ours")])
async def test_what_a_retry_does_not_help_is_not_repeated(error: Exception) -> None:
    flaky = Flaky(9, error)
    with pytest.raises(type(error)):
        await retries().call("ask", flaky)
    assert flaky.calls == 1


async def test_when_the_budget_is_spent_a_call_is_made_once() -> None:
    shared = retries(budget=RetryBudget(most=2, per_second=0))
    first, second = Flaky(9), Flaky(9)
    for flaky in (first, second):
        with pytest.raises(DependencyUnavailable):
            await shared.call("ask", flaky)
    assert (first.calls, second.calls) == (3, 1)


def test_a_budget_is_filled_by_and_by() -> None:
    now = [0.0]
    budget = RetryBudget(most=2, per_second=0.5, clock=lambda: now[0])
    assert [budget.take() for _ in range(3)] == [True, True, False]
    now[0] = 2.0
    assert [budget.take() for _ in range(2)] == [True, False]
    now[0] = 100.0
    assert [budget.take() for _ in range(3)] == [True, True, False]
