"""Writes the events that metadata tells, in the form of the contract, under the trace of the current call.

The id of an event depends on what it tells of alone: the same thing always makes the same event.
"""

import uuid

from ai2text.events.v1 import recording_events_pb2, transcript_events_pb2
from google.protobuf.message import Message

from servers.common import events
from servers.common.outbox import Event
from servers.metadata.recordings import NewRecording, Recording
from servers.metadata.transcripts import NewTranscript, Segment


def finalized(tenant: str, transcript: NewTranscript, segment: Segment) -> Event:
    """The event `transcript.finalized`."""
    segment_id = segment.id_in(transcript.transcript_id)
    message = transcript_events_pb2.TranscriptFinalized(
        event_id=_event_id(segment_id, events.TRANSCRIPT_FINALIZED),
        tenant=tenant,
        segment=transcript_events_pb2.SegmentContent(
            recording_id=transcript.recording_id,
            transcript_id=transcript.transcript_id,
            segment_id=segment_id,
            start_ms=segment.start_ms,
            end_ms=segment.end_ms,
            text=segment.text,
            language_code=segment.language_code,
            channel=transcript.channel,
        ),
    )
    message.event_time.GetCurrentTime()
    return _event(events.TRANSCRIPT_FINALIZED, message.event_id, transcript.transcript_id, message)


def uploaded(tenant: str, subject: str, new: NewRecording) -> Event:
    """The event `recording.uploaded` of a recording with a file."""
    if new.file is None:
        raise ValueError("a recording without a file was not uploaded")
    message = recording_events_pb2.RecordingUploaded(
        event_id=_event_id(new.recording_id, events.RECORDING_UPLOADED),
        tenant=tenant,
        subject=subject,
        recording_id=new.recording_id,
        object_key=new.file.object.key,
        language_code=new.language_code,
        duration_ms=new.file.media.duration_ms,
    )
    message.event_time.GetCurrentTime()
    return _event(events.RECORDING_UPLOADED, message.event_id, new.recording_id, message)


def updated(tenant: str, recording: Recording) -> Event:
    """The event `recording.updated`, of the version that the recording has."""
    content = recording.content
    message = recording_events_pb2.RecordingUpdated(
        event_id=_event_id(recording.recording_id, f"{events.RECORDING_UPDATED} {recording.etag}"),
        tenant=tenant,
        recording_id=recording.recording_id,
        version=recording.version,
        title=content.title,
        language_code=content.language_code,
        labels=content.labels,
        superseded_transcript_ids=recording.superseded,
    )
    message.event_time.GetCurrentTime()
    message.create_time.FromDatetime(recording.create_time)
    return _event(events.RECORDING_UPDATED, message.event_id, recording.recording_id, message)


def deleted(tenant: str, recording: Recording) -> Event:
    """The event `recording.deleted`."""
    file = recording.content.file
    message = recording_events_pb2.RecordingDeleted(
        event_id=_event_id(recording.recording_id, events.RECORDING_DELETED),
        tenant=tenant,
        recording_id=recording.recording_id,
        object_key=file.object.key if file else "",
    )
    message.event_time.GetCurrentTime()
    return _event(events.RECORDING_DELETED, message.event_id, recording.recording_id, message)


def _event_id(of: str, name: str) -> str:
    return str(uuid.uuid5(uuid.UUID(of), name))


def _event(subject: str, event_id: str, ordering_key: str, message: Message) -> Event:
    traceparent = events.trace_headers().get("traceparent", "")
    return Event(event_id, subject, ordering_key, message.SerializeToString(), traceparent)
