"""Samples, their buffer, and the decoders."""

import asyncio
import io
import threading
import wave
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction

import av
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from servers.asr.audio import SAMPLE_RATE, Decoder, SampleBuffer, Samples
from servers.asr.decoding import CONTAINERS, ContainerDecoder, PcmDecoder
from servers.common.bounds import MAX_CHANNELS
from servers.common.errors import AudioTooLarge, AudioUndecodable, FieldInvalid

LOW, HIGH = 440, 1_000
"""The pitches of the first and the second channel, in Hz."""
LAYOUTS = {1: "mono", 2: "stereo", 3: "2.1", 8: "7.1"}
CODECS = [("flac", "flac"), ("libopus", "ogg"), ("libopus", "webm"), ("pcm_s16le", "wav")]


def tone(seconds: float, rate: int = SAMPLE_RATE, pitch: int = LOW) -> npt.NDArray[np.int16]:
    """A tone as 16-bit PCM."""
    return (np.sin(2 * np.pi * pitch * np.arange(int(seconds * rate)) / rate) * 12_000).astype("<i2")


def interleaved(seconds: float, rate: int, pitches: tuple[int, ...]) -> bytes:
    """One tone in each channel, as 16-bit PCM."""
    return np.stack([tone(seconds, rate, pitch) for pitch in pitches], axis=1).tobytes()


def encoded(codec: str, container: str, seconds: float, pitches: tuple[int, ...] = (LOW,), rate: int = 48_000) -> bytes:
    """One tone in each channel, in a container."""
    file = io.BytesIO()
    layout = LAYOUTS[len(pitches)]
    with av.open(file, "w", format=container) as out:
        stream = out.add_stream(codec, rate=rate)
        stream.layout = layout
        pcm = np.frombuffer(interleaved(seconds, rate, pitches), "<i2")
        frame = av.AudioFrame.from_ndarray(pcm[None, :], format="s16", layout=layout)
        frame.sample_rate, frame.pts, frame.time_base = rate, 0, Fraction(1, rate)
        for piece in av.AudioResampler(format=stream.format.name, layout=layout, rate=rate).resample(frame):
            out.mux(stream.encode(piece))
        out.mux(stream.encode(None))
    return file.getvalue()


def wav(seconds: float) -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setparams((1, 2, SAMPLE_RATE, 0, "NONE", ""))
        out.writeframes(tone(seconds).tobytes())
    return file.getvalue()


async def decode(decoder: Decoder, data: bytes, step: int) -> Samples:
    parts = [await decoder.feed(data[begin : begin + step]) for begin in range(0, len(data), step)]
    return np.concatenate([*parts, await decoder.finish()], axis=1)


