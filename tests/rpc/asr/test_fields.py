"""Every field of the contract: that a client sets changes the result, that the server sets is set."""

import io
import wave
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any, TypeVar

import pytest
from ai2text.asr.v1 import audio_pb2, live_session_service_pb2, session_pb2, speech_service_pb2
from google.protobuf import descriptor, duration_pb2
from google.protobuf.message import Message as Proto

from servers.asr.live import Limits
from servers.asr.session import SessionRules
from tests.rpc.asr.conftest import (
    CALLER,
    FORCE,
    KEEPALIVE,
    LINEAR16,
    Message,
    Response,
    Speech,
    Talk,
    audio,
    chunks,
    config,
    finals,
    interleaved,
    is_final,
    kinds,
    paced,
    pcm,
    resume,
)
from tests.rpc.refusals import refusal

UTTERANCE = ((0.5, 0.0), (2.0, 0.5), (1.0, 0.0))
ONE_TWO = audio(*UTTERANCE)

CHANGED: set[str] = set()
"""The fields that the tests of this module are about."""

Test = TypeVar("Test", bound=Callable[..., Awaitable[None]])


def changes(*fields: str) -> Callable[[Test], Test]:
    """Marks a test in which these fields change the result."""

    def mark(test: Test) -> Test:
        CHANGED.update(fields)
        return test

    return mark


def seconds(value: float) -> duration_pb2.Duration:
    duration = duration_pb2.Duration()
    duration.FromMilliseconds(round(value * 1000))
    return duration


def tuned(**fields: Any) -> Message:
    """A session with some of its endpointing tuned."""
    return config(endpointing=session_pb2.Endpointing(**fields))


def format_of(encoding: str, **fields: int) -> audio_pb2.AudioFormat:
    return audio_pb2.AudioFormat(encoding=audio_pb2.AudioEncoding.Value(f"AUDIO_ENCODING_{encoding}"), **fields)


def wav(data: bytes, channels: int = 1) -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setparams((channels, 2, 16_000, 0, "NONE", ""))
        out.writeframes(data)
    return file.getvalue()


def utterances(responses: list[Response]) -> list[tuple[int, int]]:
    """Where they begin and end, in tenths of a second."""
    starts = [r.speech_started.start_ms for r in responses if r.HasField("speech_started")]
    ends = [r.speech_ended.end_ms for r in responses if r.HasField("speech_ended")]
    return [(round(start / 100), round(end / 100)) for start, end in zip(starts, ends, strict=True)]


async def paced_session(speech: Speech, first: Message, messages: list[Message]) -> list[Response]:
    call = speech.stub.StreamingRecognize(paced(first, messages), metadata=CALLER.metadata(), timeout=20)
    return [response async for response in call]


# AudioFormat.


@changes("AudioFormat.encoding", "StreamingConfig.format", "StreamingRecognizeRequest.config")
async def test_the_encoding_says_how_the_bytes_are_read(speech: Speech) -> None:
    data = wav(pcm(*UTTERANCE))
    told = await speech.told(config(format=format_of("WAV")), *chunks(data))
    assert (finals(told), utterances(told)) == (["one two"], [(5, 25)])
    refused = await refusal(speech.stream(config(format=format_of("FLAC")), *chunks(data)))
    assert refused.reason == "AUDIO_UNDECODABLE"


@changes("AudioFormat.sample_rate_hz")
async def test_the_sample_rate_says_how_long_the_audio_is(speech: Speech) -> None:
    told = [
        await speech.told(config(format=format_of("LINEAR16", sample_rate_hz=rate)), *ONE_TWO)
        for rate in (8_000, 16_000, 32_000)
    ]
    assert [finals(responses) for responses in told] == [["one two three four"], ["one two"], ["one"]]
    assert [round(responses[-1].cursors.received_ms / 100) for responses in told] == [70, 35, 18]


LEFT = pcm((0.5, 0.0), (2.0, 0.5), (2.5, 0.0))
RIGHT = pcm((1.0, 0.0), (3.0, 0.5), (1.0, 0.0))


