"""Keeps what `recording.updated` tells of."""

from ai2text.events.v1 import recording_events_pb2

from servers.common.errors import FieldInvalid
from servers.search.catalogue import Known
from servers.search.intake import Intake


class Recordings:
    """Bears the same event twice, an older one after a newer one, and one of a recording that is deleted."""

    def __init__(self, intake: Intake[Known]) -> None:
        self._intake = intake

    async def handle(self, event: recording_events_pb2.RecordingUpdated) -> None:
        """Returns when searches can filter by it; FieldInvalid when the event can never be kept."""
        for field, value in (("tenant", event.tenant), ("recording_id", event.recording_id)):
            if not value:
                raise FieldInvalid(field, "is empty")
        if event.version < 1:
            raise FieldInvalid("version", "must be 1 or more")
        created = event.create_time
        if not (event.HasField("create_time") and abs(created.seconds) < 1 << 40 and 0 <= created.nanos < 10**9):
            raise FieldInvalid("create_time", "is no time")
        created_us = created.seconds * 1_000_000 + created.nanos // 1_000
        superseded = tuple(each.lower() for each in event.superseded_transcript_ids)
        recording_id, labels = event.recording_id.lower(), dict(event.labels)
        known = Known(event.tenant, recording_id, event.version, created_us, labels, superseded)
        await self._intake.add(known)
