"""Threads for texts: bounded in number, in waiting and in time."""

import asyncio
import threading

import pytest

from servers.common.errors import Overloaded
from servers.nlp.workers import Workers


async def test_work_is_done_beside_the_event_loop() -> None:
    with Workers(1, 1, 5) as workers:
        assert await workers.run(threading.get_ident) != threading.get_ident()


async def test_an_error_of_the_work_is_the_callers() -> None:
    def fail() -> None:
        raise LookupError("so")

    with Workers(1, 1, 5) as workers, pytest.raises(LookupError, match="so"):
        await workers.run(fail)


async def test_more_than_may_wait_are_refused_and_their_places_come_free_again() -> None:
    gate = threading.Event()
    with Workers(1, 1, 30) as workers:
        tasks = [asyncio.create_task(workers.run(gate.wait)) for _ in range(2)]
        await asyncio.sleep(0)
        with pytest.raises(Overloaded, match="too many"):
            await workers.run(gate.wait)
        gate.set()
        assert await asyncio.gather(*tasks) == [True, True]
        assert await workers.run(lambda: 1) == 1


async def test_what_is_not_done_in_time_is_refused() -> None:
    gate = threading.Event()
    with Workers(1, 1, 0.05) as workers:
        with pytest.raises(Overloaded, match="in time"):
            await workers.run(gate.wait)
        gate.set()


async def test_a_caller_that_goes_away_leaves_the_queue() -> None:
    gate, ran = threading.Event(), threading.Event()
    with Workers(1, 1, 30) as workers:
        first = asyncio.create_task(workers.run(gate.wait))
        second = asyncio.create_task(workers.run(ran.set))
        await asyncio.sleep(0)
        second.cancel()
        with pytest.raises(asyncio.CancelledError):
            await second
        gate.set()
        assert await first
        assert await workers.run(lambda: 1) == 1
    assert not ran.is_set()
