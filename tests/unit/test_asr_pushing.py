"""Pushed sessions without a server: who has them, and how they end."""

import asyncio
from collections.abc import Callable

import pytest
from ai2text.asr.v1 import live_session_service_pb2, session_pb2, speech_service_pb2

from servers.asr.news import MAX_FINALS
from servers.asr.pushing import PushedSession, PushedSessions, PushLimits
from servers.common.errors import (
    Ai2TextError,
    DependencyUnavailable,
    Draining,
    Overloaded,
    SessionNotFound,
    SessionTakenOver,
)
from servers.common.identity import Caller
from tests.fakes.clocks import settled
from tests.fakes.conversations import ScriptedConversations, final, named

CALLER = Caller("acme", "lan", frozenset({"speech"}))
CONFIG = speech_service_pb2.StreamingConfig()


async def come_true(condition: Callable[[], object]) -> None:
    """Wait until something holds."""
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.001)


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


async def test_one_that_fails_while_it_is_held_back_says_why() -> None:
    conversations = ScriptedConversations()
    session = await begun(PushedSessions(conversations))
    conversations.opened[0].tell(*(final(index) for index in range(MAX_FINALS + 1)))
    await settled()
    conversations.opened[0].fails_unread(DependencyUnavailable("triton"))
    await settled()
    for call in (session.push(piece(0)), session.close()):
        with pytest.raises(DependencyUnavailable):
            await call


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
