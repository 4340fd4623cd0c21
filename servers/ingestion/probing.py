"""PyAV as the Prober of the domain."""

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from typing import BinaryIO

import av
import av.error
import structlog
from av.audio.stream import AudioStream
from av.container import InputContainer

from servers.common.containers import OPTIONS
from servers.common.errors import Ai2TextError, AudioTooLarge, AudioUndecodable, Overloaded
from servers.ingestion.files import Media
from servers.ingestion.threads import finished

log = structlog.get_logger(__name__)

AT_ONCE = 2
TIME_LIMIT_S = 300.0
TRIED_PACKETS = 500
"""Within so many packets of audio one must be decodable."""


class AvProber:
    """Looks into AT_ONCE files at a time, in threads."""

    def __init__(self, max_audio_s: float) -> None:
        self._max_audio_s = max_audio_s
        self._slots = asyncio.Semaphore(AT_ONCE)

    async def probe(self, opened: Callable[[], BinaryIO]) -> Media:
        """See Prober."""
        stop = threading.Event()
        async with self._slots:
            media = await finished(lambda: probed(opened, stop), hurry=stop.set)
        if media.duration_ms > self._max_audio_s * 1000:
            limit = f"{self._max_audio_s:g}"
            raise AudioTooLarge(f"the audio is longer than {limit} s", limit_seconds=limit)
        return media


def probed(opened: Callable[[], BinaryIO], stop: threading.Event) -> Media:
    """What is in the file. Blocks. AudioUndecodable says in words what is wrong with it.

    Overloaded when it takes too long: on a server that has less to do it may not.
    """
    try:
        with opened() as file, av.open(file, mode="r", metadata_errors="ignore", options=OPTIONS) as container:
            return _media(container, _watched(stop))
    except Ai2TextError:
        raise
    except (av.error.FFmpegError, ValueError, IndexError, OverflowError) as error:
        log.info("undecodable", error=repr(error))
        raise AudioUndecodable("the file is neither audio nor video in a format that is known here") from error


def _watched(stop: threading.Event) -> Callable[[], None]:
    ends = time.monotonic() + TIME_LIMIT_S

    def check() -> None:
        if stop.is_set() or time.monotonic() > ends:
            raise Overloaded("looking through the file takes too long at the moment; try again")

    return check


def _media(container: InputContainer, check: Callable[[], None]) -> Media:
    if not container.streams.audio:
        kinds = ", ".join(sorted({stream.type for stream in container.streams})) or "nothing"
        raise AudioUndecodable(f"the file has no audio in it, only {kinds}")
    stream = container.streams.audio[0]
    frame = _first_frame(container, stream, check)
    duration_ms = _said_ms(container, stream)
    if duration_ms is None:
        container.seek(0)
        duration_ms = _counted_ms(container, stream, check)
    if duration_ms <= 0:
        raise AudioUndecodable("there is no audio in the file")
    return Media(
        container.format.name,
        stream.codec_context.name,
        frame.sample_rate,
        frame.layout.nb_channels,
        duration_ms,
    )


def _first_frame(container: InputContainer, stream: AudioStream, check: Callable[[], None]) -> av.AudioFrame:
    """Players, too, leave out damaged packets."""
    for number, packet in enumerate(container.demux(stream)):
        check()
        if number >= TRIED_PACKETS:
            break
        try:
            frames = packet.decode()
        except av.error.InvalidDataError:
            continue
        if frames:
            return frames[0]
    raise AudioUndecodable("the audio in the file cannot be decoded")


def _said_ms(container: InputContainer, stream: AudioStream) -> int | None:
    """What the header says; None when it says nothing."""
    if stream.duration and stream.time_base:
        return round(stream.duration * stream.time_base * 1000)
    return round(container.duration / 1000) if container.duration else None


def _counted_ms(container: InputContainer, stream: AudioStream, check: Callable[[], None]) -> int:
    """By decoding: recorders that write as they go leave the duration out of the header."""
    seconds = 0.0
    for frame in _frames(container, stream, check):
        seconds += frame.samples / frame.sample_rate
    return round(seconds * 1000)


def _frames(container: InputContainer, stream: AudioStream, check: Callable[[], None]) -> Iterator[av.AudioFrame]:
    for packet in container.demux(stream):
        check()
        try:
            frames = packet.decode()
        except av.error.InvalidDataError:
            continue
        yield from frames