@changes("AudioFormat.channel_count")
@pytest.mark.parametrize(
    ("encoding", "rate", "data"),
    [("LINEAR16", 16_000, interleaved(LEFT, RIGHT)), ("WAV", 0, wav(interleaved(LEFT, RIGHT), 2))],
)
async def test_each_channel_is_transcribed_apart(speech: Speech, encoding: str, rate: int, data: bytes) -> None:
    format = format_of(encoding, sample_rate_hz=rate, channel_count=2)
    told = await speech.told(config(format=format), *chunks(data, channels=2))
    results = {r.final.channel: (r.final.text, r.final.final_index) for r in told if r.HasField("final")}
    assert results == {0: ("one two", 0), 1: ("one two three", 1)}
    assert told[-1].cursors.received_ms == 5_000
    transcripts = told[0].session_started.transcript_ids
    assert told[0].session_started.transcript_id == transcripts[0]
    await speech.settled(lambda: len(speech.metadata.segments) == 2)
    assert speech.metadata.segments == {(transcripts[0], 0): "one two", (transcripts[1], 1): "one two three"}
    created = [(transcript.transcript_id, transcript.channel) for transcript in speech.metadata.transcripts]
    assert created == [(transcripts[0], 0), (transcripts[1], 1)]
    assert len(speech.metadata.recordings) == 1


async def test_the_channels_of_a_container_are_mixed_unless_they_are_announced(speech: Speech) -> None:
    data = wav(interleaved(LEFT, RIGHT), 2)
    told = await speech.told(config(format=format_of("WAV")), *chunks(data, channels=2))
    assert (finals(told), utterances(told)) == (["one two three four"], [(5, 40)])
    assert len(told[0].session_started.transcript_ids) == 1


async def test_every_event_names_its_channel(speech: Speech) -> None:
    format = format_of("LINEAR16", sample_rate_hz=16_000, channel_count=3)
    silent = bytes(len(LEFT))
    told = await paced_session(speech, config(format=format), chunks(interleaved(silent, silent, LEFT), channels=3))
    for kind in ("speech_started", "speech_ended", "partial", "final"):
        channels = {getattr(response, kind).channel for response in told if response.HasField(kind)}
        assert channels == {2}, kind


# StreamingConfig.


@changes("StreamingConfig.language_code")
async def test_a_language_that_is_given_is_not_detected(speech: Speech) -> None:
    for given, asked, heard in (("", "", "vi"), ("en", "en", "en")):
        told = await speech.told(config(language_code=given), *ONE_TWO)
        assert [r.final.language_code for r in told if is_final(r)] == [heard]
        assert speech.recognizer.requests[-1].language == asked


@changes("StreamingConfig.language_codes")
async def test_the_languages_that_are_allowed_reach_the_model(speech: Speech) -> None:
    speech.recognizer.language = "en"
    told = await speech.told(config(language_codes=["vi", "en"]), *ONE_TWO)
    assert {request.language for request in speech.recognizer.requests if request.careful} == {"vi,en"}
    assert [r.final.language_code for r in told if is_final(r)] == ["en"]


@changes("StreamingConfig.partials_disabled")
async def test_partials_can_be_left_out(speech: Speech) -> None:
    said = audio((3.0, 0.5), (1.0, 0.0))
    assert "partial" in kinds(await paced_session(speech, config(), said))
    told = await paced_session(speech, config(partials_disabled=True), said)
    assert kinds(told) == ["session_started", "speech_started", "speech_ended", "final"]
    careful = [request.careful for request in speech.recognizer.requests]
    assert careful.count(False) >= 1
    assert careful[-1]


@changes("StreamingConfig.storage_disabled")
async def test_storage_can_be_left_out(speech: Speech) -> None:
    told = await speech.told(config(storage_disabled=True), *ONE_TWO)
    started = told[0].session_started
    assert (started.recording_id, started.transcript_id, list(started.transcript_ids)) == ("", "", [])
    assert finals(told) == ["one two"]
    await speech.told(config(), *ONE_TWO)
    await speech.settled(lambda: speech.metadata.texts == ["one two"])
    assert len(speech.metadata.recordings) == 1


