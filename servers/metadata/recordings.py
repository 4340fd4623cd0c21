"""Recordings: something that was spoken, of one tenant."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from enum import Enum

from servers.common.errors import EtagMismatch
from servers.metadata.files import File

TITLE_LENGTH = 200


class Source(Enum):
    """Where a recording came from."""

    LIVE = "live"
    FILE = "file"


@dataclass(frozen=True, slots=True)
class Change:
    """New values; None leaves the old one."""

    title: str | None = None
    language_code: str | None = None
    labels: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True)
class NewRecording:
    """What the creator of a recording says of it."""

    recording_id: str
    title: str
    source: Source
    language_code: str
    """ISO 639-1, or -3 where there is none; empty when unknown."""
    file: File | None = None
    labels: Mapping[str, str] = field(default_factory=dict)

    def changed(self, change: Change) -> "NewRecording":
        """The same with new values."""
        given = {name: value for name, value in asdict(change).items() if value is not None}
        return replace(self, **given)

    def digest(self) -> bytes:
        """The same for the same content, and for no other."""
        written = json.dumps(asdict(self), default=_written, sort_keys=True)
        return hashlib.sha256(written.encode()).digest()


@dataclass(frozen=True, slots=True)
class Recording:
    """A stored recording."""

    content: NewRecording
    """What the creator said, with the changes since."""
    heard_language_code: str
    """The language of the first segment that names one; empty before."""
    duration_ms: int
    """Where its last segment ends, or what a probe found if that is more."""
    segment_count: int
    """Of all its transcripts."""
    create_time: datetime
    update_time: datetime
    version: int = 1
    """Counts the changes that were made to it."""
    created_as: bytes = b""
    """The digest of what the creator said; empty while that is the content."""
    superseded: tuple[str, ...] = ()
    """The ids of its transcripts that count no more, or not yet; see `transcripts.of_channels`. Not looked for in
    lists."""

    @property
    def recording_id(self) -> str:
        """A UUID in lower case."""
        return self.content.recording_id

    @property
    def language_code(self) -> str:
        """What the creator said, else what was heard."""
        return self.content.language_code or self.heard_language_code

    @property
    def etag(self) -> str:
        """Names the version."""
        return f"v{self.version}"

    def check_etag(self, etag: str) -> None:
        """EtagMismatch when that is the etag of another version; an empty one goes with all."""
        if etag and etag != self.etag:
            raise EtagMismatch("the recording has changed since its etag was read")

    def was_made_of(self, new: NewRecording) -> bool:
        """Whether its creator said just that, whatever has been changed since."""
        return self.created_as == new.digest() if self.created_as else self.content == new


def _written(value: object) -> str:
    return value.hex() if isinstance(value, bytes) else str(value)
