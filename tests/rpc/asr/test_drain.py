"""A server that is about to stop: its clients are told, go on elsewhere, and lose nothing."""

import asyncio
from dataclasses import replace

import grpc
import pytest
from ai2text.asr.v1 import speech_service_pb2

from tests.rpc.asr.conftest import (
    CALLER,
    LINEAR16,
    Response,
    Speech,
    Talk,
    chunks,
    config,
    is_final,
    kinds,
    pcm,
    resume,
)
from tests.rpc.asr.interruptions import EXPECTED, PATIENT, SAID, ended, rest, told_finals
from tests.rpc.refusals import Refusal, refusal

Code = grpc.StatusCode


@pytest.fixture
def limits():  # type: ignore[no-untyped-def]
    return PATIENT


def warns(response: Response) -> bool:
    return response.status.HasField("closing_in")


def is_draining(refused: Refusal) -> bool:
    return (refused.code, refused.reason) == (Code.UNAVAILABLE, "DRAINING") and bool(refused.retry_s)


async def begun(speech: Speech) -> Talk:
    """A session in the middle of its second utterance."""
    talk = await speech.talk()
    await talk.say(*chunks(SAID)[:45])
    await talk.until(lambda response: response.partial.start_ms > 3_000)
    return talk


async def test_clients_are_told_at_once_and_their_streams_go_on_for_a_while(speech: Speech) -> None:
    talks = [await begun(speech) for _ in range(2)]
    draining = asyncio.create_task(speech.sessions.drain(closing_in_s=20))
    for talk in talks:
        warned = await talk.until(warns)
        assert warned.status.closing_in.seconds == 20
        assert warned.status.credit.ToMilliseconds() > 0
        await talk.say(*chunks(SAID)[45:])
        assert told_finals(await talk.until_end()) == EXPECTED
    async with asyncio.timeout(5):
        await draining  # there is nobody left to wait for


async def test_streams_that_do_not_leave_are_ended_and_told_why(speech: Speech) -> None:
    talk = await begun(speech)
    await asyncio.wait_for(speech.sessions.drain(closing_in_s=0.1), 5)
    refused = await refusal(_all(talk))
    assert is_draining(refused)
    assert kinds(talk.heard)[-1] == "partial"
    assert any(warns(response) for response in talk.heard)


async def _all(talk: Talk) -> None:
    while (response := await talk.call.read()) is not grpc.aio.EOF:
        talk.heard.append(response)


async def test_nobody_is_admitted_any_more(speech: Speech, other: Speech) -> None:
    parked = await begun(other)
    parked.call.cancel()
    await speech.sessions.drain(closing_in_s=0)
    recognizing = speech_service_pb2.RecognizeRequest(format=LINEAR16, audio=pcm((1.0, 0.5)))
    for call in (
        speech.stream(config()),
        speech.stream(resume(parked.started, 1)),
        speech.stub.Recognize(recognizing, metadata=CALLER.metadata(), timeout=20),
    ):
        assert is_draining(await refusal(call))
    resumed = await other.talk(resume(parked.started, 1))  # the refusal took nothing from it
    await resumed.say(*rest(SAID, resumed.started.replay_from_ms))
    assert told_finals(await resumed.until_end()) == EXPECTED[1:]


async def test_a_session_that_was_about_to_begin_does_not_outlast_the_drain(speech: Speech) -> None:
    checking, go_on = asyncio.Event(), asyncio.Event()
    check = speech.recognizer.check

    async def slow_check() -> None:
        checking.set()
        await go_on.wait()
        await check()

    speech.recognizer.check = slow_check  # type: ignore[method-assign]
    beginning = asyncio.create_task(refusal(speech.stream(config())))
    await checking.wait()
    await speech.sessions.drain(closing_in_s=0)
    go_on.set()
    assert is_draining(await beginning)


async def test_a_session_that_is_handed_over_loses_nothing(speech: Speech, other: Speech) -> None:
    old = await begun(speech)
    draining = asyncio.create_task(speech.sessions.drain(closing_in_s=20))
    await old.until(warns)
    new = await other.talk(resume(old.started, 1))
    await new.say(*rest(SAID, new.started.replay_from_ms))
    told = await new.until_end()
    assert told_finals(old.heard, told) == EXPECTED
    old.call.cancel()
    async with asyncio.timeout(5):
        await draining
    await speech.settled(lambda: len(speech.metadata.segments) == 3)
    assert speech.metadata.texts == [text for _, text, _, _ in EXPECTED]


@pytest.mark.parametrize("limits", [replace(PATIENT, behind_s=60.0)])
async def test_who_is_handed_over_has_a_ticket_with_every_final(speech: Speech, other: Speech) -> None:
    old = await begun(speech)
    speech.tickets.down = True
    await old.say(*chunks(SAID)[45:75])
    await old.until(is_final)
    speech.tickets.down = False
    draining = asyncio.create_task(speech.sessions.drain(closing_in_s=20))
    await old.until(warns)
    new = await other.talk(resume(old.started, 2))
    await new.say(*rest(SAID, new.started.replay_from_ms))
    assert told_finals(await new.until_end()) == EXPECTED[2:]
    old.call.cancel()
    async with asyncio.timeout(5):
        await draining


@pytest.mark.parametrize("limits", [replace(PATIENT, closing_s=2.0)])
async def test_a_session_whose_stream_was_ended_is_resumed_elsewhere(speech: Speech, other: Speech) -> None:
    old = await begun(speech)
    await speech.sessions.drain(closing_in_s=0.05)
    assert (await ended(old))[1] == "DRAINING"
    closing = asyncio.create_task(speech.sessions.close())
    new = await other.talk(resume(old.started, 1))
    await new.say(*rest(SAID, new.started.replay_from_ms))
    assert told_finals(old.heard, await new.until_end()) == EXPECTED
    await closing
    await speech.settled(lambda: len(speech.metadata.segments) == 3)


@pytest.mark.parametrize("limits", [replace(PATIENT, parked_s=60.0, closing_s=2.0)])
async def test_what_is_parked_when_the_server_stops_is_finished_and_stored(speech: Speech, other: Speech) -> None:
    talk = await begun(speech)
    talk.call.cancel()
    await speech.settled(lambda: speech.metadata.texts == ["one two"])
    await asyncio.wait_for(speech.sessions.close(), 5)
    await speech.settled(lambda: speech.metadata.texts == ["one two", "one"])
    told = await other.talk(resume(talk.started, 1))
    assert (await told.until(is_final)).final.text == "one"
    told.call.cancel()


@pytest.mark.parametrize("limits", [replace(PATIENT, parked_s=60.0, farewell_s=60.0, closing_s=0.3)])
async def test_the_server_does_not_wait_for_ever_for_what_is_parked(speech: Speech) -> None:
    talk = await begun(speech)
    speech.recognizer.ready.clear()
    talk.call.cancel()
    await asyncio.wait_for(speech.sessions.close(), 5)
