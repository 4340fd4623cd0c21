"""Labels: what its owner keeps with a recording, as keys with values."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from servers.common.errors import FieldInvalid
from servers.metadata import fields

MOST_LABELS = 32
VALUE_LENGTH = 200
MOST_WANTED = 10
"""In one filter."""

_KEY = re.compile(r"[a-z][a-z0-9_-]{0,62}")


@dataclass(frozen=True, slots=True)
class Wanted:
    """A label that a recording must have."""

    key: str
    value: str | None
    """None: any."""


def checked(field: str, labels: Mapping[str, str]) -> dict[str, str]:
    """The labels to keep; FieldInvalid names the first that is wrong."""
    if len(labels) > MOST_LABELS:
        raise FieldInvalid(field, f"must not hold more than {MOST_LABELS} labels, not {len(labels)}")
    return {_key(field, key): _value(f"{field}[{key}]", value) for key, value in sorted(labels.items())}


def wanted(field: str, given: Sequence[str]) -> tuple[Wanted, ...]:
    """The labels of a filter, each written `key=value`, or `key` for any value; FieldInvalid."""
    if len(given) > MOST_WANTED:
        raise FieldInvalid(field, f"must not name more than {MOST_WANTED} labels, not {len(given)}")
    return tuple(_wanted(f"{field}[{number}]", one) for number, one in enumerate(given))


def _wanted(field: str, given: str) -> Wanted:
    key, parted, value = given.partition("=")
    return Wanted(_key(field, key), _value(field, value) if parted else None)


def _key(field: str, key: str) -> str:
    if not _KEY.fullmatch(key):
        raise FieldInvalid(field, "has a key that is not 1 to 63 of a-z, 0-9, _ and -, a letter first")
    return key


def _value(field: str, value: str) -> str:
    if len(value) > VALUE_LENGTH:
        raise FieldInvalid(field, f"must not have more than {VALUE_LENGTH} characters, not {len(value)}")
    return fields.storable(field, value)