@changes("StreamingConfig.title")
async def test_the_title_is_that_of_the_recording(speech: Speech) -> None:
    await speech.told(config(title=" Họp sáng "), *ONE_TWO)
    await speech.settled(lambda: speech.metadata.recordings)
    assert [recording.title for recording in speech.metadata.recordings] == ["Họp sáng"]


@changes("StreamingConfig.hotwords")
async def test_hotwords_reach_the_model(speech: Speech) -> None:
    await paced_session(speech, config(hotwords=[" Ghiền Mì Gõ", "Triton"]), ONE_TWO)
    assert {request.hotwords for request in speech.recognizer.requests} == {"Ghiền Mì Gõ, Triton"}
    await speech.told(config(), *ONE_TWO)
    assert speech.recognizer.requests[-1].hotwords == ""


@changes("StreamingConfig.partial_words_enabled")
async def test_partials_have_words_when_they_are_asked_for(speech: Speech) -> None:
    for enabled in (False, True):
        told = await paced_session(speech, config(partial_words_enabled=enabled), ONE_TWO)
        partials = [response.partial for response in told if response.HasField("partial")]
        assert partials
        for partial in partials:
            words = (partial.stable_text + partial.unstable_text).split() if enabled else []
            assert [word.text for word in partial.words] == words
            assert all(500 <= word.start_ms <= word.end_ms <= partial.end_ms for word in partial.words)


TORN = audio((1.0, 0.5), (0.5, 0.0), (2.0, 0.5), (1.0, 0.0))


@changes("StreamingConfig.refinements_disabled")
async def test_finals_that_belong_together_are_refined_unless_it_is_disabled(speech: Speech) -> None:
    told = await speech.told(config(), *TORN)
    assert finals(told) == ["one", "one two"]
    refined = {r.refinement.final_index: r.refinement.text for r in told if r.HasField("refinement")}
    assert refined == {1: "two three"}
    told = await speech.told(config(refinements_disabled=True), *TORN)
    assert finals(told) == ["one", "one two"]
    assert "refinement" not in kinds(told)


# Endpointing.


@changes("Endpointing.pause", "StreamingConfig.endpointing")
async def test_the_pause_after_which_the_text_is_made(speech: Speech) -> None:
    said = audio((1.0, 0.5), (0.2, 0.0))
    talk = await speech.talk()  # 128 ms
    await talk.say(*said)
    complete = await talk.until(lambda response: response.partial.complete)
    assert (complete.partial.stable_text, complete.cursors.final_index) == ("one", 0)
    await talk.until_end()
    speech.recognizer.requests.clear()
    told = await speech.told(tuned(pause=seconds(0.3), silence=seconds(0.5)), *said, *audio((1.0, 0.5), (1.0, 0.0)))
    assert finals(told) == ["one two"]
    careful = [len(request.audio) / 16_000 for request in speech.recognizer.requests if request.careful]
    assert careful == [pytest.approx(2.5, abs=0.1)]  # nothing was begun at 200 ms


@changes("Endpointing.silence")
async def test_the_silence_after_which_a_short_utterance_ends(speech: Speech) -> None:
    said = audio((1.0, 0.5), (0.6, 0.0), (1.0, 0.5), (2.0, 0.0))
    assert utterances(await speech.told(tuned(), *said)) == [(0, 10), (16, 26)]
    assert utterances(await speech.told(tuned(silence=seconds(1)), *said)) == [(0, 26)]
    assert utterances(await speech.told(tuned(silence=seconds(0.2), pause=seconds(0.1)), *TORN)) == [(0, 10), (15, 35)]


