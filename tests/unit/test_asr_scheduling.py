"""One queue to the model: who goes first, how many at once, and what becomes of those who give up."""

import asyncio
import random
from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
import pytest

from servers.asr.load import NEWEST_WEIGHT, Load, LoadLimits
from servers.asr.recognition import Hypothesis, Request
from servers.asr.scheduling import Errand, Lanes, Scheduler, Urgency
from servers.common.errors import DependencyUnavailable
from tests.fakes.clocks import LoopTime
from tests.fakes.recognizers import GatedRecognizer, heard, settled

FINAL, SPECULATION, SETTLING, PARTIAL, REFINEMENT = Urgency
ONE = Lanes(1, 1, 1)


def errand(urgency: Urgency, mark: str = "") -> Errand:
    return Errand(urgency, lambda: Request(np.zeros(1, np.float32), context=mark))


def scheduler(model: GatedRecognizer, lanes: Lanes = ONE, retry_s: float = 0.0) -> Scheduler:
    return Scheduler(model, lanes, Load(LoadLimits()), retry_s)


async def asked(queue: Scheduler, *errands: Errand) -> list[asyncio.Task[Hypothesis | None]]:
    """Ask for these, in this order."""
    tasks = [asyncio.create_task(queue.run(each)) for each in errands]
    await settled()
    return tasks


async def all_answered(model: GatedRecognizer, tasks: list[asyncio.Task[Hypothesis | None]]) -> None:
    while not all(task.done() for task in tasks):
        await model.give()


# Who goes first.


async def test_finals_overtake_speculations() -> None:
    model = GatedRecognizer()
    wanted = [
        errand(SPECULATION, "first"),
        errand(SPECULATION, "speculation"),
        errand(FINAL, "final 1"),
        errand(FINAL, "final 2"),
    ]
    await all_answered(model, await asked(scheduler(model), *wanted))
    assert model.marks == ["first", "final 1", "final 2", "speculation"]


async def test_partials_overtake_refinements() -> None:
    model = GatedRecognizer()
    wanted = [
        errand(REFINEMENT, "first"),
        errand(REFINEMENT, "refinement"),
        errand(PARTIAL, "partial"),
        errand(SETTLING, "of a long utterance"),
    ]
    await all_answered(model, await asked(scheduler(model), *wanted))
    assert model.marks == ["first", "of a long utterance", "partial", "refinement"]


async def test_a_speculation_that_becomes_a_final_overtakes_those_before_it() -> None:
    model = GatedRecognizer()
    queue = scheduler(model)
    early, late = errand(SPECULATION, "early"), errand(SPECULATION, "late")
    tasks = await asked(queue, errand(FINAL, "first"), early, late)
    queue.hasten(late)
    await all_answered(model, tasks)
    assert model.marks == ["first", "late", "early"]


async def test_a_speculation_that_becomes_a_final_may_use_the_lanes_of_finals() -> None:
    model = GatedRecognizer()
    queue = scheduler(model, Lanes(final=2, speculation=1, background=1))
    hastened = errand(SPECULATION, "hastened")
    tasks = await asked(queue, errand(SPECULATION, "first"), hastened)
    assert model.marks == ["first"]
    queue.hasten(hastened)
    await settled()
    assert model.marks == ["first", "hastened"]
    await all_answered(model, tasks)


async def test_hastening_what_is_in_flight_frees_its_lane_in_the_end() -> None:
    model = GatedRecognizer()
    queue = scheduler(model)
    first = errand(SPECULATION, "first")
    tasks = await asked(queue, first, errand(SPECULATION, "second"))
    queue.hasten(first)
    await all_answered(model, tasks)
    assert model.marks == ["first", "second"]
    await all_answered(model, await asked(queue, errand(SPECULATION, "third")))


async def test_an_errand_is_made_when_its_turn_has_come() -> None:
    model = GatedRecognizer()
    newest = "old"
    later = Errand(PARTIAL, lambda: Request(np.zeros(1, np.float32), context=newest))
    tasks = await asked(scheduler(model), errand(PARTIAL, "first"), later)
    newest = "new"
    await all_answered(model, tasks)
    assert model.marks == ["first", "new"]


