"""Writes the event that tells of a new segment, in the form of the contract, under the trace of the current call."""

import uuid

from ai2text.events.v1 import transcript_events_pb2 as pb

from servers.common import events
from servers.metadata.outbox import Event
from servers.metadata.transcripts import Segment, Transcript


def finalized(tenant: str, transcript: Transcript, segment: Segment) -> Event:
    """The event `transcript.finalized`; its id depends on the segment's alone."""
    segment_id = segment.id_in(transcript.transcript_id)
    message = pb.TranscriptFinalized(
        event_id=str(uuid.uuid5(uuid.UUID(segment_id), events.TRANSCRIPT_FINALIZED)),
        tenant=tenant,
        segment=pb.SegmentContent(
            recording_id=transcript.content.recording_id,
            transcript_id=transcript.transcript_id,
            segment_id=segment_id,
            start_ms=segment.start_ms,
            end_ms=segment.end_ms,
            text=segment.text,
            language_code=segment.language_code,
        ),
    )
    message.event_time.GetCurrentTime()
    traceparent = events.trace_headers().get("traceparent", "")
    payload = message.SerializeToString()
    return Event(message.event_id, events.TRANSCRIPT_FINALIZED, transcript.transcript_id, payload, traceparent)
