"""Sessions that lose their client or their server go on, and lose no final and double none."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import grpc
import pytest
from ai2text.asr.v1 import audio_pb2, speech_service_pb2

from servers.asr.live import Limits
from servers.asr.results import Final
from servers.asr.session import REPLAY_MS
from servers.asr.tickets import KEPT_FINALS, Ticket
from servers.common.identity import Caller
from tests.fakes.detectors import LevelDetector
from tests.rpc.asr.conftest import (
    CALLER,
    Message,
    Response,
    Speech,
    Surroundings,
    Talk,
    audio,
    chunks,
    config,
    ends_utterance,
    finals,
    interleaved,
    is_final,
    kinds,
    pcm,
    resume,
)
from tests.rpc.asr.test_fields import format_of, seconds, wav
from tests.rpc.refusals import refusal

Code = grpc.StatusCode
PATIENT = Limits(max_sessions=8, idle_s=10.0, parked_s=20.0, farewell_s=5.0, closing_s=0.05)

SAID = pcm((0.5, 0.0), (2.0, 0.5), (1.0, 0.0), (1.0, 0.5), (0.2, 0.0), (2.0, 0.5), (1.0, 0.0), (1.0, 0.5), (0.5, 0.0))
EXPECTED = [(0, "one two", 5, 25), (1, "one two three", 35, 67), (2, "one", 77, 87)]
"""Index, text, and tenths of seconds of the finals."""


@pytest.fixture
def limits() -> Limits:
    return PATIENT


def told_finals(*told: list[Response]) -> list[tuple[int, str, int, int]]:
    return [
        (r.final.final_index, r.final.text, round(r.final.start_ms / 100), round(r.final.end_ms / 100))
        for responses in told
        for r in responses
        if is_final(r)
    ]


def rest(data: bytes, from_ms: int, channels: int = 1) -> list[Message]:
    """What follows in PCM at 16 kHz."""
    return chunks(data[32 * channels * from_ms :], channels=channels)


async def cut_off(speech: Speech, messages: list[Message], first: Message | None = None, finals: int = 0) -> Talk:
    """A client that says all this, reads until it has so many finals, and vanishes."""
    talk = await speech.talk(first)
    await talk.say(*messages)
    if finals:
        await talk.until(lambda response: response.final.final_index == finals - 1 and is_final(response))
    talk.call.cancel()
    return talk


async def cut_off_in_the_second(speech: Speech, messages: list[Message], first: Message | None = None) -> Talk:
    """A client that vanishes when the server has heard 0.7 s or more of the second utterance."""
    talk = await speech.talk(first)
    await talk.say(*messages)
    await talk.until(lambda response: response.partial.start_ms > 3_000)
    talk.call.cancel()
    return talk


async def gone_on(speech: Speech, old: Talk, data: bytes, channels: int = 1) -> list[Response]:
    """All that is told when the session of `old` is resumed, and the rest is said."""
    had = [response for response in old.heard if is_final(response)]
    talk = await speech.talk(resume(old.started, len(had)))
    await talk.say(*rest(data, talk.started.replay_from_ms, channels))
    return await talk.until_end()


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
        await talk.until(lambda response, until=cut_ms: response.cursors.processed_ms >= until - 1_500)  # type: ignore[misc]
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


# Channels, rates, containers.


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


async def test_channels_that_are_settled_at_different_places(speech: Speech, other: Speech) -> None:
    left = pcm((0.5, 0.0), (2.0, 0.5), (1.0, 0.0), (1.0, 0.5), (3.5, 0.0))
    right = pcm((1.0, 0.0), (6.0, 0.5), (1.0, 0.0))
    both = interleaved(left, right)
    # Without partials: a long utterance is trimmed by them, when they happen to come, and this model takes no context.
    first = config(format=format_of("LINEAR16", sample_rate_hz=16_000, channel_count=2), partials_disabled=True)
    undisturbed = await speech.told(first, *chunks(both, channels=2))
    results = [(r.final.channel, r.final.text) for r in undisturbed if is_final(r)]
    assert sorted(results) == [(0, "one"), (0, "one two"), (1, "one two three four five six")]
    for cut_ms in (2_000, 3_200, 4_200, 5_500):
        old = await cut_off(speech, chunks(both, channels=2)[: cut_ms // 100], first, finals=int(cut_ms > 3_000))
        told = await gone_on(other, old, both, channels=2)
        assert [(r.final.channel, r.final.text) for r in (*old.heard, *told) if is_final(r)] == results
        assert told_finals(old.heard, told) == told_finals(undisturbed)
        assert told[0].session_started.transcript_ids == old.started.transcript_ids


@pytest.mark.parametrize("rate", [8_000, 44_100, 48_000])
async def test_other_rates(speech: Speech, other: Speech, rate: int) -> None:
    def said(from_ms: int) -> list[Message]:
        parts = ((0.5, 0.0), (2.0, 0.5), (1.0, 0.0), (3.0, 0.5), (1.0, 0.0))
        data = b"".join(pcm((seconds * rate / 16_000, level)) for seconds, level in parts)
        begin = from_ms * rate // 1000 * 2
        return [Message(audio=data[at : at + 4_410]) for at in range(begin, len(data), 4_410)]

    first = config(format=audio_pb2.AudioFormat(encoding=1, sample_rate_hz=rate))
    undisturbed = told_finals(await speech.told(first, *said(0)))
    assert [text for _, text, _, _ in undisturbed] == ["one two", "one two three"]
    old = await cut_off(speech, said(0)[: len(said(0)) * 5 // 8], first, finals=1)
    talk = await other.talk(resume(old.started, 1))
    await talk.say(*said(talk.started.replay_from_ms))
    assert told_finals(old.heard, await talk.until_end()) == undisturbed


async def test_containers_begin_anew_and_what_is_known_is_skipped(speech: Speech, other: Speech) -> None:
    data = wav(SAID)
    old = await cut_off(speech, chunks(data)[:50], config(format=format_of("WAV")), finals=1)
    talk = await other.talk(resume(old.started, 1))
    assert talk.started.replay_from_ms == 0
    assert talk.heard[0].cursors.received_ms > 300
    await talk.say(*chunks(data))
    told = await talk.until_end()
    assert told_finals(told) == EXPECTED[1:]
    assert min(response.speech_started.start_ms for response in told if response.HasField("speech_started")) > 3_000
    assert told[-1].cursors.received_ms == len(SAID) // 32


async def test_silence_that_was_left_out_is_replayed_as_such(speech: Speech, other: Speech) -> None:
    left_out = Message(silence=speech_service_pb2.Silence(duration=seconds(20)))
    talk = await speech.talk()
    await talk.say(*audio((1.0, 0.5)), left_out)
    await talk.until(is_final)
    await talk.say(*audio((1.0, 0.5)))
    await talk.until(lambda response: response.speech_started.start_ms > 20_000)
    talk.call.cancel()
    resumed = await other.talk(resume(talk.started, 1))
    await resumed.say(
        Message(silence=speech_service_pb2.Silence(duration=seconds(21 - resumed.started.replay_from_ms / 1000)))
    )
    await resumed.say(*audio((1.0, 0.5), (1.0, 0.0)))
    assert told_finals(await resumed.until_end()) == [(1, "one", 210, 220)]


# Two connections.


async def ended(talk: Talk) -> tuple[Any, str]:
    """How a stream ends that the server ends."""
    refused = await refusal(_all(talk))
    return refused.code, refused.reason


async def _all(talk: Talk) -> None:
    while (response := await talk.call.read()) is not grpc.aio.EOF:
        talk.heard.append(response)


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


# Nobody comes back.

SOON = replace(PATIENT, max_sessions=1, parked_s=0.1, farewell_s=0.3, leave_s=0.2)


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


@pytest.mark.parametrize("limits", [SOON])
async def test_a_client_that_vanishes_holds_its_place_no_longer_than_its_bounds(speech: Speech) -> None:
    speech.recognizer.ready.clear()
    talk = await speech.talk()
    await talk.say(*chunks(SAID)[:35])
    await talk.until(ends_utterance)
    talk.call.cancel()
    await speech.room(within_s=3)


@pytest.mark.parametrize("limits", [replace(SOON, parked_s=30.0)])
async def test_a_client_that_finished_and_did_not_wait_for_its_final_holds_no_place(speech: Speech) -> None:
    speech.recognizer.ready.clear()
    talk = await speech.talk()
    await talk.say(*chunks(SAID)[:15])
    await talk.call.done_writing()
    await talk.until(ends_utterance)
    talk.call.cancel()
    speech.recognizer.ready.set()
    await speech.room(within_s=3)
    assert speech.metadata.texts == ["one"]


@pytest.mark.parametrize("limits", [replace(SOON, parked_s=30.0)])
async def test_a_session_that_went_elsewhere_gives_back_its_place(speech: Speech, other: Speech) -> None:
    old = await cut_off(speech, chunks(SAID)[:35])
    assert told_finals(old.heard, await gone_on(other, old, SAID)) == EXPECTED
    await speech.room(within_s=3)
    assert speech.metadata.texts == [text for _, text, _, _ in EXPECTED]


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