@changes("Endpointing.long_utterance_silence")
async def test_the_silence_after_which_a_long_utterance_ends(speech: Speech) -> None:
    said = audio((3.0, 0.5), (0.35, 0.0), (3.0, 0.5), (2.0, 0.0))
    assert utterances(await speech.told(tuned(), *said)) == [(0, 30), (33, 64)]
    assert utterances(await speech.told(tuned(long_utterance_silence=seconds(0.4)), *said)) == [(0, 64)]
    assert utterances(await speech.told(tuned(silence=seconds(0.4)), *said)) == [(0, 64)]


@changes("Endpointing.max_utterance")
async def test_the_length_at_which_speech_is_cut(speech: Speech) -> None:
    said = audio((2.4, 0.5), (0.1, 0.3), (2.5, 0.5), (1.0, 0.0))
    assert utterances(await speech.told(tuned(), *said)) == [(0, 50)]
    assert utterances(await speech.told(tuned(max_utterance=seconds(3)), *said)) == [(0, 24), (24, 50)]


@changes("Endpointing.start_probability")
async def test_the_probability_from_which_on_a_sound_is_speech(speech: Speech) -> None:
    said = audio((0.5, 0.0), (1.0, 0.3), (1.0, 0.0))  # 0.6
    assert utterances(await speech.told(tuned(), *said)) == [(5, 15)]
    assert utterances(await speech.told(tuned(start_probability=0.7), *said)) == []


@changes("Endpointing.stop_probability")
async def test_the_probability_below_which_speech_has_paused(speech: Speech) -> None:
    said = audio((1.0, 0.5), (1.0, 0.2), (1.0, 0.0))  # the second second: 0.4
    assert utterances(await speech.told(tuned(), *said)) == [(0, 20)]
    assert utterances(await speech.told(tuned(stop_probability=0.45), *said)) == [(0, 10)]


async def test_a_low_start_takes_the_stop_with_it(speech: Speech) -> None:
    said = audio((1.0, 0.11), (1.0, 0.0))  # 0.22
    assert utterances(await speech.told(tuned(start_probability=0.2), *said)) == [(0, 10)]


# What comes after the first message.


@changes("StreamingRecognizeRequest.audio")
async def test_audio_is_heard(speech: Speech) -> None:
    assert finals(await speech.told(config(), *ONE_TWO)) == ["one two"]
    assert finals(await speech.told(config())) == []


@changes("StreamingRecognizeRequest.silence", "Silence.duration")
async def test_silence_ends_an_utterance_and_moves_the_clock(speech: Speech) -> None:
    def silence(length: float) -> Message:
        return Message(silence=speech_service_pb2.Silence(duration=seconds(length)))

    for length, expected in ((0.1, [(0, 21)]), (0.5, [(0, 10), (15, 25)]), (30.0, [(0, 10), (310, 320)])):
        said = [*audio((1.0, 0.5)), silence(length), *audio((1.0, 0.5))]
        told = await speech.told(config(), *said)
        assert utterances(told) == expected
        assert told[-1].cursors.received_ms == 2_000 + round(1000 * length)


@changes("StreamingRecognizeRequest.force_end_of_utterance")
async def test_an_utterance_can_be_ended_at_once(speech: Speech) -> None:
    talk = await speech.talk()
    await talk.say(*audio((2.0, 0.5)), FORCE)
    assert (await talk.until(is_final)).final.text == "one two"
    await talk.say(FORCE, *audio((0.01, 0.5)), FORCE)
    assert finals(await talk.until_end()) == ["one two"]


@changes("StreamingRecognizeRequest.keepalive")
@pytest.mark.parametrize("limits", [Limits(idle_s=0.5, closing_s=0.05)])
async def test_keepalive_changes_nothing_but_that_the_stream_stays_open(speech: Speech) -> None:
    async def messages(alive: bool) -> AsyncIterator[Message]:
        async for message in paced(config(), [KEEPALIVE if alive else Message(audio=b"")] * 4, pause_s=0.2):
            yield message

    call = speech.stub.StreamingRecognize(messages(True), metadata=CALLER.metadata(), timeout=20)
    told = [response async for response in call]
    assert told[-1].cursors.received_ms == 0

    async def silent() -> AsyncIterator[Message]:
        async for message in paced(config(), [KEEPALIVE], pause_s=0.8):
            yield message

    refused = await refusal(speech.stub.StreamingRecognize(silent(), metadata=CALLER.metadata(), timeout=20))
    assert refused.reason == "STREAM_IDLE"


