"""The place where a file lies while it is verified: on the disk, without a name, gone with whoever holds it."""

import errno
import hashlib
import io
import os
import tempfile
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, cast

import google_crc32c

from servers.common.errors import AudioTooLarge, Overloaded
from servers.ingestion.files import Content
from servers.ingestion.threads import finished


class Spool:
    """A file that grows at its end and may be read from its beginning any number of times.

    It has no name in any folder: the system frees its room when it is closed, and when this process dies.
    """

    def __init__(self, folder: Path, limit_bytes: int) -> None:
        self._file = tempfile.TemporaryFile(dir=folder, buffering=0)  # noqa: SIM115 - `close` does it
        self._limit = limit_bytes
        self.clear()

    def __enter__(self) -> "Spool":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def clear(self) -> None:
        """Begin anew."""
        self._file.seek(0)
        self._file.truncate()
        self._size = 0
        self._crc32c = 0
        self._sha256 = hashlib.sha256()

    async def add(self, data: bytes) -> None:
        """Append. AudioTooLarge when the file exceeds its limit, Overloaded when the disk is full."""
        if self._size + len(data) > self._limit:
            raise AudioTooLarge(f"the file is larger than {self._limit} bytes", limit_bytes=str(self._limit))
        if data:
            await finished(lambda: self._append(data))

    def _append(self, data: bytes) -> None:
        try:
            rest = memoryview(data)
            while rest:
                rest = rest[self._file.write(rest) :]
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            raise Overloaded("there is no room for the file at the moment") from error
        self._sha256.update(data)
        self._crc32c = google_crc32c.extend(self._crc32c, data)
        self._size += len(data)

    @property
    def size_bytes(self) -> int:
        """How many bytes there are by now."""
        return self._size

    @property
    def content(self) -> Content:
        """What there is by now."""
        return Content(self._size, self._sha256.digest(), self._crc32c)

    def opened(self) -> BinaryIO:
        """Reads the file from its beginning, whatever others do with it. Close it."""
        return cast(BinaryIO, _Reader(os.dup(self._file.fileno()), self._size))

    def close(self) -> None:
        """Let it go."""
        self._file.close()


class _Reader(io.RawIOBase):
    """Reads a descriptor at an offset of its own, and closes it in the end."""

    def __init__(self, descriptor: int, size: int) -> None:
        self._descriptor = descriptor
        self._size = size
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def readinto(self, buffer: "memoryview") -> int:  # type: ignore[override]
        count = os.preadv(self._descriptor, [buffer], self._at)
        self._at += count
        return count

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._size}[whence]
        self._at = max(0, base + offset)
        return self._at

    def tell(self) -> int:
        return self._at

    def close(self) -> None:
        if not self.closed:
            os.close(self._descriptor)
        super().close()
