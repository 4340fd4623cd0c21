"""Files of the store as sound: what is decoded, what is refused, what is left behind."""

import asyncio
import os
import wave
from pathlib import Path

import av
import numpy as np
import pytest

from servers.asr.audio import SAMPLE_RATE, Samples
from servers.asr.batch.media import PIECE, StoredMedia, decoded
from servers.common.errors import AudioTooLarge, AudioUndecodable, DependencyUnavailable, RecordingWithoutFile
from servers.common.objects import ObjectMissing


class Folder:
    """An object store that is a dictionary."""

    def __init__(self, **contents: bytes) -> None:
        self.contents = contents
        self.away = False
        self.paths: list[Path] = []

    async def download(self, key: str, path: Path) -> int:
        self.paths.append(path)
        if self.away:
            raise DependencyUnavailable("objects")
        if key not in self.contents:
            raise ObjectMissing(key)
        return await asyncio.to_thread(path.write_bytes, self.contents[key])


def tone(seconds: float, rate: int) -> np.ndarray:
    return (0.4 * 32767 * np.sin(np.arange(int(seconds * rate)) * 2 * np.pi * 440 / rate)).astype("<i2")


def wav(path: Path, seconds: float, rate: int = 16_000, channels: int = 1) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(np.repeat(tone(seconds, rate)[:, None], channels, 1).tobytes())
    return path


def encoded(path: Path, codec: str, seconds: float) -> Path:
    with av.open(str(path), "w") as file:
        stream = file.add_stream(codec, rate=48_000)
        for begin in range(0, int(seconds * 48_000), 960):
            frame = av.AudioFrame.from_ndarray(tone(0.02, 48_000)[None, :], format="s16", layout="mono")
            frame.sample_rate, frame.pts = 48_000, begin
            file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
    return path


def mp3(path: Path, seconds: float, rate: int, layout: str) -> Path:
    with av.open(str(path), "w") as file:
        stream = file.add_stream("libmp3lame", rate=rate, layout=layout)
        sound = tone(seconds, rate).astype(np.float32) / 32768
        planes = np.stack([sound] * (2 if layout == "stereo" else 1))
        for begin in range(0, planes.shape[1], 1152):
            part = np.ascontiguousarray(planes[:, begin : begin + 1152])
            frame = av.AudioFrame.from_ndarray(part, format="fltp", layout=layout)
            frame.sample_rate, frame.pts = rate, begin
            file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
    return path


def whole(path: Path) -> Samples:
    return np.concatenate(list(decoded(path)))


def test_a_long_file_comes_in_pieces(tmp_path: Path) -> None:
    pieces = list(decoded(wav(tmp_path / "a.wav", 70)))
    assert len(pieces) == 3
    assert all(PIECE <= len(piece) < PIECE + SAMPLE_RATE for piece in pieces[:-1])
    assert sum(map(len, pieces)) == 70 * SAMPLE_RATE


@pytest.mark.parametrize(("rate", "channels"), [(8_000, 1), (44_100, 2), (48_000, 6)])
def test_any_rate_and_all_channels_become_one_at_16_khz(tmp_path: Path, rate: int, channels: int) -> None:
    sound = whole(wav(tmp_path / "a.wav", 2, rate, channels))
    assert sound.dtype == np.float32
    assert abs(len(sound) - 2 * SAMPLE_RATE) < 50
    assert 0.2 < float(np.abs(sound).max()) <= 1.0


@pytest.mark.parametrize(("name", "codec"), [("a.flac", "flac"), ("a.webm", "libopus"), ("a.mp3", "libmp3lame")])
def test_compressed_files_are_decoded(tmp_path: Path, name: str, codec: str) -> None:
    assert abs(len(whole(encoded(tmp_path / name, codec, 3))) / SAMPLE_RATE - 3) < 0.1


def test_a_file_that_breaks_off_is_heard_as_far_as_it_goes(tmp_path: Path) -> None:
    path = encoded(tmp_path / "a.flac", "flac", 5)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert 1 < len(whole(path)) / SAMPLE_RATE < 4


