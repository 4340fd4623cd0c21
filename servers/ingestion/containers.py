"""What a file is called, and said to be, when it goes out again: by what a probe found in it, never by who sent it.

Only types of sound and video are ever said, so that no browser takes a file for a page or a script.
"""

import re
from dataclasses import dataclass
from urllib.parse import quote

from servers.ingestion.files import Media

NAME_BYTES = 180
"""Of a title so many bytes in UTF-8 are in the name of its file: file systems take 255, and some of them are needed
for the ending, and for what a client puts around a name while it is written."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of file."""

    content_type: str
    ending: str


_UNKNOWN = Kind("application/octet-stream", "bin")
_WEBM = Kind("video/webm", "webm")
_WEBM_CODECS = frozenset({"opus", "vorbis"})
_KINDS = {
    "aac": Kind("audio/aac", "aac"),
    "ac3": Kind("audio/ac3", "ac3"),
    "aiff": Kind("audio/aiff", "aiff"),
    "amr": Kind("audio/amr", "amr"),
    "asf": Kind("video/x-ms-asf", "asf"),
    "au": Kind("audio/basic", "au"),
    "avi": Kind("video/x-msvideo", "avi"),
    "caf": Kind("audio/x-caf", "caf"),
    "flac": Kind("audio/flac", "flac"),
    "flv": Kind("video/x-flv", "flv"),
    "matroska": Kind("video/x-matroska", "mkv"),
    "mov": Kind("video/mp4", "mp4"),
    "mp3": Kind("audio/mpeg", "mp3"),
    "mpeg": Kind("video/mpeg", "mpg"),
    "mpegts": Kind("video/mp2t", "ts"),
    "ogg": Kind("audio/ogg", "ogg"),
    "w64": Kind("audio/x-w64", "w64"),
    "wav": Kind("audio/wav", "wav"),
    "wv": Kind("audio/x-wavpack", "wv"),
}
"""By the first name that FFmpeg has for the container. "mov" is all of its kin, with pictures or without: players look
for themselves. So they do in Matroska, but browsers only in its subset WebM, which its codec of sound tells."""

_FORBIDDEN = re.compile(r'[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069"*/:<>?\\|]')
"""What some file system does not take, and what would turn around how a name is read."""


def kind(media: Media) -> Kind:
    """What the file is."""
    name = media.container.partition(",")[0]
    if name == "matroska" and media.codec in _WEBM_CODECS:
        return _WEBM
    return _KINDS.get(name, _UNKNOWN)


def file_name(title: str, ending: str) -> str:
    """The title as far as file systems take it, with the ending; "recording" where nothing is left of it."""
    encoded = _FORBIDDEN.sub("_", title).encode(errors="ignore").strip(b" .")[:NAME_BYTES]
    stem = encoded.decode(errors="ignore").rstrip(" .")
    return f"{stem or 'recording'}.{ending}"


def disposition(name: str) -> str:
    """Content-Disposition: shown where it can be, and called `name` when it is kept (RFC 6266)."""
    plain = "".join(letter if letter.isascii() and letter not in '%"\\' else "_" for letter in name)
    return f"inline; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"
