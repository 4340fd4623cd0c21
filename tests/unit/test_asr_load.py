"""How busy the model is, and how many sessions that lets in."""

import pytest

from servers.asr.load import UNHURRIED_S, USUAL_S, Load, LoadLimits
from servers.common.errors import Overloaded

LIMITS = LoadLimits(instances=2, busy=0.8, wait_s=0.3, session_busy=0.05, unheard_s=15.0)


class Clock:
    """A time that passes when the test says so."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def load(clock: Clock) -> Load:
    return Load(LIMITS, clock)


def work(load: Load, clock: Clock, seconds: int, each_s: float, waited_s: float = 0.0) -> None:
    """One final a second, on each of which the model works so long."""
    for _ in range(seconds):
        clock.now += 1.0
        load.note(waited_s, each_s)


def admitted(load: Load) -> int:
    """How many sessions are let in at once."""
    for count in range(1_000):
        try:
            load.admit()
        except Overloaded:
            return count
    raise AssertionError("there is no end to it")


# Measuring.


def test_nothing_asked_is_no_load(load: Load) -> None:
    assert (load.busy, load.wait_s) == (0.0, 0.0)


@pytest.mark.parametrize("seconds", [10, 100])
@pytest.mark.parametrize("each_s", [0.2, 1.0, 2.0])
def test_busy_is_the_share_of_all_instances_from_the_first_seconds_on(
    load: Load, clock: Clock, seconds: int, each_s: float
) -> None:
    work(load, clock, seconds, each_s)
    assert load.busy == pytest.approx(each_s / 2, rel=0.1)


def test_one_final_just_after_the_start_is_not_all_there_is(load: Load, clock: Clock) -> None:
    clock.now += 0.01
    load.note(0.0, 0.4)
    assert load.busy == pytest.approx(0.2, rel=0.1)


def test_what_was_is_forgotten(load: Load, clock: Clock) -> None:
    work(load, clock, 100, 1.6, waited_s=0.5)
    before = load.busy, load.wait_s
    clock.now += Load.MEMORY_S
    assert load.busy == pytest.approx(before[0] / 2.718, rel=0.01)
    assert load.wait_s == pytest.approx(before[1] / 2.718, rel=0.01)
    clock.now += 10 * Load.MEMORY_S
    assert load.busy < 0.001
    assert load.wait_s < 0.001


def test_asking_does_not_change_the_answer(load: Load, clock: Clock) -> None:
    work(load, clock, 20, 1.0, waited_s=0.2)
    clock.now += 3.0
    assert len({(load.busy, load.wait_s) for _ in range(100)}) == 1


def test_waiting_is_an_average(load: Load, clock: Clock) -> None:
    for waited_s in (0.0, 0.2) * 20:
        load.note(waited_s, 0.1)
    assert load.wait_s == pytest.approx(0.1, abs=0.02)


def test_one_that_waited_is_no_average(load: Load) -> None:
    load.note(0.3, 0.1)
    assert load.wait_s < 0.15


# How much rarer partials become.


@pytest.mark.parametrize(
    ("share", "slowdown"),
    [(0.0, 1), (0.45, 1), (0.55, 2), (0.9, 2), (1.1, 4), (1.9, 4), (2.2, 8), (4.4, 16), (100, 16)],
)
def test_partials_become_rarer_as_finals_need_the_model(load: Load, clock: Clock, share: float, slowdown: int) -> None:
    clock.now += 1_000.0
    load.note(0.0, share * LIMITS.busy * LIMITS.instances * Load.MEMORY_S)
    assert load.slowdown == slowdown


@pytest.mark.parametrize(("queue", "slowdown"), [(0.0, 1), (0.45, 1), (0.9, 2), (1.9, 4), (3.9, 8), (100, 16)])
def test_partials_become_rarer_as_a_queue_grows_in_front_of_the_model(load: Load, queue: float, slowdown: int) -> None:
    for _ in range(100):
        load.feel(queue * UNHURRIED_S)
    assert load.slowdown == slowdown
    for _ in range(100):
        load.feel(0.0)
    assert load.slowdown == 1


def test_a_queue_in_the_background_makes_partials_rarer_and_hurries_nobody(load: Load) -> None:
    for _ in range(100):
        load.feel(1.0, background=True)
    assert (load.slowdown, load.pressure, load.hurried) == (16, 0.0, False)


@pytest.mark.parametrize(("queue", "at_ease"), [(0.0, True), (0.9, True), (1.1, False)])
def test_a_text_may_be_improved_while_neither_finals_nor_partials_queue(
    load: Load, queue: float, at_ease: bool
) -> None:
    for _ in range(100):
        load.feel(queue * UNHURRIED_S, background=True)
    assert load.at_ease == at_ease
    for _ in range(100):
        load.feel(0.0, background=True)
        load.feel(queue * UNHURRIED_S)
    assert load.at_ease == at_ease


@pytest.mark.parametrize(("queue", "hurried"), [(1.9, False), (2.1, True)])
def test_only_finals_have_time_once_the_queue_is_twice_what_it_should_be(
    load: Load, queue: float, hurried: bool
) -> None:
    for _ in range(100):
        load.feel(queue * UNHURRIED_S)
    assert load.hurried is hurried


# Admission.


def test_an_idle_model_lets_in_what_unheard_sessions_are_taken_to_need(load: Load) -> None:
    assert admitted(load) == 16  # of 0.05 each, up to 0.8


def test_the_more_the_model_has_to_do_the_fewer_are_let_in(load: Load, clock: Clock) -> None:
    work(load, clock, 100, 0.2)
    assert admitted(load) == 13


@pytest.mark.parametrize(("each_s", "let_in"), [(USUAL_S / 5, 16), (USUAL_S, 16), (2 * USUAL_S, 8), (4 * USUAL_S, 4)])
def test_a_slow_machine_lets_in_fewer_of_those_it_has_not_heard(
    load: Load, clock: Clock, each_s: float, let_in: int
) -> None:
    for _ in range(200):
        load.note(0.0, each_s)
    load._worked = 0.0  # of a model that has nothing to do
    assert admitted(load) == let_in


def test_a_moment_in_which_the_model_was_very_slow_keeps_nobody_out_for_long(load: Load, clock: Clock) -> None:
    for _ in range(50):
        load.note(0.0, 100 * USUAL_S)
    assert admitted(load) == 0
    clock.now += 60 * 60.0
    assert admitted(load) >= 15


def test_a_busy_model_lets_nobody_in_and_says_why(load: Load, clock: Clock) -> None:
    work(load, clock, 100, 1.6)
    with pytest.raises(Overloaded) as refused:
        load.admit()
    assert refused.value.metadata == {"busy": "0.84", "wait_s": "0.00"}
    assert refused.value.retry_after_s


def test_nobody_is_let_in_while_finals_wait(load: Load, clock: Clock) -> None:
    for _ in range(30):
        load.note(0.35, 0.1)
    with pytest.raises(Overloaded) as refused:
        load.admit()
    assert refused.value.metadata["wait_s"] == "0.35"
    clock.now += 3.0  # nobody has asked for a final since
    load.admit()


def test_sessions_that_have_been_heard_count_by_what_they_need(load: Load, clock: Clock) -> None:
    assert admitted(load) == 16
    clock.now += LIMITS.unheard_s - 0.1
    assert admitted(load) == 0
    clock.now += 0.2
    assert admitted(load) == 16


def test_who_is_refused_takes_no_room(load: Load, clock: Clock) -> None:
    assert admitted(load) == 16
    for _ in range(100):
        with pytest.raises(Overloaded):
            load.admit()
    clock.now += LIMITS.unheard_s
    assert admitted(load) == 16


def test_a_session_that_ends_before_it_was_heard_makes_room(load: Load) -> None:
    for _ in range(100):
        load.forget(load.admit())
    arrivals = [load.admit() for _ in range(16)]
    load.forget(arrivals[3])
    assert admitted(load) == 1


def test_a_session_that_ends_after_it_was_heard_makes_no_room_twice(load: Load, clock: Clock) -> None:
    arrival = load.admit()
    clock.now += LIMITS.unheard_s
    assert admitted(load) == 16
    load.forget(arrival)
    assert admitted(load) == 0