async def interrupted(speech: Speech) -> Talk:
    """A session that told its final and lost its client in the next utterance."""
    talk = await speech.talk(config(title="Họp"))
    await talk.say(*audio((1.0, 0.5), (1.0, 0.0), (1.0, 0.5)))
    await talk.until(is_final)
    talk.call.cancel()
    return talk


@changes(
    "StreamingRecognizeRequest.resume", "Resume.session_id", "Resume.resume_token", "Resume.next_final_index"
)  # fmt: skip
@pytest.mark.parametrize("limits", [Limits(closing_s=0.05)])
async def test_a_session_is_resumed_by_its_name_its_token_and_what_the_client_has(speech: Speech) -> None:
    old = await interrupted(speech)
    for changed in ({"session_id": "another"}, {"resume_token": "another"}):
        refused = await refusal(speech.stream(resume(old.started, 1, **changed)))
        assert refused.reason == "SESSION_NOT_FOUND"
    for next_final_index, expected in ((1, []), (0, ["one"])):
        told = await speech.told(resume(old.started, next_final_index))
        assert told[0].session_started.session_id == old.started.session_id
        assert finals(told) == expected


# The other calls.


@changes("RecognizeRequest.format", "RecognizeRequest.audio", "RecognizeRequest.language_code")
async def test_every_field_of_recognize(speech: Speech) -> None:
    async def recognized(**fields: Any) -> list[tuple[int, str, str]]:
        request = speech_service_pb2.RecognizeRequest(**fields)
        answer = await speech.stub.Recognize(request, metadata=CALLER.metadata(), timeout=20)
        return [(result.channel, result.text, result.language_code) for result in answer.results]

    data = pcm(*UTTERANCE)
    both = format_of("LINEAR16", sample_rate_hz=16_000, channel_count=2)
    assert await recognized(format=LINEAR16, audio=data) == [(0, "one two", "vi")]
    assert await recognized(format=LINEAR16, audio=data, language_code="en") == [(0, "one two", "en")]
    assert await recognized(format=format_of("WAV"), audio=wav(data + data)) == [(0, "one two", "vi")] * 2
    assert await recognized(format=both, audio=interleaved(LEFT, RIGHT)) == [
        (0, "one two", "vi"),
        (1, "one two three", "vi"),
    ]
    assert speech.metadata.recordings == []


async def test_recognize_asks_for_no_partials_and_no_refinements(speech: Speech) -> None:
    request = speech_service_pb2.RecognizeRequest(format=LINEAR16, audio=pcm((1.0, 0.5), (0.5, 0.0), (2.0, 0.5)))
    answer = await speech.stub.Recognize(request, metadata=CALLER.metadata(), timeout=20)
    assert [result.text for result in answer.results] == ["one", "one two"]
    assert [(request.careful, round(len(request.audio) / 16_000)) for request in speech.recognizer.requests] == [
        (True, 1),
        (True, 2),
    ]


async def test_capabilities_name_what_is_accepted(speech: Speech, other: Speech, rules: SessionRules) -> None:
    asked = speech_service_pb2.GetCapabilitiesRequest()
    can = await speech.stub.GetCapabilities(asked, metadata=CALLER.metadata())
    assert (can.model, list(can.language_codes), can.server_version) == ("counting", ["en", "vi"], "stable")
    assert audio_pb2.AUDIO_ENCODING_WEBM in can.encodings
    assert (can.min_sample_rate_hz, can.max_sample_rate_hz, can.max_channels) == (8_000, 48_000, 8)
    assert (can.max_audio_bytes, can.max_audio_duration.seconds, can.max_chunk_bytes) == (2**25, 600, 2**20)
    defaults = rules.endpoint
    assert can.endpointing.pause.ToMilliseconds() == defaults.pause_ms
    assert can.endpointing.silence.ToMilliseconds() == defaults.silence_ms
    assert can.endpointing.long_utterance_silence.ToMilliseconds() == defaults.long_utterance_silence_ms
    assert can.endpointing.max_utterance.ToMilliseconds() == defaults.max_utterance_ms
    assert can.endpointing.start_probability == pytest.approx(defaults.start_probability)
    assert can.endpointing.stop_probability == pytest.approx(defaults.stop_probability)
    canary = await other.stub.GetCapabilities(asked, metadata=CALLER.metadata())
    assert canary.server_version == "canary"


