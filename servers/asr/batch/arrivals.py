"""Takes what is to be transcribed from the events that tell of it."""

import uuid
from collections.abc import Awaitable, Callable
from contextlib import suppress

from ai2text.events.v1 import recording_events_pb2, transcription_events_pb2

from servers.asr.batch.operations import NewOperation, OperationStore, of_upload
from servers.asr.batch.progress import Job, TakenOver
from servers.common.errors import FieldInvalid, InvalidInput
from servers.common.events import HandledElsewhere

Transcribe = Callable[[Job], Awaitable[None]]


class Arrivals:
    """Bears every event twice: what is done already stays as it is."""

    def __init__(self, store: OperationStore, transcribe: Transcribe) -> None:
        self._store = store
        self._transcribe = transcribe

    async def announced(self, event: recording_events_pb2.RecordingUploaded) -> None:
        """Make the operation of an upload at once, so that it is seen while it waits for its turn."""
        with suppress(InvalidInput):  # `uploaded` says so
            await self._operation(event)

    async def uploaded(self, event: recording_events_pb2.RecordingUploaded) -> None:
        """Make the operation of an upload, if it is not there, and transcribe. InvalidInput: it never can be."""
        await self._transcribed(await self._operation(event))

    async def _operation(self, event: recording_events_pb2.RecordingUploaded) -> Job:
        _check(tenant=event.tenant, subject=event.subject)
        recording_id = _identifier("recording_id", event.recording_id)
        job = Job(event.tenant, event.subject, of_upload(recording_id), recording_id)
        await self._store.add(event.tenant, NewOperation(job.operation_id, job.subject, "", [recording_id]), [])
        return job

    async def requested(self, event: transcription_events_pb2.TranscriptionRequested) -> None:
        """Transcribe one file of an operation. InvalidInput: it never can be."""
        _check(tenant=event.tenant, subject=event.subject)
        operation_id = _identifier("operation_id", event.operation_id)
        recording_id = _identifier("recording_id", event.recording_id)
        await self._transcribed(Job(event.tenant, event.subject, operation_id, recording_id))

    async def _transcribed(self, job: Job) -> None:
        try:
            await self._transcribe(job)
        except TakenOver as error:
            raise HandledElsewhere from error


def _check(**required: str) -> None:
    for field, value in required.items():
        if not value:
            raise FieldInvalid(field, "is empty")


def _identifier(field: str, value: str) -> str:
    try:
        return str(uuid.UUID(value))
    except ValueError:
        raise FieldInvalid(field, "is not a UUID") from None
