"""What is sent to the mesh: headerless 16-bit PCM, 16 kHz, channels interleaved, in pieces of equal length."""

from collections.abc import Iterable, Iterator
from itertools import groupby

from av import AudioFrame, AudioResampler

SAMPLE_RATE_HZ = 16_000
BYTES_PER_MS = 2 * SAMPLE_RATE_HZ // 1000
"""Of one channel."""
MAX_CHANNELS = 8
LIVE_CHUNK_MS = 100
FILE_CHUNK_MS = 1000


def from_frames(frames: Iterable[AudioFrame], channels: int = 1) -> Iterator[bytes]:
    """PCM of decoded frames of any rate and sample format: all that they have mixed into one channel, or the channels
    of the first. Files that were joined change their rate or their channels midway."""
    layout = "mono" if channels == 1 else ""
    for (_, own, _), alike in groupby(frames, key=_shape):
        layout = layout or own
        resampler = AudioResampler(format="s16", layout=layout, rate=SAMPLE_RATE_HZ)
        for frame in alike:
            yield from map(_bytes, resampler.resample(frame))
        yield from map(_bytes, resampler.resample(None))


def cut(pieces: Iterable[bytes], chunk_ms: int, channels: int = 1) -> Iterator[bytes]:
    """The same bytes in chunks of `chunk_ms` milliseconds; the last may be shorter."""
    size, waiting = chunk_ms * BYTES_PER_MS * channels, bytearray()
    for piece in pieces:
        waiting += piece
        while len(waiting) >= size:
            yield bytes(waiting[:size])
            del waiting[:size]
    if waiting:
        yield bytes(waiting)


def _shape(frame: AudioFrame) -> tuple[str, str, int]:
    return frame.format.name, frame.layout.name, frame.sample_rate


def _bytes(frame: AudioFrame) -> bytes:
    """The samples of a packed frame. (Its plane may be longer than its samples.)"""
    return bytes(frame.planes[0])[: frame.samples * 2 * len(frame.layout.channels)]