async def test_the_endpointing_that_capabilities_tell_is_accepted(speech: Speech) -> None:
    can = await speech.stub.GetCapabilities(
        speech_service_pb2.GetCapabilitiesRequest(), metadata=CALLER.metadata()
    )  # fmt: skip
    told = [await speech.told(first, *TORN) for first in (config(), config(endpointing=can.endpointing))]
    assert utterances(told[0]) == utterances(told[1])


# Browsers: the same engine behind LiveSessionService.


@changes(
    "OpenSessionRequest.config",
    "OpenSessionRequest.resume",
    "PushAudioRequest.session_id",
    "PushAudioRequest.resume_token",
    "PushAudioRequest.sequence",
    "PushAudioRequest.audio",
    "PushAudioRequest.silence",
    "PushAudioRequest.force_end_of_utterance",
    "PushAudioRequest.keepalive",
    "WatchSessionRequest.session_id",
    "WatchSessionRequest.resume_token",
    "WatchSessionRequest.next_final_index",
    "CloseSessionRequest.session_id",
    "CloseSessionRequest.resume_token",
)
async def test_a_pushed_session_is_heard_like_a_stream_and_goes_on_at_another_server(
    speech: Speech, other: Speech
) -> None:
    pb = live_session_service_pb2
    metadata = CALLER.metadata()
    opened = await speech.pushing.OpenSession(
        pb.OpenSessionRequest(config=speech_service_pb2.StreamingConfig(format=LINEAR16)), metadata=metadata
    )
    names = {"session_id": opened.session.session_id, "resume_token": opened.session.resume_token}
    payloads: list[dict[str, Any]] = [
        {"audio": pcm((1.0, 0.5))},
        {"silence": speech_service_pb2.Silence(duration=seconds(1))},
        {"audio": pcm((2.0, 0.5))},
        {"keepalive": speech_service_pb2.Keepalive()},
        {"force_end_of_utterance": speech_service_pb2.ForceEndOfUtterance()},
        {"audio": pcm((1.0, 0.0), (2.0, 0.5))},
    ]
    for sequence, payload in enumerate(payloads):
        piece = pb.PushAudioRequest(sequence=sequence, **names, **payload)
        assert (await speech.pushing.PushAudio(piece, metadata=metadata)).next_sequence == sequence + 1
    texts: list[str] = []
    async for told in speech.pushing.WatchSession(pb.WatchSessionRequest(**names), metadata=metadata):
        if is_final(told.event):
            texts.append(told.event.final.text)
        if len(texts) == 2:
            break
    assert texts == ["one", "one two"]
    resuming = session_pb2.Resume(next_final_index=2, **names)
    again = await other.pushing.OpenSession(pb.OpenSessionRequest(resume=resuming), metadata=metadata)
    assert again.session.session_id == opened.session.session_id
    data = pcm((1.0, 0.5), (1.0, 0.0), (2.0, 0.5), (1.0, 0.0), (2.0, 0.5), (1.0, 0.0))
    await other.pushing.PushAudio(
        pb.PushAudioRequest(audio=data[32 * again.session.replay_from_ms :], **names), metadata=metadata
    )
    closed = await other.pushing.CloseSession(pb.CloseSessionRequest(**names), metadata=metadata)
    assert (closed.cursors.final_index, closed.cursors.received_ms) == (3, 8_000)
    watched = other.pushing.WatchSession(pb.WatchSessionRequest(next_final_index=2, **names), metadata=metadata)
    assert [told.event.final.text async for told in watched if is_final(told.event)] == ["one two"]


