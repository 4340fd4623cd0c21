"""What a probe finds in files of many kinds, and what it says about those that are none."""

import io
import threading
from typing import BinaryIO

import pytest

from servers.common.errors import AudioTooLarge, AudioUndecodable, Overloaded
from servers.ingestion import probing
from servers.ingestion.files import Media
from servers.ingestion.probing import AvProber
from tests.fakes import media


async def probed(content: bytes, max_s: float = 3600.0) -> Media:
    return await AvProber(max_s).probe(lambda: io.BytesIO(content))


@pytest.mark.parametrize(
    ("form", "codec", "container"),
    [
        ("webm", "libopus", "matroska,webm"),
        ("ogg", "libopus", "ogg"),
        ("mp3", "mp3", "mp3"),
        ("mp4", "aac", "mov,mp4,m4a,3gp,3g2,mj2"),
        ("adts", "aac", "aac"),
        ("flac", "flac", "flac"),
        ("mpegts", "aac", "mpegts"),
        ("avi", "pcm_s16le", "avi"),
    ],
)
async def test_containers_are_known_with_codec_rate_channels_and_duration(
    form: str, codec: str, container: str
) -> None:
    found = await probed(media.encoded(form, codec))
    assert found.container == container
    assert (found.sample_rate_hz, found.channel_count) == (48_000, 2)
    assert found.codec.removesuffix("float") in codec
    assert found.duration_ms == pytest.approx(2000, abs=100)


async def test_a_recording_whose_header_has_no_duration_is_measured_by_decoding() -> None:
    found = await probed(media.encoded("webm", "libopus", 3.0, seekable=False))
    assert found.container == "matroska,webm"
    assert found.duration_ms == pytest.approx(3000, abs=50)


async def test_audio_longer_than_the_limit_is_too_large() -> None:
    with pytest.raises(AudioTooLarge, match="longer than 2 s"):
        await probed(media.wav(2.5), max_s=2.0)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"plain text " * 1000,
        bytes(100_000),
        media.wav()[:20],
        b"\x89PNG\r\n\x1a\n" + bytes(1000),
        b"#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n",
        b"ffconcat version 1.0\nfile /etc/passwd\n",
    ],
    ids=["nothing", "text", "zeros", "a broken header", "a picture", "a play list", "a list of files"],
)
async def test_what_is_no_audio_is_undecodable(content: bytes) -> None:
    with pytest.raises(AudioUndecodable):
        await probed(content)


async def test_a_wav_without_samples_is_undecodable() -> None:
    with pytest.raises(AudioUndecodable):
        await probed(media.wav(0.0))


async def test_a_film_without_audio_is_undecodable_in_words() -> None:
    with pytest.raises(AudioUndecodable, match="no audio in it, only video"):
        await probed(media.silent_film())


async def test_a_file_that_breaks_off_is_taken_as_far_as_it_goes() -> None:
    whole = media.encoded("ogg", "libopus", 4.0)
    assert 500 < (await probed(whole[: len(whole) // 2])).duration_ms < 4000


def test_a_probe_that_nobody_waits_for_any_more_stops() -> None:
    stop = threading.Event()
    stop.set()
    opened: list[BinaryIO] = []

    def opening() -> BinaryIO:
        opened.append(io.BytesIO(media.wav()))
        return opened[0]

    with pytest.raises(Overloaded, match="takes too long"):
        probing.probed(opening, stop)
    assert opened[0].closed


async def test_a_file_that_cannot_be_looked_through_in_time_may_come_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probing, "TIME_LIMIT_S", -1.0)
    with pytest.raises(Overloaded, match="takes too long") as told:
        await probed(media.wav())
    assert told.value.retry_after_s
