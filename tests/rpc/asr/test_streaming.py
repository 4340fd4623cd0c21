"""StreamingRecognize: what a session tells, and what it stores."""

import asyncio

import grpc
from ai2text.asr.v1 import audio_pb2, speech_service_pb2
from google.protobuf import duration_pb2

from servers.common.identity import Caller
from tests.rpc.asr.conftest import Speech, audio, config, pcm

Request = speech_service_pb2.StreamingRecognizeRequest
TWO_UTTERANCES = audio((0.5, 0.0), (2.0, 0.5), (1.0, 0.0), (3.0, 0.5), (1.0, 0.0))


async def collect(call: grpc.aio.StreamStreamCall) -> list[speech_service_pb2.StreamingRecognizeResponse]:
    return [response async for response in call]


def kinds(responses: list[speech_service_pb2.StreamingRecognizeResponse]) -> list[str | None]:
    return [response.WhichOneof("event") for response in responses]


def finals(responses: list[speech_service_pb2.StreamingRecognizeResponse]) -> list[str]:
    return [response.final.text for response in responses if response.HasField("final")]


async def test_each_utterance_becomes_a_final_with_its_times(speech: Speech) -> None:
    responses = await collect(speech.stream(config(language_code="vi"), *TWO_UTTERANCES))
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
    responses = await collect(speech.stream(config(), *TWO_UTTERANCES))
    for field in ("received_ms", "processed_ms", "final_ms", "final_index"):
        values = [getattr(response.cursors, field) for response in responses]
        assert values == sorted(values), field
    last = responses[-1].cursors
    assert (last.received_ms, last.final_index) == (7500, 2)


async def test_partials_come_while_somebody_speaks_unless_disabled(speech: Speech) -> None:
    async def paced(**fields: bool) -> list[speech_service_pb2.StreamingRecognizeResponse]:
        async def messages():  # type: ignore[no-untyped-def]
            yield config(**fields)
            for message in audio((3.0, 0.5), (1.0, 0.0)):
                yield message
                await asyncio.sleep(0.02)

        caller = Caller("acme", "lan", frozenset({"speech"}))
        return await collect(speech.stub.StreamingRecognize(messages(), metadata=caller.metadata(), timeout=20))

    partials = [response.partial for response in await paced() if response.HasField("partial")]
    assert [partial.stable_text + partial.unstable_text for partial in partials][-1].startswith("one")
    assert any(partial.stable_text for partial in partials)
    assert "partial" not in kinds(await paced(partials_disabled=True))


async def test_finals_are_stored_for_the_caller_under_the_named_recording(speech: Speech) -> None:
    responses = await collect(speech.stream(config(title="Họp", language_code="vi"), *TWO_UTTERANCES))
    started = responses[0].session_started
    await speech.settled(lambda: len(speech.metadata.segments) == 2)
    assert speech.metadata.segments == {
        (started.transcript_id, 0): "one two",
        (started.transcript_id, 1): "one two three",
    }
    assert [(r.recording_id, r.title) for r in speech.metadata.recordings] == [(started.recording_id, "Họp")]
    assert speech.metadata.tenants == {"acme"}


async def test_nothing_is_stored_when_storage_is_disabled(speech: Speech) -> None:
    responses = await collect(speech.stream(config(storage_disabled=True), *TWO_UTTERANCES))
    assert finals(responses) == ["one two", "one two three"]
    assert responses[0].session_started.recording_id == ""
    assert speech.metadata.recordings == []


async def test_finals_wait_for_the_metadata_server_while_the_client_gets_them(speech: Speech) -> None:
    speech.metadata.away = True
    assert finals(await collect(speech.stream(config(), *TWO_UTTERANCES))) == ["one two", "one two three"]
    assert speech.metadata.segments == {}
    speech.metadata.away = False
    await speech.settled(lambda: sorted(speech.metadata.segments.values()) == ["one two", "one two three"])


async def test_what_a_vanished_client_said_is_still_stored(speech: Speech) -> None:
    async def messages():  # type: ignore[no-untyped-def]
        yield config()
        for message in audio((2.0, 0.5)):
            yield message
        await asyncio.sleep(30)

    call = speech.stub.StreamingRecognize(messages(), metadata=Caller("acme", "lan", frozenset({"speech"})).metadata())
    async for response in call:
        if response.HasField("speech_started"):
            break
    await asyncio.sleep(0.2)
    call.cancel()
    await speech.settled(lambda: list(speech.metadata.segments.values()) == ["one two"])


