"""The file that a recording was made from: where it lies in the object store, and what a probe found in it."""

from dataclasses import dataclass

from servers.common.errors import FieldInvalid
from servers.metadata import fields

KEY_LENGTH = 500
NAME_LENGTH = 100
"""Characters of a container's or a codec's name."""
SHA256_BYTES = 32

_LARGEST_OBJECT = 2**50
_HIGHEST_RATE_HZ = 10_000_000
_MOST_CHANNELS = 1024


@dataclass(frozen=True, slots=True)
class StoredObject:
    """An object in the store."""

    key: str
    size_bytes: int
    sha256: bytes
    crc32c: int


@dataclass(frozen=True, slots=True)
class MediaInfo:
    """What a probe found."""

    container: str
    codec: str
    sample_rate_hz: int
    channel_count: int
    duration_ms: int


@dataclass(frozen=True, slots=True)
class File:
    """A stored file."""

    object: StoredObject
    media: MediaInfo


def key_of(tenant: str, sha256: bytes) -> str:
    """Where a tenant's file lies. It follows from its bytes, so nobody can name a file of another tenant."""
    return f"audio/{tenant}/{sha256.hex()}"


def checked(tenant: str, object: StoredObject | None, media: MediaInfo | None) -> File | None:
    """The file that a request names; FieldInvalid when a part of it is missing or wrong."""
    if object is None:
        if media is not None:
            raise FieldInvalid("media", "is of a file: give its object, too")
        return None
    if media is None:
        raise FieldInvalid("media", "is required with an object")
    return File(_checked_object(tenant, object), _checked_media(media))


def _checked_object(tenant: str, object: StoredObject) -> StoredObject:
    key = fields.text("object.key", object.key, KEY_LENGTH)
    if len(object.sha256) != SHA256_BYTES:
        raise FieldInvalid("object.sha256", f"must have {SHA256_BYTES} bytes, not {len(object.sha256)}")
    if key != key_of(tenant, object.sha256):
        raise FieldInvalid("object.key", "must be made of the tenant and the SHA-256: audio/TENANT/HEX")
    size_bytes = fields.number("object.size_bytes", object.size_bytes, 1, _LARGEST_OBJECT)
    return StoredObject(key, size_bytes, object.sha256, object.crc32c)


def _checked_media(media: MediaInfo) -> MediaInfo:
    return MediaInfo(
        fields.text("media.container", media.container, NAME_LENGTH),
        fields.text("media.codec", media.codec, NAME_LENGTH),
        fields.number("media.sample_rate_hz", media.sample_rate_hz, 1, _HIGHEST_RATE_HZ),
        fields.number("media.channel_count", media.channel_count, 1, _MOST_CHANNELS),
        fields.time_ms("media.duration_ms", media.duration_ms),
    )
