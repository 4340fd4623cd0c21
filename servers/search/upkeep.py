"""What whoever runs the index asks of it, for one tenant: how it stands, to write it anew, to store, to delete."""

import asyncio
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from servers.common.errors import FieldInvalid
from servers.search import entries
from servers.search.documents import Document, Entry
from servers.search.indexing import Stats
from servers.search.intake import Intake

MOST_STORED = 100
MOST_DELETED = 1000
MOST_NAME_CHARACTERS = 100

_LANGUAGE = re.compile(r"[a-z]{2,3}|")
_LATEST_MS = 1 << 62


@dataclass(frozen=True, slots=True)
class SpaceStats:
    """How the vectors of one space stand."""

    space: str
    stats: Stats
    newest_seq: int
    """The number of the newest change in the store."""

    @property
    def model(self) -> str:
        """The name of the model."""
        return self.space.rpartition("/")[0]

    @property
    def dimensions(self) -> int:
        """How many numbers a vector has."""
        return int(self.space.rpartition("/")[2])

    @property
    def behind(self) -> bool:
        """Whether the index has not come to the newest change."""
        return self.stats.seq < self.newest_seq


@dataclass(frozen=True, slots=True)
class IndexStats:
    """How the index of a tenant stands."""

    documents: int
    vectors: tuple[SpaceStats, ...]


@dataclass(frozen=True, slots=True)
class Draft:
    """A segment as given; nothing is checked yet."""

    document: Document
    model: str
    vector: Sequence[float]


class IndexShelf(Protocol):
    """Where the index is kept. DependencyUnavailable while an index is being opened, or the disk fails."""

    async def stats(self, tenant: str) -> IndexStats:
        """How it stands."""
        ...

    async def rebuild(self, tenant: str, whole: bool) -> None:
        """Bring all vectors into lists, on disk; `whole`: write all lists anew, without what is dead."""
        ...

    async def remove(self, tenant: str, ids: Sequence[int]) -> int:
        """Delete documents; how many of them there were."""
        ...


def check_count(documents: int) -> None:
    """Whether so many segments may be stored in one call: FieldInvalid. To be asked before any of them is read."""
    if not 1 <= documents <= MOST_STORED:
        raise FieldInvalid("documents", f"must hold 1 to {MOST_STORED}, not {documents}")


class Upkeep:
    """Of the indexes of all tenants."""

    def __init__(self, shelf: IndexShelf, intake: Intake[Entry]) -> None:
        self._shelf = shelf
        self._intake = intake

    async def stats(self, tenant: str) -> IndexStats:
        """How the index of the tenant stands."""
        return await self._shelf.stats(tenant)

    async def rebuild(self, tenant: str, whole: bool) -> IndexStats:
        """Write the lists of the tenant, `whole` or only what is in none; how the index stands then."""
        await self._shelf.rebuild(tenant, whole)
        return await self._shelf.stats(tenant)

    async def store(self, drafts: Sequence[Draft]) -> None:
        """Store all segments. FieldInvalid, and none is stored."""
        check_count(len(drafts))
        made = [_entry(f"documents[{number}]", draft) for number, draft in enumerate(drafts)]
        await asyncio.gather(*(self._intake.add(entry) for entry in made))

    async def delete(self, tenant: str, segment_ids: Sequence[str]) -> int:
        """Delete segments; how many of them there were. FieldInvalid."""
        if not 1 <= len(segment_ids) <= MOST_DELETED:
            raise FieldInvalid("segment_ids", f"must hold 1 to {MOST_DELETED}, not {len(segment_ids)}")
        for number, segment_id in enumerate(segment_ids):
            _name(f"segment_ids[{number}]", segment_id)
        named = dict.fromkeys(segment_id.lower() for segment_id in segment_ids)
        return await self._shelf.remove(tenant, [_nowhere(tenant, segment_id).id for segment_id in named])


def _nowhere(tenant: str, segment_id: str) -> Document:
    """A segment of which nothing but the name is known; that is enough for its id."""
    return Document(tenant, "", "", segment_id, 0, 0, "", "")


def _entry(field: str, draft: Draft) -> Entry:
    document = draft.document
    try:
        for name, value in (("recording_id", document.recording_id), ("segment_id", document.segment_id)):
            _name(name, value)
        _name("model", draft.model)
        if len(document.transcript_id) > MOST_NAME_CHARACTERS:
            raise FieldInvalid("transcript_id", f"must have at most {MOST_NAME_CHARACTERS} characters")
        if not _LANGUAGE.fullmatch(document.language_code):
            raise FieldInvalid("language_code", "must be an ISO 639 code such as vi")
        if not 0 <= document.start_ms <= _LATEST_MS:
            raise FieldInvalid("start_ms", "must not be negative")
        if not document.start_ms <= document.end_ms <= _LATEST_MS:
            raise FieldInvalid("end_ms", "must not be before start_ms")
        return entries.checked(document, draft.model, draft.vector)
    except FieldInvalid as error:
        raise FieldInvalid(f"{field}.{error.field}", error.problem) from error


def _name(field: str, value: str) -> None:
    if not 1 <= len(value) <= MOST_NAME_CHARACTERS:
        raise FieldInvalid(field, f"must have 1 to {MOST_NAME_CHARACTERS} characters, not {len(value)}")