# How many at once.


@pytest.mark.parametrize(
    ("urgency", "lanes", "at_once"),
    [
        (FINAL, Lanes(4, 3, 2), 4),
        (SPECULATION, Lanes(4, 3, 2), 3),
        (SETTLING, Lanes(4, 3, 2), 2),
        (PARTIAL, Lanes(4, 3, 2), 2),
        (REFINEMENT, Lanes(4, 3, 2), 2),
    ],
)
async def test_each_kind_has_its_lanes(urgency: Urgency, lanes: Lanes, at_once: int) -> None:
    model = GatedRecognizer()
    tasks = await asked(scheduler(model, lanes), *(errand(urgency) for _ in range(10)))
    assert model.in_flight == at_once
    await all_answered(model, tasks)
    assert (model.most_at_once, len(model.begun)) == (at_once, 10)


@pytest.mark.parametrize("instances", [1, 2, 4, 8])
@pytest.mark.parametrize("in_flight", [1, 2, 4, 6, 32])
def test_the_lanes_of_a_model_keep_it_busy_and_let_no_speculation_shut_out_finals(
    instances: int, in_flight: int
) -> None:
    lanes = Lanes.of(instances, in_flight)
    assert instances <= lanes.final
    assert 1 <= lanes.speculation <= lanes.final
    assert lanes.background >= 1


async def test_finals_and_speculations_share_their_lanes() -> None:
    model = GatedRecognizer()
    queue = scheduler(model, Lanes(final=3, speculation=2, background=1))
    tasks = await asked(queue, *(errand(SPECULATION, f"s{n}") for n in range(3)))
    tasks += await asked(queue, *(errand(FINAL, f"f{n}") for n in range(2)))
    assert model.marks == ["s0", "s1", "f0"]
    await model.give()
    assert model.marks == ["s0", "s1", "f0", "f1"]
    await model.give()
    assert model.in_flight == 2  # the last speculation waits until fewer than two are
    await model.give()
    assert model.marks == ["s0", "s1", "f0", "f1", "s2"]
    await all_answered(model, tasks)


async def test_partials_and_refinements_share_a_lane_of_their_own() -> None:
    model = GatedRecognizer()
    queue = scheduler(model)
    wanted = (errand(PARTIAL, "p"), errand(REFINEMENT, "r"), errand(FINAL, "f1"), errand(FINAL, "f2"))
    tasks = await asked(queue, *wanted, errand(SETTLING, "s"))
    assert model.marks == ["p", "f1"]
    await model.give()
    assert model.marks == ["p", "f1", "s"]  # though a final waits
    await all_answered(model, tasks)


# Who gives up, and what is no longer wanted.


async def test_who_gives_up_waiting_does_not_take_a_place() -> None:
    model = GatedRecognizer()
    queue = scheduler(model)
    tasks = await asked(queue, *(errand(FINAL, str(n)) for n in range(3)))
    tasks[1].cancel()
    await settled()
    await all_answered(model, [tasks[0], tasks[2]])
    assert model.marks == ["0", "2"]
    await all_answered(model, await asked(queue, errand(FINAL, "3")))


async def test_who_gives_up_just_before_its_turn_does_not_take_it() -> None:
    model = GatedRecognizer()
    queue = scheduler(model)
    first, second, third = await asked(queue, *(errand(FINAL, str(n)) for n in range(3)))
    first.cancel()
    second.cancel()  # the lane of the first is free before the second has noticed
    await settled()
    assert model.marks == ["0", "2"]
    await all_answered(model, [third])
    assert [first.cancelled(), second.cancelled(), third.cancelled()] == [True, True, False]


async def test_who_gives_up_just_after_its_turn_gives_it_back() -> None:
    model = GatedRecognizer()
    queue = scheduler(model)
    first, second, third = await asked(queue, *(errand(FINAL, str(n)) for n in range(3)))
    first.cancel()
    asyncio.get_running_loop().call_soon(second.cancel)  # the turn has come then, and the second has not gone on
    await settled()
    assert second.cancelled()
    assert model.marks == ["0", "2"]
    await all_answered(model, [third])


