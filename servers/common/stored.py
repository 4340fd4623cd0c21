"""What an object store says about what it has; see `servers.common.objects`."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime


class ObjectMissing(Exception):
    """There is no such object, or unfinished upload, in the store. Ours to handle: a caller never hears of it."""

    def __init__(self, key: str) -> None:
        super().__init__(key)
        self.key = key


@dataclass(frozen=True)
class ObjectInfo:
    """One object."""

    key: str
    size_bytes: int
    modified: datetime
    crc32c: int | None = None
    """Of all its bytes, as the store reckoned it; None in listings, or when the store has none."""
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class PartInfo:
    """One part of an unfinished upload."""

    number: int
    size_bytes: int
    etag: str


@dataclass(frozen=True)
class UnfinishedUpload:
    """A multipart upload that was neither completed nor aborted."""

    key: str
    multipart_id: str
    initiated: datetime
