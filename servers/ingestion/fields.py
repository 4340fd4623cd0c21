"""What a field of an upload may hold. Each function returns the value to keep, or raises FieldInvalid."""

import re
from collections.abc import Mapping

from servers.common.errors import AudioTooLarge, FieldInvalid, IdentityMissing

TITLE_LENGTH = 200
LABELS = 32
LABEL_LENGTH = 200

_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_LANGUAGE = re.compile(r"[a-z]{2,3}")
_LABEL_KEY = re.compile(r"[a-z][a-z0-9_-]{0,62}")
_TENANT = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._@+-]{0,127}")


def tenant(value: str) -> str:
    """A tenant whose name can be part of an object's key. IdentityMissing for any other."""
    if not _TENANT.fullmatch(value):
        raise IdentityMissing("files are kept for tenants named with letters, digits and . _ @ + -, at most 128")
    return value


def identifier(field: str, value: str) -> str:
    """A UUID, in lower case."""
    if not value:
        raise FieldInvalid(field, "is required")
    if not _UUID.fullmatch(value.lower()):
        raise FieldInvalid(field, "is not a UUID")
    return value.lower()


def title(field: str, value: str) -> str:
    """1 to 200 characters, of which one is visible and none is NUL."""
    if not 1 <= len(value) <= TITLE_LENGTH:
        raise FieldInvalid(field, f"must have 1 to {TITLE_LENGTH} characters, not {len(value)}")
    if not value.strip() or "\x00" in value:
        raise FieldInvalid(field, "must not be blank or contain the character NUL")
    return value


def language(field: str, value: str) -> str:
    """ISO 639 in lower case, or empty for unknown."""
    if value and not _LANGUAGE.fullmatch(value):
        raise FieldInvalid(field, "is no ISO 639 code such as 'vi' or 'en'")
    return value


def labels(field: str, values: Mapping[str, str]) -> dict[str, str]:
    """At most 32 pairs of a short key and a value."""
    if len(values) > LABELS:
        raise FieldInvalid(field, f"must not have more than {LABELS} pairs")
    for key, value in values.items():
        if not _LABEL_KEY.fullmatch(key):
            raise FieldInvalid(field, "has a key that is not 1 to 63 of a-z, 0-9, _ and -, a letter first")
        if len(value) > LABEL_LENGTH or "\x00" in value:
            raise FieldInvalid(f"{field}[{key}]", f"must have at most {LABEL_LENGTH} characters, none of them NUL")
    return dict(sorted(values.items()))


def size(field: str, value: int, limit: int, required: bool) -> int:
    """1 to `limit` bytes; 0 only where it is not required. AudioTooLarge beyond."""
    if value < 0 or (required and not value):
        raise FieldInvalid(field, "is required, and at least 1" if required else "must not be negative")
    if value > limit:
        raise AudioTooLarge(f"the file is larger than {limit} bytes", limit_bytes=str(limit))
    return value


def sha256(field: str, value: bytes, required: bool) -> bytes:
    """32 bytes; empty only where it is not required."""
    if len(value) != 32 and (required or value):
        raise FieldInvalid(field, f"must have 32 bytes, not {len(value)}")
    return value
