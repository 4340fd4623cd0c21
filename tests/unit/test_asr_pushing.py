"""Pushed sessions without a server: pieces in order, news that wait for their watcher, and the end of a session."""

import asyncio
from collections.abc import Callable
from contextlib import aclosing

import pytest
from ai2text.asr.v1 import live_session_service_pb2, session_pb2, speech_service_pb2

from servers.asr.news import MAX_FINALS, MAX_MOMENTS, News
from servers.asr.pieces import MAX_AHEAD, MAX_CALLS, MAX_QUEUED, MAX_QUEUED_BYTES, Pieces
from servers.asr.pushing import PushedSession, PushedSessions, PushLimits
from servers.common.errors import (
    Ai2TextError,
    Draining,
    FieldInvalid,
    FinalsForgotten,
    Overloaded,
    SequenceGap,
    SessionNotFound,
    SessionTakenOver,
    StreamIdle,
)
from servers.common.identity import Caller
from tests.fakes.conversations import ScriptedConversations, closing, final, named, partial, speech_started

CALLER = Caller("acme", "lan", frozenset({"speech"}))
CONFIG = speech_service_pb2.StreamingConfig()
PATIENT_S = 60.0
SOON_S = 0.02


async def come_true(condition: Callable[[], object]) -> None:
    """Wait until something holds."""
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.001)


async def settled() -> None:
    """Let every task run that can."""
    for _ in range(20):
        await asyncio.sleep(0)


