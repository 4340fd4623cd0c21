"""How pushed sessions end, and what calls are told then."""

import asyncio

import grpc
import pytest

from servers.asr.news import MAX_FINALS
from servers.common.errors import DependencyUnavailable, Draining, SessionTakenOver, StreamIdle
from tests.fakes.clocks import LoopTime
from tests.fakes.conversations import final, named
from tests.rpc.asr.pushed.conftest import CALLER, EMPTY, Client, impatient, names, vanishes
from tests.rpc.refusals import refusal

Code = grpc.StatusCode


@pytest.mark.parametrize(
    ("error", "code", "reason"),
    [
        (SessionTakenOver("resumed elsewhere"), Code.ABORTED, "SESSION_TAKEN_OVER"),
        (StreamIdle("nothing came", limit_seconds="60"), Code.DEADLINE_EXCEEDED, "STREAM_IDLE"),
        (Draining("shutting down"), Code.UNAVAILABLE, "DRAINING"),
        (DependencyUnavailable("triton"), Code.UNAVAILABLE, "DEPENDENCY_UNAVAILABLE"),
        (RuntimeError("secret detail"), Code.INTERNAL, "INTERNAL"),
    ],
)
async def test_what_ended_a_session_is_told_to_every_call(
    client: Client, error: Exception, code: grpc.StatusCode, reason: str
) -> None:
    session = await client.open()
    await client.push(session, 0)
    early = asyncio.ensure_future(client.push(session, 2))
    client.conversation.tell(final(0), error)
    watch = client.watch(session)
    assert named((await watch.read()).event) == "final 0"
    for call in (watch, early, client.push(session, 1), client.push(session, 0), client.close(session)):
        refused = await refusal(call)
        assert (refused.code, refused.reason) == (code, reason)
        assert "secret" not in refused.message
    assert client.conversation.parked


async def test_what_ended_a_session_that_nobody_watched_is_told_to_the_next_call(client: Client) -> None:
    session = await client.open()
    client.conversation.tell(*(final(index) for index in range(MAX_FINALS + 1)))
    await client.comes_true(lambda: client.conversation.cursors.final_index == MAX_FINALS + 1)
    client.conversation.fails_unread(DependencyUnavailable("triton"))
    await client.comes_true(lambda: client.conversation.parked)
    for call in (client.push(session, 0), client.close(session)):
        refused = await refusal(call)
        assert (refused.code, refused.reason) == (Code.UNAVAILABLE, "DEPENDENCY_UNAVAILABLE")
        assert refused.retry_s
    watch = client.watch(session)
    assert [named((await watch.read()).event) for _ in range(MAX_FINALS)] == [f"final {n}" for n in range(MAX_FINALS)]
    assert (await refusal(watch)).reason == "DEPENDENCY_UNAVAILABLE"


async def test_closing_may_be_repeated(client: Client) -> None:
    session = await client.open()
    await client.push(session, 0)
    first, second = await asyncio.gather(client.close(session), client.close(session))
    assert first == second == await client.close(session)
    refused = await refusal(client.push(session, 1))
    assert (refused.code, refused.reason) == (Code.NOT_FOUND, "SESSION_NOT_FOUND")


@impatient
async def test_closing_a_session_whose_finals_nobody_watches_can_be_tried_again(client: Client) -> None:
    session = await client.open()
    client.conversation.tell(*(final(index) for index in range(MAX_FINALS + 5)))
    refused = await refusal(client.close(session))
    assert (refused.code, refused.reason) == (Code.RESOURCE_EXHAUSTED, "OVERLOADED")
    assert len(await names(client.watch(session))) == MAX_FINALS + 5
    assert (await client.close(session)).cursors.final_index == MAX_FINALS + 5


async def test_a_client_that_vanishes_leaves_its_session_parked(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = await client.open()
    watch = client.watch(session)
    client.conversation.tell(final(0))
    assert named((await watch.read()).event) == "final 0"
    await vanishes(client, watch, LoopTime(monkeypatch))
    refused = await refusal(client.push(session, 0))
    assert (refused.code, refused.reason) == (Code.NOT_FOUND, "SESSION_NOT_FOUND")


async def test_the_end_of_the_server_parks_every_session(client: Client) -> None:
    session = await client.open()
    watch = client.watch(session)
    client.conversation.tell(final(0))
    await watch.read()
    await client.sessions.close()
    assert client.conversation.parked
    for call in (watch, client.push(session, 0), client.stub.OpenSession(EMPTY, metadata=CALLER.metadata())):
        refused = await refusal(call)
        assert (refused.code, refused.reason) == (Code.UNAVAILABLE, "DRAINING")
        assert refused.retry_s