async def test_what_is_no_longer_wanted_frees_its_lane() -> None:
    model = GatedRecognizer()
    queue = scheduler(model)
    unwanted = Errand(PARTIAL, lambda: None)
    tasks = await asked(queue, unwanted, unwanted, errand(PARTIAL, "wanted"))
    await all_answered(model, tasks)
    assert [task.result() for task in tasks] == [None, None, tasks[2].result()]
    assert model.marks == ["wanted"]


async def test_an_errand_that_cannot_be_made_frees_its_lane() -> None:
    model = GatedRecognizer()
    queue = scheduler(model)

    def fail() -> Request:
        raise ValueError("a fault of ours")

    with pytest.raises(ValueError, match="a fault of ours"):
        await queue.run(Errand(FINAL, fail))
    await all_answered(model, await asked(queue, errand(FINAL, "next")))


@pytest.mark.parametrize("seed", range(20))
async def test_no_lane_is_ever_lost(seed: int) -> None:
    chance = random.Random(seed)
    model = GatedRecognizer()
    queue = scheduler(model, Lanes(4, 3, 1), retry_s=0.0)
    tasks: list[asyncio.Task[Hypothesis | None]] = []
    errands: list[Errand] = []

    def steps() -> Iterator[Callable[[], object]]:
        yield lambda: errands.append(errand(chance.choice(list(Urgency))))
        yield lambda: tasks.extend(asyncio.create_task(queue.run(each)) for each in errands[len(tasks) :])
        yield lambda: tasks and chance.choice(tasks).cancel()
        yield lambda: [queue.hasten(each) for each in errands if each.urgency is SPECULATION and chance.random() < 0.3]
        yield lambda: setattr(model, "failures", chance.choice([0, 0, 0, 1]))

    for _ in range(400):
        chance.choice(list(steps()))()
        if chance.random() < 0.3:
            await asyncio.sleep(0)
        if chance.random() < 0.2:
            await model.give()
        assert model.in_flight <= 5
    model.failures = 0
    while not all(task.done() for task in tasks):
        await model.give()
    unexpected = [task.exception() for task in tasks if not task.cancelled() and task.exception()]
    assert all(isinstance(error, DependencyUnavailable) for error in unexpected)
    fresh = await asked(queue, *(errand(urgency) for urgency in (FINAL, PARTIAL) for _ in range(10)))
    assert model.in_flight == 5
    await all_answered(model, fresh)


# A model that is away.


@pytest.mark.parametrize("urgency", [FINAL, SPECULATION])
async def test_finals_and_what_may_become_one_are_tried_again(urgency: Urgency) -> None:
    model = GatedRecognizer(open=True, failures=2)
    assert await scheduler(model, retry_s=5).run(errand(urgency)) is not None
    assert len(model.begun) == 3


@pytest.mark.parametrize("urgency", [SETTLING, PARTIAL, REFINEMENT])
async def test_partials_and_refinements_are_not_tried_again(urgency: Urgency) -> None:
    model = GatedRecognizer(open=True, failures=1_000)
    with pytest.raises(DependencyUnavailable):
        await scheduler(model, retry_s=5).run(errand(urgency))
    assert len(model.begun) == 1


async def test_the_retries_of_a_final_end() -> None:
    with pytest.raises(DependencyUnavailable):
        await scheduler(GatedRecognizer(open=True, failures=1_000), retry_s=0.3).run(errand(FINAL))


async def test_who_waits_for_the_next_try_leaves_the_lane_to_others() -> None:
    model = GatedRecognizer(open=True, failures=1)
    queue = scheduler(model, retry_s=5)
    tasks = await asked(queue, errand(FINAL, "again"), errand(FINAL, "other"))
    await asyncio.gather(*tasks)
    assert model.marks == ["again", "other", "again"]


async def test_a_speculation_that_failed_and_became_a_final_is_still_tried_again() -> None:
    model = GatedRecognizer(failures=1)
    queue = scheduler(model, retry_s=5)
    speculated = errand(SPECULATION)
    (task,) = await asked(queue, speculated)
    queue.hasten(speculated)
    model.open = True
    assert await task is not None


