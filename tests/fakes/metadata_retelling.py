"""What retelling asks of its store, in memory, and who is told.

The store passes the same suite as Postgres does: `tests/stores/test_metadata_retelling.py`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from servers.common.errors import DependencyUnavailable
from servers.common.outbox import Event
from servers.metadata.transcripts import NewTranscript
from tests.fakes.metadata_store import MemoryStore


@dataclass
class MemoryRetelling(MemoryStore):
    """A RetellingStore."""

    async def next_tenant(self, after: str) -> str | None:
        self._answer()
        owners = {owner for owner, _ in (*self.recordings_by_id.values(), *self.deleted)}
        return min((owner for owner in owners if owner > after), default=None)

    async def deleted_recordings(self, tenant: str, after: str, limit: int) -> Sequence[str]:
        self._answer()
        return sorted(id for owner, id in self.deleted if owner == tenant and id > after)[:limit]

    async def transcripts_in_order(self, tenant: str, recording_id: str) -> Sequence[NewTranscript]:
        found = await self.transcripts(tenant, recording_id, len(self.transcripts_by_id))
        return sorted((one.content for one in found), key=lambda one: one.transcript_id)

    async def keep(self, tenant: str, events: Sequence[Event]) -> None:
        self._answer()
        for event in events:
            self._keep(event)

    async def waiting(self) -> int:
        self._answer()
        return len(self.events)


@dataclass
class Audience:
    """Listeners who are as busy as `busy` says."""

    busy: int = 0
    down: bool = False
    heard: list[bool] = field(default_factory=list)
    """Each announcement."""

    async def waiting(self) -> int:
        if self.down:
            raise DependencyUnavailable("nats")
        return self.busy

    async def announce(self, goes_on: bool) -> None:
        if self.down:
            raise DependencyUnavailable("nats")
        self.heard.append(goes_on)


@dataclass
class RememberedStreams:
    """A ToldStreams in which claims never run out."""

    streams: str = ""
    claimant: str = ""

    async def told(self) -> str:
        return self.streams

    async def claim(self, claimant: str, lasts_s: float) -> bool:
        if self.claimant in ("", claimant):
            self.claimant = claimant
        return self.claimant == claimant

    async def remember(self, name: str) -> None:
        self.streams, self.claimant = name, ""
