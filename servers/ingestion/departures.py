"""Recordings that are deleted: their files go too, unless another recording has the same bytes."""

from ai2text.events.v1 import recording_events_pb2

from servers.common.errors import InvalidInput
from servers.common.patience import LONGEST_S, patience
from servers.ingestion.deposits import Deposits
from servers.ingestion.files import AUDIO


class Departures:
    """Handles `recording.deleted`; the same event twice does no harm."""

    def __init__(self, deposits: Deposits, longest_s: float = LONGEST_S) -> None:
        """`longest_s`: how long a removal may take, and wait for an upload of the same bytes."""
        self._deposits = deposits
        self._longest_s = longest_s

    async def handle(self, event: recording_events_pb2.RecordingDeleted) -> None:
        """InvalidInput when the event names a file that is not the tenant's; Overloaded, or DependencyUnavailable, when
        it can be removed later."""
        if not event.object_key:
            return
        if not event.object_key.startswith(f"{AUDIO}{event.tenant}/"):
            raise InvalidInput("the event names a file that does not belong to its tenant")
        async with patience(self._longest_s, "the file could not be removed in time"):
            await self._deposits.release(event.tenant, event.object_key)