# What it takes.


async def test_the_time_in_the_queue_is_all_but_the_work(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, model = LoopTime(monkeypatch), GatedRecognizer()
    queue = scheduler(model)
    first, second = await asked(queue, errand(FINAL), errand(FINAL))
    clock.passes(2.0)
    await model.give(Hypothesis("a", "vi", (), -0.1, 0.0, 1.0, inference_s=1.5))
    clock.passes(1.0)
    await model.give(Hypothesis("b", "vi", (), -0.1, 0.0, 1.0, inference_s=1.0))
    hypotheses = [await first, await second]
    assert [h and round(h.queue_s, 1) for h in hypotheses] == [0.5, 2.0]
    assert [h and h.inference_s for h in hypotheses] == [1.5, 1.0]


async def test_finals_and_speculations_are_load_and_partials_are_not(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, model = LoopTime(monkeypatch), GatedRecognizer()
    queue = scheduler(model)
    for urgency, busy in ((SETTLING, False), (PARTIAL, False), (REFINEMENT, False), (SPECULATION, True)):
        (task,) = await asked(queue, errand(urgency))
        clock.passes(1.0)
        await model.give(Hypothesis("a", "vi", (), -0.1, 0.0, 1.0, inference_s=0.9, worked_s=0.8))
        await task
        assert (queue.load.busy > 0, queue.load.wait_s) == (
            busy,
            pytest.approx(NEWEST_WEIGHT * 0.2 if busy else 0.0, abs=0.005),
        )


@pytest.mark.parametrize("urgency", list(Urgency))
async def test_whoever_waits_in_front_of_the_model_feels_its_queue(
    urgency: Urgency, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, model = LoopTime(monkeypatch), GatedRecognizer()
    queue = scheduler(model)
    (task,) = await asked(queue, errand(urgency))
    clock.passes(3.0)
    await model.give(replace(model.answer, inference_s=1.0, worked_s=1.0))
    await task
    assert queue.load.slowdown > 1


async def test_who_shares_the_model_feels_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, model = LoopTime(monkeypatch), GatedRecognizer()
    queue = scheduler(model)
    (task,) = await asked(queue, errand(FINAL))
    clock.passes(3.0)
    await model.give(replace(model.answer, inference_s=3.0, worked_s=1.0))
    hypothesis = await task
    assert hypothesis is not None
    assert hypothesis.queue_s == pytest.approx(0.0, abs=0.1)
    assert queue.load.slowdown > 1
    assert queue.load.wait_s == pytest.approx(NEWEST_WEIGHT * 2.0, abs=0.05)


async def test_who_waited_here_only_felt_no_queue(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, model = LoopTime(monkeypatch), GatedRecognizer(answer=replace(heard("a"), inference_s=0.0))
    queue = scheduler(model)
    first, second = await asked(queue, errand(FINAL), errand(FINAL))
    first.cancel()
    clock.passes(3.0)
    await settled()
    await all_answered(model, [second])
    assert queue.load.slowdown == 1


async def test_waiting_for_a_model_that_was_away_is_told_and_is_no_load(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, model = LoopTime(monkeypatch), GatedRecognizer(failures=1, answer=replace(heard("a"), inference_s=0.0))
    queue = scheduler(model, retry_s=60)
    (task,) = await asked(queue, errand(FINAL))
    clock.passes(20.0)
    model.open = True
    hypothesis = await task
    assert hypothesis is not None
    assert hypothesis.queue_s == pytest.approx(20.0, abs=1.0)
    assert queue.load.wait_s < 0.05
    assert queue.load.slowdown == 1


async def test_a_model_that_answers_sooner_than_it_says_makes_nobody_wait_less_than_nothing() -> None:
    model = GatedRecognizer(open=True, answer=Hypothesis("a", "vi", (), -0.1, 0.0, 1.0, inference_s=60.0))
    hypothesis = await scheduler(model).run(errand(FINAL))
    assert hypothesis is not None
    assert hypothesis.queue_s == 0.0
