"""Samples, their buffer, and the decoders."""

import asyncio
import io
import wave
from fractions import Fraction

import av
import numpy as np
import pytest

from servers.asr.audio import SAMPLE_RATE, SampleBuffer, Samples
from servers.asr.decoding import ContainerDecoder, PcmDecoder
from servers.common.errors import AudioTooLarge, AudioUndecodable


def tone(seconds: float, rate: int = SAMPLE_RATE) -> np.ndarray:
    """A 440 Hz tone as 16-bit PCM."""
    return (np.sin(2 * np.pi * 440 * np.arange(int(seconds * rate)) / rate) * 12_000).astype("<i2")


def encoded(codec: str, container: str, seconds: float) -> bytes:
    """A tone in a container, at 48 kHz."""
    file = io.BytesIO()
    with av.open(file, "w", format=container) as out:
        stream = out.add_stream(codec, rate=48_000)
        stream.layout = "mono"
        frame = av.AudioFrame.from_ndarray(tone(seconds, 48_000)[None, :], format="s16", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = 48_000, 0, Fraction(1, 48_000)
        for part in (frame, None):
            resampled = av.AudioResampler(format=stream.format.name, layout="mono", rate=48_000).resample(part)
            for piece in resampled if part is not None else []:
                out.mux(stream.encode(piece))
        out.mux(stream.encode(None))
    return file.getvalue()


async def decode(decoder: PcmDecoder | ContainerDecoder, data: bytes, step: int) -> Samples:
    parts = [await decoder.feed(data[begin : begin + step]) for begin in range(0, len(data), step)]
    return np.concatenate([*parts, await decoder.finish()])


def test_the_buffer_gives_samples_by_position_after_forgetting() -> None:
    buffer = SampleBuffer()
    for begin in range(0, 100, 10):
        buffer.append(np.arange(begin, begin + 10, dtype=np.float32))
        buffer.forget_before(begin - 5)
    assert buffer.slice(90, 95).tolist() == [90, 91, 92, 93, 94]
    assert buffer.slice(0, 87).tolist() == [85, 86]
    assert buffer.end == 100


def test_forgetting_everything_keeps_the_position() -> None:
    buffer = SampleBuffer()
    buffer.append(np.zeros(10, np.float32))
    buffer.forget_before(50)
    buffer.append(np.ones(5, np.float32))
    assert (buffer.end, buffer.slice(10, 12).tolist()) == (15, [1, 1])


async def test_pcm_may_be_cut_anywhere() -> None:
    pcm = tone(0.1).tobytes()
    whole, pieces = await decode(PcmDecoder(SAMPLE_RATE), pcm, len(pcm)), await decode(PcmDecoder(SAMPLE_RATE), pcm, 7)
    assert np.array_equal(whole, pieces)
    assert whole.max() == pytest.approx(12_000 / 32_768, rel=0.01)


@pytest.mark.parametrize("rate", [8_000, 11_025, 44_100, 48_000])
async def test_pcm_of_other_rates_is_resampled(rate: int) -> None:
    heard = await decode(PcmDecoder(rate), tone(1.0, rate).tobytes(), 3_001)
    assert len(heard) == pytest.approx(SAMPLE_RATE, abs=40)
    assert int(np.abs(np.fft.rfft(heard[:SAMPLE_RATE])).argmax()) == pytest.approx(440, abs=2)


@pytest.mark.parametrize(
    ("codec", "container"), [("flac", "flac"), ("libopus", "ogg"), ("libopus", "webm"), ("pcm_s16le", "wav")]
)
async def test_containers_are_decoded_as_their_bytes_come(codec: str, container: str) -> None:
    heard = await decode(ContainerDecoder(container), encoded(codec, container, 2.0), 1_000)
    assert len(heard) == pytest.approx(2 * SAMPLE_RATE, abs=1_700)
    assert float(np.abs(heard).max()) > 0.2


@pytest.mark.parametrize("container", ["flac", "ogg", "webm", "wav", "mp3"])
async def test_garbage_is_refused(container: str) -> None:
    with pytest.raises(AudioUndecodable):
        await decode(ContainerDecoder(container), np.random.default_rng(7).bytes(50_000), 5_000)


async def test_audio_beyond_the_limit_is_refused() -> None:
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setparams((1, 2, SAMPLE_RATE, 0, "NONE", ""))
        out.writeframes(tone(3.0).tobytes())
    with pytest.raises(AudioTooLarge):
        await decode(ContainerDecoder("wav", max_s=2.0), file.getvalue(), 10_000)


async def test_closing_ends_the_decoding_thread() -> None:
    decoder = ContainerDecoder("flac")
    await decoder.feed(encoded("flac", "flac", 1.0)[:500])
    decoder.close()
    thread = decoder._thread
    assert thread is not None
    await asyncio.to_thread(thread.join, 5)
    assert not thread.is_alive()
