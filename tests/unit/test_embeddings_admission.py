"""Who goes to the model next."""

import asyncio

import pytest

from servers.common.errors import Overloaded
from servers.embeddings.admission import Admission


async def hold(admission: Admission, name: str, order: list[str], urgent: bool = False) -> None:
    async with admission.entered(urgent):
        order.append(name)
        await asyncio.sleep(0.001)


async def test_no_more_than_allowed_are_inside() -> None:
    admission, inside, most = Admission(3, 100), 0, 0

    async def visit() -> None:
        nonlocal inside, most
        async with admission.entered(urgent=False):
            inside += 1
            most = max(most, inside)
            await asyncio.sleep(0.001)
            inside -= 1

    await asyncio.gather(*(visit() for _ in range(20)))
    assert most == 3


async def test_queries_pass_by_passages_and_keep_their_order() -> None:
    admission, order = Admission(1, 100), list[str]()
    names = ["p1", "p2", "q1", "p3", "q2"]
    await asyncio.gather(*(hold(admission, name, order, urgent=name.startswith("q")) for name in names))
    assert order == ["p1", "q1", "q2", "p2", "p3"]


async def test_too_many_are_refused() -> None:
    admission, order = Admission(1, 1), list[str]()
    told = await asyncio.gather(*(hold(admission, str(n), order) for n in range(3)), return_exceptions=True)
    assert [type(error) for error in told if error] == [Overloaded]
    assert order == ["0", "1"]


async def test_places_of_those_who_give_up_are_not_lost() -> None:
    admission, order = Admission(1, 2), list[str]()
    first = asyncio.create_task(hold(admission, "first", order))
    gone = [asyncio.create_task(hold(admission, "gone", order)) for _ in range(2)]
    await asyncio.sleep(0)
    for task in gone:
        task.cancel()
    await first
    await asyncio.gather(hold(admission, "second", order), hold(admission, "third", order))
    assert order == ["first", "second", "third"]


async def test_one_cancelled_just_when_its_turn_came_passes_it_on() -> None:
    admission, order = Admission(1, 2), list[str]()
    async with admission.entered(urgent=False):
        waiting = asyncio.create_task(hold(admission, "waiting", order))
        await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    await asyncio.wait_for(hold(admission, "next", order), 1)
    assert order == ["next"]
