"""Sessions that lose their client or their server go on, and lose no final and double none."""

import asyncio
from contextlib import suppress
from dataclasses import replace

import grpc
import numpy as np
import pytest

from servers.asr.live import Limits
from servers.asr.session import REPLAY_MS
from tests.fakes.detectors import LevelDetector
from tests.rpc.asr.conftest import (
    FORCE,
    Speech,
    Surroundings,
    audio,
    chunks,
    config,
    ends_utterance,
    is_final,
    kinds,
    pcm,
    resume,
)
from tests.rpc.asr.interruptions import EXPECTED, PATIENT, SAID, cut_off, ended, gone_on, rest, told_finals
from tests.rpc.refusals import refusal

Code = grpc.StatusCode


@pytest.fixture
def limits() -> Limits:
    return PATIENT


# Nothing is lost, nothing is doubled.


async def test_an_undisturbed_session_for_comparison(speech: Speech) -> None:
    assert told_finals(await speech.told(config(), *chunks(SAID))) == EXPECTED


@pytest.mark.parametrize("cut_ms", [100, 1_500, 2_600, 2_900, 3_600, 4_600, 6_600, 7_000, 8_600])
async def test_a_session_that_is_cut_off_anywhere_goes_on_at_another_server(
    speech: Speech, other: Speech, cut_ms: int
) -> None:
    old = await cut_off(speech, chunks(SAID)[: cut_ms // 100])
    told = await gone_on(other, old, SAID)
    assert told_finals(old.heard, told) == EXPECTED
    assert told[-1].cursors.received_ms == len(SAID) // 32
    await speech.settled(lambda: len(speech.metadata.segments) == 3)
    transcript = old.started.transcript_id
    assert speech.metadata.segments == {(transcript, index): text for index, text, _, _ in EXPECTED}


@pytest.mark.parametrize("cut_ms", [1_500, 4_600, 7_000])
async def test_a_session_that_is_cut_off_goes_on_at_the_same_server(speech: Speech, cut_ms: int) -> None:
    old = await cut_off(speech, chunks(SAID)[: cut_ms // 100])
    assert told_finals(old.heard, await gone_on(speech, old, SAID)) == EXPECTED


async def test_a_session_that_is_cut_off_again_and_again(speech: Speech, other: Speech) -> None:
    talk = await cut_off(speech, chunks(SAID)[:10])
    told = [talk.heard]
    for turn, cut_ms in enumerate(range(1_500, 8_500, 500)):
        had = len(told_finals(*told))
        server = (other, speech)[turn % 2]
        talk = await server.talk(resume(talk.started, had))
        await talk.say(*rest(SAID[: 32 * cut_ms], talk.started.replay_from_ms))
        with suppress(TimeoutError):  # how much it is told until then makes no difference
            async with asyncio.timeout(0.3):
                await talk.until(lambda response: False)
        talk.call.cancel()
        told.append(talk.heard)
    talk.heard = [response for responses in told for response in responses]
    assert told_finals(talk.heard, (await gone_on(speech, talk, SAID))) == EXPECTED
    await speech.settled(lambda: speech.metadata.texts == [text for _, text, _, _ in EXPECTED])


async def test_finals_that_the_client_missed_are_told_again(speech: Speech, other: Speech) -> None:
    old = await cut_off(speech, chunks(SAID)[:75], finals=2)
    told = await other.told(resume(old.started, 1))
    assert told_finals(told) == EXPECTED[1:2]
    assert [response.cursors.final_index for response in told[:2]] == [2, 2]
    (first,) = (response.final for response in old.heard if is_final(response) and response.final.final_index == 1)
    (again,) = (response.final for response in told if is_final(response))
    first.ClearField("processing_times")
    again.ClearField("processing_times")
    assert first == again


async def test_finals_that_are_told_again_come_before_all_else_with_their_own_cursors(
    speech: Speech, other: Speech
) -> None:
    old = await cut_off(speech, chunks(SAID)[:75], finals=2)
    told = await other.told(resume(old.started, 0))
    assert kinds(told)[:3] == ["session_started", "final", "final"]
    assert [response.cursors.final_index for response in told[1:3]] == [1, 2]


async def test_the_audio_is_wanted_again_from_the_last_settled_place(speech: Speech, other: Speech) -> None:
    old = await cut_off(speech, chunks(SAID)[:45], finals=1)
    settled_ms = max(response.cursors.final_ms for response in old.heard)
    resumed = await other.talk(resume(old.started, 1))
    replay_from_ms = resumed.started.replay_from_ms
    assert settled_ms <= replay_from_ms < 4_500
    assert replay_from_ms >= (2_496 - REPLAY_MS) // 1_024 * 1_024 > 0
    cursors = resumed.heard[0].cursors
    assert (cursors.received_ms, cursors.processed_ms, cursors.final_ms) == (replay_from_ms,) * 3
    resumed.call.cancel()


async def test_the_voice_detector_goes_on_where_the_audio_begins_again(speech: Speech, other: Speech) -> None:
    old = await cut_off(speech, chunks(SAID)[:75], finals=2)
    LevelDetector.restored.clear()
    resumed = await other.talk(resume(old.started, 2))
    await resumed.say(*rest(SAID, resumed.started.replay_from_ms))
    await resumed.until_end()
    assert resumed.started.replay_from_ms > 0
    assert LevelDetector.restored == [16 * resumed.started.replay_from_ms]


@pytest.mark.parametrize("limits", [replace(PATIENT, refresh_s=60.0)])
async def test_what_is_told_as_settled_is_never_wanted_again(
    speech: Speech, other: Speech, surroundings: Surroundings
) -> None:
    talk = await speech.talk()
    await talk.say(*audio((1.0, 0.5), (1.0, 0.0)))
    await talk.until(is_final)
    await talk.say(*audio((10.0, 0.0), (1.0, 0.5)))
    started = await talk.until(lambda response: response.speech_started.start_ms > 5_000)
    assert started.cursors.processed_ms > 10_000
    resumed = await other.talk(resume(talk.started, 1))  # as if the first server had died now
    assert resumed.started.replay_from_ms >= started.cursors.final_ms
    for each in (talk, resumed):
        each.call.cancel()


async def test_what_a_final_has_told_is_not_heard_again(speech: Speech, other: Speech) -> None:
    talk = await speech.talk()
    await talk.say(*audio((2.0, 0.5)), FORCE, *audio((1.0, 0.5)))
    await talk.until(is_final)
    talk.call.cancel()
    resumed = await other.talk(resume(talk.started, 1))
    await resumed.say(*rest(pcm((4.0, 0.5), (1.0, 0.0)), resumed.started.replay_from_ms))
    assert told_finals(await resumed.until_end()) == [(1, "one two", 20, 40)]
    (request,) = (request for request in other.recognizer.requests if request.careful and not request.background)
    assert float(np.count_nonzero(request.audio)) == pytest.approx(2.0 * 16_000, abs=2 * 512)


async def test_a_final_that_no_ticket_could_be_written_for_gets_one_soon(speech: Speech, other: Speech) -> None:
    speech.tickets.down = True
    talk = await speech.talk()
    await talk.say(*audio((2.0, 0.5), (1.0, 0.0)))
    await talk.until(is_final)
    speech.tickets.down = False
    await speech.settled(lambda: talk.started.session_id in speech.tickets.tickets)
    resumed = await other.talk(resume(talk.started, 1))
    for each in (talk, resumed):
        each.call.cancel()


async def test_the_language_goes_on(speech: Speech, other: Speech) -> None:
    speech.recognizer.language = "en"
    old = await cut_off(speech, chunks(SAID)[:40], finals=1)
    resumed = await other.talk(resume(old.started, 1))
    await resumed.say(*rest(SAID[: 32 * 6_000], resumed.started.replay_from_ms))
    await resumed.until(lambda response: response.HasField("partial"))
    assert {request.language for request in other.recognizer.requests if not request.careful} == {"en"}
    resumed.call.cancel()


async def test_what_the_client_asked_for_goes_on(speech: Speech, other: Speech) -> None:
    first = config(hotwords=["Triton"], partials_disabled=True, storage_disabled=True, language_code="en")
    old = await cut_off(speech, chunks(SAID)[:40], first, finals=1)
    told = await gone_on(other, old, SAID)
    assert told_finals(told) == EXPECTED[1:]
    assert "partial" not in kinds(told)
    assert {(request.hotwords, request.language) for request in other.recognizer.requests} == {("Triton", "en")}
    assert speech.metadata.recordings == []


async def test_the_title_goes_on(speech: Speech, other: Speech) -> None:
    speech.metadata.away = True
    old = await cut_off(speech, chunks(SAID)[:40], finals=1)
    await speech.archive.close(timeout_s=0)  # as if the server had been killed before it could store the final
    speech.metadata.away = False
    await gone_on(other, old, SAID)
    await other.settled(lambda: len(speech.metadata.segments) == 3)
    named = {(recording.recording_id, recording.title[:12]) for recording in speech.metadata.recordings}
    assert named == {(old.started.recording_id, "Live session")}
    assert len({recording.title for recording in speech.metadata.recordings}) == 1


async def test_finals_that_a_dead_server_had_told_but_not_stored_are_stored(speech: Speech, other: Speech) -> None:
    speech.metadata.away = True
    old = await cut_off(speech, chunks(SAID)[:75], finals=2)
    await speech.archive.close(timeout_s=0)
    speech.metadata.away = False
    assert told_finals(await gone_on(other, old, SAID)) == EXPECTED[2:]
    await other.settled(lambda: speech.metadata.texts == [text for _, text, _, _ in EXPECTED])


async def test_a_session_is_resumed_though_too_many_finals_wait_to_be_stored_for_new_ones(
    speech: Speech, other: Speech
) -> None:
    old = await cut_off(speech, chunks(SAID)[:45], finals=1)
    await speech.settled(lambda: speech.metadata.texts == ["one two"])
    speech.metadata.away = True
    await other.told(config(), *audio(*[(1.0, 0.5), (1.0, 0.0)] * 5))
    assert (await refusal(other.stream(config()))).reason == "OVERLOADED"
    assert told_finals(old.heard, await gone_on(other, old, SAID)) == EXPECTED
    speech.metadata.away = False
    await speech.settled(lambda: len(speech.metadata.segments) == 3 + 5)


# Two connections.


async def test_the_older_connection_to_the_same_server_is_ended(speech: Speech) -> None:
    old = await speech.talk()
    await old.say(*chunks(SAID)[:15])
    await old.until(lambda response: response.HasField("speech_started"))
    new = await speech.talk(resume(old.started))
    assert await ended(old) == (Code.ABORTED, "SESSION_TAKEN_OVER")
    await new.say(*rest(SAID, new.started.replay_from_ms))
    assert told_finals(old.heard, await new.until_end()) == EXPECTED


@pytest.mark.parametrize("limits", [replace(PATIENT, refresh_s=0.05)])
async def test_the_older_connection_to_another_server_is_ended(speech: Speech, other: Speech) -> None:
    old = await speech.talk()
    await old.say(*chunks(SAID)[:15])
    new = await other.talk(resume(old.started))
    assert await ended(old) == (Code.ABORTED, "SESSION_TAKEN_OVER")
    new.call.cancel()


async def test_a_server_that_has_lost_its_session_tells_no_final_and_stores_none(speech: Speech, other: Speech) -> None:
    speech.recognizer.ready.clear()
    old = await speech.talk()
    await old.say(*chunks(SAID)[:35])
    await old.until(ends_utterance)
    new = await other.talk(resume(old.started))
    speech.recognizer.ready.set()
    assert await ended(old) == (Code.ABORTED, "SESSION_TAKEN_OVER")
    assert told_finals(old.heard) == []
    await new.say(*rest(SAID, new.started.replay_from_ms))
    assert told_finals(await new.until_end()) == EXPECTED
    await speech.settled(lambda: len(speech.metadata.segments) == 3)


@pytest.mark.parametrize("limits", [replace(PATIENT, max_sessions=1)])
async def test_a_session_that_is_resumed_has_its_own_place(speech: Speech) -> None:
    old = await cut_off(speech, chunks(SAID)[:15])
    parked = await speech.talk(resume(old.started))
    live = await speech.talk(resume(old.started))
    assert await ended(parked) == (Code.ABORTED, "SESSION_TAKEN_OVER")
    refused = await refusal(speech.stream(config()))
    assert refused.reason == "OVERLOADED"
    await live.say(*rest(SAID, live.started.replay_from_ms))
    assert told_finals(await live.until_end()) == EXPECTED
    await speech.room()


async def test_a_session_is_resumed_though_the_model_is_too_busy_for_new_ones(speech: Speech) -> None:
    old = await cut_off(speech, chunks(SAID)[:15])
    speech.load.note(0.0, 100.0)
    assert (await refusal(speech.stream(config()))).reason == "OVERLOADED"
    assert told_finals(await gone_on(speech, old, SAID)) == EXPECTED
