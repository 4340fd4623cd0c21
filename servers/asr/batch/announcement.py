"""Writes the events that ask for transcriptions, in the form of the contract, under the trace of the current call; and
reads of which file one tells."""

import uuid

from ai2text.events.v1 import recording_events_pb2
from ai2text.events.v1 import transcription_events_pb2 as pb
from google.protobuf.message import DecodeError

from servers.asr.batch.operations import NewOperation, of_upload
from servers.asr.batch.reminders import Told
from servers.common import events
from servers.common.outbox import Event


def requested(tenant: str, new: NewOperation) -> list[Event]:
    """An event `transcription.requested` for each recording of an operation."""
    return [_event(tenant, new, recording_id) for recording_id in new.recording_ids]


def named(told: Told) -> tuple[str, str] | None:
    """Of which operation and recording an event tells; None when it is no event of a file."""
    try:
        if told.subject == events.RECORDING_UPLOADED:
            uploaded = recording_events_pb2.RecordingUploaded.FromString(told.payload)
            recording_id = str(uuid.UUID(uploaded.recording_id))
            return of_upload(recording_id), recording_id
        request = pb.TranscriptionRequested.FromString(told.payload)
        return str(uuid.UUID(request.operation_id)), str(uuid.UUID(request.recording_id))
    except (DecodeError, ValueError):
        return None


def _event(tenant: str, new: NewOperation, recording_id: str) -> Event:
    message = pb.TranscriptionRequested(
        event_id=str(uuid.uuid5(uuid.UUID(new.operation_id), recording_id)),
        tenant=tenant,
        subject=new.subject,
        recording_id=recording_id,
        operation_id=new.operation_id,
    )
    message.event_time.GetCurrentTime()
    traceparent = events.trace_headers().get("traceparent", "")
    payload = message.SerializeToString()
    return Event(message.event_id, events.TRANSCRIPTION_REQUESTED, recording_id, payload, traceparent)
