"""Files of audio or video: what their senders say of them, and what they turn out to be."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field

from servers.common.errors import ChecksumMismatch

AUDIO = "audio/"
"""Verified files, by tenant and SHA-256."""
INCOMING = "incoming/"
"""Files that are coming in parts, by tenant and upload."""
STATES = "uploads/"
"""How these uploads stand, by tenant and upload."""
CLAIMS = "claims/"
"""Who is about to keep or to remove a verified file, by tenant and SHA-256."""


@dataclass(frozen=True, slots=True)
class Owner:
    """In whose name a file comes."""

    tenant: str
    subject: str


@dataclass(frozen=True, slots=True)
class Announced:
    """What the sender says of a file."""

    request_id: str
    title: str
    language_code: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    size_bytes: int = 0
    """0: not said."""
    sha256: bytes = b""
    """Empty: not said."""
    crc32c: int | None = None


@dataclass(frozen=True, slots=True)
class Content:
    """What its bytes are."""

    size_bytes: int
    sha256: bytes
    crc32c: int


@dataclass(frozen=True, slots=True)
class Media:
    """What a probe found in it."""

    container: str
    codec: str
    sample_rate_hz: int
    channel_count: int
    duration_ms: int


@dataclass(frozen=True, slots=True)
class Registration:
    """What metadata is told of a file, and tells of it again."""

    recording_id: str
    title: str
    language_code: str
    labels: Mapping[str, str]
    key: str
    content: Content
    media: Media


@dataclass(frozen=True, slots=True)
class Deposited:
    """A file that is verified, stored and registered."""

    recording: object
    """As metadata answered; nothing here looks into it."""
    operation: str
    """The name of the operation that transcribes it."""


def audio_key(tenant: str, sha256: bytes) -> str:
    """Where the file with these bytes lies, however often it came."""
    return f"{AUDIO}{tenant}/{sha256.hex()}"


def claims_prefix(key: str) -> str:
    """How the claims on a verified file begin; see `servers.ingestion.claims`."""
    return f"{CLAIMS}{key.removeprefix(AUDIO)}-"


def incoming_key(tenant: str, upload_id: str) -> str:
    """Where the parts of an upload are joined."""
    return f"{INCOMING}{tenant}/{upload_id}"


def state_key(tenant: str, upload_id: str) -> str:
    """Where it is written how an upload stands."""
    return f"{STATES}{tenant}/{upload_id}.json"


def recording_id(tenant: str, request_id: str) -> str:
    """The recording that an upload makes: a repeated one makes the same."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"ai2text:upload:{tenant}:{request_id}"))


def upload_id(tenant: str, request_id: str) -> str:
    """The upload in parts that a request begins, or goes on with."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"ai2text:parts:{tenant}:{request_id}"))


def operation(recording_id: str) -> str:
    """The operation that transcribes the recording as soon as it is registered."""
    return f"operations/{uuid.uuid5(uuid.UUID(recording_id), 'transcription')}"


def verify(announced: Announced, content: Content) -> None:
    """ChecksumMismatch when the bytes are not those that were announced."""
    if announced.size_bytes and announced.size_bytes != content.size_bytes:
        raise _mismatch("size", str(announced.size_bytes), str(content.size_bytes))
    if announced.sha256 and announced.sha256 != content.sha256:
        raise _mismatch("sha256", announced.sha256.hex(), content.sha256.hex())
    if announced.crc32c is not None and announced.crc32c != content.crc32c:
        raise _mismatch("crc32c", f"{announced.crc32c:08x}", f"{content.crc32c:08x}")


def verify_stored(content: Content, size_bytes: int, crc32c: int | None) -> None:
    """ChecksumMismatch when the store has something else; a store without CRC-32C is asked for the size only."""
    if size_bytes != content.size_bytes:
        raise _mismatch("size", str(content.size_bytes), str(size_bytes))
    if crc32c is not None and crc32c != content.crc32c:
        raise _mismatch("crc32c", f"{content.crc32c:08x}", f"{crc32c:08x}")


def _mismatch(checksum: str, expected: str, actual: str) -> ChecksumMismatch:
    return ChecksumMismatch(
        f"the file is not what was announced: its {checksum} is {actual}, not {expected}",
        checksum=checksum,
        expected=expected,
        actual=actual,
    )
