"""Every field that a client of SpeechService sets after its config: that it changes the result.

The config has `test_config_fields`, what is told `test_told_fields`.
"""

from collections.abc import Awaitable
from typing import Any

import pytest
from ai2text.asr.v1 import speech_service_pb2

from servers.asr.live import Limits
from tests.fakes.clocks import LoopTime
from tests.rpc.asr.conftest import (
    CALLER,
    FORCE,
    KEEPALIVE,
    LINEAR16,
    Message,
    Speech,
    Talk,
    audio,
    config,
    finals,
    interleaved,
    is_final,
    kinds,
    pcm,
    resume,
    utterances,
)
from tests.rpc.asr.fields import Changed, fields_of
from tests.rpc.asr.formats import format_of, seconds, wav
from tests.rpc.refusals import refusal

UTTERANCE = ((0.5, 0.0), (2.0, 0.5), (1.0, 0.0))
ONE_TWO = audio(*UTTERANCE)

CHANGED = Changed()
changes = CHANGED.by


@changes("StreamingRecognizeRequest.config")
async def test_a_session_begins_with_its_config(speech: Speech) -> None:
    assert (await refusal(speech.stream(ONE_TWO[0]))).reason == "CONFIG_OUT_OF_ORDER"
    told = await speech.told(config(language_code="en"), *ONE_TWO)
    assert [response.final.language_code for response in told if is_final(response)] == ["en"]


@changes("StreamingRecognizeRequest.audio")
async def test_audio_is_heard(speech: Speech) -> None:
    assert finals(await speech.told(config(), *ONE_TWO)) == ["one two"]
    assert finals(await speech.told(config())) == []


@changes("StreamingRecognizeRequest.silence", "Silence.duration")
async def test_silence_ends_an_utterance_and_moves_the_clock(speech: Speech) -> None:
    def silence(length: float) -> Message:
        return Message(silence=speech_service_pb2.Silence(duration=seconds(length)))

    short, exact, long = [(0, 21)], [(0, 10), (20, 30)], [(0, 10), (310, 320)]
    for length, expected in ((0.1, short), (1.001, exact), (30.0, long)):
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
@pytest.mark.parametrize("limits", [Limits(idle_s=60.0, closing_s=0.05)])
@pytest.mark.parametrize("alive", [True, False])
async def test_keepalive_changes_nothing_but_that_the_stream_stays_open(
    speech: Speech, monkeypatch: pytest.MonkeyPatch, alive: bool
) -> None:
    time, patiently, awaited = LoopTime(monkeypatch), speech.sessions.patiently, []

    async def counted(message: Awaitable[Any]) -> Any:
        awaited.append(message)
        return await patiently(message)

    monkeypatch.setattr(speech.sessions, "patiently", counted)
    talk = await speech.talk()
    for messages in range(2, 5 if alive else 2):
        await speech.settled(lambda: len(awaited) == messages)  # noqa: B023
        time.passes(35.0)
        await talk.say(KEEPALIVE)
    if alive:
        assert kinds(await talk.until_end()) == ["session_started"]
        assert talk.heard[-1].cursors.received_ms == 0
    else:
        await speech.settled(lambda: len(awaited) == 2)
        time.passes(61.0)
        assert (await refusal(talk.until(lambda _: False))).reason == "STREAM_IDLE"


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
    assert await recognized(format=both, audio=interleaved(data, pcm((0.5, 0.0), (3.0, 0.5)))) == [
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


def test_each_field_that_a_client_sets_has_a_test_in_which_it_changes_the_result() -> None:
    service = speech_service_pb2.DESCRIPTOR.services_by_name["SpeechService"]
    elsewhere = "BatchRecognize"  # see tests/rpc/test_batch_service.py
    every = fields_of(method.input_type for method in service.methods if method.name != elsewhere)
    assert every - fields_of([speech_service_pb2.StreamingConfig.DESCRIPTOR]) == CHANGED