class Clock:
    """The time of the event loop, which passes only when the test says so."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        loop = asyncio.get_running_loop()
        self._now = loop.time()
        monkeypatch.setattr(loop, "time", lambda: self._now)

    async def passes(self, seconds: float) -> None:
        self._now += seconds
        await settled()


@pytest.fixture
async def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


# Pieces.


async def test_pieces_that_overlap_are_read_in_order() -> None:
    pieces: Pieces[int] = Pieces(PATIENT_S)
    puts = [asyncio.create_task(pieces.put(number, number, 1)) for number in (2, 0, 3, 1, *range(20, 3, -1))]
    assert [await anext(pieces) for _ in range(21)] == list(range(21))
    await asyncio.gather(*puts)
    assert pieces.next_sequence == 21


async def test_a_piece_that_came_already_is_not_read_twice() -> None:
    pieces: Pieces[str] = Pieces(PATIENT_S)
    early = [asyncio.create_task(pieces.put(1, text, 1)) for text in ("b", "b again")]
    await settled()
    for text in ("a", "a again"):
        await pieces.put(0, text, 1)
    await asyncio.gather(*early)
    pieces.close(SessionNotFound("closed"))
    assert [piece async for piece in pieces] == ["a", "b"]


async def test_a_piece_whose_forerunners_do_not_come_is_a_gap() -> None:
    pieces: Pieces[int] = Pieces(SOON_S)
    await pieces.put(0, 0, 1)
    with pytest.raises(SequenceGap) as gap:
        await pieces.put(2, 2, 1)
    assert gap.value.metadata == {"next_sequence": "1"}
    await pieces.put(1, 1, 1)
    assert pieces.next_sequence == 2


async def test_a_piece_too_far_ahead_does_not_wait() -> None:
    pieces: Pieces[int] = Pieces(PATIENT_S)
    waiting = asyncio.create_task(pieces.put(MAX_AHEAD, 0, 1))
    for sequence in (MAX_AHEAD + 1, 2**64 - 1):
        with pytest.raises(SequenceGap):
            await pieces.put(sequence, 0, 1)
    await settled()
    assert not waiting.done()
    waiting.cancel()


async def test_only_so_many_calls_wait() -> None:
    pieces: Pieces[int] = Pieces(PATIENT_S)
    waiting = [asyncio.create_task(pieces.put(1, 0, 1)) for _ in range(MAX_CALLS)]
    await settled()
    with pytest.raises(Overloaded):
        await pieces.put(1, 0, 1)
    for task in waiting:
        task.cancel()
    await asyncio.wait(waiting)
    await pieces.put(0, 0, 1)


async def test_a_full_queue_makes_pieces_wait_and_refuses_those_that_waited_long() -> None:
    pieces: Pieces[int] = Pieces(SOON_S)
    for number in range(MAX_QUEUED):
        await pieces.put(number, number, 1)
    results = await asyncio.gather(
        *(pieces.put(number, number, 1) for number in (MAX_QUEUED, MAX_QUEUED + 1)), return_exceptions=True
    )
    assert [type(result) for result in results] == [Overloaded, Overloaded]
    assert pieces.next_sequence == MAX_QUEUED
    assert await anext(pieces) == 0
    await pieces.put(MAX_QUEUED, MAX_QUEUED, 1)


async def test_the_queue_is_bounded_in_bytes_too_but_takes_any_one_piece() -> None:
    pieces: Pieces[int] = Pieces(SOON_S)
    await pieces.put(0, 0, MAX_QUEUED_BYTES + 1)
    with pytest.raises(Overloaded):
        await pieces.put(1, 1, 1)
    assert await anext(pieces) == 0
    await pieces.put(1, 1, MAX_QUEUED_BYTES - 1)
    await pieces.put(2, 2, 1)
    with pytest.raises(Overloaded):
        await pieces.put(3, 3, 1)


async def test_a_call_that_is_given_up_keeps_no_place() -> None:
    pieces: Pieces[str] = Pieces(PATIENT_S)
    given_up = asyncio.create_task(pieces.put(1, "given up", 1))
    await settled()
    given_up.cancel()
    await settled()
    await pieces.put(0, "a", 1)
    assert pieces.next_sequence == 1
    await pieces.put(1, "b", 1)
    assert [await anext(pieces) for _ in range(2)] == ["a", "b"]


async def test_after_the_end_new_pieces_are_refused_and_old_ones_acknowledged() -> None:
    pieces: Pieces[int] = Pieces(PATIENT_S)
    await pieces.put(0, 0, 1)
    early = asyncio.create_task(pieces.put(2, 2, 1))
    await settled()
    pieces.close(SessionNotFound("closed"))
    for refused in (early, pieces.put(1, 1, 1)):
        with pytest.raises(SessionNotFound):
            await refused
    await pieces.put(0, 0, 1)
    assert [piece async for piece in pieces] == [0]


# News.


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


# Sessions.


def piece(sequence: int, data: bytes = b"audio") -> live_session_service_pb2.PushAudioRequest:
    return live_session_service_pb2.PushAudioRequest(sequence=sequence, audio=data)


async def begun(sessions: PushedSessions) -> PushedSession:
    started = await sessions.open(CALLER, CONFIG)
    return sessions.find(CALLER, started.session_id, started.resume_token)


async def test_a_client_that_vanishes_leaves_its_session_parked(clock: Clock) -> None:
    conversations = ScriptedConversations()
    session = await begun(PushedSessions(conversations))
    await clock.passes(59)
    await session.push(piece(0))
    await clock.passes(59)
    assert not conversations.opened[0].parked
    await clock.passes(2)
    assert conversations.opened[0].parked
    for call in (session.push(piece(1)), session.close(), anext(session.watch(0))):
        with pytest.raises(SessionNotFound, match="resume"):
            await call


async def test_who_watches_is_there_and_who_stops_watching_goes(clock: Clock) -> None:
    conversations = ScriptedConversations()
    session = await begun(PushedSessions(conversations))
    watching = asyncio.create_task(_all(session))
    for _ in range(3):
        await clock.passes(50)
        await session.push(piece(0))
    await clock.passes(600)
    assert not conversations.opened[0].parked
    watching.cancel()
    await settled()
    await clock.passes(59)
    assert not conversations.opened[0].parked
    await clock.passes(2)
    assert conversations.opened[0].parked


async def test_a_session_that_has_ended_answers_for_a_while_and_is_then_forgotten(clock: Clock) -> None:
    sessions = PushedSessions(ScriptedConversations())
    session = await begun(sessions)
    await session.push(piece(0))
    await session.close()
    await clock.passes(29)
    assert sessions.find(CALLER, "session-0", "secret-0") is session
    await session.close()
    assert await session.push(piece(0)) == 1
    assert (session.cursors.received_ms, session.credit_ms) == (100, 0)
    with pytest.raises(SessionNotFound):
        await session.push(piece(1))
    await clock.passes(2)
    with pytest.raises(SessionNotFound):
        sessions.find(CALLER, "session-0", "secret-0")


async def test_a_resumed_session_is_not_forgotten_with_the_one_before(clock: Clock) -> None:
    conversations = ScriptedConversations()
    sessions = PushedSessions(conversations)
    await begun(sessions)
    resumed = await sessions.open(CALLER, session_pb2.Resume(session_id="session-0", resume_token="secret-0"))
    conversations.opened[0].tell(SessionTakenOver("resumed"))
    await settled()
    assert conversations.opened[0].parked
    await clock.passes(31)
    assert await sessions.find(CALLER, "session-0", resumed.resume_token).push(piece(0)) == 1
    with pytest.raises(SessionNotFound):
        sessions.find(CALLER, "session-0", "secret-0")


async def test_a_session_that_is_resumed_here_ends_even_when_it_was_held_back() -> None:
    conversations = ScriptedConversations()
    sessions = PushedSessions(conversations)
    before = await begun(sessions)
    conversations.opened[0].tell(*(final(index) for index in range(MAX_FINALS + 1)))
    await settled()
    await sessions.open(CALLER, session_pb2.Resume(session_id="session-0", resume_token="secret-0"))
    await settled()
    assert conversations.opened[0].parked
    with pytest.raises(SessionTakenOver):
        await before.push(piece(0))


async def test_closing_does_not_wait_for_ever(clock: Clock) -> None:
    conversations = ScriptedConversations()
    session = await begun(PushedSessions(conversations, PushLimits(last_final_s=30)))
    conversations.opened[0].tell(*(final(index) for index in range(MAX_FINALS + 1)))
    closing = asyncio.create_task(session.close())
    await settled()
    await clock.passes(31)
    with pytest.raises(Overloaded):
        await closing
    seen = asyncio.create_task(_all(session))
    await session.close()
    assert await seen == [f"final {index}" for index in range(MAX_FINALS + 1)]
    assert conversations.opened[0].ended


async def _all(session: PushedSession) -> list[str]:
    return [named(event) async for event in session.watch(0)]


async def test_an_error_that_nobody_expected_is_told_in_a_fixed_sentence() -> None:
    conversations = ScriptedConversations()
    session = await begun(PushedSessions(conversations))
    conversations.opened[0].tell(RuntimeError("secret detail"))
    for _ in range(2):
        with pytest.raises(Ai2TextError) as failed:
            await session.close()
        assert failed.value.reason == "INTERNAL"
        assert "secret" not in str(failed.value)


async def test_who_gives_up_opening_leaves_no_session() -> None:
    conversations = ScriptedConversations()
    conversations.admitting.clear()
    sessions = PushedSessions(conversations)
    opening = asyncio.create_task(sessions.open(CALLER, CONFIG))
    await come_true(lambda: conversations.asked)
    opening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await opening
    conversations.admitting.set()
    await settled()
    assert conversations.opened == []


async def test_only_so_many_sessions_are_known() -> None:
    sessions = PushedSessions(ScriptedConversations(), PushLimits(max_sessions=2))
    await (await begun(sessions)).close()
    await begun(sessions)
    with pytest.raises(Overloaded):
        await begun(sessions)


async def test_when_the_server_ends_every_session_is_parked_and_none_begins() -> None:
    conversations = ScriptedConversations()
    sessions = PushedSessions(conversations)
    open_ones = [await begun(sessions) for _ in range(3)]
    conversations.admitting.clear()
    opening = asyncio.create_task(sessions.open(CALLER, CONFIG))
    await come_true(lambda: len(conversations.asked) == 4)
    watching = asyncio.create_task(_all(open_ones[0]))
    await settled()
    await sessions.close()
    assert all(conversation.parked for conversation in conversations.opened)
    for call in (watching, opening, open_ones[1].push(piece(0)), sessions.open(CALLER, CONFIG)):
        with pytest.raises(Draining):
            await call
