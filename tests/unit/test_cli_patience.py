"""When a session is tried again, and when it is given up."""

import asyncio

import grpc
import pytest

from clients.cli.patience import Persistence, Stalled, passes
from clients.cli.problem import Problem
from clients.cli.refusal import Details, Refusal


def refused(code: grpc.StatusCode, reason: str = "", retry_s: float | None = None) -> Refusal:
    return Refusal("It said no.", "Wait.", code, Details(reason, retry_after_s=retry_s))


@pytest.mark.parametrize(
    ("problem", "expected"),
    [
        (refused(grpc.StatusCode.UNAVAILABLE), True),
        (refused(grpc.StatusCode.UNAVAILABLE, "DRAINING"), True),
        (refused(grpc.StatusCode.RESOURCE_EXHAUSTED, "OVERLOADED"), True),
        (refused(grpc.StatusCode.DEADLINE_EXCEEDED, "STREAM_IDLE"), True),
        (refused(grpc.StatusCode.INTERNAL), True),
        (refused(grpc.StatusCode.UNKNOWN), True),
        (refused(grpc.StatusCode.CANCELLED), True),
        (Stalled("Nothing came."), True),
        (refused(grpc.StatusCode.INTERNAL, "INTERNAL"), False),
        (refused(grpc.StatusCode.ABORTED, "SESSION_TAKEN_OVER"), False),
        (refused(grpc.StatusCode.INVALID_ARGUMENT, "FIELD_INVALID"), False),
        (refused(grpc.StatusCode.UNAUTHENTICATED), False),
        (refused(grpc.StatusCode.PERMISSION_DENIED, "SCOPE_MISSING"), False),
        (refused(grpc.StatusCode.OUT_OF_RANGE, "FINALS_FORGOTTEN"), False),
        (Problem("The disk is full."), False),
    ],
    ids=lambda value: value.sentence if isinstance(value, Problem) else str(value),
)
def test_what_passes_by_itself(problem: Problem, expected: bool) -> None:
    assert passes(problem) is expected


async def waited_s(persistence: Persistence, problem: Problem | None) -> float:
    began = asyncio.get_running_loop().time()
    await persistence.pause(problem)
    return asyncio.get_running_loop().time() - began


async def test_pauses_grow_and_then_it_is_given_up() -> None:
    persistence, problem = Persistence(1.0), refused(grpc.StatusCode.UNAVAILABLE)
    waits: list[float] = []

    async def again_and_again() -> None:
        while True:
            waits.append(await waited_s(persistence, problem))

    with pytest.raises(Problem, match=r"could not be resumed within 1 s. It said no.") as given_up:
        await again_and_again()
    assert given_up.value.hint == "Wait."
    assert sum(waits) >= 0.99, "all of the patience was used"
    assert 2 <= len(waits) <= 8, "the pauses grew"


async def test_progress_begins_a_new_patience() -> None:
    persistence, problem = Persistence(0.5), refused(grpc.StatusCode.UNAVAILABLE)
    for _ in range(6):
        await persistence.pause(problem)
        await asyncio.sleep(0.15)
        persistence.progressed()
    assert not persistence.is_half_spent


async def test_what_the_server_advises_is_heeded_from_the_second_time_on() -> None:
    persistence, full = Persistence(10), refused(grpc.StatusCode.RESOURCE_EXHAUSTED, "OVERLOADED", retry_s=0.6)
    await persistence.pause(full)
    assert await waited_s(persistence, full) >= 0.6


async def test_as_long_as_nothing_is_lost_it_is_never_given_up() -> None:
    persistence = Persistence(0)
    for _ in range(3):
        await persistence.pause(None)


async def test_without_patience_the_problem_is_told_as_it_is() -> None:
    with pytest.raises(Refusal):
        await Persistence(0).pause(refused(grpc.StatusCode.UNAVAILABLE))
