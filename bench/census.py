"""What there is of one tenant, counted where it lies: recordings, transcripts, segments, events, documents, vectors."""

import sqlite3
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import grpc
import nats
from ai2text.admin.v1 import dead_letter_service_pb2, dead_letter_service_pb2_grpc
from ai2text.events.v1 import embedding_events_pb2, transcript_events_pb2
from ai2text.metadata.v1 import (
    recording_pb2,
    recording_service_pb2,
    recording_service_pb2_grpc,
    transcript_pb2,
    transcript_service_pb2,
    transcript_service_pb2_grpc,
)
from google.protobuf.message import DecodeError
from nats.aio.client import Client

DEADLINE_S = 15.0
Headers = Sequence[tuple[str, str]]
Event = TypeVar("Event", transcript_events_pb2.TranscriptFinalized, embedding_events_pb2.EmbeddingCreated)


@dataclass(frozen=True)
class Census:
    """Names, so that two counts can be compared one by one."""

    recordings: frozenset[str]
    transcripts: dict[str, list[str]]
    """Those of each recording that has any."""
    segments: frozenset[str]
    announced: list[str]
    """The segments of `transcript.finalized`, each as often as JetStream has it."""
    embedded: list[str]
    """Those of `embedding.created`."""
    documents: list[str]
    """The segments that search has."""
    vectors: int
    dead_letters: list[str]
    """The reasons of those of this tenant."""

    @property
    def lost(self) -> int:
        """Segments that are stored and missing anywhere later on the way."""
        reached = set(self.announced) & set(self.embedded) & set(self.documents)
        return len(self.segments - reached)

    @property
    def doubled(self) -> int:
        """Transcripts beyond the first of a recording, documents and vectors beyond one a segment, and what is there of
        segments that nobody stored. An event that JetStream has twice is no fault: its consumers bear it."""
        transcripts = sum(len(of_one) - 1 for of_one in self.transcripts.values())
        documents = len(self.documents) - len(set(self.documents))
        vectors = max(0, self.vectors - len(set(self.documents)))
        strangers = len((set(self.announced) | set(self.documents)) - self.segments)
        return transcripts + documents + vectors + strangers


async def taken(channel: grpc.aio.Channel, headers: Headers, tenant: str, nats_url: str, index: Path) -> Census:
    """Count. `index` is the file of search; `headers` carry a token of the tenant with every scope."""
    recordings = [recording.recording_id async for recording in _recordings(channel, headers)]
    transcripts = {name: found for name in recordings if (found := await _transcripts(channel, headers, name))}
    segments = [
        segment.segment_id
        for of_one in transcripts.values()
        for transcript in of_one
        async for segment in _segments(channel, headers, transcript)
    ]
    bus = await nats.connect(nats_url, connect_timeout=3)
    try:
        finalized, created = transcript_events_pb2.TranscriptFinalized, embedding_events_pb2.EmbeddingCreated
        announced = told(finalized, [data async for data in _events(bus, "transcript.finalized")], tenant)
        embedded = told(created, [data async for data in _events(bus, "embedding.created")], tenant)
    finally:
        await bus.close()
    documents, vectors = _indexed(index, tenant)
    dead = [letter.reason async for letter in _dead_letters(channel, headers, tenant)]
    return Census(
        frozenset(recordings), transcripts, frozenset(segments), announced, embedded, documents, vectors, dead
    )


def told(kind: type[Event], payloads: Iterable[bytes], tenant: str) -> list[str]:
    """The segments of a tenant that are told of. What is no event is somebody's poison, put there by a drill or by the
    tests, and tells of none."""
    segments = list[str]()
    for payload in payloads:
        with suppress(DecodeError):
            event = kind.FromString(payload)
            if event.tenant == tenant:
                segments.append(event.segment.segment_id)
    return segments


async def _recordings(channel: grpc.aio.Channel, headers: Headers) -> AsyncIterator[recording_pb2.Recording]:
    stub = recording_service_pb2_grpc.RecordingServiceStub(channel)
    token = ""
    while True:
        request = recording_service_pb2.ListRecordingsRequest(page_size=1000, page_token=token)
        page = await stub.ListRecordings(request, metadata=headers, timeout=DEADLINE_S)
        for recording in page.recordings:
            yield recording
        if not (token := page.next_page_token):
            return


async def _transcripts(channel: grpc.aio.Channel, headers: Headers, recording_id: str) -> list[str]:
    stub = transcript_service_pb2_grpc.TranscriptServiceStub(channel)
    request = transcript_service_pb2.ListTranscriptsRequest(recording_id=recording_id)
    answer = await stub.ListTranscripts(request, metadata=headers, timeout=DEADLINE_S)
    return [transcript.transcript_id for transcript in answer.transcripts]


async def _segments(
    channel: grpc.aio.Channel, headers: Headers, transcript_id: str
) -> AsyncIterator[transcript_pb2.Segment]:
    stub = transcript_service_pb2_grpc.TranscriptServiceStub(channel)
    token = ""
    while True:
        request = transcript_service_pb2.ListSegmentsRequest(
            transcript_id=transcript_id, page_size=1000, page_token=token
        )
        page = await stub.ListSegments(request, metadata=headers, timeout=DEADLINE_S)
        for segment in page.segments:
            yield segment
        if not (token := page.next_page_token):
            return


async def _dead_letters(
    channel: grpc.aio.Channel, headers: Headers, tenant: str
) -> AsyncIterator[dead_letter_service_pb2.DeadLetter]:
    stub = dead_letter_service_pb2_grpc.DeadLetterServiceStub(channel)
    token = ""
    while True:
        request = dead_letter_service_pb2.ListDeadLettersRequest(page_size=1000, page_token=token, tenant=tenant)
        page = await stub.ListDeadLetters(request, metadata=headers, timeout=DEADLINE_S)
        for letter in page.dead_letters:
            yield letter
        if not (token := page.next_page_token):
            return


async def _events(bus: Client, subject: str) -> AsyncIterator[bytes]:
    """The payloads of all events of a subject that JetStream has now."""
    subscription = await bus.jetstream().subscribe(subject, ordered_consumer=True)
    info = await subscription.consumer_info()
    sent = info.delivered.consumer_seq if info.delivered else 0
    for _ in range(sent + (info.num_pending or 0)):
        yield (await subscription.next_msg(timeout=DEADLINE_S)).data
    await subscription.unsubscribe()


def _indexed(index: Path, tenant: str) -> tuple[list[str], int]:
    """The segments of the documents that search has of a tenant, and how many vectors."""
    store = sqlite3.connect(f"file:{index}?mode=ro", uri=True, timeout=DEADLINE_S)
    try:
        documents = store.execute("SELECT segment_id FROM documents WHERE tenant = ?", (tenant,)).fetchall()
        (vectors,) = store.execute("SELECT count(*) FROM vectors WHERE tenant = ?", (tenant,)).fetchone()
    finally:
        store.close()
    return [segment_id for (segment_id,) in documents], vectors
