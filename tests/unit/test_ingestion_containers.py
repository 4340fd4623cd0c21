"""What a file is called and said to be when it goes out again."""

import io
from email.message import Message
from urllib.parse import unquote

import pytest

from servers.ingestion import containers
from servers.ingestion.files import Media
from servers.ingestion.probing import AvProber
from tests.fakes import media


def of(container: str, codec: str = "opus") -> tuple[str, str]:
    kind = containers.kind(Media(container, codec, 48_000, 2, 1000))
    return kind.content_type, kind.ending


@pytest.mark.parametrize(
    ("form", "codec", "said"),
    [
        ("wav", "pcm_s16le", ("audio/wav", "wav")),
        ("ogg", "libopus", ("audio/ogg", "ogg")),
        ("webm", "libopus", ("video/webm", "webm")),
        ("matroska", "pcm_s16le", ("video/x-matroska", "mkv")),
        ("mp4", "aac", ("video/mp4", "mp4")),
        ("mp3", "libmp3lame", ("audio/mpeg", "mp3")),
        ("flac", "flac", ("audio/flac", "flac")),
        ("adts", "aac", ("audio/aac", "aac")),
        ("mpegts", "mp2", ("video/mp2t", "ts")),
        ("avi", "pcm_s16le", ("video/x-msvideo", "avi")),
        ("aiff", "pcm_s16be", ("audio/aiff", "aiff")),
        ("au", "pcm_s16be", ("audio/basic", "au")),
        ("w64", "pcm_s16le", ("audio/x-w64", "w64")),
    ],
)
async def test_what_a_probe_finds_has_a_type_and_an_ending(form: str, codec: str, said: tuple[str, str]) -> None:
    content = media.encoded(form, codec)
    found = await AvProber(60.0).probe(lambda: io.BytesIO(content))
    assert of(found.container, found.codec) == said


@pytest.mark.parametrize("container", ["", "html", "text/html", "svg", "heif", "MOV"])
def test_what_is_unknown_is_nothing_that_a_browser_would_open(container: str) -> None:
    assert of(container) == ("application/octet-stream", "bin")


@pytest.mark.parametrize(
    ("title", "name"),
    [
        ("Cuộc họp", "Cuộc họp.wav"),
        ("a/b\\c:d", "a_b_c_d.wav"),
        ("../../etc/passwd", "_.._etc_passwd.wav"),
        (" . ", "recording.wav"),
        ("...", "recording.wav"),
        ("a\r\nSet-Cookie: x", "a__Set-Cookie_ x.wav"),
        ('say "so"', "say _so_.wav"),
        ("invoice\u202efdp", "invoice_fdp.wav"),
        ("x" * 200, "x" * 180 + ".wav"),
        ("ế" * 200, "ế" * 60 + ".wav"),
        ("x" + "🎙" * 199, "x" + "🎙" * 44 + ".wav"),
        ("\ud800a", "a.wav"),
    ],
)
def test_a_title_becomes_a_name_that_any_file_system_takes(title: str, name: str) -> None:
    assert containers.file_name(title, "wav") == name


@pytest.mark.parametrize("name", ["Cuộc họp.wav", "100 % (a; b).wav", "it's.wav", "plain.mp3"])
def test_a_disposition_says_the_name_to_old_and_new_clients(name: str) -> None:
    said = containers.disposition(name)
    assert said.isascii()
    header = Message()
    header["Content-Disposition"] = said.partition("; filename*=")[0]
    assert header.get_content_disposition() == "inline"
    assert header.get_filename() == "".join(letter if letter.isascii() and letter != "%" else "_" for letter in name)
    assert unquote(said.partition("filename*=UTF-8''")[2]) == name
