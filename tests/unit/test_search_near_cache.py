"""Answers to hot queries in memory, before another cache."""

import asyncio

import pytest

from servers.search import near_cache
from servers.search.hot import CacheAway
from servers.search.near_cache import NearCache


class Behind:
    """Keeps everything, and counts how often it is asked."""

    def __init__(self) -> None:
        self.kept = dict[str, bytes]()
        self.asked = 0
        self.away = False
        self.open = asyncio.Event()
        self.open.set()

    async def get(self, name: str) -> bytes | None:
        self.asked += 1
        if self.away:
            raise CacheAway
        return self.kept.get(name)

    async def put(self, name: str, answer: bytes) -> None:
        await self.open.wait()
        if self.away:
            raise CacheAway
        self.kept[name] = answer


async def settled() -> None:
    for _ in range(3):
        await asyncio.sleep(0)


async def test_what_is_held_costs_no_call_and_is_passed_on() -> None:
    behind = Behind()
    answers = NearCache(behind, 60)
    await answers.put("a", b"one")
    assert await answers.get("a") == b"one"
    assert behind.asked == 0
    await settled()
    assert behind.kept == {"a": b"one"}


async def test_what_is_not_held_is_asked_for_behind() -> None:
    behind = Behind()
    behind.kept["a"] = b"one"
    answers = NearCache(behind, 60)
    assert (await answers.get("a"), await answers.get("b")) == (b"one", None)


async def test_nothing_is_held_for_longer_than_its_time() -> None:
    now = [0.0]
    behind = Behind()
    answers = NearCache(behind, 60, clock=lambda: now[0])
    await answers.put("a", b"one")
    await settled()
    behind.kept.clear()
    now[0] = 59.9
    assert await answers.get("a") == b"one"
    now[0] = 60.0
    assert await answers.get("a") is None


async def test_no_more_is_held_than_there_is_room_for_and_the_oldest_goes_first() -> None:
    behind = Behind()
    answers = NearCache(behind, 60, most_bytes=10)
    for name in "abc":
        await answers.put(name, b"x" * 4)
        await answers.get("a")
    await settled()
    behind.kept.clear()
    assert [await answers.get(name) for name in "abc"] == [b"xxxx", None, b"xxxx"]
    await answers.put("a", b"y" * 10)
    assert (await answers.get("a"), await answers.get("c")) == (b"y" * 10, None)


async def test_a_cache_behind_that_is_away_or_slow_keeps_nobody_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(near_cache, "MOST_PASSED_ON", 2)
    behind = Behind()
    behind.open.clear()
    answers = NearCache(behind, 60)
    for name in "abc":
        await answers.put(name, name.encode())
    assert [await answers.get(name) for name in "abc"] == [b"a", b"b", b"c"]
    behind.open.set()
    await settled()
    assert behind.kept == {"a": b"a", "b": b"b"}
    behind.away = True
    await answers.put("d", b"d")
    await settled()
    assert await answers.get("d") == b"d"
    with pytest.raises(CacheAway):
        await answers.get("e")


async def test_at_the_end_nothing_is_on_its_way() -> None:
    behind = Behind()
    behind.open.clear()
    async with near_cache.opened(behind, 60) as answers:
        assert answers is not None
        await answers.put("a", b"one")
        await settled()
    assert len(asyncio.all_tasks()) == 1
    async with near_cache.opened(None, 60) as answers:
        assert answers is None
