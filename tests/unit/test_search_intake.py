"""Documents go in together, and each is told how it went."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence

import numpy as np
import pytest

from servers.common.errors import DependencyUnavailable
from servers.search.documents import Document, Embedding, Entry
from servers.search.intake import Intake


class SlowShelf:
    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.error: Exception | None = None

    async def put(self, entries: Sequence[Entry]) -> None:
        await asyncio.sleep(0.01)
        if self.error:
            raise self.error
        self.batches.append([entry.document.segment_id for entry in entries])


def entry(segment_id: str) -> Entry:
    document = Document("acme", "r", "t", segment_id, 0, 1, "vi", "text")
    return Entry(document, Embedding("e5", np.ones(1, np.float32)))


@contextlib.asynccontextmanager
async def running(shelf: SlowShelf, pace_s: float = 0.0, alone_pace_s: float = 0.0) -> AsyncIterator[Intake]:
    intake = Intake(shelf, most_at_once=8, pace_s=pace_s, alone_pace_s=alone_pace_s)
    job = asyncio.create_task(intake.run())
    try:
        yield intake
    finally:
        job.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await job


async def test_those_that_wait_go_together_and_in_order() -> None:
    shelf = SlowShelf()
    async with running(shelf) as intake:
        await asyncio.gather(*(intake.add(entry(str(n))) for n in range(20)))
    assert [len(batch) for batch in shelf.batches] == [8, 8, 4]
    assert [id for batch in shelf.batches for id in batch] == [str(n) for n in range(20)]


async def test_a_failure_is_told_to_each_and_the_next_go_on() -> None:
    shelf = SlowShelf()
    shelf.error = DependencyUnavailable("disk")
    async with running(shelf) as intake:
        told = await asyncio.gather(*(intake.add(entry(str(n))) for n in range(3)), return_exceptions=True)
        assert [type(error) for error in told] == [DependencyUnavailable] * 3
        shelf.error = None
        await intake.add(entry("later"))
    assert shelf.batches == [["later"]]


async def test_one_that_gave_up_does_not_trouble_the_others() -> None:
    shelf = SlowShelf()
    async with running(shelf) as intake:
        impatient = asyncio.create_task(intake.add(entry("impatient")))
        patient = asyncio.create_task(intake.add(entry("patient")))
        await asyncio.sleep(0)
        impatient.cancel()
        await patient
    with pytest.raises(asyncio.CancelledError):
        await impatient


async def add(intake: Intake, *segment_ids: str) -> None:
    """Those that come at one time."""
    async with asyncio.timeout(10):
        await asyncio.gather(*(intake.add(entry(segment_id)) for segment_id in segment_ids))


async def test_what_comes_alone_goes_at_once_and_the_next_after_a_short_pause() -> None:
    shelf = SlowShelf()
    async with running(shelf, pace_s=30.0, alone_pace_s=0.05) as intake:
        for segment_id in "abc":
            await add(intake, segment_id)
    assert shelf.batches == [["a"], ["b"], ["c"]]


async def test_what_comes_soon_after_several_waits_for_company_until_there_is_enough() -> None:
    shelf = SlowShelf()
    async with running(shelf, pace_s=30.0) as intake:
        await add(intake, "a")
        await add(intake, "b", "c")
        waiting = asyncio.create_task(add(intake, "waiting"))
        await asyncio.sleep(0.05)
        await add(intake, "d", "e", "f")
        await waiting
    assert shelf.batches == [["a"], ["b", "c"], ["waiting", "d", "e", "f"]]


async def test_what_waits_for_company_does_not_wait_for_ever() -> None:
    shelf, loop = SlowShelf(), asyncio.get_running_loop()
    async with running(shelf, pace_s=0.3) as intake:
        await add(intake, "a", "b")
        began = loop.time()
        await add(intake, "c")
        assert loop.time() - began > 0.2
    assert shelf.batches == [["a", "b"], ["c"]]


async def test_a_full_batch_does_not_wait_for_company() -> None:
    shelf = SlowShelf()
    async with running(shelf, pace_s=30.0) as intake:
        await add(intake, "a", "b")
        await add(intake, *map(str, range(8)))
    assert [len(batch) for batch in shelf.batches] == [2, 8]


async def test_one_that_waits_for_company_is_told_of_the_end() -> None:
    shelf = SlowShelf()
    async with running(shelf, pace_s=30.0) as intake:
        await add(intake, "a", "b")
        waiting = asyncio.create_task(intake.add(entry("waiting")))
        await asyncio.sleep(0.05)
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(waiting, 5)
    assert shelf.batches == [["a", "b"]]
