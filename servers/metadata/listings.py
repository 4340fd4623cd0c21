"""Lists of recordings: which ones, in which order, and where in that order a page ends."""

import json
import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from enum import Enum
from typing import Any, TypeAlias

from servers.common.errors import FieldInvalid, PageTokenInvalid
from servers.metadata import fields, labels
from servers.metadata.labels import Wanted
from servers.metadata.recordings import TITLE_LENGTH, Recording, Source

_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_MOST_DIGITS = 18

Sortable: TypeAlias = datetime | str | int
"""What recordings are put in order by."""


class Order(Enum):
    """In which order recordings are listed; of those that are equal in it, by their ids."""

    NEWEST = "newest"
    OLDEST = "oldest"
    TITLE = "title"
    """By the code points of its letters."""
    LONGEST = "longest"


@dataclass(frozen=True, slots=True)
class Selection:
    """Which recordings are listed: those that pass every filter. None, empty: it lets all pass."""

    source: Source | None = None
    language_code: str = ""
    title_contains: str = ""
    """In any case of letters; see `folded`."""
    labels: tuple[Wanted, ...] = ()
    created_after: datetime | None = None
    """Or at that very time."""
    created_before: datetime | None = None
    order: Order = Order.NEWEST

    @property
    def name(self) -> str:
        """One text for each selection, to bind page tokens to it."""
        return json.dumps(asdict(self), default=_named, sort_keys=True)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a page of recordings ends."""

    value: Sortable
    """Of the last recording, by the order of the list."""
    recording_id: str

    @classmethod
    def of(cls, order: Order, recording: Recording) -> "Place":
        """The place of a recording in a list of that order."""
        return cls(_VALUES[order](recording), recording.recording_id)

    @classmethod
    def parse(cls, order: Order, text: str) -> "Place":
        """The place that `str` wrote in a list of that order; PageTokenInvalid."""
        value, _, recording_id = text.rpartition("|")
        try:
            if not _UUID.fullmatch(recording_id):
                raise ValueError(recording_id)
            return cls(_sortable(order, value), recording_id)
        except (ValueError, FieldInvalid) as error:
            raise PageTokenInvalid("page_token is not a token of this service") from error

    def __str__(self) -> str:
        value = self.value.isoformat() if isinstance(self.value, datetime) else self.value
        return f"{value}|{self.recording_id}"


_VALUES: dict[Order, Callable[[Recording], Sortable]] = {
    Order.NEWEST: lambda recording: recording.create_time,
    Order.OLDEST: lambda recording: recording.create_time,
    Order.TITLE: lambda recording: recording.content.title,
    Order.LONGEST: lambda recording: recording.duration_ms,
}


def selection(
    source: Source | None = None,
    language_code: str = "",
    title_contains: str = "",
    labelled: Sequence[str] = (),
    created_after: datetime | None = None,
    created_before: datetime | None = None,
    order: Order = Order.NEWEST,
) -> Selection:
    """What a request selects; FieldInvalid."""
    if len(title_contains) > TITLE_LENGTH:
        raise FieldInvalid("title_contains", f"must not have more than {TITLE_LENGTH} characters")
    return Selection(
        source,
        fields.language("language_code", language_code),
        fields.storable("title_contains", title_contains),
        labels.wanted("labels", labelled),
        created_after,
        created_before,
        order,
    )


def folded(text: str) -> str:
    """A text without its case and without its choice of composed or combining marks, as Postgres folds it, too."""
    return unicodedata.normalize("NFC", text).casefold()


def _sortable(order: Order, text: str) -> Sortable:
    match order:
        case Order.NEWEST | Order.OLDEST:
            return _time(text)
        case Order.TITLE:
            return fields.text("title", text, TITLE_LENGTH)
        case Order.LONGEST:
            if not text.isascii() or not text.isdecimal() or len(text) > _MOST_DIGITS:
                raise ValueError(text)
            return int(text)


def _time(text: str) -> datetime:
    time = datetime.fromisoformat(text)
    if time.tzinfo is None:
        raise ValueError(text)
    return time


def _named(value: Any) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value.value)
