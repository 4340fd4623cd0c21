"""Who may not resume a session, and what cannot be resumed: whoever is refused has disturbed nobody."""

from dataclasses import replace

import grpc
import pytest

from servers.asr.live import Limits
from servers.asr.load import LoadLimits
from servers.asr.session import SessionRules
from servers.asr.tickets import KEPT_FINALS
from servers.common.identity import Caller
from tests.rpc.asr.conftest import (
    CALLER,
    Speech,
    Surroundings,
    audio,
    chunks,
    config,
    finals,
    is_final,
    resume,
    speaking,
)
from tests.rpc.asr.interruptions import EXPECTED, PATIENT, SAID, cut_off, gone_on, told_finals
from tests.rpc.refusals import refusal

Code = grpc.StatusCode


@pytest.fixture
def limits() -> Limits:
    return PATIENT


async def test_a_resume_that_is_refused_disturbs_nobody(speech: Speech, other: Speech) -> None:
    talk = await speech.talk()
    await talk.say(*chunks(SAID)[:45])
    await talk.until(is_final)
    refused = await refusal(other.stream(resume(talk.started, 9)))
    assert (refused.code, refused.field) == (Code.INVALID_ARGUMENT, "resume.next_final_index")
    await talk.say(*chunks(SAID)[45:])
    assert told_finals(await talk.until_end()) == EXPECTED


@pytest.mark.parametrize("limits", [replace(PATIENT, max_sessions=1)])
@pytest.mark.parametrize("lack", ["place", "model"])
async def test_a_server_that_cannot_have_a_session_leaves_it_where_it_is(
    speech: Speech, other: Speech, lack: str
) -> None:
    talk = await speech.talk()
    await talk.say(*chunks(SAID)[:45])
    await talk.until(is_final)
    taking = [await other.talk()] if lack == "place" else []
    other.recognizer.away = lack == "model"
    refused = await refusal(other.stream(resume(talk.started, 1)))
    assert refused.reason == {"place": "OVERLOADED", "model": "DEPENDENCY_UNAVAILABLE"}[lack]
    assert refused.retry_s
    await talk.say(*chunks(SAID)[45:])
    assert told_finals(await talk.until_end()) == EXPECTED
    for each in taking:
        each.call.cancel()


async def test_a_server_that_does_not_know_the_language_leaves_the_session_where_it_is(
    speech: Speech, surroundings: Surroundings, limits: Limits, load_limits: LoadLimits, rules: SessionRules
) -> None:
    talk = await speech.talk(config(language_codes=["vi", "en"]))
    await talk.say(*chunks(SAID)[:45])
    await talk.until(is_final)
    async with speaking(surroundings, limits, load_limits, rules, "canary", frozenset({"vi"})) as newer:
        refused = await refusal(newer.stream(resume(talk.started, 1)))
    assert (refused.code, refused.reason) == (Code.INVALID_ARGUMENT, "LANGUAGE_UNSUPPORTED")
    await talk.say(*chunks(SAID)[45:])
    assert told_finals(await talk.until_end()) == EXPECTED


# Who may not.


@pytest.mark.parametrize(
    ("caller", "changed"),
    [
        (CALLER, {"resume_token": "wrong"}),
        (CALLER, {"session_id": "wrong"}),
        (replace(CALLER, tenant="other"), {}),
        (replace(CALLER, subject="other"), {}),
    ],
)
async def test_a_session_is_there_for_its_caller_with_its_token_only(
    speech: Speech, caller: Caller, changed: dict[str, str]
) -> None:
    talk = await speech.talk()
    refused = await refusal(speech.stream(resume(talk.started, **changed), caller=caller))
    assert (refused.code, refused.reason) == (Code.NOT_FOUND, "SESSION_NOT_FOUND")
    await talk.say(*chunks(SAID))
    assert told_finals(await talk.until_end()) == EXPECTED


async def test_more_finals_than_there_are_cannot_be_had(speech: Speech, other: Speech) -> None:
    old = await cut_off(speech, chunks(SAID)[:40], finals=1)
    refused = await refusal(other.stream(resume(old.started, 2)))
    assert (refused.code, refused.field) == (Code.INVALID_ARGUMENT, "resume.next_final_index")
    assert told_finals(old.heard, await gone_on(other, old, SAID)) == EXPECTED


async def test_finals_that_are_forgotten_are_named(speech: Speech, other: Speech) -> None:
    count = KEPT_FINALS + 6
    many = audio(*[(1.0, 0.5), (0.5, 0.0)] * count, chunk_s=1.5)
    talk = await speech.talk()
    await talk.say(*many)
    await talk.until(lambda response: response.final.final_index == count - 1)
    talk.call.cancel()
    refused = await refusal(other.stream(resume(talk.started, 5)))
    assert (refused.code, refused.reason) == (Code.OUT_OF_RANGE, "FINALS_FORGOTTEN")
    assert refused.metadata == {"oldest_final_index": "6"}
    assert len(finals(await other.told(resume(talk.started, 6)))) == KEPT_FINALS


async def test_an_ended_session_tells_its_last_finals_to_who_missed_them(speech: Speech, other: Speech) -> None:
    told = await speech.told(config(), *chunks(SAID))
    assert told_finals(await other.told(resume(told[0].session_started, 1))) == EXPECTED[1:]


# Tickets that cannot be had.


async def test_without_tickets_sessions_work_and_cannot_be_resumed(speech: Speech, other: Speech) -> None:
    speech.tickets.down = True
    told = await speech.told(config(), *chunks(SAID))
    assert told_finals(told) == EXPECTED
    refused = await refusal(other.stream(resume(told[0].session_started)))
    assert (refused.code, refused.reason) == (Code.UNAVAILABLE, "DEPENDENCY_UNAVAILABLE")
    assert refused.metadata == {"dependency": "valkey"}
    assert refused.retry_s


async def test_finals_that_were_told_while_tickets_were_away_are_caught_up_with(speech: Speech, other: Speech) -> None:
    talk = await speech.talk()
    await talk.say(*chunks(SAID)[:20])
    await talk.until(lambda response: response.HasField("speech_started"))
    speech.tickets.down = True
    await talk.say(*chunks(SAID)[20:40])
    final = await talk.until(is_final)
    assert final.cursors.final_ms == 0  # nobody knows that it is settled
    speech.tickets.down = False
    await talk.say(*chunks(SAID)[40:75])
    await talk.until(is_final)
    talk.call.cancel()
    assert told_finals(await other.told(resume(talk.started, 0)))[:2] == EXPECTED[:2]


async def test_tickets_that_vanish_cost_the_resume_and_nothing_else(speech: Speech, other: Speech) -> None:
    talk = await speech.talk()
    await talk.say(*chunks(SAID)[:40])
    await talk.until(is_final)
    speech.tickets.tickets.clear()
    speech.tickets.finals.clear()
    refused = await refusal(other.stream(resume(talk.started, 1)))
    assert refused.reason == "SESSION_NOT_FOUND"
    await talk.say(*chunks(SAID)[40:])
    assert told_finals(await talk.until_end()) == EXPECTED
