"""PyAV as the Decoder of the domain: headerless PCM at any rate, and containers, as their bytes come."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from typing import Any, cast

import av
import av.error
import numpy as np
import structlog

from servers.asr.audio import SAMPLE_RATE, Samples
from servers.common.errors import AudioTooLarge, AudioUndecodable

log = structlog.get_logger(__name__)

CONTAINERS = ("wav", "flac", "ogg", "webm", "mp3")
"""ffmpeg's names of the formats that are accepted."""

MAX_ENCODED = 4 * 1024 * 1024
"""Encoded bytes that may wait for the decoding thread; then `feed` waits."""
MAX_DECODED_S = 60
"""Decoded audio that may wait for `feed`, in seconds; then the decoding thread waits."""


class PcmDecoder:
    """Signed 16-bit little-endian mono PCM."""

    def __init__(self, sample_rate: int) -> None:
        self._rate = sample_rate
        self._resampler = _resampler() if sample_rate != SAMPLE_RATE else None
        self._odd = b""

    async def feed(self, data: bytes) -> Samples:
        """See Decoder."""
        data = self._odd + data
        whole = len(data) & ~1
        self._odd = data[whole:]
        pcm = np.frombuffer(data[:whole], "<i2")
        if self._resampler is None or not len(pcm):
            return pcm.astype(np.float32) / 32768.0
        frame = av.AudioFrame.from_ndarray(pcm[None, :], format="s16", layout="mono")
        frame.sample_rate = self._rate
        return _joined(self._resampler.resample(frame))

    async def finish(self) -> Samples:
        """See Decoder."""
        resampler, self._resampler = self._resampler, None
        return _joined(resampler.resample(None)) if resampler is not None else _joined([])

    def close(self) -> None:
        """See Decoder."""


class ContainerDecoder:
    """A container of one of CONTAINERS, decoded by a thread of its own that reads the bytes as they come.

    At most `max_s` seconds are decoded; AudioTooLarge beyond.
    """

    def __init__(self, container: str, max_s: float = float("inf")) -> None:
        self._container = container
        self._max_samples = max_s * SAMPLE_RATE
        self._changed = threading.Condition()
        self._encoded = bytearray()
        self._decoded: list[Samples] = []
        self._waiting = 0
        self._ended = False
        self._closed = False
        self._done = False
        self._failure: Exception | None = None
        self._thread: threading.Thread | None = None

    async def feed(self, data: bytes) -> Samples:
        """See Decoder."""
        return await asyncio.to_thread(self._exchange, data, False)

    async def finish(self) -> Samples:
        """See Decoder."""
        return await asyncio.to_thread(self._exchange, b"", True)

    def close(self) -> None:
        """See Decoder."""
        with self._changed:
            self._closed = self._ended = True
            self._changed.notify_all()

    def read(self, size: int) -> bytes:
        """What PyAV reads from: waits for bytes; empty at the end."""
        with self._changed:
            self._changed.wait_for(lambda: self._encoded or self._ended)
            data = bytes(self._encoded[:size])
            del self._encoded[:size]
            self._changed.notify_all()
            return data

    def _exchange(self, data: bytes, last: bool) -> Samples:
        """Give bytes, take what is decoded; with `last`, wait until all is."""
        taken: list[Samples] = []
        if self._thread is None:
            self._thread = threading.Thread(target=self._decode, name=f"decode-{self._container}", daemon=True)
            self._thread.start()
        with self._changed:
            if not self._done:
                self._encoded += data
            self._ended = self._ended or last
            self._changed.notify_all()
            while not self._failure:
                taken += self._decoded
                self._decoded, self._waiting = [], 0
                self._changed.notify_all()
                if self._done or self._closed or (not last and len(self._encoded) < MAX_ENCODED):
                    break
                self._changed.wait()
            if self._failure:
                raise self._failure
        return np.concatenate(taken) if taken else _joined([])

    def _decode(self) -> None:
        failure: Exception | None = AudioUndecodable(f"the bytes are not audio in {self._container}")
        try:
            self._decode_all()
            failure = None
        except AudioTooLarge as error:
            failure = error
        except (av.error.FFmpegError, ValueError, IndexError) as error:
            log.info("undecodable", container=self._container, error=repr(error))
        finally:
            with self._changed:
                self._failure, self._done = failure, True
                self._encoded.clear()
                self._changed.notify_all()

    def _decode_all(self) -> None:
        total = 0
        for part in _samples(self, self._container, lambda: self._closed):
            total += len(part)
            if total > self._max_samples:
                limit = f"{self._max_samples / SAMPLE_RATE:g}"
                raise AudioTooLarge(f"the audio is longer than {limit} s", limit_seconds=limit)
            self._hand_over(part)
        if total == 0:
            raise ValueError("not one frame of audio")  # FFmpeg skips what is no FLAC without a word

    def _hand_over(self, part: Samples) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._waiting < MAX_DECODED_S * SAMPLE_RATE or self._closed)
            self._decoded.append(part)
            self._waiting += len(part)
            self._changed.notify_all()


def _samples(source: Any, container: str, closed: Callable[[], bool]) -> Iterator[Samples]:
    resampler = _resampler()
    with av.open(source, mode="r", format=container, buffer_size=4096, metadata_errors="ignore") as opened:
        stream = opened.streams.audio[0]
        for frame in opened.decode(stream):
            if closed():
                return
            yield _joined(resampler.resample(cast(av.AudioFrame, frame)))
        yield _joined(resampler.resample(None))


def _resampler() -> av.AudioResampler:
    return av.AudioResampler(format="flt", layout="mono", rate=SAMPLE_RATE)


def _joined(frames: list[av.AudioFrame]) -> Samples:
    parts = [frame.to_ndarray().reshape(-1) for frame in frames]
    return np.concatenate(parts).astype(np.float32, copy=False) if parts else np.zeros(0, np.float32)
