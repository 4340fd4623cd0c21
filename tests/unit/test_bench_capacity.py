"""The search for the most speakers that are served well."""

import math
from dataclasses import dataclass, field

import pytest

from bench import capacity
from bench.budget import Budget
from bench.capacity import Capacity
from bench.measures import Figures
from bench.spread import Spread


@dataclass
class Shown:
    """As much of Figures as the search looks at."""

    latency: Spread
    all_served: bool = True
    admitted: int = 0


@dataclass
class Machine(Capacity):
    """One that serves up to `bound` speakers soon enough."""

    bound: float = math.inf
    tried: list[int] = field(default_factory=list)

    def measure(self, streams: int, seconds: float) -> Figures:
        self.tried.append(streams)
        p95 = capacity.LIMIT_MS - 1 if streams <= self.bound else capacity.LIMIT_MS
        self.figures[streams] = Shown(Spread(1, p95, p95, p95))  # type: ignore[assignment]
        return self.figures[streams]


def machine(bound: float, *measured: int) -> Machine:
    made = Machine(None, [], 0, lambda _: None, bound=bound)  # type: ignore[arg-type]
    for streams in measured:
        made.measure(streams, 1)
    return made


def searched(made: Machine) -> int:
    while (wanted := made.next_try()) is not None:
        made.measure(wanted, 1)
    return made.largest


@pytest.mark.parametrize("bound", [1, 3, 20, 33, 49, 100])
def test_the_answer_is_near_and_never_too_high(bound: int) -> None:
    found = searched(machine(bound, 1, 2, 5, 10, 20, 50))
    assert found <= bound
    assert bound - found <= max(1, capacity.TOLERANCE * bound + 1)


def test_a_machine_that_cannot_serve_one_serves_none() -> None:
    assert searched(machine(0, 1, 2)) == 0


def test_a_number_that_holds_above_one_that_does_not_counts_for_nothing() -> None:
    made = machine(50, 1, 5, 20)
    made.figures[10] = Shown(Spread(1, 900, 900, 900))  # type: ignore[assignment]
    assert made.largest == 5


def test_who_was_not_served_was_not_served_well() -> None:
    made = machine(50, 1)
    made.figures[2] = Shown(Spread(1, 100, 100, 100), all_served=False)  # type: ignore[assignment]
    assert made.largest == 1


def test_more_than_were_admitted_are_not_tried() -> None:
    made = machine(50, 1, 20)
    made.figures[50] = Shown(Spread(1, 100, 100, 100), all_served=False, admitted=27)  # type: ignore[assignment]
    assert made.next_try() == 24
    made.figures[50] = Shown(Spread(1, 100, 100, 100), all_served=False, admitted=12)  # type: ignore[assignment]
    assert made.next_try() is None


def test_without_a_failure_it_tries_twice_as_many() -> None:
    assert machine(50, 1, 10).next_try() == 20


def test_a_search_that_the_budget_ends_has_no_answer() -> None:
    assert machine(5, 1, 10).search(1, Budget(0)) is None
    assert machine(math.inf).search(1, Budget(0)) is None
    assert machine(5, 1, 10).search(1, Budget(math.inf)) == 5
