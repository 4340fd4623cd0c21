"""PyAV as the Decoder of the domain: headerless PCM at any rate, and containers, as their bytes come."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import groupby
from typing import Any

import av
import av.error
import numpy as np
import numpy.typing as npt
import structlog
from av.container import InputContainer

from servers.asr.audio import SAMPLE_RATE, Samples
from servers.common.errors import AudioTooLarge, AudioUndecodable, FieldInvalid

log = structlog.get_logger(__name__)

CONTAINERS = ("wav", "flac", "ogg", "webm", "mp3")
"""ffmpeg's names of the formats that are accepted."""

MAX_DECODED_S = 60
"""Decoded audio that may wait for `feed`, in seconds of one channel; then the decoding thread waits."""
MAX_AT_ONCE_S = 600
"""Audio that one `feed` may become, in seconds of one channel: silence can be packed without end."""
SAMPLE_RATES = range(4_000, 384_001)
"""Those of containers: a second of a lower one would become a multitude of samples before anybody could count them."""
PROBING = {"probesize": "32768", "analyzeduration": "1"}
"""FFmpeg reads so much, in bytes and microseconds, before it believes the header: by default, seconds of a WAV."""


class PcmDecoder:
    """Signed 16-bit little-endian PCM, its channels interleaved."""

    begins_anew = False

    def __init__(self, sample_rate: int, channels: int = 1) -> None:
        self._rate = sample_rate
        self._channels = channels
        self._resamplers = [_resampler() for _ in range(channels)] if sample_rate != SAMPLE_RATE else []
        self._rest = b""

    async def feed(self, data: bytes) -> Samples:
        """See Decoder."""
        data = self._rest + data
        whole = len(data) - len(data) % (2 * self._channels)
        self._rest = data[whole:]
        pcm = np.frombuffer(data[:whole], "<i2").reshape(-1, self._channels).T
        if not self._resamplers or not pcm.size:
            return pcm.astype(np.float32) / 32768.0
        resampled: Samples = np.stack([self._resampled(*pair) for pair in zip(self._resamplers, pcm, strict=True)])
        return resampled

    async def finish(self) -> Samples:
        """See Decoder."""
        resamplers, self._resamplers = self._resamplers, []
        if not resamplers:
            return np.zeros((self._channels, 0), np.float32)
        rest: Samples = np.stack([_joined(resampler.resample(None), 1)[0] for resampler in resamplers])
        return rest

    def close(self) -> None:
        """See Decoder."""

    def _resampled(self, resampler: av.AudioResampler, pcm: npt.NDArray[np.int16]) -> Samples:
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(pcm[None, :]), format="s16", layout="mono")
        frame.sample_rate = self._rate
        mono: Samples = _joined(resampler.resample(frame), 1)[0]
        return mono


