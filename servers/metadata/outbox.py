"""The outbox: events kept in the same transaction as what they tell of, until they are published."""

from collections.abc import Collection, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol

from servers.common.outbox import Event


@dataclass(frozen=True, slots=True)
class Kept:
    """An event in the outbox."""

    sequence: int
    """Its place in the outbox."""
    event: Event


@dataclass(frozen=True, slots=True)
class Backlog:
    """How much waits in the outbox."""

    events: int
    oldest_s: float
    """Age of the oldest event in seconds; 0 when there is none."""


class Batch(Protocol):
    """Some of the oldest events, held by this relay alone until the end of the block."""

    @property
    def kept(self) -> Sequence[Kept]:
        """In order of their sequence, without those whose key has an older event elsewhere."""

    async def remove(self, sequences: Collection[int]) -> None:
        """Forget events that are published, once the block ends well."""


class Outbox(Protocol):
    """Where events wait. Every method raises DependencyUnavailable."""

    def batch(self, limit: int) -> AbstractAsyncContextManager[Batch]:
        """At most `limit` events that no other relay holds."""

    async def backlog(self) -> Backlog:
        """What waits now, batches being published included."""
