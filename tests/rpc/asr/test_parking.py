"""Sessions whose client does not come back are finished and stored, within bounds, and give back their places."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace

import grpc
import pytest

from servers.asr.live import Limits
from servers.asr.results import Final
from servers.asr.tickets import Ticket
from tests.rpc.asr.conftest import (
    Message,
    Speech,
    Talk,
    chunks,
    config,
    ends_utterance,
    finals,
    resume,
)
from tests.rpc.asr.formats import format_of, wav
from tests.rpc.asr.interruptions import EXPECTED, PATIENT, SAID, cut_off, ended, gone_on, told_finals

Code = grpc.StatusCode
SOON = replace(PATIENT, max_sessions=1, parked_s=0.1, leave_s=0.2)


@pytest.fixture
def limits() -> Limits:
    return PATIENT


async def cut_off_in_the_second(speech: Speech, messages: list[Message], first: Message | None = None) -> Talk:
    """A client that vanishes when the server has heard 0.7 s or more of the second utterance."""
    talk = await speech.talk(first)
    await talk.say(*messages)
    await talk.until(lambda response: response.partial.start_ms > 3_000)
    talk.call.cancel()
    return talk


@pytest.mark.parametrize("limits", [SOON])
async def test_what_nobody_resumes_is_finished_and_stored(speech: Speech, other: Speech) -> None:
    old = await cut_off_in_the_second(speech, chunks(SAID)[:45])
    await speech.settled(lambda: speech.metadata.texts == ["one two", "one"])
    assert finals(await other.told(resume(old.started, 0)))[:2] == ["one two", "one"]


async def test_what_was_said_before_the_connection_was_lost_is_not_finished_while_it_may_be_resumed(
    speech: Speech,
) -> None:
    old = await cut_off_in_the_second(speech, chunks(SAID)[:45])
    await speech.settled(lambda: speech.metadata.texts == ["one two"])
    save, looks = speech.tickets.save, []

    async def looked(ticket: Ticket, finals: Sequence[Final] = ()) -> bool:
        looks.append(ticket)
        return await save(ticket, finals)

    speech.tickets.save = looked  # type: ignore[method-assign]
    await speech.settled(lambda: len(looks) == 2)
    assert speech.metadata.texts == ["one two"]
    assert told_finals(old.heard, await gone_on(speech, old, SAID)) == EXPECTED


@pytest.mark.parametrize("limits", [SOON])
async def test_what_breaks_off_in_a_container_is_finished_and_stored(speech: Speech) -> None:
    data = wav(SAID)
    await cut_off_in_the_second(speech, chunks(data[: 32 * 4_500 + 13]), config(format=format_of("WAV")))
    await speech.settled(lambda: speech.metadata.texts == ["one two", "one"])


@pytest.mark.parametrize("limits", [replace(SOON, farewell_s=0.3)])
async def test_a_client_that_vanishes_holds_its_place_no_longer_than_its_bounds(speech: Speech) -> None:
    speech.recognizer.ready.clear()
    talk = await speech.talk()
    await talk.say(*chunks(SAID)[:35])
    await talk.until(ends_utterance)
    talk.call.cancel()
    await speech.room(within_s=20)


@pytest.mark.parametrize("limits", [replace(SOON, parked_s=30.0)])
async def test_a_client_that_finished_and_did_not_wait_for_its_final_holds_no_place(speech: Speech) -> None:
    speech.recognizer.ready.clear()
    talk = await speech.talk()
    await talk.say(*chunks(SAID)[:15])
    await talk.call.done_writing()
    await talk.until(ends_utterance)
    talk.call.cancel()
    speech.recognizer.ready.set()
    await speech.room(within_s=20)
    await speech.settled(lambda: speech.metadata.texts == ["one"])


@pytest.mark.parametrize("limits", [replace(SOON, parked_s=30.0)])
async def test_a_session_that_went_elsewhere_gives_back_its_place(speech: Speech, other: Speech) -> None:
    old = await cut_off(speech, chunks(SAID)[:35])
    assert told_finals(old.heard, await gone_on(other, old, SAID)) == EXPECTED
    await speech.room(within_s=20)
    await speech.settled(lambda: speech.metadata.texts == [text for _, text, _, _ in EXPECTED])


async def test_many_connections_to_one_session_leave_one_and_then_none(speech: Speech) -> None:
    talk = await speech.talk()
    for _ in range(8):
        rivals = await asyncio.gather(*(speech.talk(resume(talk.started)) for _ in range(3)))
        ends = [asyncio.create_task(ended(rival)) for rival in (talk, *rivals)]
        await speech.settled(lambda: sum(end.done() for end in ends) >= len(ends) - 1, within_s=20)  # noqa: B023
        talk = await speech.talk(resume(talk.started))
        assert set(await asyncio.gather(*ends)) == {(Code.ABORTED, "SESSION_TAKEN_OVER")}
    await talk.say(*chunks(SAID))
    assert told_finals(await talk.until_end()) == EXPECTED
    talks = [await speech.talk() for _ in range(PATIENT.max_sessions)]
    for talk in talks:
        talk.call.cancel()


async def test_a_session_that_is_resumed_at_once_gives_back_the_place_it_was_parked_in(speech: Speech) -> None:
    for _ in range(PATIENT.max_sessions + 2):
        old = await cut_off(speech, chunks(SAID)[:7])
        await (await speech.talk(resume(old.started))).until_end()
    await speech.room()
