"""Files of audio and video that are made here, small and the same each time."""

import io
import wave
from fractions import Fraction

import av
import numpy as np


def wav(seconds: float = 1.0, seed: int = 0, rate: int = 16_000) -> bytes:
    """Noise: of each seed other bytes."""
    samples = np.random.default_rng(seed).integers(-1000, 1000, int(seconds * rate)).astype("<i2")
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(samples.tobytes())
    return buffer.getvalue()


class _Pipe(io.RawIOBase):
    """Somewhere to write to where nobody can go back to fill in what was left out."""

    def __init__(self) -> None:
        self.written = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, data: object) -> int:
        self.written += bytes(data)  # type: ignore[call-overload]
        return len(bytes(data))  # type: ignore[call-overload]


def encoded(form: str, codec: str, seconds: float = 2.0, seekable: bool = True) -> bytes:
    """Silence in a container; one that cannot be sought in has no duration in its header, as browsers record."""
    buffer = io.BytesIO() if seekable else _Pipe()
    rate = 48_000
    with av.open(buffer, "w", format=form) as container:
        stream = container.add_stream(codec, rate=rate, layout="stereo")
        for index in range(int(seconds * 50)):
            frame = av.AudioFrame.from_ndarray(np.zeros((1, 2 * 960), "<i2"), format="s16", layout="stereo")
            frame.sample_rate, frame.pts, frame.time_base = rate, index * 960, Fraction(1, rate)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return buffer.getvalue() if isinstance(buffer, io.BytesIO) else bytes(buffer.written)


def silent_film() -> bytes:
    """A video without audio."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4") as container:
        stream = container.add_stream("mpeg4", rate=10, width=64, height=48, pix_fmt="yuv420p")
        for _ in range(5):
            frame = av.VideoFrame.from_ndarray(np.zeros((48, 64, 3), np.uint8), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return buffer.getvalue()
