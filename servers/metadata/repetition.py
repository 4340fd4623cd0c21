"""Writes the events that tell again: those of `announcement`, under ids that depend on the retelling as well.

They have to: JetStream drops what comes under an id that it has met within its window. Nor do they wait for each other:
their readers bear them in any order, so each has an ordering key of its own.

Of uploads only that reader is told again which makes operations: it makes those that are not there, and bears all
others. Who transcribes would begin anew what has failed, and take over what is being heard.
"""

import uuid
from dataclasses import replace

from ai2text.events.v1 import recording_events_pb2, transcript_events_pb2

from servers.common import events, streams
from servers.common.outbox import Event
from servers.metadata import announcement
from servers.metadata.recordings import Recording
from servers.metadata.transcripts import NewTranscript, Segment

OPERATIONS = "batch-operations"
"""The durable that makes the operations of uploads."""
SUBJECT = "metadata"
"""In whose name they are transcribed: who had uploaded the file is not kept with its recording."""

_Retold = (
    recording_events_pb2.RecordingUpdated
    | recording_events_pb2.RecordingUploaded
    | recording_events_pb2.RecordingDeleted
    | transcript_events_pb2.TranscriptFinalized
)


def recording(tenant: str, recording: Recording, telling: str) -> Event:
    """The event `recording.updated`, of the version that the recording has."""
    event = announcement.updated(tenant, recording)
    return _again(event, recording_events_pb2.RecordingUpdated.FromString(event.payload), telling)


def uploaded(tenant: str, recording: Recording, telling: str) -> Event:
    """The event `recording.uploaded` of a recording with a file."""
    event = announcement.uploaded(tenant, SUBJECT, recording.content)
    again = _again(event, recording_events_pb2.RecordingUploaded.FromString(event.payload), telling)
    return replace(again, subject=streams.replay_subject(OPERATIONS, event.subject))


def segment(tenant: str, transcript: NewTranscript, segment: Segment, telling: str) -> Event:
    """The event `transcript.finalized`."""
    event = announcement.finalized(tenant, transcript, segment)
    return _again(event, transcript_events_pb2.TranscriptFinalized.FromString(event.payload), telling)


def deleted(tenant: str, recording_id: str, telling: str) -> Event:
    """The event `recording.deleted`, without a file: what became of that was seen to when it was deleted."""
    event_id = str(uuid.uuid5(uuid.UUID(recording_id), events.RECORDING_DELETED))
    message = recording_events_pb2.RecordingDeleted(event_id=event_id, tenant=tenant, recording_id=recording_id)
    message.event_time.GetCurrentTime()
    traceparent = events.trace_headers().get("traceparent", "")
    return _again(Event(event_id, events.RECORDING_DELETED, recording_id, b"", traceparent), message, telling)


def _again(event: Event, message: _Retold, telling: str) -> Event:
    message.event_id = str(uuid.uuid5(uuid.UUID(event.event_id), telling))
    return Event(message.event_id, event.subject, message.event_id, message.SerializeToString(), event.traceparent)
