"""Bounds: places, room on the disk, one at a time for each name."""

import asyncio
from pathlib import Path

import pytest

from servers.common.errors import Overloaded
from servers.ingestion.locks import Locks
from servers.ingestion.places import Places, free_bytes


def test_places_are_taken_and_given_back() -> None:
    places = Places(Path("/"), 2, 0)
    with places.place("a"):
        with places.place("b"), pytest.raises(Overloaded), places.place("c"):
            pass
        with places.place("c"):
            pass


def test_one_tenant_has_half_of_the_places_and_others_still_get_in() -> None:
    places = Places(Path("/"), 5, 0)
    with places.place("a"), places.place("a"):
        with pytest.raises(Overloaded, match="of this tenant"), places.place("a"):
            pass
        with places.place("b"):
            pass
    with places.place("a"):
        pass
    assert not places._taken
    with Places(Path("/"), 1, 0).place("a"):
        pass


def test_room_is_promised_once_and_a_reserve_stays() -> None:
    places = Places(Path("/"), 9, reserve_bytes=100, free=lambda _: 1000)
    with places.room(500), places.room(400):
        with pytest.raises(Overloaded), places.room(1):
            pass
        with places.room(0):
            pass
    with places.room(900):
        pass


def test_the_free_room_is_that_of_the_disk(tmp_path: Path) -> None:
    assert free_bytes(tmp_path) > 0


async def test_blocks_of_one_name_follow_each_other_and_those_of_others_do_not_wait() -> None:
    locks = Locks()
    said: list[str] = []

    async def work(name: str, index: int) -> None:
        async with locks.holding(name):
            said.append(f"{name}{index} in")
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            said.append(f"{name}{index} out")

    await asyncio.gather(work("a", 1), work("a", 2), work("b", 1))
    assert [word for word in said if word.startswith("a")] == ["a1 in", "a1 out", "a2 in", "a2 out"]
    assert said.index("b1 in") < said.index("a2 in")
    assert not locks._locks
