"""The files, fetched from the object store and decoded by PyAV piece by piece: hours of audio never lie in memory."""

import asyncio
import tempfile
from collections.abc import AsyncIterator, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Protocol

import av
import av.error
import numpy as np
import structlog

from servers.asr.audio import SAMPLE_RATE, Samples
from servers.common.containers import OPTIONS
from servers.common.errors import AudioTooLarge, AudioUndecodable, RecordingWithoutFile
from servers.common.objects import ObjectMissing

log = structlog.get_logger(__name__)

PIECE = 30 * SAMPLE_RATE
LONGEST = 12 * 3600 * SAMPLE_RATE
"""A header may say less than there is."""


class Store(Protocol):
    """What is used of `servers.common.objects.ObjectStore`."""

    async def download(self, key: str, path: Path) -> int:
        """Raises ObjectMissing."""


class StoredMedia:
    """A Media. Each file lies in `folder` while it is open; None: in the system's folder for such files."""

    def __init__(self, store: Store, folder: Path | None) -> None:
        self._store = store
        self._folder = folder

    @asynccontextmanager
    async def opened(self, object_key: str) -> AsyncIterator[AsyncIterator[Samples]]:
        """See Media."""
        with tempfile.TemporaryFile(dir=self._folder) as file:  # it has no name, so that nothing remains after a kill
            path = Path(f"/proc/self/fd/{file.fileno()}")
            try:
                await self._store.download(object_key, path)
            except ObjectMissing as error:
                raise RecordingWithoutFile("the recording's file is no longer in the store") from error
            with ThreadPoolExecutor(1, "decode") as thread:  # one, so that nothing is closed while it is read
                pieces = decoded(path)
                try:
                    yield _in(thread, pieces)
                finally:
                    await asyncio.get_running_loop().run_in_executor(thread, pieces.close)


async def _in(thread: ThreadPoolExecutor, pieces: Iterator[Samples]) -> AsyncIterator[Samples]:
    loop = asyncio.get_running_loop()
    while (piece := await loop.run_in_executor(thread, next, pieces, None)) is not None:
        yield piece


def decoded(path: Path) -> Generator[Samples, None, None]:
    """The first audio of a file, all its channels mixed into one at 16 kHz, in pieces of 30 s. AudioUndecodable or
    AudioTooLarge.

    Packets that are damaged are left out, as players do; a file of which nothing can be decoded is refused.
    """
    heard: list[Samples] = []
    length = total = 0
    try:
        for samples in _samples(path):
            heard.append(samples)
            length += len(samples)
            if total + length > LONGEST:
                raise AudioTooLarge("the audio is longer than 12 hours", limit_seconds=str(LONGEST // SAMPLE_RATE))
            if length >= PIECE:
                yield np.concatenate(heard)
                total, length, heard = total + length, 0, []
    except (av.error.FFmpegError, ValueError, IndexError) as error:
        log.info("undecodable", error=repr(error))
        if not total + length:
            raise AudioUndecodable("the file has no audio that can be decoded") from error
    if not total + length:
        raise AudioUndecodable("the file has no audio that can be decoded")
    if heard:
        yield np.concatenate(heard)


def _samples(path: Path) -> Iterator[Samples]:
    with path.open("rb") as file, av.open(file, mode="r", metadata_errors="ignore", options=OPTIONS) as opened:
        stream = opened.streams.audio[0]
        resampler, shape = _resampler(), None
        for packet in opened.demux(stream):
            try:
                frames = packet.decode()
            except av.error.InvalidDataError:
                continue
            for frame in frames:
                assert isinstance(frame, av.AudioFrame)
                if shape not in (None, of_frame := (frame.format.name, frame.layout.name, frame.sample_rate)):
                    yield from (_clean(part) for part in resampler.resample(None))
                    resampler = _resampler()  # streams that were joined change their rate or channels midway
                shape = of_frame
                yield from (_clean(part) for part in resampler.resample(frame))
        yield from (_clean(part) for part in resampler.resample(None))


def _resampler() -> av.AudioResampler:
    return av.AudioResampler(format="fltp", layout="mono", rate=SAMPLE_RATE)


def _clean(frame: av.AudioFrame) -> Samples:
    """Its samples; a file may hold numbers that are none, or louder than loud."""
    samples: Samples = np.nan_to_num(frame.to_ndarray()[0].astype(np.float32, copy=False))
    return np.clip(samples, -1.0, 1.0)
