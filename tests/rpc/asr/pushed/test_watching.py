"""What is told is watched: in order, and no final is lost."""

import asyncio

import grpc
import pytest

from servers.asr.news import MAX_FINALS
from tests.fakes.clocks import LoopTime
from tests.fakes.conversations import final, named, partial, speech_started
from tests.rpc.asr.pushed.conftest import Client, names, vanishes
from tests.rpc.refusals import refusal

Code = grpc.StatusCode


async def test_a_watch_that_breaks_loses_nothing(client: Client) -> None:
    session = await client.open()
    client.conversation.tell(*(final(index) for index in range(5)))
    broken = client.watch(session)
    for index in range(3):
        assert named((await broken.read()).event) == f"final {index}"
    broken.cancel()
    client.conversation.tell(final(5))
    await client.close(session)
    assert await names(client.watch(session, 2)) == [f"final {index}" for index in range(2, 6)]


async def test_of_two_watches_the_second_goes_on(client: Client) -> None:
    session = await client.open()
    first = client.watch(session)
    client.conversation.tell(final(0))
    assert named((await first.read()).event) == "final 0"
    second = asyncio.create_task(names(client.watch(session, 1)))
    refused = await refusal(first)
    assert (refused.code, refused.reason) == (Code.ABORTED, "SESSION_TAKEN_OVER")
    client.conversation.tell(final(1))
    await client.close(session)
    assert await second == ["final 1"]


async def test_finals_that_are_no_longer_kept_are_named(client: Client) -> None:
    session = await client.open()
    client.conversation.tell(*(final(index) for index in range(3)))
    watch = client.watch(session, 0)
    for _ in range(3):
        await watch.read()
    second = client.watch(session, 2)
    assert named((await second.read()).event) == "final 2"
    refused = await refusal(client.watch(session, 1))
    assert (refused.code, refused.reason) == (Code.OUT_OF_RANGE, "FINALS_FORGOTTEN")
    assert refused.metadata == {"oldest_final_index": "2"}


async def test_a_watch_cannot_have_finals_that_are_not_made(client: Client) -> None:
    session = await client.open()
    refused = await refusal(client.watch(session, 1))
    assert (refused.code, refused.reason, refused.field) == (Code.INVALID_ARGUMENT, "FIELD_INVALID", "next_final_index")


async def test_who_comes_late_sees_all_finals_and_the_newest_partial(client: Client) -> None:
    session = await client.open()
    client.conversation.tell(partial("a"), final(0), partial("b"), partial("b c"))
    await client.comes_true(lambda: not client.conversation.untold)
    await client.close(session)
    assert await names(client.watch(session)) == ["final 0", "partial b c"]


async def held_back(client: Client) -> int:
    """Wait until the newest session makes no more finals; how many it has made."""
    before = -1
    while before != client.conversation.cursors.final_index or before < MAX_FINALS:
        before = client.conversation.cursors.final_index
        await asyncio.sleep(0.3)
    return before


async def test_a_slow_watcher_holds_the_session_back_and_loses_no_final(client: Client) -> None:
    session = await client.open()
    long, count = "x" * 60_000, 4 * MAX_FINALS
    client.conversation.tell(*(event for index in range(count) for event in (partial("p"), final(index, long))))
    watch = client.watch(session)
    first = (await watch.read()).event
    assert await held_back(client) < count
    closing = asyncio.ensure_future(client.close(session))
    told = [first, *[response.event async for response in watch]]
    await closing
    assert [event.final.final_index for event in told if event.HasField("final")] == list(range(count))
    assert sum(event.HasField("partial") for event in told) < count


async def test_a_slow_watcher_that_vanishes_is_noticed(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    session = await client.open()
    client.conversation.tell(*(final(index, "x" * 60_000) for index in range(4 * MAX_FINALS)))
    watch = client.watch(session)
    await watch.read()
    await held_back(client)
    await vanishes(client, watch, LoopTime(monkeypatch))


async def test_events_without_watcher_hold_nothing_back_but_finals(client: Client) -> None:
    session = await client.open()
    client.conversation.tell(*(event for _ in range(500) for event in (speech_started(0), partial("p"))))
    await client.comes_true(lambda: not client.conversation.untold)
    client.conversation.tell(*(final(index) for index in range(MAX_FINALS + 10)))
    await client.comes_true(lambda: client.conversation.cursors.final_index == MAX_FINALS + 1)
    watching = asyncio.create_task(names(client.watch(session)))
    await client.close(session)
    assert [name for name in await watching if "final" in name] == [f"final {n}" for n in range(MAX_FINALS + 10)]
