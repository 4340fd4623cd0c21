"""Where sound comes from: a file of any format that PyAV decodes, or the microphone."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import av
from av import AudioFrame
from av.container import InputContainer

from clients.cli import media_files, pcm
from clients.cli.problem import Problem

DEFAULT_DEVICE = "default"
_STDERR = 2

_ALSA_FILES = {
    "ALSA_CONFIG_PATH": ("/usr/share/alsa/alsa.conf",),
    "ALSA_PLUGIN_DIR": (
        "/usr/lib/x86_64-linux-gnu/alsa-lib",
        "/usr/lib/aarch64-linux-gnu/alsa-lib",
        "/usr/lib64/alsa-lib",
    ),
}
"""PyAV brings an ALSA of its own, which looks for these in the place where it was built unless told otherwise."""


class Source(Protocol):
    """Something to listen to."""

    is_live: bool
    """Whether it delivers at the pace of speech by itself."""
    title: str
    """What to call the recording; empty: the server chooses."""
    duration_ms: int | None
    """How long it is, where that is known beforehand."""
    channels: int
    """How many channels its chunks have."""

    def chunks(self, chunk_ms: int) -> Iterator[bytes]:
        """Its sound as PCM (see `clients.cli.pcm`), cut to `chunk_ms`. Blocks. Raises Problem."""
        ...


class AudioFile:
    """A sound or video file."""

    is_live = False

    def __init__(self, path: Path, apart: bool = False) -> None:
        """Opens and closes the file once, so that a wrong one is noticed before anything is sent. Raises Problem.

        `apart` keeps its channels; else they are mixed into one.
        """
        self.path = path
        self.title = media_files.title_of(path)
        with self._opened() as container:
            self.duration_ms = container.duration // 1000 if container.duration else None
            first = next(_frames(container), None)
        if first is None:
            raise Problem(f"{path} cannot be decoded: nothing in it is sound.")
        self.channels = len(first.layout.channels) if apart else 1
        if self.channels > pcm.MAX_CHANNELS:
            raise Problem(f"{path} has {self.channels} channels; {pcm.MAX_CHANNELS} can be transcribed apart.")

    def chunks(self, chunk_ms: int) -> Iterator[bytes]:
        """Decodes while it is read, so a file of any length takes little memory."""
        with self._opened() as container, self._decodable():
            yield from pcm.cut(pcm.from_frames(_frames(container), self.channels), chunk_ms, self.channels)

    @contextlib.contextmanager
    def _opened(self) -> Iterator[InputContainer]:
        if not self.path.is_file():
            raise Problem(f"There is no file {self.path}.")
        with self._decodable(), av.open(str(self.path), metadata_errors="ignore") as container:
            if not container.streams.audio:
                raise Problem(f"{self.path} has no sound in it.")
            yield container

    @contextlib.contextmanager
    def _decodable(self) -> Iterator[None]:
        try:
            yield
        except PermissionError:
            raise Problem(f"{self.path} may not be read.") from None
        except av.FFmpegError as error:
            raise Problem(f"{self.path} cannot be decoded: {error.strerror}.") from error


class Microphone:
    """An ALSA capture device."""

    is_live = True
    title = ""
    channels = 1

    def __init__(self, device: str = DEFAULT_DEVICE) -> None:
        self.device = device
        self.duration_ms: int | None = None

    def chunks(self, chunk_ms: int) -> Iterator[bytes]:
        """Opens the device at once, then captures until the caller stops asking.

        Raises Problem when there is no such device, or when it goes away.
        """
        return self._captured(self._opened(), chunk_ms)

    def _captured(self, container: InputContainer, chunk_ms: int) -> Iterator[bytes]:
        with container:
            try:
                yield from pcm.cut(pcm.from_frames(container.decode(audio=0)), chunk_ms)
            except av.FFmpegError as error:
                raise Problem(f"The microphone {self.device!r} stopped: {error.strerror}.") from error

    def _opened(self) -> InputContainer:
        _show_alsa_its_files()
        options = {"sample_rate": str(pcm.SAMPLE_RATE_HZ), "channels": "1"}
        try:
            with _quiet_c_libraries():
                return av.open(self.device, format="alsa", options=options)
        except (av.FFmpegError, ValueError) as error:
            raise Problem(
                f"The microphone {self.device!r} cannot be opened: {getattr(error, 'strerror', error)}.",
                "`arecord -L` lists capture devices; name one with --device. Or play a file: ai2text live FILE.",
            ) from error


def _frames(container: InputContainer) -> Iterator[AudioFrame]:
    """The decoded frames of the first sound track; a damaged packet is left out, as players do."""
    for packet in container.demux(audio=0):
        try:
            frames = packet.decode()
        except av.InvalidDataError:
            continue
        yield from (frame for frame in frames if isinstance(frame, AudioFrame))


def _show_alsa_its_files() -> None:
    for variable, places in _ALSA_FILES.items():
        found = next((place for place in places if os.path.exists(place)), None)
        if found:
            os.environ.setdefault(variable, found)


@contextlib.contextmanager
def _quiet_c_libraries() -> Iterator[None]:
    """Within the block nothing that C code writes to standard error is seen; the exception says it better."""
    kept = os.dup(_STDERR)
    try:
        with open(os.devnull, "wb") as nowhere:
            os.dup2(nowhere.fileno(), _STDERR)
        yield
    finally:
        os.dup2(kept, _STDERR)
        os.close(kept)
