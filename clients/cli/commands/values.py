"""Values of options as people write them."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime

from clients.cli.problem import UsageProblem

_MOMENT = re.compile(r"(?:(?:(\d{1,3}):)?(\d{1,3}):)?(\d{1,5})(?:\.(\d{1,3}))?", re.ASCII)


def labels(given: Sequence[str]) -> dict[str, str]:
    """Labels written `key=value`. Raises UsageProblem."""
    found: dict[str, str] = {}
    for label in given:
        key, equals, value = label.partition("=")
        if not key or not equals:
            raise UsageProblem(f"{label!r} is no label.", "A label looks like project=atlas.")
        found[key] = value
    return found


def time(option: str, given: str) -> datetime:
    """A time as people write it, in local time unless it says otherwise. Raises UsageProblem."""
    try:
        return datetime.fromisoformat(given).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise UsageProblem(f"{option} {given} is no time.", "Write it like 2026-11-25 or 2026-11-25T14:30.") from error


def moment_ms(option: str, given: str) -> int:
    """A moment of a recording, `h:mm:ss`, `m:ss` or seconds, in milliseconds. Raises UsageProblem."""
    match = _MOMENT.fullmatch(given)
    if match is None:
        raise UsageProblem(f"{option} {given} is no moment.", "Write it like 1:02:03, 2:03 or 123.5.")
    hours, minutes, seconds = (int(part or 0) for part in match.groups()[:3])
    return (hours * 3600 + minutes * 60 + seconds) * 1000 + int((match[4] or "").ljust(3, "0"))
