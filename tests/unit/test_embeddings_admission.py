"""Who may go to the model."""

import asyncio

import pytest

from servers.common.errors import Overloaded
from servers.embeddings.admission import Admission


async def hold(admission: Admission, name: str, order: list[str]) -> None:
    async with admission.entered():
        order.append(name)
        await asyncio.sleep(0.001)


async def test_no_more_than_allowed_are_inside() -> None:
    admission, inside, most = Admission(3, 100), 0, 0

    async def visit() -> None:
        nonlocal inside, most
        async with admission.entered():
            inside += 1
            most = max(most, inside)
            await asyncio.sleep(0.001)
            inside -= 1

    await asyncio.gather(*(visit() for _ in range(20)))
    assert most == 3


async def test_those_who_wait_keep_their_order() -> None:
    admission, order = Admission(1, 100), list[str]()
    await asyncio.gather(*(hold(admission, str(n), order) for n in range(5)))
    assert order == ["0", "1", "2", "3", "4"]


async def test_too_many_are_refused() -> None:
    admission, order = Admission(1, 1), list[str]()
    told = await asyncio.gather(*(hold(admission, str(n), order) for n in range(3)), return_exceptions=True)
    assert [type(error) for error in told if error] == [Overloaded]
    assert order == ["0", "1"]


async def test_places_of_those_who_give_up_are_not_lost() -> None:
    admission, order = Admission(1, 2), list[str]()
    first = asyncio.create_task(hold(admission, "first", order))
    await asyncio.sleep(0)
    gone = [asyncio.create_task(hold(admission, "gone", order)) for _ in range(2)]
    await asyncio.sleep(0)
    for task in gone:
        task.cancel()
    await first
    await asyncio.gather(hold(admission, "second", order), hold(admission, "third", order))
    assert order == ["first", "second", "third"]


async def test_one_cancelled_just_when_its_turn_came_passes_it_on() -> None:
    admission, order = Admission(1, 2), list[str]()
    async with admission.entered():
        waiting = asyncio.create_task(hold(admission, "waiting", order))
        await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    await asyncio.wait_for(hold(admission, "next", order), 1)
    assert order == ["next"]
