"""Bad input and bad days: each with its code and its reason, and the server lives on."""

import asyncio
import io
import wave
from typing import Any

import grpc
import numpy as np
import pytest
from ai2text.asr.v1 import audio_pb2, session_pb2, speech_service_pb2
from google.protobuf import duration_pb2

from servers.asr.audio import Samples
from servers.asr.live import Limits
from servers.asr.load import LoadLimits
from servers.asr.requests import MAX_AUDIO_BYTES
from servers.asr.session import SessionRules
from servers.common.identity import Caller
from tests.rpc.asr.conftest import CALLER, LINEAR16, Message, Speech, audio, config, pcm
from tests.rpc.refusals import refusal

Code = grpc.StatusCode
FLAC = audio_pb2.AudioFormat(encoding=audio_pb2.AUDIO_ENCODING_FLAC)
GARBAGE = np.random.default_rng(1).bytes(40_000)


def silence(seconds: int) -> Message:
    return Message(silence=speech_service_pb2.Silence(duration=duration_pb2.Duration(seconds=seconds)))


def ms(milliseconds: int) -> duration_pb2.Duration:
    duration = duration_pb2.Duration()
    duration.FromMilliseconds(milliseconds)
    return duration


def resuming(**fields: Any) -> Message:
    return Message(resume=session_pb2.Resume(**fields))


@pytest.mark.parametrize(
    ("sent", "reason"),
    [
        ([Message(audio=b"\0\0")], "CONFIG_OUT_OF_ORDER"),
        ([], "CONFIG_OUT_OF_ORDER"),
        ([config(), config()], "CONFIG_OUT_OF_ORDER"),
        ([config(), Message()], "FIELD_INVALID"),
        ([config(format=audio_pb2.AudioFormat(encoding=99, sample_rate_hz=16_000))], "ENCODING_UNSUPPORTED"),
        ([config(format=audio_pb2.AudioFormat(sample_rate_hz=16_000))], "ENCODING_UNSUPPORTED"),
        ([config(format=audio_pb2.AudioFormat(encoding=1, sample_rate_hz=4_000))], "FIELD_INVALID"),
        ([config(format=audio_pb2.AudioFormat(encoding=3, sample_rate_hz=16_000))], "FIELD_INVALID"),
        ([config(language_code="tlh")], "LANGUAGE_UNSUPPORTED"),
        ([config(title="x" * 201)], "FIELD_INVALID"),
        ([config(title="a\0b")], "FIELD_INVALID"),
        ([config(), Message(audio=b"\0" * (1024 * 1024 + 2))], "AUDIO_TOO_LARGE"),
        ([config(), silence(0)], "FIELD_INVALID"),
        ([config(), silence(61)], "FIELD_INVALID"),
        ([config(format=FLAC), silence(1)], "FIELD_INVALID"),
        ([config(format=FLAC), Message(audio=GARBAGE)], "AUDIO_UNDECODABLE"),
        ([config(), resuming(session_id="a", resume_token="b")], "CONFIG_OUT_OF_ORDER"),
        ([config(language_codes=["vi", "tlh"])], "LANGUAGE_UNSUPPORTED"),
        ([config(language_codes=[""])], "LANGUAGE_UNSUPPORTED"),
    ],
)
async def test_a_stream_that_breaks_the_contract_is_an_invalid_argument(
    speech: Speech, sent: list[Message], reason: str
) -> None:
    refused = await refusal(speech.stream(*sent))
    assert (refused.code, refused.reason) == (Code.INVALID_ARGUMENT, reason)


def linear16(**fields: int) -> Message:
    return config(format=audio_pb2.AudioFormat(**({"encoding": 1, "sample_rate_hz": 16_000} | fields)))


def endpointing(**fields: Any) -> Message:
    return config(endpointing=session_pb2.Endpointing(**fields))


