"""StreamingRecognize: what a session tells, and what it stores."""

import asyncio
from collections.abc import Sequence

import grpc
import pytest
from ai2text.asr.v1 import speech_service_pb2, speech_service_pb2_grpc
from google.protobuf import duration_pb2

from servers.asr.live import Limits
from servers.asr.results import Final
from servers.asr.session import MAX_FINISHED, REPLAY_MS, SessionRules
from servers.asr.tickets import Ticket
from tests.rpc.asr.conftest import (
    CALLER,
    FORCE,
    LINEAR16,
    Message,
    Speech,
    audio,
    config,
    ends_utterance,
    finals,
    kinds,
    pcm,
)

TWO_UTTERANCES = audio((0.5, 0.0), (2.0, 0.5), (1.0, 0.0), (3.0, 0.5), (1.0, 0.0))


async def test_each_utterance_becomes_a_final_with_its_times(speech: Speech) -> None:
    responses = await speech.told(config(language_code="vi"), *TWO_UTTERANCES)
    one, two = (response.final for response in responses if response.HasField("final"))
    assert (one.text, one.final_index, one.language_code) == ("one two", 0, "vi")
    assert (two.text, two.final_index) == ("one two three", 1)
    assert abs(one.start_ms - 500) < 64
    assert abs(one.end_ms - 2500) < 64
    assert [word.text for word in one.words] == ["one", "two"]
    assert abs(one.words[0].start_ms - 500) < 64
    assert kinds(responses)[0] == "session_started"
    assert kinds(responses).count("speech_started") == kinds(responses).count("speech_ended") == 2


async def test_cursors_never_go_back_and_end_at_the_end(speech: Speech) -> None:
    responses = await speech.told(config(), *TWO_UTTERANCES)
    for field in ("received_ms", "processed_ms", "final_ms", "final_index"):
        values = [getattr(response.cursors, field) for response in responses]
        assert values == sorted(values), field
    last = responses[-1].cursors
    assert (last.received_ms, last.final_index) == (7500, 2)


async def test_partials_come_while_somebody_speaks_unless_disabled(speech: Speech) -> None:
    said = audio((3.0, 0.5), (1.0, 0.0))
    told = await speech.told_when_paced(config(), said)
    partials = [response.partial for response in told if response.HasField("partial")]
    assert [partial.stable_text + partial.unstable_text for partial in partials][-1].startswith("one")
    assert any(partial.stable_text for partial in partials)
    assert "partial" not in kinds(await speech.told_when_paced(config(partials_disabled=True), said))


async def test_finals_are_stored_for_the_caller_under_the_named_recording(speech: Speech) -> None:
    responses = await speech.told(config(title="Họp", language_code="vi"), *TWO_UTTERANCES)
    started = responses[0].session_started
    await speech.settled(lambda: len(speech.metadata.segments) == 2)
    assert speech.metadata.segments == {
        (started.transcript_id, 0): "one two",
        (started.transcript_id, 1): "one two three",
    }
    assert [(r.recording_id, r.title) for r in speech.metadata.recordings] == [(started.recording_id, "Họp")]
    assert speech.metadata.tenants == {"acme"}


async def test_nothing_is_stored_when_storage_is_disabled(speech: Speech) -> None:
    responses = await speech.told(config(storage_disabled=True), *TWO_UTTERANCES)
    assert finals(responses) == ["one two", "one two three"]
    assert responses[0].session_started.recording_id == ""
    assert speech.metadata.recordings == []


async def test_finals_wait_for_the_metadata_server_while_the_client_gets_them(speech: Speech) -> None:
    speech.metadata.away = True
    assert finals(await speech.told(config(), *TWO_UTTERANCES)) == ["one two", "one two three"]
    assert speech.metadata.segments == {}
    speech.metadata.away = False
    await speech.settled(lambda: sorted(speech.metadata.segments.values()) == ["one two", "one two three"])


async def test_what_a_vanished_client_said_is_still_stored(speech: Speech) -> None:
    talk = await speech.talk()
    await talk.say(*audio((1.0, 0.5), chunk_s=1.0))
    await talk.until(lambda response: response.HasField("partial"))  # so all of it was heard, however slow we are
    talk.call.cancel()
    await speech.settled(lambda: list(speech.metadata.segments.values()) == ["one"])


async def test_three_minutes_of_silence_are_no_text(speech: Speech) -> None:
    responses = await speech.told(config(), *audio((180.0, 0.0), chunk_s=5))
    assert kinds(responses) == ["session_started"]
    assert speech.recognizer.requests == []


async def test_silence_left_out_moves_the_clock(speech: Speech) -> None:
    silence = Message(silence=speech_service_pb2.Silence(duration=duration_pb2.Duration(seconds=10)))
    responses = await speech.told(config(), *audio((2.0, 0.5)), silence, *audio((2.0, 0.5), (1.0, 0.0)))
    starts = [response.speech_started.start_ms for response in responses if response.HasField("speech_started")]
    assert starts[0] == 0
    assert abs(starts[1] - 12_000) < 64


async def test_force_end_makes_a_final_without_silence(speech: Speech) -> None:
    responses = await speech.told(config(), *audio((2.0, 0.5)), FORCE, *audio((3.0, 0.5)))
    assert finals(responses) == ["one two", "one two three"]


async def test_recognize_answers_with_every_utterance(speech: Speech) -> None:
    data = pcm((0.5, 0.0), (2.0, 0.5), (1.0, 0.0), (3.0, 0.5))
    request = speech_service_pb2.RecognizeRequest(format=LINEAR16, audio=data)
    response = await speech.stub.Recognize(request, metadata=CALLER.metadata())
    assert [result.text for result in response.results] == ["one two", "one two three"]
    assert response.duration_ms == 6500
    assert speech.metadata.recordings == []


