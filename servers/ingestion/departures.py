"""Recordings that are deleted: their files go too, unless another recording has the same bytes."""

from ai2text.events.v1 import recording_events_pb2

from servers.common.errors import InvalidInput
from servers.ingestion.deposits import Deposits
from servers.ingestion.files import AUDIO


class Departures:
    """Handles `recording.deleted`; the same event twice does no harm."""

    def __init__(self, deposits: Deposits) -> None:
        self._deposits = deposits

    async def handle(self, event: recording_events_pb2.RecordingDeleted) -> None:
        """InvalidInput when the event names a file that is not the tenant's."""
        if not event.object_key:
            return
        if not event.object_key.startswith(f"{AUDIO}{event.tenant}/"):
            raise InvalidInput("the event names a file that does not belong to its tenant")
        await self._deposits.release(event.tenant, event.object_key)
