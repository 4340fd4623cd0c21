"""What a field of a request may hold. Each function returns the value to keep, or raises FieldInvalid."""

import math
import re
import uuid
from typing import TypeVar

from servers.common.errors import FieldInvalid

LONGEST_TIME_MS = 1_000 * 3_600_000
"""A thousand hours: no recording is longer, and every sum of such times fits 64 bits."""

T = TypeVar("T")

_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_LANGUAGE = re.compile(r"[a-z]{2,3}")


def identifier(field: str, value: str) -> str:
    """A UUID, in lower case."""
    if not value:
        raise FieldInvalid(field, "is required")
    lowered = value.lower()
    if not _UUID.fullmatch(lowered):
        raise FieldInvalid(field, "is not a UUID")
    return lowered


def chosen_identifier(field: str, value: str) -> str:
    """The UUID that the caller chose, or a new one when the field is empty."""
    return identifier(field, value) if value else str(uuid.uuid4())


def text(field: str, value: str, longest: int) -> str:
    """1 to `longest` characters, of which one is visible and none is NUL, which Postgres cannot hold."""
    if not 1 <= len(value) <= longest:
        raise FieldInvalid(field, f"must have 1 to {longest} characters, not {len(value)}")
    if not storable(field, value).strip():
        raise FieldInvalid(field, "must not be blank")
    return value


def storable(field: str, value: str) -> str:
    """Any text without NUL, which Postgres cannot hold."""
    if "\x00" in value:
        raise FieldInvalid(field, "must not contain the character NUL")
    return value


def language(field: str, value: str) -> str:
    """ISO 639-1 in lower case, or empty for unknown."""
    if value and not _LANGUAGE.fullmatch(value):
        raise FieldInvalid(field, "is no ISO 639-1 code such as 'vi' or 'en'")
    return value


def probability(field: str, value: float) -> float:
    """0 to 1; to six digits, which is what 32 bits hold."""
    if math.isnan(value) or not 0.0 <= value <= 1.0:
        raise FieldInvalid(field, "must lie between 0 and 1")
    return round(value, 6)


def number(field: str, value: int, least: int, most: int) -> int:
    """A number from `least` to `most`."""
    if not least <= value <= most:
        raise FieldInvalid(field, f"must lie between {least} and {most}")
    return value


def time_ms(field: str, value: int, earliest: int = 0) -> int:
    """Milliseconds since the recording began, not before `earliest`."""
    if not earliest <= value <= LONGEST_TIME_MS:
        raise FieldInvalid(field, f"must lie between {earliest} and {LONGEST_TIME_MS} ms")
    return value


def known(field: str, value: T | None) -> T:
    """A value of an enum, which is None when the request names none that there is."""
    if value is None:
        raise FieldInvalid(field, "is required and must be a known value")
    return value