# All of them.


def fields_of(message: descriptor.Descriptor, seen: set[str]) -> Iterator[str]:
    """The fields of a message and of those in it, by the names of the messages that have them."""
    for field in message.fields:
        name = f"{message.name}.{field.name}"
        if name in seen or not message.full_name.startswith("ai2text."):
            continue
        seen.add(name)
        yield name
        if field.message_type is not None:
            yield from fields_of(field.message_type, seen)


def test_each_field_that_a_client_sets_has_a_test_in_which_it_changes_the_result() -> None:
    services = (
        speech_service_pb2.DESCRIPTOR.services_by_name["SpeechService"],
        live_session_service_pb2.DESCRIPTOR.services_by_name["LiveSessionService"],
    )
    seen: set[str] = set()
    methods = [method for service in services for method in service.methods if method.name != "BatchRecognize"]
    assert {name for method in methods for name in fields_of(method.input_type, seen)} == CHANGED


def set_fields(message: Proto) -> Iterator[str]:
    for field, value in message.ListFields():
        yield f"{message.DESCRIPTOR.name}.{field.name}"
        if field.message_type is None or not field.message_type.full_name.startswith("ai2text."):
            continue
        for part in value if field.is_repeated else [value]:
            yield from set_fields(part)


async def test_each_field_of_an_event_is_set_at_some_time(speech: Speech, other: Speech) -> None:
    format = format_of("LINEAR16", sample_rate_hz=16_000, channel_count=2)
    said = chunks(interleaved(bytes(4 * 16_000 * 2), pcm((1.0, 0.5), (0.5, 0.0), (1.5, 0.5), (1.0, 0.0))), channels=2)
    talk = await speech.talk(config(format=format, partial_words_enabled=True))
    async for message in paced(said[0], said[1:]):
        await talk.say(message)
    await talk.until(lambda response: response.HasField("refinement") and response.refinement.final_index == 1)
    await speech.sessions.drain(closing_in_s=0.05)
    with pytest.raises(Exception, match="shutting down"):
        await talk.until_end()
    resumed = await other.talk(resume(talk.started))
    resumed.call.cancel()
    found = {name for response in (*talk.heard, *resumed.heard) for name in set_fields(response)}
    expected = set(fields_of(speech_service_pb2.StreamingRecognizeResponse.DESCRIPTOR, set()))
    assert expected - found == set()


async def test_processing_times_are_those_of_the_result(speech: Speech) -> None:
    talk = await speech.talk()
    await talk.say(*audio((2.0, 0.5), (0.2, 0.0)))
    complete = await talk.until(lambda response: response.partial.complete)
    await talk.say(*audio((1.0, 0.0)))
    final = (await talk.until(is_final)).final
    await talk.until_end()
    for times in (complete.partial.processing_times, final.processing_times):
        assert times.inference.ToMicroseconds() == 4_000
        assert 0 < times.queue.ToMicroseconds() < 20_000_000  # the fake takes 5 ms for 4 ms of work
        assert 0 < times.post_processing.ToMicroseconds() < 20_000_000
    waited = final.processing_times.post_processing.ToMicroseconds()
    assert waited > complete.partial.processing_times.post_processing.ToMicroseconds()  # for the end of the utterance


async def test_the_session_says_what_it_writes_to(speech: Speech, other: Speech) -> None:
    talk = await speech.talk()
    started = talk.started
    assert (started.replay_from_ms, started.server_version) == (0, "stable")
    assert len({started.session_id, started.recording_id, started.transcript_id, started.resume_token}) == 4
    assert list(started.transcript_ids) == [started.transcript_id]
    talk.call.cancel()
    resumed = await other.talk(resume(started))
    assert resumed.started.server_version == "canary"
    resumed.started.server_version = started.server_version
    assert resumed.started == started
    resumed.call.cancel()
