"""Every field of a session's config: that it changes the result."""

import io
from fractions import Fraction
from typing import Any

import av
import numpy as np
import pytest
from ai2text.asr.v1 import session_pb2, speech_service_pb2

from servers.asr.recognition import Request
from tests.rpc.asr.conftest import (
    CALLER,
    Message,
    Speech,
    audio,
    chunks,
    config,
    finals,
    interleaved,
    is_final,
    kinds,
    pcm,
    utterances,
)
from tests.rpc.asr.fields import Changed, fields_of
from tests.rpc.asr.formats import format_of, seconds, wav
from tests.rpc.refusals import refusal

UTTERANCE = ((0.5, 0.0), (2.0, 0.5), (1.0, 0.0))
ONE_TWO = audio(*UTTERANCE)

CHANGED = Changed()
changes = CHANGED.by


def tuned(**fields: Any) -> Message:
    """A session with some of its endpointing tuned."""
    return config(endpointing=session_pb2.Endpointing(**fields))


# AudioFormat.


@changes("AudioFormat.encoding", "StreamingConfig.format")
async def test_the_encoding_says_how_the_bytes_are_read(speech: Speech) -> None:
    data = wav(pcm(*UTTERANCE))
    told = await speech.told(config(format=format_of("WAV")), *chunks(data))
    assert (finals(told), utterances(told)) == (["one two"], [(5, 25)])
    refused = await refusal(speech.stream(config(format=format_of("FLAC")), *chunks(data)))
    assert refused.reason == "AUDIO_UNDECODABLE"


def soon(speech: Speech) -> list[Request]:
    """What the model was asked for that somebody waits for."""
    return [request for request in speech.recognizer.requests if not request.background]


def encoded(codec: str, container: str) -> bytes:
    """Half a second of silence, two seconds of a tone and one of silence, in a container at 48 kHz."""
    file = io.BytesIO()
    loud = np.sin(2 * np.pi * 440 * np.arange(2 * 48_000) / 48_000) * 16_000
    samples = np.concatenate([np.zeros(24_000), loud, np.zeros(48_000)]).astype("<i2")
    with av.open(file, "w", format=container) as out:
        stream = out.add_stream(codec, rate=48_000, layout="mono")
        frame = av.AudioFrame.from_ndarray(samples[None, :], format="s16", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = 48_000, 0, Fraction(1, 48_000)
        for piece in av.AudioResampler(format=stream.format.name, layout="mono", rate=48_000).resample(frame):
            out.mux(stream.encode(piece))
        out.mux(stream.encode(None))
    return file.getvalue()


CODECS = {"FLAC": "flac", "OGG": "libopus", "WEBM": "libopus", "MP3": "libmp3lame"}


@pytest.mark.parametrize("encoding", CODECS)
async def test_each_encoding_is_read_as_what_it_is_and_no_other(speech: Speech, encoding: str) -> None:
    data = encoded(CODECS[encoding], encoding.lower())
    told = await speech.told(config(format=format_of(encoding)), *chunks(data))
    assert finals(told) == ["one two"]
    ((start, end),) = utterances(told)
    assert (abs(start - 5) <= 1, abs(end - 25) <= 2) == (True, True), (start, end)
    for other in CODECS.keys() - {encoding}:
        refused = await refusal(speech.stream(config(format=format_of(other)), Message(audio=data)))
        assert refused.reason == "AUDIO_UNDECODABLE", other


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
    told = await speech.told_when_paced(config(format=format), chunks(interleaved(silent, silent, LEFT), channels=3))
    for kind in ("speech_started", "speech_ended", "partial", "final"):
        channels = {getattr(response, kind).channel for response in told if response.HasField(kind)}
        assert channels == {2}, kind


# StreamingConfig.


@changes("StreamingConfig.language_code")
async def test_a_language_that_is_given_is_not_detected(speech: Speech) -> None:
    for given, asked, heard in (("", "", "vi"), ("en", "en", "en")):
        told = await speech.told(config(language_code=given), *ONE_TWO)
        assert [r.final.language_code for r in told if is_final(r)] == [heard]
        assert soon(speech)[-1].language == asked


@changes("StreamingConfig.language_codes")
async def test_the_languages_that_are_allowed_reach_the_model(speech: Speech) -> None:
    speech.recognizer.language = "en"
    told = await speech.told(config(language_codes=["vi", "en"]), *ONE_TWO)
    assert {request.language for request in soon(speech)} == {"vi,en"}
    assert [r.final.language_code for r in told if is_final(r)] == ["en"]


@changes("StreamingConfig.partials_disabled")
async def test_partials_can_be_left_out(speech: Speech) -> None:
    said = audio((3.0, 0.5), (1.0, 0.0))
    assert "partial" in kinds(await speech.told_when_paced(config(), said))
    told = await speech.told_when_paced(config(partials_disabled=True), said)
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


async def test_the_language_that_is_given_is_that_of_the_recording(speech: Speech) -> None:
    for given in ("en", ""):
        await speech.told(config(language_code=given), *ONE_TWO)
    await speech.settled(lambda: len(speech.metadata.recordings) == 2)
    assert {recording.language_code for recording in speech.metadata.recordings} == {"en", ""}


@changes("StreamingConfig.hotwords")
async def test_hotwords_reach_the_model(speech: Speech) -> None:
    await speech.told_when_paced(config(hotwords=[" Ghiền Mì Gõ", "Triton"]), ONE_TWO)
    assert {request.hotwords for request in speech.recognizer.requests} == {"Ghiền Mì Gõ, Triton"}
    await speech.told(config(), *ONE_TWO)
    assert speech.recognizer.requests[-1].hotwords == ""


@changes("StreamingConfig.partial_words_enabled")
async def test_partials_have_words_when_they_are_asked_for(speech: Speech) -> None:
    for enabled in (False, True):
        told = await speech.told_when_paced(config(partial_words_enabled=enabled), ONE_TWO)
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
    careful = [len(request.audio) / 16_000 for request in soon(speech)]
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


async def test_a_long_pause_takes_the_silence_of_long_utterances_with_it(speech: Speech) -> None:
    said = audio((3.0, 0.5), (0.3, 0.0), (3.0, 0.5), (2.0, 0.0))
    assert utterances(await speech.told(tuned(), *said)) == [(0, 30), (33, 63)]
    assert utterances(await speech.told(tuned(pause=seconds(0.4)), *said)) == [(0, 63)]


async def test_the_endpointing_that_capabilities_tell_is_accepted(speech: Speech) -> None:
    can = await speech.stub.GetCapabilities(
        speech_service_pb2.GetCapabilitiesRequest(), metadata=CALLER.metadata()
    )  # fmt: skip
    told = [await speech.told(first, *TORN) for first in (config(), config(endpointing=can.endpointing))]
    assert utterances(told[0]) == utterances(told[1])


def test_each_field_of_a_config_has_a_test_in_which_it_changes_the_result() -> None:
    assert fields_of([speech_service_pb2.StreamingConfig.DESCRIPTOR]) == CHANGED