@pytest.mark.parametrize(
    ("first", "field"),
    [
        (linear16(sample_rate_hz=0), "format.sample_rate_hz"),
        (linear16(sample_rate_hz=7_999), "format.sample_rate_hz"),
        (linear16(sample_rate_hz=48_001), "format.sample_rate_hz"),
        (linear16(channel_count=9), "format.channel_count"),
        (linear16(channel_count=2**32 - 1), "format.channel_count"),
        (config(format=audio_pb2.AudioFormat(encoding=5, channel_count=9)), "format.channel_count"),
        (config(title="x" * 201), "config.title"),
        (config(language_code="vi", language_codes=["en"]), "config.language_codes"),
        (config(language_codes=["vi", "en"] * 5 + ["vi"]), "config.language_codes"),
        (config(hotwords=["a"] * 51), "config.hotwords"),
        (config(hotwords=["a" * 61]), "config.hotwords"),
        (config(hotwords=["a", " "]), "config.hotwords"),
        (config(hotwords=["a, b"]), "config.hotwords"),
        (config(hotwords=["a\nb"]), "config.hotwords"),
        (config(hotwords=["a\0b"]), "config.hotwords"),
        (endpointing(pause=ms(63)), "config.endpointing.pause"),
        (endpointing(pause=ms(2_001), silence=ms(3_000)), "config.endpointing.pause"),
        (endpointing(silence=ms(191)), "config.endpointing.silence"),
        (endpointing(silence=ms(5_001)), "config.endpointing.silence"),
        (endpointing(silence=ms(-1)), "config.endpointing.silence"),
        (endpointing(silence=duration_pb2.Duration(seconds=2**62)), "config.endpointing.silence"),
        (endpointing(max_utterance=ms(1_999)), "config.endpointing.max_utterance"),
        (endpointing(max_utterance=ms(27_001)), "config.endpointing.max_utterance"),
        (endpointing(long_utterance_silence=ms(63)), "config.endpointing.long_utterance_silence"),
        (endpointing(pause=ms(800), silence=ms(700)), "config.endpointing"),
        (endpointing(pause=ms(200), long_utterance_silence=ms(199)), "config.endpointing"),
        (endpointing(silence=ms(500), long_utterance_silence=ms(501)), "config.endpointing"),
        (endpointing(start_probability=0.0), "config.endpointing.start_probability"),
        (endpointing(start_probability=1.0), "config.endpointing.start_probability"),
        (endpointing(start_probability=float("nan")), "config.endpointing.start_probability"),
        (endpointing(stop_probability=-0.1), "config.endpointing.stop_probability"),
        (endpointing(start_probability=0.4, stop_probability=0.5), "config.endpointing.stop_probability"),
        (resuming(), "resume.session_id"),
        (resuming(session_id="a"), "resume.resume_token"),
        (resuming(session_id="a" * 101, resume_token="b"), "resume.session_id"),
    ],
)
async def test_the_field_that_is_wrong_is_named(speech: Speech, first: Message, field: str) -> None:
    refused = await refusal(speech.stream(first))
    assert (refused.code, refused.reason, refused.field) == (Code.INVALID_ARGUMENT, "FIELD_INVALID", field)


async def test_the_language_that_is_not_known_is_named(speech: Speech) -> None:
    refused = await refusal(speech.stream(config(language_codes=["vi", "tlh", "xx"])))
    assert refused.metadata == {"language_code": "tlh"}


async def test_channels_that_a_container_does_not_have_are_refused(speech: Speech) -> None:
    format = audio_pb2.AudioFormat(encoding=audio_pb2.AUDIO_ENCODING_WAV, channel_count=3)
    refused = await refusal(speech.stream(config(format=format), *chunked(wav(2))))
    assert (refused.code, refused.field) == (Code.INVALID_ARGUMENT, "format.channel_count")
    assert "the audio has 2" in refused.message


def wav(channels: int) -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setparams((channels, 2, 16_000, 0, "NONE", ""))
        out.writeframes(pcm((1.0, 0.5)) * channels)
    return file.getvalue()


def chunked(data: bytes) -> list[Message]:
    return [Message(audio=data[begin : begin + 10_000]) for begin in range(0, len(data), 10_000)]


@pytest.mark.parametrize(
    ("format", "data", "reason"),
    [
        (LINEAR16, b"", "FIELD_INVALID"),
        (LINEAR16, b"\0" * (MAX_AUDIO_BYTES + 1), "AUDIO_TOO_LARGE"),
        (LINEAR16, b"\0" * (50 * 1024 * 1024), "AUDIO_TOO_LARGE"),
        (audio_pb2.AudioFormat(encoding=1, sample_rate_hz=8_000), b"\0" * (601 * 16_000), "AUDIO_TOO_LARGE"),
        (audio_pb2.AudioFormat(encoding=1, sample_rate_hz=8_000, channel_count=9), b"\0\0", "FIELD_INVALID"),
        (audio_pb2.AudioFormat(encoding=2, channel_count=2), wav(1), "FIELD_INVALID"),
        (FLAC, GARBAGE, "AUDIO_UNDECODABLE"),
        (audio_pb2.AudioFormat(), b"\0\0", "ENCODING_UNSUPPORTED"),
        (audio_pb2.AudioFormat(encoding=1), b"\0\0", "FIELD_INVALID"),
    ],
)
async def test_a_recording_that_breaks_the_contract_is_an_invalid_argument(
    speech: Speech, format: audio_pb2.AudioFormat, data: bytes, reason: str
) -> None:
    request = speech_service_pb2.RecognizeRequest(format=format, audio=data)
    refused = await refusal(speech.stub.Recognize(request, metadata=CALLER.metadata(), timeout=20))
    assert (refused.code, refused.reason) == (Code.INVALID_ARGUMENT, reason)