async def test_three_minutes_of_silence_are_no_text(speech: Speech) -> None:
    responses = await collect(speech.stream(config(), *audio((180.0, 0.0), chunk_s=5)))
    assert kinds(responses) == ["session_started"]
    assert speech.recognizer.requests == []


async def test_silence_left_out_moves_the_clock(speech: Speech) -> None:
    silence = Request(silence=speech_service_pb2.Silence(duration=duration_pb2.Duration(seconds=10)))
    responses = await collect(speech.stream(config(), *audio((2.0, 0.5)), silence, *audio((2.0, 0.5), (1.0, 0.0))))
    starts = [response.speech_started.start_ms for response in responses if response.HasField("speech_started")]
    assert starts[0] == 0
    assert abs(starts[1] - 12_000) < 64


async def test_force_end_makes_a_final_without_silence(speech: Speech) -> None:
    force = Request(force_end_of_utterance=speech_service_pb2.ForceEndOfUtterance())
    responses = await collect(speech.stream(config(), *audio((2.0, 0.5)), force, *audio((3.0, 0.5))))
    assert finals(responses) == ["one two", "one two three"]


async def test_keepalive_keeps_an_idle_stream_open(speech: Speech) -> None:
    async def messages():  # type: ignore[no-untyped-def]
        yield config()
        for _ in range(4):
            await asyncio.sleep(0.4)
            yield Request(keepalive=speech_service_pb2.Keepalive())

    caller = Caller("acme", "lan", frozenset({"speech"}))
    responses = await collect(speech.stub.StreamingRecognize(messages(), metadata=caller.metadata(), timeout=20))
    assert kinds(responses) == ["session_started"]


async def test_recognize_answers_with_every_utterance(speech: Speech) -> None:
    data = pcm((0.5, 0.0), (2.0, 0.5), (1.0, 0.0), (3.0, 0.5))
    request = speech_service_pb2.RecognizeRequest(
        format=audio_pb2.AudioFormat(encoding=audio_pb2.AUDIO_ENCODING_LINEAR16, sample_rate_hz=16_000), audio=data
    )
    caller = Caller("acme", "lan", frozenset({"speech"}))
    response = await speech.stub.Recognize(request, metadata=caller.metadata())
    assert [result.text for result in response.results] == ["one two", "one two three"]
    assert response.duration_ms == 6500
    assert speech.metadata.recordings == []


async def test_capabilities_name_what_is_accepted(speech: Speech) -> None:
    caller = Caller("acme", "lan", frozenset({"speech"}))
    can = await speech.stub.GetCapabilities(speech_service_pb2.GetCapabilitiesRequest(), metadata=caller.metadata())
    assert (can.model, list(can.language_codes)) == ("counting", ["en", "vi"])
    assert audio_pb2.AUDIO_ENCODING_WEBM in can.encodings


async def test_partials_take_the_language_that_the_final_before_was_in(speech: Speech) -> None:
    async def messages():  # type: ignore[no-untyped-def]
        yield config()
        for message in audio((2.0, 0.5), (1.0, 0.0), (3.0, 0.5), (1.0, 0.0)):
            yield message
            await asyncio.sleep(0.02)

    caller = Caller("acme", "lan", frozenset({"speech"}))
    await collect(speech.stub.StreamingRecognize(messages(), metadata=caller.metadata(), timeout=20))
    asked = [(request.final, request.language) for request in speech.recognizer.requests]
    assert (False, "") in asked
    assert (False, "vi") in asked
    assert (True, "vi") not in asked


async def test_what_a_fast_client_sent_before_it_vanished_is_still_stored(speech: Speech) -> None:
    sent = audio(*[(1.0, 0.5), (1.0, 0.0)] * 8, chunk_s=16)

    async def messages():  # type: ignore[no-untyped-def]
        yield config()
        for message in sent:
            yield message
        await asyncio.sleep(30)

    call = speech.stub.StreamingRecognize(messages(), metadata=Caller("acme", "lan", frozenset({"speech"})).metadata())
    async for response in call:
        if response.HasField("speech_ended"):
            break
    call.cancel()
    await speech.settled(lambda: list(speech.metadata.segments.values()) == ["one"] * 8)


async def test_a_blank_title_is_none(speech: Speech) -> None:
    await collect(speech.stream(config(title="  "), *TWO_UTTERANCES))
    await speech.settled(lambda: len(speech.metadata.recordings) == 1)
    assert speech.metadata.recordings[0].title.startswith("Live session")