def pitch(heard: Samples) -> float:
    """The loudest frequency in the middle of one channel, in Hz; 0 when it is silent."""
    middle = heard[len(heard) // 4 : 3 * len(heard) // 4]
    spectrum = np.abs(np.fft.rfft(middle))
    return float(spectrum.argmax() * SAMPLE_RATE / len(middle)) if np.abs(middle).max() > 0.01 else 0.0


# The buffer.


def test_the_buffer_gives_samples_by_position_after_forgetting() -> None:
    buffer = SampleBuffer()
    for begin in range(0, 100_000, 10_000):
        buffer.append(np.arange(begin, begin + 10_000, dtype=np.float32))
        buffer.forget_before(begin - 5_000)
    assert buffer.slice(90_000, 90_005).tolist() == [90_000, 90_001, 90_002, 90_003, 90_004]
    assert buffer.slice(0, 70_002).tolist() == []
    assert buffer.end == 100_000


def test_a_buffer_may_begin_anywhere() -> None:
    buffer = SampleBuffer(48_000)
    buffer.append(np.arange(10, dtype=np.float32))
    assert (buffer.end, buffer.slice(0, 48_003).tolist()) == (48_010, [0, 1, 2])


def test_forgetting_moves_what_is_left_only_when_a_second_or_more_can_go() -> None:
    buffer = SampleBuffer(100)
    buffer.append(np.ones(3 * SAMPLE_RATE, np.float32))
    buffer.forget_before(100 + SAMPLE_RATE - 1)
    assert len(buffer.slice(0, buffer.end)) == 3 * SAMPLE_RATE
    buffer.forget_before(100 + SAMPLE_RATE)
    assert len(buffer.slice(0, buffer.end)) == 2 * SAMPLE_RATE
    assert len(buffer.slice(100 + SAMPLE_RATE, buffer.end)) == 2 * SAMPLE_RATE


def test_forgetting_everything_keeps_the_position() -> None:
    buffer = SampleBuffer()
    buffer.append(np.zeros(SAMPLE_RATE, np.float32))
    buffer.forget_before(5 * SAMPLE_RATE)
    buffer.append(np.ones(5, np.float32))
    assert buffer.end == SAMPLE_RATE + 5
    assert buffer.slice(0, SAMPLE_RATE + 2).tolist() == [1, 1]


def test_a_slice_is_not_changed_by_what_comes_later() -> None:
    buffer = SampleBuffer()
    buffer.append(np.ones(3 * SAMPLE_RATE, np.float32))
    taken = buffer.slice(0, 3 * SAMPLE_RATE)
    buffer.forget_before(2 * SAMPLE_RATE)
    buffer.append(np.zeros(3 * SAMPLE_RATE, np.float32))
    assert taken.min() == 1


STEPS = st.one_of(
    st.tuples(st.just("append"), st.integers(0, 40_000)),
    st.tuples(st.just("forget"), st.integers(-1_000, 150_000)),
)
REACH = st.integers(-1_000, 200_000)


@given(st.integers(0, 1_000), st.lists(STEPS, max_size=12), st.lists(st.tuples(REACH, REACH), max_size=5))
def test_the_buffer_is_an_array_of_which_the_beginning_may_be_gone(
    start: int, steps: list[tuple[str, int]], slices: list[tuple[int, int]]
) -> None:
    buffer, plain, forgotten = SampleBuffer(start), np.zeros(start, np.float32), start
    for step, amount in steps:
        if step == "append":
            more = np.arange(len(plain), len(plain) + amount, dtype=np.float32)
            buffer.append(more)
            plain = np.concatenate([plain, more])
        else:
            buffer.forget_before(amount)
            forgotten = max(forgotten, min(amount, len(plain)))
    assert buffer.end == len(plain)
    for begin, end in slices:
        got = buffer.slice(begin, end)
        expected = plain[max(forgotten, begin) : max(0, end)]
        assert np.array_equal(got[max(0, len(got) - len(expected)) :], expected)
        assert len(got) <= len(plain[max(start, begin) : max(0, end)])


@given(st.integers(2, 60))
def test_the_memory_of_a_long_stream_stays_small(seconds: int) -> None:
    buffer = SampleBuffer()
    for _ in range(10 * seconds):
        buffer.append(np.zeros(SAMPLE_RATE // 10, np.float32))
        buffer.forget_before(buffer.end - SAMPLE_RATE)
    assert len(buffer.slice(0, buffer.end)) <= 2.1 * SAMPLE_RATE
    assert len(buffer._memory) <= 5 * SAMPLE_RATE


# PCM.


async def test_pcm_may_be_cut_anywhere() -> None:
    pcm = tone(0.1).tobytes()
    whole, pieces = await decode(PcmDecoder(SAMPLE_RATE), pcm, len(pcm)), await decode(PcmDecoder(SAMPLE_RATE), pcm, 7)
    assert np.array_equal(whole, pieces)
    assert whole.shape == (1, SAMPLE_RATE // 10)
    assert whole.max() == pytest.approx(12_000 / 32_768, rel=0.01)


@pytest.mark.parametrize("rate", [8_000, 11_025, 16_000, 44_100, 48_000])
async def test_pcm_of_any_rate_is_resampled(rate: int) -> None:
    heard = await decode(PcmDecoder(rate), tone(1.0, rate).tobytes(), 3_001)
    assert heard.shape == (1, pytest.approx(SAMPLE_RATE, abs=40))
    assert pitch(heard[0]) == pytest.approx(LOW, abs=2)


@pytest.mark.parametrize("rate", [8_000, 16_000, 44_100, 48_000])
@pytest.mark.parametrize("step", [7, 3_001])
async def test_interleaved_channels_are_told_apart(rate: int, step: int) -> None:
    pitches = (LOW, HIGH, 600)
    seconds = 0.1 if step == 7 else 1.0
    heard = await decode(PcmDecoder(rate, 3), interleaved(seconds, rate, pitches), step)
    assert heard.shape == (3, pytest.approx(seconds * SAMPLE_RATE, abs=40))
    assert heard.dtype == np.float32
    assert [pitch(channel) for channel in heard] == [pytest.approx(each, abs=20) for each in pitches]


@pytest.mark.parametrize("rate", [8_000, 16_000])
async def test_no_pcm_at_all_is_no_audio(rate: int) -> None:
    decoder = PcmDecoder(rate, 2)
    assert (await decoder.feed(b"\0")).shape == (2, 0)
    assert (await decoder.finish()).shape == (2, 0)


def test_pcm_goes_on_where_it_was_and_containers_begin_anew() -> None:
    assert not PcmDecoder(16_000).begins_anew
    assert all(ContainerDecoder(container).begins_anew for container in CONTAINERS)


# Containers.


@pytest.mark.parametrize(("codec", "container"), CODECS)
async def test_containers_are_decoded_as_their_bytes_come(codec: str, container: str) -> None:
    heard = await decode(ContainerDecoder(container), encoded(codec, container, 2.0), 1_000)
    assert heard.shape == (1, pytest.approx(2 * SAMPLE_RATE, abs=1_700))
    assert pitch(heard[0]) == pytest.approx(LOW, abs=2)


@pytest.mark.parametrize(("codec", "container"), CODECS)
async def test_two_channels_of_a_container_are_told_apart_when_they_are_announced(codec: str, container: str) -> None:
    data = encoded(codec, container, 1.0, (LOW, HIGH))
    heard = await decode(ContainerDecoder(container, channels=2), data, 1_000)
    assert heard.shape == (2, pytest.approx(SAMPLE_RATE, abs=1_700))
    assert [pitch(channel) for channel in heard] == [pytest.approx(LOW, abs=3), pytest.approx(HIGH, abs=3)]


@pytest.mark.parametrize(("codec", "container"), [("flac", "flac"), ("pcm_s16le", "wav")])
async def test_as_many_channels_as_there_may_be_are_told_apart(codec: str, container: str) -> None:
    pitches = tuple(range(300, 300 + 100 * MAX_CHANNELS, 100))
    heard = await decode(
        ContainerDecoder(container, channels=MAX_CHANNELS), encoded(codec, container, 1.0, pitches), 1_000
    )
    assert heard.shape == (MAX_CHANNELS, pytest.approx(SAMPLE_RATE, abs=1_700))
    assert [pitch(channel) for channel in heard] == [pytest.approx(each, abs=3) for each in pitches]


@pytest.mark.parametrize(("codec", "container"), CODECS)
async def test_two_channels_are_mixed_when_nothing_is_announced(codec: str, container: str) -> None:
    heard = await decode(ContainerDecoder(container), encoded(codec, container, 1.0, (LOW, HIGH)), 1_000)
    assert heard.shape == (1, pytest.approx(SAMPLE_RATE, abs=1_700))
    middle = heard[0, 4_000:12_000]
    spectrum = np.abs(np.fft.rfft(middle))
    loud = [round(n * 2) for n in np.flatnonzero(spectrum > spectrum.max() / 2)]
    assert loud == [LOW, HIGH]


async def test_files_that_were_joined_are_heard_to_their_end() -> None:
    data = encoded("mp3", "mp3", 2.0) + encoded("mp3", "mp3", 3.0, (LOW, LOW), rate=44_100)
    heard = await decode(ContainerDecoder("mp3"), data, 1_000)
    assert heard.shape == (1, pytest.approx(5 * SAMPLE_RATE, abs=4_000))
    assert pitch(heard[0, -2 * SAMPLE_RATE :]) == pytest.approx(LOW, abs=2)


@pytest.mark.parametrize(("announced", "there"), [(1, 2), (2, 1), (3, 2), (8, 1)])
async def test_channels_that_are_not_there_are_refused(announced: int, there: int) -> None:
    data = encoded("flac", "flac", 0.5, (LOW, HIGH)[:there])
    with pytest.raises(FieldInvalid, match=f"says {announced}, but the audio has {there}") as refused:
        await decode(ContainerDecoder("flac", channels=announced), data, 1_000)
    assert refused.value.field == "format.channel_count"


async def test_a_container_may_be_left_before_a_byte_of_it_came() -> None:
    with pytest.raises(AudioUndecodable):
        await ContainerDecoder("webm", channels=2).finish()


@pytest.mark.parametrize(("codec", "container"), CODECS)
async def test_what_came_of_a_container_that_breaks_off_is_heard(codec: str, container: str) -> None:
    data = encoded(codec, container, 4.0)
    heard = await decode(ContainerDecoder(container), data[: len(data) // 2 + 7], 1_000)
    assert heard.shape == (1, pytest.approx(2 * SAMPLE_RATE, rel=0.5))


@pytest.mark.parametrize("container", ["flac", "ogg", "webm", "wav", "mp3"])
async def test_garbage_is_refused(container: str) -> None:
    with pytest.raises(AudioUndecodable):
        await decode(ContainerDecoder(container), np.random.default_rng(7).bytes(50_000), 5_000)


async def test_audio_beyond_the_limit_is_refused() -> None:
    with pytest.raises(AudioTooLarge):
        await decode(ContainerDecoder("wav", max_s=2.0), wav(3.0), 10_000)


async def test_numbers_that_are_none_and_sounds_that_are_too_loud_are_heard_as_they_can_be() -> None:
    wild = np.full(SAMPLE_RATE, 0.5, "<f4")
    wild[100:106] = [np.nan, np.inf, -np.inf, 9.0, -9.0, 1.0]
    file = io.BytesIO()
    with av.open(file, "w", format="wav") as out:
        stream = out.add_stream("pcm_f32le", rate=SAMPLE_RATE, layout="mono")
        frame = av.AudioFrame.from_ndarray(wild[None, :], format="flt", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = SAMPLE_RATE, 0, Fraction(1, SAMPLE_RATE)
        out.mux(stream.encode(frame))
    heard = await decode(ContainerDecoder("wav"), file.getvalue(), 10_000)
    assert heard[0, 99:107].tolist() == [0.5, 0, 1, -1, 1, -1, 1, 0.5]


@pytest.mark.parametrize("rate", [1, 3_999, 384_001])
async def test_rates_that_no_recorder_has_are_refused(rate: int) -> None:
    data = bytearray(wav(0.5))
    data[24:28] = rate.to_bytes(4, "little")
    with pytest.raises(AudioUndecodable, match=f"{rate} samples a second, not 4000 to 384000"):
        await decode(ContainerDecoder("wav"), bytes(data), 10_000)


async def test_a_second_wav_is_refused_and_not_skipped() -> None:
    decoder = ContainerDecoder("wav")
    await decoder.feed(wav(1.0))
    await decoder.feed(b"LIST\x10\0\0\0INFOINAM\4\0\0\0name")
    with pytest.raises(AudioUndecodable, match="another WAV begins"):
        await decoder.feed(wav(1.0))
    decoder.close()


async def test_closing_ends_the_decoding_thread() -> None:
    decoder = ContainerDecoder("flac")
    await decoder.feed(encoded("flac", "flac", 1.0)[:500])
    decoder.close()
    thread = decoder._thread
    assert thread is not None
    await asyncio.to_thread(thread.join, 5)
    assert not thread.is_alive()


@pytest.mark.parametrize(("codec", "container"), CODECS)
async def test_audio_is_there_as_soon_as_its_bytes_are(codec: str, container: str) -> None:
    decoder, data = ContainerDecoder(container), encoded(codec, container, 4.0)
    heard = await decoder.feed(data[: len(data) // 2])
    decoder.close()
    assert heard.shape[1] > 0.4 * SAMPLE_RATE  # FLAC and Ogg hold back a second


async def test_decoding_does_not_wait_for_the_threads_that_others_have_taken() -> None:
    gate = threading.Event()
    with ThreadPoolExecutor(1) as threads:
        asyncio.get_running_loop().set_default_executor(threads)
        taken = asyncio.create_task(asyncio.to_thread(gate.wait))
        try:
            async with asyncio.timeout(20):
                heard = await decode(ContainerDecoder("wav"), wav(1.0), 10_000)
        finally:
            gate.set()
            await taken
    assert heard.shape == (1, pytest.approx(SAMPLE_RATE, abs=40))


@pytest.mark.parametrize(("channels", "steps", "limit_s"), [(1, 110, "600"), (8, 14, "75")])
async def test_a_few_bytes_that_become_many_minutes_are_refused(channels: int, steps: int, limit_s: str) -> None:
    silence, layout = io.BytesIO(), LAYOUTS[channels]
    with av.open(silence, "w", format="flac") as out:
        stream = out.add_stream("flac", rate=8_000, layout=layout)
        for n in range(steps):
            zeros = np.zeros((1, 48_000 * channels), np.int16)
            frame = av.AudioFrame.from_ndarray(zeros, format="s16", layout=layout)
            frame.sample_rate, frame.pts, frame.time_base = 8_000, n * 48_000, Fraction(1, 8_000)
            for piece in av.AudioResampler(format=stream.format.name, layout=layout, rate=8_000).resample(frame):
                out.mux(stream.encode(piece))
        out.mux(stream.encode(None))
    assert len(silence.getvalue()) < 200_000
    decoder = ContainerDecoder("flac", channels)
    with pytest.raises(AudioTooLarge) as refused:
        await decoder.feed(silence.getvalue())
    assert refused.value.metadata == {"limit_seconds": limit_s}
    decoder.close()
