"""Forgets what `recording.deleted` tells of."""

from typing import Protocol

from ai2text.events.v1 import recording_events_pb2

from servers.common.errors import FieldInvalid


class DeletionShelf(Protocol):
    """Where documents are deleted."""

    async def delete(self, tenant: str, recording_id: str) -> None:
        """Delete the documents and vectors of a recording, and let none of them in again.

        DependencyUnavailable, with some of them deleted or all.
        """


class Deletions:
    """Bears the same event twice, and comes before or after what it deletes."""

    def __init__(self, shelf: DeletionShelf) -> None:
        self._shelf = shelf

    async def handle(self, event: recording_events_pb2.RecordingDeleted) -> None:
        """Returns when nothing of the recording can be found; FieldInvalid when the event names none."""
        for field, value in (("tenant", event.tenant), ("recording_id", event.recording_id)):
            if not value:
                raise FieldInvalid(field, "is empty")
        await self._shelf.delete(event.tenant, event.recording_id.lower())
