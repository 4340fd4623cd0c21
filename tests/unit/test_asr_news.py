"""What a pushed session tells waits for its watcher, and no final is lost."""

import asyncio
from contextlib import aclosing

import pytest

from servers.asr.news import MAX_FINALS, MAX_MOMENTS, News
from servers.common.errors import FieldInvalid, FinalsForgotten, SessionTakenOver, StreamIdle
from tests.fakes.clocks import settled
from tests.fakes.conversations import closing, final, named, partial, speech_started


async def told(news: News, next_final_index: int = 0, count: int | None = None) -> list[str]:
    """What a watch is told: `count` events, or all until the end."""
    names: list[str] = []
    async with aclosing(news.watch(next_final_index)) as events:
        async for event in events:
            names.append(named(event))
            if len(names) == count:
                break
    return names


async def test_events_come_in_their_order_and_partials_only_as_the_newest_of_each_channel() -> None:
    news = News(0)
    first = [speech_started(0), partial("a"), partial("left", 1), partial("a b"), final(0), speech_started(7)]
    for event in (*first, partial("c"), partial("c d"), closing(3)):
        await news.put(event)
    news.end(None)
    expected = ["started 0", "partial left", "final 0", "started 7", "partial c d", "status"]
    assert await told(news) == expected
    assert await told(news, 1) == []


async def test_a_watch_that_breaks_loses_no_final() -> None:
    news = News(0)
    for index in range(10):
        await news.put(final(index))
    assert await told(news, count=7) == [f"final {index}" for index in range(7)]
    news.end(None)
    assert await told(news, 3) == [f"final {index}" for index in range(3, 10)]
    assert await told(news, 3) == [f"final {index}" for index in range(3, 10)]


async def test_what_the_watcher_said_it_has_is_forgotten() -> None:
    news = News(0)
    for index in range(10):
        await news.put(final(index))
    news.end(None)
    await told(news, 5)
    with pytest.raises(FinalsForgotten) as forgotten:
        await told(news, 4)
    assert forgotten.value.metadata == {"oldest_final_index": "5"}


async def test_a_resumed_session_has_no_finals_from_before() -> None:
    news = News(20)
    with pytest.raises(FinalsForgotten) as forgotten:
        await told(news, 19)
    assert forgotten.value.metadata == {"oldest_final_index": "20"}
    await news.put(final(20))
    assert await told(news, 20, count=1) == ["final 20"]


async def test_finals_that_do_not_exist_yet_cannot_be_had_already() -> None:
    news = News(0)
    await news.put(final(0))
    with pytest.raises(FieldInvalid):
        await told(news, 2)


async def test_a_refused_watch_takes_nothing_over() -> None:
    news = News(0)
    watching = asyncio.create_task(told(news, count=1))
    await settled()
    with pytest.raises(FieldInvalid):
        await told(news, 1)
    await news.put(final(0))
    assert await watching == ["final 0"]


async def test_finals_that_nobody_has_seen_hold_the_session_back() -> None:
    news = News(0)
    for index in range(MAX_FINALS):
        await news.put(final(index))
    held_back = asyncio.create_task(news.put(final(MAX_FINALS)))
    await settled()
    assert not held_back.done()
    assert await told(news, count=10) == [f"final {index}" for index in range(10)]
    await settled()
    assert not held_back.done(), "what was sent before the watch broke may not have arrived"
    assert await told(news, 10, count=55) == [f"final {index}" for index in range(10, MAX_FINALS + 1)]
    await held_back


async def test_with_a_watcher_a_session_may_make_any_number_of_finals() -> None:
    news = News(0)
    watching = asyncio.create_task(told(news))
    for index in range(MAX_FINALS * 3):
        await news.put(final(index))
    news.end(None)
    assert await watching == [f"final {index}" for index in range(MAX_FINALS * 3)]


async def test_of_other_events_only_the_recent_ones_are_kept() -> None:
    news = News(0)
    for start in range(MAX_MOMENTS + 5):
        await news.put(speech_started(start))
    news.end(None)
    assert await told(news) == [f"started {start}" for start in range(5, MAX_MOMENTS + 5)]


async def test_a_second_watch_takes_over() -> None:
    news = News(0)
    watching = asyncio.create_task(told(news))
    await settled()
    second = asyncio.create_task(told(news, count=1))
    with pytest.raises(SessionTakenOver):
        await watching
    await news.put(final(0))
    assert await second == ["final 0"]


async def test_the_error_of_a_session_comes_after_its_finals() -> None:
    news = News(0)
    await news.put(final(0))
    news.end(StreamIdle("nothing came"))
    events = news.watch(0)
    assert named(await anext(events)) == "final 0"
    with pytest.raises(StreamIdle):
        await anext(events)
