"""What is sent again when a session is resumed: of each format, rate and channel what was not settled."""

import pytest
from ai2text.asr.v1 import audio_pb2, speech_service_pb2

from servers.asr.live import Limits
from tests.rpc.asr.conftest import (
    Message,
    Speech,
    audio,
    chunks,
    config,
    interleaved,
    is_final,
    pcm,
    resume,
)
from tests.rpc.asr.formats import format_of, seconds, wav
from tests.rpc.asr.interruptions import EXPECTED, PATIENT, SAID, cut_off, gone_on, told_finals


@pytest.fixture
def limits() -> Limits:
    return PATIENT


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
