"""How many events are told at a time: as many as their readers take in soon, so that what is new does not wait."""

import pytest

from servers.metadata import retelling
from servers.metadata.retelling import FEWEST, MOST, QUICK_S, Pace


class Clock:
    """Stands still unless told."""

    now = 100.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(retelling, "time", clock)
    return clock


def sizes(pace: Pace, clock: Clock, took_s: float, times: int) -> list[int]:
    """How many were told each time, when it took so long until they were taken in."""
    told = []
    for _ in range(times):
        assert pace.allows(0)
        told.append(pace.size)
        pace.told()
        clock.now += took_s
    return told


def test_it_begins_with_few_and_tells_more_while_they_are_soon_taken_in(clock: Clock) -> None:
    assert sizes(Pace(), clock, QUICK_S / 4, 7) == [8, 16, 32, 64, 128, MOST, MOST]


def test_readers_who_take_long_get_fewer(clock: Clock) -> None:
    pace = Pace(MOST)
    assert sizes(pace, clock, QUICK_S * 2, 6) == [128, 64, 32, 16, 8, FEWEST]


def test_what_takes_about_as_long_as_it_may_stays(clock: Clock) -> None:
    assert sizes(Pace(64), clock, QUICK_S * 0.75, 3) == [64, 64, 64]


def test_none_are_told_while_as_many_wait(clock: Clock) -> None:
    pace = Pace(32)
    assert not pace.allows(33)
    assert not pace.allows(32)
    assert pace.allows(31)


def test_where_nothing_was_told_nothing_is_known_of_the_readers(clock: Clock) -> None:
    pace = Pace()
    assert [pace.allows(0) and pace.size for _ in range(3)] == [FEWEST] * 3