async def test_a_call_without_identity_is_unauthenticated(speech: Speech) -> None:
    refused = await refusal(speech.stub.GetCapabilities(speech_service_pb2.GetCapabilitiesRequest()))
    assert (refused.code, refused.reason) == (Code.UNAUTHENTICATED, "IDENTITY_MISSING")


async def test_a_token_without_the_scope_is_denied(speech: Speech) -> None:
    refused = await refusal(speech.stream(config(), caller=Caller("acme", "lan", frozenset({"search"}))))
    assert (refused.code, refused.reason) == (Code.PERMISSION_DENIED, "SCOPE_MISSING")
    assert refused.metadata == {"scope": "speech"}


@pytest.mark.parametrize("limits", [Limits(idle_s=0.3, closing_s=0.05)])
@pytest.mark.parametrize("sent", [[], [config()]])
async def test_an_idle_stream_is_ended(speech: Speech, sent: list[Message]) -> None:
    async def messages():  # type: ignore[no-untyped-def]
        for message in sent:
            yield message
        await asyncio.sleep(30)

    refused = await refusal(speech.stub.StreamingRecognize(messages(), metadata=CALLER.metadata()))
    assert (refused.code, refused.reason) == (Code.DEADLINE_EXCEEDED, "STREAM_IDLE")


async def test_one_session_too_many_is_told_when_to_try_again(speech: Speech) -> None:
    talks = [await speech.talk() for _ in range(2)]
    refused = await refusal(speech.stream(config()))
    assert (refused.code, refused.reason) == (Code.RESOURCE_EXHAUSTED, "OVERLOADED")
    assert refused.retry_s
    for talk in talks:
        talk.call.cancel()


@pytest.mark.parametrize("limits", [Limits(max_sessions=1_000, closing_s=0.05)])
@pytest.mark.parametrize("load_limits", [LoadLimits(busy=0.8, wait_s=0.3, session_busy=0.25, unheard_s=60.0)])
async def test_the_load_decides_how_many_sessions_begin(speech: Speech) -> None:
    talks = [await speech.talk() for _ in range(3)]
    refused = await refusal(speech.stream(config()))
    assert (refused.code, refused.reason) == (Code.RESOURCE_EXHAUSTED, "OVERLOADED")
    assert refused.metadata == {"busy": "0.00", "wait_s": "0.00"}
    assert refused.retry_s
    await talks.pop().until_end()
    talks.append(await speech.talk())
    for talk in talks:
        talk.call.cancel()


@pytest.mark.parametrize("load_limits", [LoadLimits(busy=0.8, wait_s=0.3, session_busy=0.25, unheard_s=60.0)])
async def test_short_recordings_one_after_another_are_no_load_of_many_sessions(speech: Speech) -> None:
    request = speech_service_pb2.RecognizeRequest(format=LINEAR16, audio=pcm((1.0, 0.5)))
    for _ in range(6):
        assert (await speech.stub.Recognize(request, metadata=CALLER.metadata(), timeout=20)).results


@pytest.mark.parametrize("load_limits", [LoadLimits(busy=0.8, wait_s=0.3, session_busy=0.25, unheard_s=60.0)])
async def test_sessions_that_could_not_begin_are_no_load(speech: Speech) -> None:
    speech.recognizer.away = True
    for _ in range(6):
        assert (await refusal(speech.stream(config()))).reason == "DEPENDENCY_UNAVAILABLE"
    speech.recognizer.away = False
    assert await speech.told(config())


async def test_a_busy_model_refuses_sessions_until_it_is_not(speech: Speech) -> None:
    for _ in range(30):
        speech.load.note(0.5, 0.0)
    refused = await refusal(speech.stream(config()))
    assert refused.code is Code.RESOURCE_EXHAUSTED
    assert 0.3 < float(refused.metadata["wait_s"]) <= 0.5  # it fades with time
    for _ in range(10):
        speech.load.note(0.0, 0.0)
    assert await speech.told(config())


async def test_without_the_model_no_session_begins(speech: Speech) -> None:
    speech.recognizer.away = True
    refused = await refusal(speech.stream(config()))
    assert (refused.code, refused.reason) == (Code.UNAVAILABLE, "DEPENDENCY_UNAVAILABLE")
    assert refused.metadata == {"dependency": "triton"}
    assert refused.retry_s


