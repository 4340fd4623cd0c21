"""The durable consumers of the batch server."""

from ai2text.events.v1 import recording_events_pb2, transcription_events_pb2

from servers.asr.batch.arrivals import Arrivals
from servers.common import events
from servers.common.lifecycle import Job

DELIVERIES = 1000
"""How often an event may be delivered: tries are counted in the ledger, and a server that stops is none."""

ACK_WAIT_S = 15.0
"""After so long without a sign of life from a server, its files go to another."""

SPARE_S = 60.0
"""So long a file whose time is over may take to be put back; then it is broken off, which counts as no try."""


def jobs(bus: events.Bus, arrivals: Arrivals, files_at_once: int, file_timeout_s: float) -> dict[str, Job]:
    """What runs beside the calls; uploads and requests each have so many files in work. The transcriber itself gives a
    file up after `file_timeout_s`."""
    announcements = events.Consumer(
        bus,
        "RECORDINGS",
        events.RECORDING_UPLOADED,
        "batch-operations",
        recording_events_pb2.RecordingUploaded,
        arrivals.announced,
    )
    uploads = events.Consumer(
        bus,
        "RECORDINGS",
        events.RECORDING_UPLOADED,
        "batch",
        recording_events_pb2.RecordingUploaded,
        arrivals.uploaded,
        max_tries=DELIVERIES,
        concurrency=files_at_once,
        ack_wait_s=ACK_WAIT_S,
        limit_s=file_timeout_s + SPARE_S,
    )
    requests = events.Consumer(
        bus,
        "TRANSCRIPTIONS",
        events.TRANSCRIPTION_REQUESTED,
        "batch-requests",
        transcription_events_pb2.TranscriptionRequested,
        arrivals.requested,
        max_tries=DELIVERIES,
        concurrency=files_at_once,
        ack_wait_s=ACK_WAIT_S,
        limit_s=file_timeout_s + SPARE_S,
    )
    return {"announcements": announcements.run, "uploads": uploads.run, "requests": requests.run}
