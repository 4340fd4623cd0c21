"""Files of sound and video on the disk: found, and named by what is in them."""

import hashlib
import os
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import google_crc32c

from clients.cli.problem import Problem

AUDIO = (
    ".aac .ac3 .aif .aiff .amr .au .caf .flac .m4a .mka .mp3 .oga .ogg .opus .w64 .wav .wma .wv"
)  # fmt: skip
VIDEO = ".3gp .avi .flv .m4v .mkv .mov .mp4 .mpeg .mpg .ts .webm .wmv"
SUFFIXES = frozenset(f"{AUDIO} {VIDEO}".split())

READ_BYTES = 1 << 20
TITLE_LENGTH = 200


@dataclass(frozen=True)
class Fingerprint:
    """What is in a file."""

    size_bytes: int
    sha256: bytes
    crc32c: int

    def request_id(self, name: str, turn: str = "") -> str:
        """The same for the same content under the same name, so that to upload it twice doubles nothing.

        Another `turn` makes another of it.
        """
        return str(uuid.uuid5(uuid.NAMESPACE_URL, f"ai2text:file:{self.sha256.hex()}:{turn}:{readable(name)}"))


def found(paths: Sequence[Path], every: bool = False) -> list[Path]:
    """The files themselves, and those in the folders that sound or video is in by their name; with `every` all of them.

    Each once, the hidden ones left out. Raises Problem when a path is nothing, or there is no file at all.
    """
    files = list(dict.fromkeys(file for path in paths for file in _under(path, every)))
    if not files:
        raise Problem(
            "There is no sound or video in there.", "Files are chosen by their ending; --all takes every file."
        )
    return files


def _under(path: Path, every: bool) -> Iterator[Path]:
    if path.is_file():
        yield path
        return
    if not path.is_dir():
        raise Problem(f"There is no file or folder {path}.")
    for file in sorted(path.rglob("*")):
        hidden = any(part.startswith(".") for part in file.relative_to(path).parts)
        if file.is_file() and not hidden and (every or file.suffix.lower() in SUFFIXES):
            yield file


def title_of(path: Path) -> str:
    """The name without its ending, as far as a title may be long."""
    return readable(path.stem)[:TITLE_LENGTH]


def readable(name: str) -> str:
    """A file's name as text: the system allows any bytes in it, and what is no UTF-8 becomes a question mark."""
    return os.fsencode(name).decode(errors="replace")


def fingerprint(path: Path) -> Fingerprint:
    """Reads the file through. Blocks. Raises Problem when it cannot be read, or is empty."""
    size, crc32c, sha256 = 0, 0, hashlib.sha256()
    try:
        with path.open("rb") as file:
            while piece := file.read(READ_BYTES):
                size += len(piece)
                sha256.update(piece)
                crc32c = google_crc32c.extend(crc32c, piece)
    except OSError as error:
        raise Problem(f"{path} cannot be read: {error.strerror}.") from error
    if not size:
        raise Problem(f"{path} is empty.")
    return Fingerprint(size, sha256.digest(), crc32c)


def pieces(path: Path, offset: int = 0, size: int | None = None, piece_bytes: int = 256 * 1024) -> Iterator[bytes]:
    """The bytes from `offset` on, `size` of them or all. Blocks. Raises Problem when the file has become shorter."""
    with path.open("rb") as file:
        file.seek(offset)
        while size is None or size > 0:
            piece = file.read(piece_bytes if size is None else min(piece_bytes, size))
            if not piece:
                if size is not None:
                    raise Problem(f"{path} has become shorter while it was uploaded.")
                return
            if size is not None:
                size -= len(piece)
            yield piece
