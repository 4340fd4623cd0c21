"""Bad input and bad days: each with its code and its reason, and the server lives on."""

import asyncio

import grpc
import numpy as np
import pytest
from ai2text.asr.v1 import audio_pb2, speech_service_pb2
from google.protobuf import duration_pb2

from servers.asr.audio import Samples
from servers.asr.requests import MAX_AUDIO_BYTES
from servers.common.identity import Caller
from tests.rpc.asr.conftest import CALLER, LINEAR16, Speech, audio, config, pcm
from tests.rpc.refusals import refusal

Request = speech_service_pb2.StreamingRecognizeRequest
Code = grpc.StatusCode
FLAC = audio_pb2.AudioFormat(encoding=audio_pb2.AUDIO_ENCODING_FLAC)
GARBAGE = np.random.default_rng(1).bytes(40_000)


def silence(seconds: int) -> Request:
    return Request(silence=speech_service_pb2.Silence(duration=duration_pb2.Duration(seconds=seconds)))


@pytest.mark.parametrize(
    ("sent", "reason"),
    [
        ([Request(audio=b"\0\0")], "CONFIG_OUT_OF_ORDER"),
        ([], "CONFIG_OUT_OF_ORDER"),
        ([config(), config()], "CONFIG_OUT_OF_ORDER"),
        ([config(), Request()], "FIELD_INVALID"),
        ([config(format=audio_pb2.AudioFormat(encoding=99, sample_rate_hz=16_000))], "ENCODING_UNSUPPORTED"),
        ([config(format=audio_pb2.AudioFormat(sample_rate_hz=16_000))], "ENCODING_UNSUPPORTED"),
        ([config(format=audio_pb2.AudioFormat(encoding=1, sample_rate_hz=4_000))], "FIELD_INVALID"),
        ([config(format=audio_pb2.AudioFormat(encoding=3, sample_rate_hz=16_000))], "FIELD_INVALID"),
        ([config(language_code="tlh")], "LANGUAGE_UNSUPPORTED"),
        ([config(title="x" * 201)], "FIELD_INVALID"),
        ([config(title="a\0b")], "FIELD_INVALID"),
        ([config(), Request(audio=b"\0" * (1024 * 1024 + 2))], "AUDIO_TOO_LARGE"),
        ([config(), silence(0)], "FIELD_INVALID"),
        ([config(), silence(61)], "FIELD_INVALID"),
        ([config(format=FLAC), silence(1)], "FIELD_INVALID"),
        ([config(format=FLAC), Request(audio=GARBAGE)], "AUDIO_UNDECODABLE"),
    ],
)
async def test_a_stream_that_breaks_the_contract_is_an_invalid_argument(
    speech: Speech, sent: list[Request], reason: str
) -> None:
    refused = await refusal(speech.stream(*sent))
    assert (refused.code, refused.reason) == (Code.INVALID_ARGUMENT, reason)


@pytest.mark.parametrize(
    ("format", "data", "reason"),
    [
        (LINEAR16, b"", "FIELD_INVALID"),
        (LINEAR16, b"\0" * (MAX_AUDIO_BYTES + 1), "AUDIO_TOO_LARGE"),
        (LINEAR16, b"\0" * (50 * 1024 * 1024), "AUDIO_TOO_LARGE"),
        (audio_pb2.AudioFormat(encoding=1, sample_rate_hz=8_000), b"\0" * (601 * 16_000), "AUDIO_TOO_LARGE"),
        (FLAC, GARBAGE, "AUDIO_UNDECODABLE"),
        (audio_pb2.AudioFormat(), b"\0\0", "ENCODING_UNSUPPORTED"),
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


@pytest.mark.parametrize("sent", [[], [config()]])
async def test_an_idle_stream_is_ended(speech: Speech, sent: list[Request]) -> None:
    async def messages():  # type: ignore[no-untyped-def]
        for message in sent:
            yield message
        await asyncio.sleep(30)

    refused = await refusal(speech.stub.StreamingRecognize(messages(), metadata=CALLER.metadata()))
    assert (refused.code, refused.reason) == (Code.DEADLINE_EXCEEDED, "STREAM_IDLE")


async def test_one_session_too_many_is_told_when_to_try_again(speech: Speech) -> None:
    calls = [speech.stub.StreamingRecognize(metadata=CALLER.metadata()) for _ in range(2)]
    for call in calls:
        await call.write(config())
        await call.read()
    await asyncio.sleep(0.05)
    refused = await refusal(speech.stream(config()))
    assert (refused.code, refused.reason) == (Code.RESOURCE_EXHAUSTED, "OVERLOADED")
    assert refused.retry_s
    for call in calls:
        call.cancel()


async def test_without_the_model_no_session_begins(speech: Speech) -> None:
    speech.recognizer.away = True
    refused = await refusal(speech.stream(config()))
    assert (refused.code, refused.reason) == (Code.UNAVAILABLE, "DEPENDENCY_UNAVAILABLE")
    assert refused.metadata == {"dependency": "triton"}
    assert refused.retry_s


async def test_a_stream_does_not_hang_when_the_model_goes_away(speech: Speech) -> None:
    async def messages():  # type: ignore[no-untyped-def]
        yield config()
        for message in audio((2.0, 0.5)):
            yield message
        speech.recognizer.away = True
        for message in audio((1.0, 0.0)):
            yield message
        await asyncio.sleep(30)

    async with asyncio.timeout(5):
        refused = await refusal(speech.stub.StreamingRecognize(messages(), metadata=CALLER.metadata()))
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


async def test_after_every_refusal_the_server_still_answers(speech: Speech) -> None:
    for _ in range(5):
        await refusal(speech.stream(config(format=FLAC), Request(audio=GARBAGE)))
    request = speech_service_pb2.RecognizeRequest(format=LINEAR16, audio=pcm((1.0, 0.5)))
    answer = await speech.stub.Recognize(request, metadata=CALLER.metadata(), timeout=20)
    assert [result.text for result in answer.results] == ["one"]


async def test_sessions_that_begin_at_once_do_not_slip_past_the_limit(speech: Speech) -> None:
    calls = [speech.stub.StreamingRecognize(metadata=CALLER.metadata()) for _ in range(8)]
    for call in calls:
        await call.write(config())
    begun = [await asyncio.wait_for(_first(call), 5) for call in calls]
    assert sum(begun) == 2
    for call in calls:
        call.cancel()


async def _first(call: grpc.aio.StreamStreamCall) -> bool:
    """Whether a session began."""
    try:
        return bool((await call.read()).HasField("session_started"))
    except grpc.aio.AioRpcError:
        return await call.code() != Code.RESOURCE_EXHAUSTED


class SlowDecoder:
    """Takes for ever, and knows whether it was let go."""

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
    recognizing = asyncio.create_task(speech.sessions.recognize("vi", decoder, b"audio"))
    await decoder.fed.wait()
    recognizing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await recognizing
    assert decoder.closed
