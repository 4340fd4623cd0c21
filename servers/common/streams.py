"""What there is on NATS JetStream: each subject with its event and its readers, each stream with what it keeps.

Everything else that speaks of subjects, streams, durables or their bounds reads it here.
"""

from dataclasses import dataclass

from ai2text.events.v1 import (
    embedding_events_pb2,
    recording_events_pb2,
    transcript_events_pb2,
    transcription_events_pb2,
)
from google.protobuf.message import Message
from nats.js.api import DiscardPolicy, RetentionPolicy, StorageType, StreamConfig

RECORDING_UPLOADED = "recording.uploaded"
RECORDING_UPDATED = "recording.updated"
RECORDING_DELETED = "recording.deleted"
TRANSCRIPTION_REQUESTED = "transcription.requested"
TRANSCRIPT_FINALIZED = "transcript.finalized"
EMBEDDING_CREATED = "embedding.created"

DEAD_LETTERS = "dlq"
"""A dead letter of `x.y` has the subject `dlq.x.y`."""

REPLAY = "replay"
"""A dead letter of `x.y` that goes back to the durable `d`, and to no other, has the subject `replay.d.x.y`."""

DLQ = "DLQ"

RETELLINGS = "RETELLINGS"
RETELLING = "retelling"
"""Where metadata says whether it is telling again what is stored: nobody consumes that, whoever wants to know looks."""
GOES_ON, IS_OVER = b"goes on", b"is over"


@dataclass(frozen=True)
class Topic:
    """One subject."""

    subject: str
    stream: str
    event: type[Message]
    readers: tuple[str, ...]
    """The durables that read it. `search-*` stands for one durable of each index, named by the index, and so on."""


TOPICS: tuple[Topic, ...] = (
    Topic(RECORDING_UPLOADED, "RECORDINGS", recording_events_pb2.RecordingUploaded, ("batch", "batch-operations")),
    Topic(RECORDING_UPDATED, "RECORDINGS", recording_events_pb2.RecordingUpdated, ("search-recordings-*",)),
    Topic(RECORDING_DELETED, "RECORDINGS", recording_events_pb2.RecordingDeleted, ("ingestion", "search-deletions-*")),
    Topic(
        TRANSCRIPTION_REQUESTED,
        "TRANSCRIPTIONS",
        transcription_events_pb2.TranscriptionRequested,
        ("batch-requests",),
    ),
    Topic(TRANSCRIPT_FINALIZED, "TRANSCRIPTS", transcript_events_pb2.TranscriptFinalized, ("embeddings",)),
    Topic(EMBEDDING_CREATED, "EMBEDDINGS", embedding_events_pb2.EmbeddingCreated, ("search-*",)),
)

_DAY_S = 24 * 3600.0
_MIB = 1 << 20
DUPLICATE_WINDOW_S = 120.0


def _stream(name: str, subjects: list[str], max_age_s: float = 0, max_bytes: int = -1) -> StreamConfig:
    """On disk, kept by limits: a new consumer reads all that is still there. Beyond a limit the oldest go."""
    return StreamConfig(
        name=name,
        subjects=subjects,
        storage=StorageType.FILE,
        retention=RetentionPolicy.LIMITS,
        duplicate_window=DUPLICATE_WINDOW_S,
        discard=DiscardPolicy.OLD,
        max_age=max_age_s,
        max_bytes=max_bytes,
        allow_direct=True,
    )


def _word(name: str, subject: str, max_age_s: float) -> StreamConfig:
    """One subject, of which only the last word is kept."""
    config = _stream(name, [subject], max_age_s, _MIB)
    config.max_msgs_per_subject = 1
    return config


def _events(name: str, family: str, max_age_s: float = 0, max_bytes: int = -1) -> StreamConfig:
    """The stream of the subjects `family.>`, and of what goes back to one of its readers.

    Replays lie in the stream of the event, so that a reader has one consumer with one order, one backlog and one set of
    tries: a consumer may filter several subjects, but only of one stream.
    """
    return _stream(name, [f"{family}.>", f"{REPLAY}.*.{family}.>"], max_age_s, max_bytes)


STREAMS: tuple[StreamConfig, ...] = (
    # An index that was lost is built anew from EMBEDDINGS, with what RECORDINGS says of recordings, less what it says
    # is deleted, and TRANSCRIPTIONS holds what is to be transcribed. To tell all that again, or to ask for it, takes
    # longer: these are kept whole. When the server's own bound is reached they refuse what is new, and it waits in the
    # outbox.
    _events("RECORDINGS", "recording"),
    _events("EMBEDDINGS", "embedding"),
    _events("TRANSCRIPTIONS", "transcription"),
    # The truth of these is in Postgres: they need to last only as long as a consumer may be away.
    _events("TRANSCRIPTS", "transcript", 30 * _DAY_S, 1024 * _MIB),
    _stream(DLQ, [f"{DEAD_LETTERS}.>"], 90 * _DAY_S, 256 * _MIB),
    _word(RETELLINGS, RETELLING, 3600.0),
)


def topic(subject: str) -> Topic | None:
    """The topic of a subject; None when there is none."""
    return next((topic for topic in TOPICS if topic.subject == subject), None)


def replay_subject(durable: str, subject: str) -> str:
    """Where a dead letter of `subject` goes back to one durable."""
    return f"{REPLAY}.{durable}.{subject}"


def original_subject(subject: str) -> str:
    """The subject of the event, of a message that may be a replay."""
    return subject.split(".", 2)[2] if subject.startswith(f"{REPLAY}.") else subject
