"""One queue to the model."""

import asyncio

import numpy as np
import pytest

from servers.asr.recognition import Hypothesis, Request
from servers.asr.scheduling import Scheduler
from servers.common.errors import DependencyUnavailable, Overloaded

HEARD = Hypothesis("a", "vi", (), -0.1, 0.0, 1.0)


def request(final: bool, mark: str = "") -> Request:
    return Request(np.zeros(1, np.float32), context=mark, final=final)


class Gate:
    """A recognizer that answers when it is let, and fails as often as it is told."""

    def __init__(self, failures: int = 0) -> None:
        self.begun: list[str] = []
        self.open = asyncio.Event()
        self._failures = failures

    async def recognize(self, request: Request) -> Hypothesis:
        self.begun.append(request.context)
        await self.open.wait()
        if self._failures:
            self._failures -= 1
            raise DependencyUnavailable("triton")
        return HEARD

    async def check(self) -> None: ...


async def test_finals_overtake_partials() -> None:
    gate = Gate()
    scheduler = Scheduler(gate, in_flight=1, max_waiting=10, retry_s=0)
    wanted = [request(False, "first"), request(False, "partial"), request(True, "final 1"), request(True, "final 2")]
    tasks = [asyncio.create_task(scheduler.recognize(each)) for each in wanted]
    await asyncio.sleep(0)
    gate.open.set()
    await asyncio.gather(*tasks)
    assert gate.begun == ["first", "final 1", "final 2", "partial"]


async def test_a_full_queue_refuses_partials_and_no_finals() -> None:
    gate = Gate()
    scheduler = Scheduler(gate, in_flight=1, max_waiting=1, retry_s=0)
    tasks = [asyncio.create_task(scheduler.recognize(request(True))) for _ in range(5)]
    await asyncio.sleep(0)
    with pytest.raises(Overloaded):
        await scheduler.recognize(request(False))
    gate.open.set()
    assert await asyncio.gather(*tasks) == [HEARD] * 5


async def test_who_gives_up_waiting_does_not_take_a_place() -> None:
    gate = Gate()
    scheduler = Scheduler(gate, in_flight=1, max_waiting=10, retry_s=0)
    tasks = [asyncio.create_task(scheduler.recognize(request(True, str(n)))) for n in range(3)]
    await asyncio.sleep(0)
    tasks[1].cancel()
    gate.open.set()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert gate.begun == ["0", "2"]
    assert await scheduler.recognize(request(True)) == HEARD


async def test_finals_are_tried_again_and_partials_are_not() -> None:
    gate = Gate(failures=2)
    gate.open.set()
    scheduler = Scheduler(gate, in_flight=1, max_waiting=10, retry_s=5)
    assert await scheduler.recognize(request(True)) == HEARD
    with pytest.raises(DependencyUnavailable):
        await Scheduler(_failing(), in_flight=1, max_waiting=1, retry_s=5).recognize(request(False))


async def test_the_retries_of_a_final_end() -> None:
    with pytest.raises(DependencyUnavailable):
        await Scheduler(_failing(), in_flight=1, max_waiting=1, retry_s=0.3).recognize(request(True))


def _failing() -> Gate:
    gate = Gate(failures=1_000)
    gate.open.set()
    return gate