def test_a_damaged_packet_costs_no_more_than_itself(tmp_path: Path) -> None:
    path = encoded(tmp_path / "a.mp3", "libmp3lame", 5)
    damaged = bytearray(path.read_bytes())
    middle = len(damaged) // 2
    damaged[middle : middle + 2000] = bytes(2000)
    path.write_bytes(damaged)
    assert 4 < len(whole(path)) / SAMPLE_RATE < 5.2


def test_numbers_that_are_none_become_silence(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    with av.open(str(path), "w") as file:
        stream = file.add_stream("pcm_f32le", rate=16_000)
        samples = np.array([[np.nan, np.inf, -np.inf, 7e9, 0.5] * 1000], np.float32)
        frame = av.AudioFrame.from_ndarray(samples, format="flt", layout="mono")
        frame.sample_rate, frame.pts = 16_000, 0
        file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
    sound = whole(path)
    assert np.isfinite(sound).all()
    assert float(np.abs(sound).max()) <= 1.0


@pytest.mark.parametrize("content", [b"", b"this is no sound", b"RIFF\x00\x00\x00\x00WAVE", bytes(100_000)])
def test_what_is_no_audio_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a"
    path.write_bytes(content)
    with pytest.raises(AudioUndecodable):
        list(decoded(path))


def test_a_list_of_files_does_not_open_those_of_others(tmp_path: Path) -> None:
    """FFmpeg looks for the files in a list beside it, and that is where all files lie that this process has open."""
    listing = tmp_path / "listing"
    with wav(tmp_path / "of-another-tenant.wav", 2).open("rb") as other:
        listing.write_bytes(f"ffconcat version 1.0\nfile {other.fileno()}\n".encode())
        with listing.open("rb") as file, pytest.raises(AudioUndecodable):
            list(decoded(Path(f"/proc/self/fd/{file.fileno()}")))


def test_a_picture_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    with av.open(str(path), "w") as file:
        stream = file.add_stream("mpeg4", rate=25)
        stream.width = stream.height = 64
        stream.pix_fmt = "yuv420p"
        file.mux(stream.encode(av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8), format="rgb24")))
        file.mux(stream.encode(None))
    with pytest.raises(AudioUndecodable):
        list(decoded(path))


async def test_a_stored_file_is_opened_and_leaves_nothing_behind(tmp_path: Path) -> None:
    store = Folder(key=wav(tmp_path / "a.wav", 40).read_bytes())
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    async with StoredMedia(store, scratch).opened("key") as pieces:
        first = await anext(pieces)
        assert os.listdir(scratch) == [], "what has no name cannot be left behind by a kill"
    assert len(first) >= PIECE
    assert os.listdir(scratch) == []


def test_a_stream_that_changes_its_rate_and_channels_midway_is_heard_to_its_end(tmp_path: Path) -> None:
    parts = [mp3(tmp_path / "a.mp3", 2, 44_100, "mono"), mp3(tmp_path / "b.mp3", 3, 48_000, "stereo")]
    joined = tmp_path / "joined.mp3"
    joined.write_bytes(b"".join(part.read_bytes() for part in parts))
    assert len(whole(joined)) / SAMPLE_RATE == pytest.approx(5.0, abs=0.3)


def test_audio_without_an_end_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("servers.asr.batch.media.LONGEST", 35 * SAMPLE_RATE)
    with pytest.raises(AudioTooLarge):
        whole(wav(tmp_path / "long.wav", 40))


async def test_a_file_that_is_gone_or_cannot_be_had(tmp_path: Path) -> None:
    store = Folder()
    with pytest.raises(RecordingWithoutFile):
        async with StoredMedia(store, tmp_path).opened("key"):
            pass
    store.away = True
    with pytest.raises(DependencyUnavailable):
        async with StoredMedia(store, tmp_path).opened("key"):
            pass
    assert os.listdir(tmp_path) == []


async def test_a_stored_file_that_is_no_audio_is_refused(tmp_path: Path) -> None:
    async with StoredMedia(Folder(key=b"no sound"), tmp_path).opened("key") as pieces:
        with pytest.raises(AudioUndecodable):
            await anext(pieces)
    assert os.listdir(tmp_path) == []
