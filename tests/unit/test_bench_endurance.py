"""Whether something stays as it was."""

import asyncio
import math
from typing import NoReturn

import pytest
from ai2text.asr.v1 import result_pb2

from bench.endurance import Tenths, beside, latencies_ms
from bench.resuming import Clock, Heard


def test_each_tenth_has_its_median() -> None:
    tenths = Tenths.of([(float(moment), float(moment // 10)) for moment in range(100)], 0, 100)
    assert tenths.values == tuple(float(number) for number in range(10))


def test_the_first_tenth_does_not_count_for_drift() -> None:
    steady = Tenths((50.0, 100.0, *[104.0] * 7, 98.0))
    assert steady.drift == pytest.approx(0.04)
    assert Tenths((100.0, 100.0, *[100.0] * 7, 130.0)).drift == pytest.approx(0.3)


def test_what_was_not_seen_is_no_value() -> None:
    assert math.isnan(Tenths.of([(1.0, math.nan)], 0, 100).start)


def test_a_final_is_as_late_as_the_chunk_with_its_end() -> None:
    clock = Clock(handed_over=[(400, 10.0), (800, 10.04), (1200, 10.08)])
    heard = Heard([result_pb2.FinalResult(end_ms=500), result_pb2.FinalResult(end_ms=1300)], [10.1, 10.2])
    assert [round(ms) for _, ms in latencies_ms(clock, heard)] == [60, 120]


def test_a_tenth_that_was_not_seen_is_not_flat() -> None:
    assert math.isnan(Tenths((100.0, 100.0, *[100.0] * 5, math.nan, 100.0, 100.0)).drift)


async def test_a_watcher_that_fails_ends_the_work_and_says_why() -> None:
    given_up = asyncio.Event()

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            given_up.set()

    async def watch() -> NoReturn:
        raise ValueError("no such replica")

    with pytest.raises(ValueError, match="no such replica"):
        await beside(work(), watch())
    assert given_up.is_set()


@pytest.mark.parametrize("failure", [None, RuntimeError("no speech")])
async def test_a_watcher_ends_with_the_work_however_that_ends(failure: Exception | None) -> None:
    stopped = asyncio.Event()

    async def work() -> str:
        await asyncio.sleep(0)
        if failure is not None:
            raise failure
        return "heard"

    async def watch() -> NoReturn:
        try:
            await asyncio.Event().wait()
            raise AssertionError
        finally:
            stopped.set()

    if failure is None:
        assert await beside(work(), watch()) == "heard"
    else:
        with pytest.raises(RuntimeError, match="no speech"):
            await beside(work(), watch())
    assert stopped.is_set()