class ContainerDecoder:
    """A container of one of CONTAINERS, decoded by a thread of its own that reads the bytes as they come.

    `channels` 0 mixes what there is into one; FieldInvalid when there are not as many as any other number says. At most
    `max_s` seconds are decoded; AudioTooLarge beyond. A second WAV is AudioUndecodable: FFmpeg would skip it without a
    word.

    Nobody is woken without need: the thread when there are bytes or room, `feed` when all is read or there is no room.
    """

    begins_anew = True

    def __init__(self, container: str, channels: int = 0, max_s: float = float("inf")) -> None:
        self._container = container
        self._channels = channels
        self._max_samples = max_s * SAMPLE_RATE
        self._changed = threading.Condition()
        self._encoded = bytearray()
        self._decoded: list[Samples] = []
        self._waiting = 0
        self._heard = 0
        self._hungry = False
        self._ended = False
        self._closed = False
        self._done = False
        self._failure: Exception | None = None
        self._thread: threading.Thread | None = None
        self._wake: Callable[[], object] = lambda: None
        """Wakes who waits in `_exchange`."""

    async def feed(self, data: bytes) -> Samples:
        """See Decoder."""
        if self._container == "wav" and self._thread and data[:4] == b"RIFF" and data[8:12] == b"WAVE":
            raise AudioUndecodable("another WAV begins: a session is one file, which has one header")
        return await self._exchange(data, last=False)

    async def finish(self) -> Samples:
        """See Decoder."""
        return await self._exchange(b"", last=True)

    def close(self) -> None:
        """See Decoder."""
        with self._changed:
            self._wake()
            self._wake = lambda: None
            self._closed = self._ended = True
            self._changed.notify()

    def read(self, size: int) -> bytes:
        """What PyAV reads from: waits for bytes; empty at the end."""
        with self._changed:
            if not self._encoded:
                self._hungry = True
                self._wake()
                self._changed.wait_for(lambda: self._encoded or self._ended)
            data = bytes(self._encoded[:size])
            del self._encoded[:size]
            return data

    async def _exchange(self, data: bytes, *, last: bool) -> Samples:
        """Give bytes, and take what they are when all are read; with `last`, what is left too."""
        loop, changed = asyncio.get_running_loop(), asyncio.Event()
        if self._thread is None:
            self._thread = threading.Thread(target=self._decode, name=f"decode-{self._container}", daemon=True)
            self._thread.start()
        with self._changed:
            if not self._closed:
                self._wake = lambda: loop.call_soon_threadsafe(changed.set)
            if not self._done:
                self._encoded += data
                self._hungry = self._hungry and not data
            self._ended = self._ended or last
            self._changed.notify()
        taken: list[Samples] = []
        while not self._take(taken, last):
            await changed.wait()
            changed.clear()
        return np.concatenate([_joined([], self._channels or 1), *taken], axis=1)

    def _take(self, taken: list[Samples], last: bool) -> bool:
        """Add what is decoded; whether that is all. Raises what the decoding failed with."""
        with self._changed:
            if self._failure:
                raise self._failure
            if self._is_full():
                self._changed.notify()
            taken += self._decoded
            self._decoded, self._waiting = [], 0
            if sum(part.size for part in taken) > MAX_AT_ONCE_S * SAMPLE_RATE:
                limit = f"{MAX_AT_ONCE_S / (self._channels or 1):g}"
                raise AudioTooLarge("one message holds too much audio", limit_seconds=limit)
            return self._done or self._closed or (not last and self._hungry)

    def _is_full(self) -> bool:
        return self._waiting >= MAX_DECODED_S * SAMPLE_RATE

    def _decode(self) -> None:
        failure: Exception | None = AudioUndecodable(f"the bytes are not audio in {self._container}")
        try:
            self._decode_all()
            failure = None
        except (AudioTooLarge, AudioUndecodable, FieldInvalid) as error:
            failure = error
        except (av.error.FFmpegError, ValueError, IndexError) as error:
            log.info("undecodable", container=self._container, error=repr(error))
            if self._broke_off():
                failure = None
        finally:
            with self._changed:
                self._failure, self._done = failure, True
                self._encoded.clear()
                self._wake()

    def _broke_off(self) -> bool:
        """Whether only the end is missing: the client vanished in the middle of a frame, and what came is audio."""
        return self._heard > 0 and self._ended and not self._encoded

    def _decode_all(self) -> None:
        for part in _samples(self, self._container, self._channels, lambda: self._closed):
            self._heard += part.shape[1]
            if self._heard > self._max_samples:
                limit = f"{self._max_samples / SAMPLE_RATE:g}"
                raise AudioTooLarge(f"the audio is longer than {limit} s", limit_seconds=limit)
            self._hand_over(part)
        if self._heard == 0:
            raise ValueError("not one frame of audio")  # FFmpeg skips what is no FLAC without a word

    def _hand_over(self, part: Samples) -> None:
        with self._changed:
            if self._is_full():
                self._wake()
                self._changed.wait_for(lambda: not self._is_full() or self._closed)
            self._decoded.append(part)
            self._waiting += part.size


def _samples(source: Any, container: str, channels: int, closed: Callable[[], bool]) -> Iterator[Samples]:
    with av.open(
        source, mode="r", format=container, buffer_size=4096, metadata_errors="ignore", options=PROBING
    ) as opened:
        stream = opened.streams.audio[0]
        if channels and stream.codec_context.channels != channels:
            there = stream.codec_context.channels
            raise FieldInvalid("format.channel_count", f"says {channels}, but the audio has {there}")
        layout = stream.codec_context.layout.name if channels > 1 else "mono"
        # Streams that were joined change their rate or channels midway.
        for (_, _, rate), alike in groupby(_frames(opened, stream), key=_shape):
            if rate not in SAMPLE_RATES:
                most = SAMPLE_RATES[-1]
                raise AudioUndecodable(f"the audio has {rate} samples a second, not {SAMPLE_RATES[0]} to {most}")
            resampler = _resampler(layout)
            for frame in alike:
                if closed():
                    return
                yield _joined(resampler.resample(frame), channels or 1)
            yield _joined(resampler.resample(None), channels or 1)


def _frames(opened: InputContainer, stream: av.AudioStream) -> Iterator[av.AudioFrame]:
    """All that can be decoded: a packet that cannot is left out, as players do."""
    for packet in opened.demux(stream):
        with suppress(av.error.InvalidDataError):
            yield from packet.decode()


def _shape(frame: av.AudioFrame) -> tuple[str, str, int]:
    return frame.format.name, frame.layout.name, frame.sample_rate


def _resampler(layout: str = "mono") -> av.AudioResampler:
    """Its channels come interleaved: of eight planes PyAV looks for a ninth, and the process dies."""
    return av.AudioResampler(format="flt", layout=layout, rate=SAMPLE_RATE)


def _joined(frames: list[av.AudioFrame], channels: int) -> Samples:
    """Their samples; a file may hold numbers that are none, or louder than loud."""
    parts = [frame.to_ndarray().reshape(-1, channels).T for frame in frames]
    samples: Samples = np.concatenate([np.zeros((channels, 0), np.float32), *parts], axis=1)
    return np.clip(np.nan_to_num(samples, copy=False), -1.0, 1.0, out=samples)
