"""Every field of what the speech server tells: that it is set, and to what."""

import pytest
from ai2text.asr.v1 import audio_pb2, speech_service_pb2

from servers.asr.session import SessionRules
from tests.rpc.asr.conftest import (
    CALLER,
    Speech,
    audio,
    chunks,
    config,
    interleaved,
    is_final,
    paced,
    pcm,
    resume,
)
from tests.rpc.asr.fields import fields_of, set_fields
from tests.rpc.asr.formats import format_of


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
    assert fields_of([speech_service_pb2.StreamingRecognizeResponse.DESCRIPTOR]) - found == set()


async def test_the_cursors_tell_what_has_come_and_what_of_it_was_looked_at(speech: Speech) -> None:
    told = await speech.told(config(), *audio((1.0, 0.0)))
    cursors = told[-1].cursors
    assert (cursors.received_ms, cursors.processed_ms) == (1_000, 31 * 32)  # voice is looked for in windows of 32 ms


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


async def test_each_field_of_a_recognized_recording_is_set(speech: Speech) -> None:
    format = format_of("LINEAR16", sample_rate_hz=16_000, channel_count=2)
    data = interleaved(pcm((0.5, 0.0), (2.0, 0.5), (1.0, 0.0)), pcm((1.0, 0.0), (2.0, 0.5), (0.5, 0.0)))
    request = speech_service_pb2.RecognizeRequest(format=format, audio=data)
    answer = await speech.stub.Recognize(request, metadata=CALLER.metadata(), timeout=20)
    assert answer.duration_ms == 3_500
    assert fields_of([answer.DESCRIPTOR]) - set(set_fields(answer)) == set()


async def test_capabilities_name_what_is_accepted(speech: Speech, other: Speech, rules: SessionRules) -> None:
    asked = speech_service_pb2.GetCapabilitiesRequest()
    can = await speech.stub.GetCapabilities(asked, metadata=CALLER.metadata())
    assert (can.model, list(can.language_codes), can.server_version) == ("counting", ["en", "vi"], "stable")
    assert set(can.encodings) == set(audio_pb2.AudioEncoding.values()) - {audio_pb2.AUDIO_ENCODING_UNSPECIFIED}
    assert (can.min_sample_rate_hz, can.max_sample_rate_hz, can.max_channels) == (8_000, 48_000, 8)
    assert (can.max_audio_bytes, can.max_audio_duration.seconds, can.max_chunk_bytes) == (2**25, 600, 2**20)
    defaults = rules.endpoint
    assert can.endpointing.pause.ToMilliseconds() == defaults.pause_ms
    assert can.endpointing.silence.ToMilliseconds() == defaults.silence_ms
    assert can.endpointing.long_utterance_silence.ToMilliseconds() == defaults.long_utterance_silence_ms
    assert can.endpointing.max_utterance.ToMilliseconds() == defaults.max_utterance_ms
    assert can.endpointing.start_probability == pytest.approx(defaults.start_probability)
    assert can.endpointing.stop_probability == pytest.approx(defaults.stop_probability)
    assert fields_of([can.DESCRIPTOR]) - set(set_fields(can)) == set()
    canary = await other.stub.GetCapabilities(asked, metadata=CALLER.metadata())
    assert canary.server_version == "canary"
