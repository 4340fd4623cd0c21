"""An object store in memory, as ingestion wants to see one. The real one passes what `tests/stores` asks of it."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import BinaryIO

import google_crc32c

from servers.common.errors import DependencyUnavailable, TransferCorrupted
from servers.common.stored import ObjectInfo, ObjectMissing, PartInfo, UnfinishedUpload


@dataclass
class Multipart:
    """An upload in parts."""

    key: str
    initiated: datetime
    parts: dict[int, bytes] = field(default_factory=dict)


class MemoryAddresses:
    """Addresses that say what they are for."""

    async def part(self, key: str, multipart_id: str, number: int, size_bytes: int, expires_s: int) -> str:
        return f"memory:{key}?{multipart_id}&{number}&{expires_s}"

    async def file(self, key: str, content_type: str, disposition: str, expires_s: int) -> str:
        return f"memory:{key}?{content_type}&{disposition}&{expires_s}"


@dataclass
class MemoryObjects:
    """One bucket."""

    down: bool = False
    """Whether every call raises DependencyUnavailable."""
    damaging: bool = False
    """Whether what is uploaded is kept with another byte in it, unnoticed."""
    stuck: bool = False
    """Whether what is read in pieces never goes on after the first."""
    contents: dict[str, bytes] = field(default_factory=dict)
    infos: dict[str, ObjectInfo] = field(default_factory=dict)
    multiparts: dict[str, Multipart] = field(default_factory=dict)
    uploads: int = 0
    """How many files were uploaded, of all times."""
    after: dict[str, Callable[[], None]] = field(default_factory=dict)
    """What happens after a call, by its name; once."""
    addresses: MemoryAddresses = field(default_factory=MemoryAddresses)

    def _answer(self) -> None:
        if self.down:
            raise DependencyUnavailable("objects")

    def _called(self, name: str) -> None:
        self.after.pop(name, lambda: None)()

    def put(self, key: str, content: bytes, age_s: float = 0) -> None:
        """Something that was there before."""
        modified = datetime.now(UTC) - timedelta(seconds=age_s)
        self.contents[key] = content
        self.infos[key] = ObjectInfo(key, len(content), modified, google_crc32c.value(content))

    def age(self, key: str, age_s: float) -> None:
        """Make it older."""
        self.infos[key] = replace(self.infos[key], modified=datetime.now(UTC) - timedelta(seconds=age_s))

    def send(self, multipart_id: str, number: int, part: bytes) -> None:
        """What a client's PUT does."""
        self.multiparts[multipart_id].parts[number] = part

    def keys(self, prefix: str = "") -> list[str]:
        """What there is."""
        return sorted(key for key in self.contents if key.startswith(prefix))

    async def check(self) -> None:
        self._answer()

    async def upload(
        self,
        key: str,
        opened: Callable[[], BinaryIO],
        size_bytes: int,
        crc32c: int,
        metadata: Mapping[str, str] | None = None,
    ) -> None:
        self._answer()
        with opened() as file:
            content = file.read()
        if (len(content), google_crc32c.value(content)) != (size_bytes, crc32c):
            raise TransferCorrupted
        self.uploads += 1
        self.put(key, b"\xff" + content[1:] if self.damaging else content)
        self._called("upload")

    async def write(self, key: str, content: bytes, new: bool = False) -> bool:
        self._answer()
        if new and key in self.contents:
            return False
        self.put(key, content)
        return True

    async def read(self, key: str) -> bytes:
        self._answer()
        if key not in self.contents:
            raise ObjectMissing(key)
        return self.contents[key]

    async def chunks(self, key: str) -> AsyncGenerator[bytes, None]:
        content = await self.read(key)
        for start in range(0, len(content), 1 << 20):
            yield content[start : start + (1 << 20)]
            if self.stuck:
                await asyncio.Event().wait()

    async def head(self, key: str) -> ObjectInfo | None:
        self._answer()
        return self.infos.get(key)

    async def delete(self, key: str) -> None:
        self._answer()
        self.contents.pop(key, None)
        self.infos.pop(key, None)

    async def entries(self, prefix: str) -> AsyncIterator[ObjectInfo]:
        self._answer()
        for key in self.keys(prefix):
            yield self.infos[key]

    async def folders(self, prefix: str) -> AsyncIterator[str]:
        self._answer()
        for name in sorted({key.removeprefix(prefix).partition("/")[0] for key in self.keys(prefix)}):
            yield f"{prefix}{name}/"

    async def create_multipart(self, key: str) -> str:
        self._answer()
        multipart_id = f"multipart-{len(self.multiparts)}"
        self.multiparts[multipart_id] = Multipart(key, datetime.now(UTC))
        self._called("create_multipart")
        return multipart_id

    async def parts(self, key: str, multipart_id: str) -> list[PartInfo]:
        self._answer()
        if multipart_id not in self.multiparts:
            self._called("parts")
        parts = self._multipart(key, multipart_id).parts
        return [PartInfo(number, len(part), f"etag-{number}") for number, part in sorted(parts.items())]

    async def complete_multipart(self, key: str, multipart_id: str, parts: Sequence[PartInfo]) -> None:
        self._answer()
        there = self._multipart(key, multipart_id).parts
        self.put(key, b"".join(there[part.number] for part in parts))
        del self.multiparts[multipart_id]
        self._called("complete_multipart")

    async def abort_multipart(self, key: str, multipart_id: str) -> None:
        self._answer()
        self.multiparts.pop(multipart_id, None)

    async def unfinished(self, prefix: str) -> list[UnfinishedUpload]:
        self._answer()
        return [
            UnfinishedUpload(multipart.key, name, multipart.initiated)
            for name, multipart in self.multiparts.items()
            if multipart.key.startswith(prefix)
        ]

    def _multipart(self, key: str, multipart_id: str) -> Multipart:
        if multipart_id not in self.multiparts:
            raise ObjectMissing(key)
        return self.multiparts[multipart_id]