async def test_a_stream_does_not_hang_when_the_model_goes_away(speech: Speech) -> None:
    talk = await speech.talk()
    await talk.say(*audio((2.0, 0.5)))
    await talk.until(lambda response: response.HasField("speech_started"))
    speech.recognizer.away = True
    await talk.say(*audio((1.0, 0.0), chunk_s=1))  # at once: grpc.aio clients lose a status that meets a write
    async with asyncio.timeout(20):
        refused = await refusal(talk.until(lambda response: False))
    assert (refused.code, refused.reason) == (Code.UNAVAILABLE, "DEPENDENCY_UNAVAILABLE")
    assert refused.retry_s


async def test_too_many_unsaved_finals_refuse_sessions_that_store_and_no_others(speech: Speech) -> None:
    speech.metadata.away = True
    for _ in range(3):
        async for _ in speech.stream(config(), *audio((1.0, 0.5), (1.0, 0.0), (1.0, 0.5), (1.0, 0.0))):
            pass
    refused = await refusal(speech.stream(config()))
    assert (refused.code, refused.reason) == (Code.RESOURCE_EXHAUSTED, "OVERLOADED")
    assert [r async for r in speech.stream(config(storage_disabled=True))]
    speech.metadata.away = False
    await speech.settled(lambda: len(speech.metadata.segments) == 6)


@pytest.mark.parametrize("limits", [Limits(max_sessions=1, parked_s=60, closing_s=0.05)])
async def test_after_every_refusal_the_server_still_answers(speech: Speech) -> None:
    for _ in range(5):
        await refusal(speech.stream(config(format=FLAC), Message(audio=GARBAGE)))
        await speech.room()
    request = speech_service_pb2.RecognizeRequest(format=LINEAR16, audio=pcm((1.0, 0.5)))
    answer = await speech.stub.Recognize(request, metadata=CALLER.metadata(), timeout=20)
    assert [result.text for result in answer.results] == ["one"]


@pytest.mark.parametrize("limits", [Limits(parked_s=60, closing_s=0.05)])
@pytest.mark.parametrize("broken", [Message(), Message(audio=b"\0" * (1024 * 1024 + 2))])
async def test_what_was_said_before_a_refusal_is_stored(speech: Speech, broken: Message) -> None:
    refused = await refusal(speech.stream(config(), *audio((2.0, 0.5)), broken))
    assert refused.code is Code.INVALID_ARGUMENT
    await speech.settled(lambda: speech.metadata.texts == ["one two"])


async def test_sessions_that_begin_at_once_do_not_slip_past_the_limit(speech: Speech) -> None:
    calls = [speech.stub.StreamingRecognize(metadata=CALLER.metadata()) for _ in range(8)]
    for call in calls:
        await call.write(config())
    begun = await asyncio.gather(*(asyncio.wait_for(_begins(call), 5) for call in calls))
    assert sum(begun) == 2
    for call in calls:
        call.cancel()


async def _begins(call: grpc.aio.StreamStreamCall) -> bool:
    try:
        return bool((await call.read()).HasField("session_started"))
    except grpc.aio.AioRpcError:
        return await call.code() != Code.RESOURCE_EXHAUSTED


class SlowDecoder:
    """Takes for ever, and knows whether it was let go."""

    begins_anew = False

    def __init__(self) -> None:
        self.fed = asyncio.Event()
        self.closed = False

    async def feed(self, data: bytes) -> Samples:
        self.fed.set()
        await asyncio.sleep(30)
        raise AssertionError("nobody waits so long")

    async def finish(self) -> Samples:
        raise AssertionError("feed does not end")

    def close(self) -> None:
        self.closed = True


async def test_an_abandoned_recognize_lets_go_of_its_decoder(speech: Speech) -> None:
    decoder = SlowDecoder()
    recognizing = asyncio.create_task(speech.sessions.recognize(SessionRules(), decoder, b"audio"))
    await decoder.fed.wait()
    recognizing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await recognizing
    assert decoder.closed


class CountingDecoder:
    """A byte is a sample of silence; knows how many it was given at a time."""

    begins_anew = False

    def __init__(self) -> None:
        self.fed: list[int] = []

    async def feed(self, data: bytes) -> Samples:
        self.fed.append(len(data))
        return np.zeros((1, len(data)), np.float32)

    async def finish(self) -> Samples:
        return np.zeros((1, 0), np.float32)

    def close(self) -> None: ...


async def test_a_whole_recording_is_decoded_by_steps_that_hold_nobody_up(speech: Speech) -> None:
    decoder = CountingDecoder()
    finals, duration_ms = await speech.sessions.recognize(SessionRules(), decoder, bytes(16_000 * 60))
    assert (finals, duration_ms) == ([], 60_000)
    assert max(decoder.fed) <= 128 * 1024
