"""What narrows a search besides its scope: what is known of recordings, and the part of them that is looked at."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from servers.common.bounds import MAX_CHANNELS
from servers.common.errors import FieldInvalid

MOST_LABELS = 10
MOST_VALUE_CHARACTERS = 200

_KEY = re.compile(r"[a-z][a-z0-9_-]{0,62}")
_LATEST_MS = 1 << 62
"""Later than any recording is long, and a number that the store can hold."""


@dataclass(frozen=True, slots=True)
class Conditions:
    """What a recording must be. Times are microseconds since 1970."""

    labels: tuple[tuple[str, str], ...] = ()
    """Keys with values; it must have all of them."""

    created_from_us: int | None = None
    created_before_us: int | None = None

    @property
    def any(self) -> bool:
        """Whether there is a condition at all."""
        return bool(self.labels) or self.created_from_us is not None or self.created_before_us is not None


@dataclass(frozen=True, slots=True)
class Span:
    """A part of a recording, in milliseconds since it began; a segment is in it when the two overlap."""

    start_ms: int
    end_ms: int


def conditions(labels: Mapping[str, str], created_from_us: int | None, created_before_us: int | None) -> Conditions:
    """The conditions of a filter, checked; FieldInvalid."""
    if len(labels) > MOST_LABELS:
        raise FieldInvalid("filter.labels", f"must hold at most {MOST_LABELS}")
    for key, value in labels.items():
        if not _KEY.fullmatch(key):
            raise FieldInvalid("filter.labels", "has a key that is not 1 to 63 of a-z, 0-9, _ and -, a letter first")
        if len(value) > MOST_VALUE_CHARACTERS:
            raise FieldInvalid(f"filter.labels[{key}]", f"must not have more than {MOST_VALUE_CHARACTERS} characters")
    if created_from_us is not None and created_before_us is not None and created_before_us <= created_from_us:
        raise FieldInvalid("filter.recorded_before", "must be later than recorded_after")
    return Conditions(tuple(sorted(labels.items())), created_from_us, created_before_us)


def span(start_ms: int, end_ms: int, of_recordings: bool) -> Span | None:
    """The part that a filter names, None for all; FieldInvalid. `of_recordings`: whether the recordings are named."""
    if start_ms < 0:
        raise FieldInvalid("filter.start_ms", "must not be negative")
    if end_ms and end_ms <= start_ms:
        raise FieldInvalid("filter.end_ms", "must be more than start_ms")
    if not start_ms and not end_ms:
        return None
    if not of_recordings:
        raise FieldInvalid("filter.start_ms" if start_ms else "filter.end_ms", "needs recording_ids in the request")
    return Span(start_ms, end_ms or _LATEST_MS)


def channels(given: Sequence[int]) -> tuple[int, ...]:
    """The channels that a filter names, ascending, none for all; FieldInvalid."""
    if len(given) > MAX_CHANNELS:
        raise FieldInvalid("filter.channels", f"must hold at most {MAX_CHANNELS}")
    if not all(0 <= channel < MAX_CHANNELS for channel in given):
        raise FieldInvalid("filter.channels", f"must hold numbers from 0 to {MAX_CHANNELS - 1}")
    if len(set(given)) < len(given):
        raise FieldInvalid("filter.channels", "must hold each once")
    return tuple(sorted(given))
