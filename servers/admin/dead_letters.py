"""What operators may do with dead letters; nothing about gRPC or NATS."""

import asyncio
import enum
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, TypeVar

from servers.admin import names
from servers.common.errors import DeadLetterNotFound, FieldInvalid

DEFAULT_PAGE = 50
LONGEST_PAGE = 1000
MOST_IDS = 1000

AT_ONCE = 32
"""How many letters are replayed or discarded at a time."""

T = TypeVar("T")

MOST_LOOKED_AT = 20_000
"""How many letters one page looks at. Where the filters let few of them pass the page is short, and not the last."""


@dataclass(frozen=True)
class DeadLetter:
    """What is known of an event that could not be handled."""

    sequence: int
    """Its place among all dead letters: a later one has a higher number."""
    message_id: str
    """Of the delivery that was given up: another letter at the same place, after a loss of all data, has another."""
    subject: str
    consumer: str
    reason: str
    tries: int
    buried_at: datetime
    tenant: str
    event_id: str
    trace_id: str
    payload_bytes: int

    @property
    def letter_id(self) -> str:
        """What callers name it by."""
        return names.letter_id(self.sequence, self.message_id)


@dataclass(frozen=True)
class Filters:
    """Which letters are meant; an empty field means any."""

    subject: str = ""
    consumer: str = ""
    tenant: str = ""

    def let(self, letter: DeadLetter) -> bool:
        """Whether the letter is meant."""
        return (
            self.subject in ("", letter.subject)
            and self.consumer in ("", letter.consumer)
            and self.tenant in ("", letter.tenant)
        )


class Fate(enum.Enum):
    """What became of a letter that was to be replayed."""

    REPLAYED = enum.auto()
    ORPHANED = enum.auto()
    """Its consumer is gone, so it stays."""
    GONE = enum.auto()
    """Somebody else was faster."""


class Graveyard(Protocol):
    """Where the letters lie. Every method raises DependencyUnavailable when it is away."""

    async def count(self) -> int:
        """How many letters there are."""
        ...

    async def newest(self) -> int:
        """The highest sequence that was ever given."""
        ...

    def letters(self, after: int, subject: str) -> AsyncGenerator[DeadLetter, None]:
        """Those with a higher sequence than `after`, and this subject unless it is empty, the oldest first."""
        ...

    async def find(self, sequence: int) -> tuple[DeadLetter, bytes] | None:
        """One letter with its payload."""
        ...

    async def replay(self, letter: DeadLetter) -> Fate:
        """Store the event for its consumer alone, and only then remove the letter."""
        ...

    async def remove(self, letter: DeadLetter) -> bool:
        """False when it was gone already."""
        ...


@dataclass(frozen=True)
class Page:
    """Some letters, and where the next page begins; empty on the last."""

    letters: Sequence[DeadLetter]
    next_token: str
    total: int


@dataclass(frozen=True)
class Replayed:
    """What became of the letters that were to be replayed."""

    replayed: int
    orphaned: int


class DeadLetters:
    """The letters of one graveyard, of all tenants."""

    def __init__(self, graveyard: Graveyard) -> None:
        self._graveyard = graveyard

    async def page(self, filters: Filters, size: int, token: str) -> Page:
        """Up to `size` letters (0: DEFAULT_PAGE). PageTokenInvalid for the token of another list."""
        of = (filters.subject, filters.consumer, filters.tenant)
        wanted = min(size or DEFAULT_PAGE, LONGEST_PAGE)
        found: list[DeadLetter] = []
        looked_at, place, more = 0, names.place(of, token), False
        async with aclosing(self._graveyard.letters(place, filters.subject)) as letters:
            async for letter in letters:
                if len(found) == wanted or looked_at == MOST_LOOKED_AT:
                    more = True
                    break
                looked_at, place = looked_at + 1, letter.sequence
                if filters.let(letter):
                    found.append(letter)
        return Page(found, names.token(of, place) if more else "", await self._graveyard.count())

    async def get(self, letter_id: str) -> tuple[DeadLetter, bytes]:
        """One letter with its payload; DeadLetterNotFound when it is gone, FieldInvalid when that is no id."""
        found = await self._find(letter_id, "dead_letter_id")
        if found is None:
            raise DeadLetterNotFound(f"there is no dead letter {letter_id}", dead_letter_id=letter_id)
        return found

    async def replay(self, ids: Sequence[str], filters: Filters) -> Replayed:
        """Send each letter that is meant back to its consumer. What comes back meanwhile is not sent a second time."""
        fates = await _each(self._meant(ids, filters), self._graveyard.replay)
        return Replayed(fates.count(Fate.REPLAYED), fates.count(Fate.ORPHANED))

    async def discard(self, ids: Sequence[str], filters: Filters) -> int:
        """Remove each letter that is meant for good; returns how many there were."""
        return sum(await _each(self._meant(ids, filters), self._graveyard.remove))

    async def _meant(self, ids: Sequence[str], filters: Filters) -> AsyncGenerator[DeadLetter, None]:
        """The letters named, or all, less those that the filters leave out. One that is gone is no error: the same
        call may have been made before, and its answer have been lost.
        """
        if len(ids) > MOST_IDS:
            raise FieldInvalid("selection.dead_letter_ids", f"must hold at most {MOST_IDS} ids, not {len(ids)}")
        if ids:
            for letter_id in ids:
                names.sequence(letter_id, "selection.dead_letter_ids")  # before anything is done
            for letter_id in dict.fromkeys(ids):
                found = await self._find(letter_id, "selection.dead_letter_ids")
                if found is not None and filters.let(found[0]):
                    yield found[0]
            return
        newest = await self._graveyard.newest()
        async with aclosing(self._graveyard.letters(0, filters.subject)) as letters:
            async for letter in letters:
                if letter.sequence > newest:
                    return
                if filters.let(letter):
                    yield letter

    async def _find(self, letter_id: str, field: str) -> tuple[DeadLetter, bytes] | None:
        found = await self._graveyard.find(names.sequence(letter_id, field))
        return found if found is not None and found[0].letter_id == letter_id else None


async def _each(letters: AsyncGenerator[DeadLetter, None], do: Callable[[DeadLetter], Awaitable[T]]) -> list[T]:
    """What `do` returns for each letter, AT_ONCE at a time. When it fails for one, those of its turn still end."""
    done: list[T] = []
    turn: list[DeadLetter] = []

    async def take_turn() -> None:
        results = await asyncio.gather(*map(do, turn), return_exceptions=True)
        turn.clear()
        for result in results:
            if isinstance(result, BaseException):
                raise result
            done.append(result)

    async with aclosing(letters):
        async for letter in letters:
            turn.append(letter)
            if len(turn) == AT_ONCE:
                await take_turn()
    await take_turn()
    return done
