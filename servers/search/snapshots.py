"""Files that are whole or not there: a snapshot is data and a manifest that names it with its checksum.

The manifest is written last and put in place by a rename, so a crash at any moment leaves the snapshot before, whole.
"""

import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass
from itertools import count
from pathlib import Path

import google_crc32c

_READ_BYTES = 1 << 20


@dataclass(frozen=True)
class Snapshot:
    """One snapshot of the index `index_id`, that holds everything up to `seq`."""

    index_id: str
    seq: int
    file: str
    crc32c: str = ""
    blake2b: str = ""
    """Instead of the other, of a snapshot of an earlier version."""


class SnapshotDamaged(Exception):
    """The snapshot cannot be trusted; its message says why."""


def save(folder: Path, name: str, index_id: str, seq: int, write: Callable[[Path], None]) -> Path:
    """Keep what `write` writes to the path it is given as the snapshot `name`, in place of the one before; the path.

    OSError when the disk is full or fails, and whatever `write` raises; then the one before stays.
    """
    folder.mkdir(parents=True, exist_ok=True)
    data = _unused(folder, name, seq)
    try:
        write(data)
    except BaseException:
        data.unlink(missing_ok=True)
        raise
    sync(data)
    snapshot = Snapshot(index_id, seq, data.name, checksum(data))
    draft = folder / f"{name}.json.draft"
    draft.write_text(json.dumps(asdict(snapshot)), encoding="utf-8")
    sync(draft)
    draft.replace(folder / f"{name}.json")
    sync(folder)
    for old in folder.glob(f"{name}-*.data"):
        if old != data:
            old.unlink()
    return data


def forget(folder: Path, name: str) -> None:
    """Remove the snapshot `name`, and what a crash left of others by that name."""
    (folder / f"{name}.json").unlink(missing_ok=True)
    for data in folder.glob(f"{name}-*.data"):
        data.unlink()


def find(folder: Path, name: str) -> tuple[Snapshot, Path] | None:
    """The snapshot `name` and its data; None when there is none, SnapshotDamaged when it is not what was saved."""
    try:
        snapshot = Snapshot(**json.loads((folder / f"{name}.json").read_text(encoding="utf-8")))
        data = folder / snapshot.file
        intact = _blake2b(data) == snapshot.blake2b if snapshot.blake2b else checksum(data) == snapshot.crc32c
    except FileNotFoundError as error:
        if (folder / f"{name}.json").exists():
            raise SnapshotDamaged(f"its data is missing: {error.filename}") from error
        return None
    except (ValueError, TypeError) as error:
        raise SnapshotDamaged(f"its manifest is unreadable: {error}") from error
    if not intact:
        raise SnapshotDamaged("its checksum is wrong")
    return snapshot, data


def _unused(folder: Path, name: str, seq: int) -> Path:
    """Where nothing is: the one before may be of the same number, and must stay until the new one is in its place."""
    data, again = folder / f"{name}-{seq}.data", count(2)
    while data.exists():
        data = folder / f"{name}-{seq}.{next(again)}.data"
    return data


def checksum(path: Path) -> str:
    """CRC32C of what a file holds: it tells what was flipped or cut off, as fast as a disk can be read."""
    found = 0
    with path.open("rb") as file:
        while some := file.read(_READ_BYTES):
            found = google_crc32c.extend(found, some)
    return f"{found:08x}"


def _blake2b(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "blake2b").hexdigest()


def sync(path: Path) -> None:
    """Have a file, or the names in a folder, on disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