async def test_partials_take_the_language_that_the_final_before_was_in(speech: Speech) -> None:
    await speech.told_when_paced(config(), audio((2.0, 0.5), (1.0, 0.0), (3.0, 0.5), (1.0, 0.0)))
    requests = speech.recognizer.requests
    assert {request.language for request in requests if not request.careful} == {"", "vi"}
    assert {request.language for request in requests if not request.background} == {""}


async def test_what_a_fast_client_sent_before_it_vanished_is_still_stored(speech: Speech) -> None:
    talk = await speech.talk()
    await talk.say(*audio(*[(1.0, 0.5), (1.0, 0.0)] * 8, chunk_s=16))
    await talk.until(ends_utterance)
    talk.call.cancel()
    await speech.settled(lambda: speech.metadata.texts == ["one"] * 8)


async def test_a_blank_title_is_none(speech: Speech) -> None:
    await speech.told(config(title="  "), *TWO_UTTERANCES)
    await speech.settled(lambda: len(speech.metadata.recordings) == 1)
    assert speech.metadata.recordings[0].title.startswith("Live session")


async def test_a_long_silence_is_settled_without_a_final(speech: Speech) -> None:
    responses = await speech.told(config(), *audio((20.0, 0.0), (1.0, 0.5), (1.0, 0.0), chunk_s=1))
    ended = next(response for response in responses if ends_utterance(response))
    assert ended.cursors.final_index == 0
    final = next(response for response in responses if response.HasField("final"))
    assert final.cursors.final_index == 1
    assert final.cursors.final_ms == (20_992 - REPLAY_MS) // 1_024 * 1_024


async def test_events_name_a_final_as_sent_only_once_it_is(speech: Speech) -> None:
    save = speech.tickets.save

    async def slow(ticket: Ticket, finals: Sequence[Final] = ()) -> bool:
        await asyncio.sleep(0.1)
        return await save(ticket, finals)

    speech.tickets.save = slow  # type: ignore[method-assign]
    responses = await speech.told(config(), *audio(*[(1.0, 0.5), (0.6, 0.0)] * 6))
    sent = 0
    for response in responses:
        sent += response.HasField("final")
        assert response.cursors.final_index == sent
    assert sent == 6


async def test_the_credit_ends_when_finals_wait_and_comes_back_though_nothing_is_sent(speech: Speech) -> None:
    speech.recognizer.ready.clear()
    talk = await speech.talk()
    await talk.say(*audio(*[(1.0, 0.5), (0.48, 0.0)] * (MAX_FINISHED + 1)))
    status = await talk.until(lambda response: response.HasField("status") and not response.status.credit.ToSeconds())
    assert status.cursors.received_ms == 1_480 * (MAX_FINISHED + 1)  # all of it
    speech.recognizer.ready.set()
    told = await talk.until(lambda response: response.HasField("status"))
    assert told.status.credit.ToSeconds() > 0
    assert finals(await talk.until_end()) == ["one"] * (MAX_FINISHED + 1)


async def test_a_client_that_sends_too_fast_is_held_back_and_loses_nothing(speech: Speech) -> None:
    speech.recognizer.ready.clear()
    talk = await speech.talk()
    sending = asyncio.create_task(talk.say(*audio(*[(1.0, 0.5), (1.0, 0.0)] * 40, chunk_s=0.5)))
    await talk.until(lambda response: response.HasField("status") and not response.status.credit.ToSeconds())
    await asyncio.sleep(0.2)
    assert all(response.cursors.received_ms <= 2_000 * (MAX_FINISHED + 2) for response in talk.heard)
    speech.recognizer.ready.set()
    reading = asyncio.create_task(talk.until(lambda response: response.final.final_index == 39))
    await sending
    await reading
    assert finals(await talk.until_end()) == ["one"] * 40


async def test_partials_become_rarer_when_the_model_is_busy(speech: Speech) -> None:
    said = audio((3.5, 0.5), (1.0, 0.0))
    idle = await speech.told_when_paced(config(), said)
    talk = await speech.talk()
    speech.load.note(0.0, 1_000.0)
    for message in said:
        await talk.say(message)
        await asyncio.sleep(0.01)
    busy = await talk.until_end()
    intervals = [
        {r.status.partial_interval.ToMilliseconds() for r in told if r.HasField("status")} for told in (idle, busy)
    ]
    assert intervals == [{600}, {9_600}]
    counts = [sum(r.HasField("partial") and not r.partial.complete for r in told) for told in (idle, busy)]
    assert counts[0] > 3
    assert counts[1] == 1
    assert finals(busy) == finals(idle)


SMALL_WINDOW = [("grpc.http2.bdp_probe", 0), ("grpc.http2.lookahead_bytes", 0)]
"""So that the server notices soon that nothing is read."""


@pytest.mark.parametrize("rules", [SessionRules(unread_s=0.3)])
@pytest.mark.parametrize("limits", [Limits(max_sessions=1, leave_s=0.2, parked_s=0.1, farewell_s=0.2)])
async def test_a_client_that_reads_nothing_loses_its_place(speech: Speech) -> None:
    async with grpc.aio.insecure_channel(speech.address, SMALL_WINDOW) as to:
        call = speech_service_pb2_grpc.SpeechServiceStub(to).StreamingRecognize(metadata=CALLER.metadata())

        async def flood() -> None:
            await call.write(config())
            for message in audio((1.0, 0.5), (0.5, 0.0), chunk_s=1.5) * 1_000:
                await call.write(message)

        flooding = asyncio.create_task(flood())
        await speech.settled(lambda: len(speech.recognizer.requests) > 10)
        await speech.room(within_s=20)
        flooding.cancel()
