"""The recorded path: uploaded, transcribed, stored once, found; whatever happens to the batch server meanwhile."""

import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import grpc
import pytest
from ai2text.asr.v1 import batch_pb2, speech_service_pb2
from ai2text.ingestion.v1 import ingestion_service_pb2, ingestion_service_pb2_grpc
from ai2text.metadata.v1 import transcript_pb2, transcript_service_pb2
from ai2text.search.v1 import search_service_pb2
from google.longrunning import operations_pb2, operations_pb2_grpc
from google.protobuf import duration_pb2

from bench import scoring
from tests.mesh.running_mesh import Client, RunningMesh, eventually
from tests.mesh.speaking import clips, found

TENANT = "recorded"


@dataclass(frozen=True)
class Recorded:
    """Stubs of the recorded path, through the edge, and what they need."""

    running: RunningMesh
    client: Client
    ingestion: ingestion_service_pb2_grpc.IngestionServiceStub
    operations: operations_pb2_grpc.OperationsStub

    def upload(self, clip: Path, language: str = "vi") -> ingestion_service_pb2.UploadRecordingResponse:
        """Store a clip."""
        file = ingestion_service_pb2.UploadFile(request_id=str(uuid.uuid4()), title=clip.stem, language_code=language)
        messages = [
            ingestion_service_pb2.UploadRecordingRequest(file=file),
            ingestion_service_pb2.UploadRecordingRequest(chunk=clip.read_bytes()),
        ]
        bearer = self.running.bearer(TENANT)
        return self.ingestion.UploadRecording(iter(messages), metadata=bearer, timeout=60, wait_for_ready=True)

    def done(self, name: str, within_s: float = 120) -> batch_pb2.BatchRecognizeMetadata:
        """Wait for an operation, through whatever is down for a moment."""

        def look() -> operations_pb2.Operation | None:
            wait = operations_pb2.WaitOperationRequest(name=name, timeout=duration_pb2.Duration(seconds=5))
            try:
                return self.operations.WaitOperation(wait, metadata=self.running.bearer(TENANT), timeout=20)
            except grpc.RpcError as error:
                if error.code() not in (grpc.StatusCode.NOT_FOUND, grpc.StatusCode.UNAVAILABLE):
                    raise
                return None

        operation = eventually(look, lambda seen: seen is not None and seen.done, within_s)
        metadata = batch_pb2.BatchRecognizeMetadata()
        assert operation.WhichOneof("result") == "response", operation
        assert operation.metadata.Unpack(metadata)
        return metadata

    def segments(self, transcript_id: str) -> list[transcript_pb2.Segment]:
        """What a transcript holds."""
        request = transcript_service_pb2.ListSegmentsRequest(transcript_id=transcript_id)
        answer = self.client.transcripts.ListSegments(request, metadata=self.running.bearer(TENANT), timeout=10)
        return list(answer.segments)

    def transcripts(self, recording_id: str) -> list[transcript_pb2.Transcript]:
        """The transcripts of a recording."""
        request = transcript_service_pb2.ListTranscriptsRequest(recording_id=recording_id)
        answer = self.client.transcripts.ListTranscripts(request, metadata=self.running.bearer(TENANT), timeout=10)
        return list(answer.transcripts)


@pytest.fixture(scope="module")
def recorded(running: RunningMesh, client: Client) -> Iterator[Recorded]:
    with grpc.insecure_channel(running.ports.address("edge")) as channel:
        yield Recorded(
            running,
            client,
            ingestion_service_pb2_grpc.IngestionServiceStub(channel),
            operations_pb2_grpc.OperationsStub(channel),
        )


def test_an_upload_becomes_a_transcript_that_search_finds(recorded: Recorded, speech_folder: Path) -> None:
    clip, said = clips(speech_folder, "vi")[0]
    uploaded = recorded.upload(clip)
    metadata = recorded.done(uploaded.operation)
    (file,) = metadata.files
    assert (file.recording_id, file.state) == (uploaded.recording.recording_id, batch_pb2.BATCH_FILE_STATE_SUCCEEDED)
    assert (file.progress_percent, metadata.progress_percent, file.tries) == (100, 100, 1)
    segments = recorded.segments(file.transcript_id)
    assert [segment.segment_index for segment in segments] == list(range(file.segment_count))
    assert scoring.rates([said], [" ".join(segment.raw_text or segment.text for segment in segments)]).cer < 0.4
    assert all(segment.words and segment.end_ms > segment.start_ms for segment in segments)
    found(recorded.client, recorded.running, segments[0].text, file.recording_id, TENANT)


def test_a_recording_is_transcribed_anew_when_it_is_asked_for(recorded: Recorded, speech_folder: Path) -> None:
    clip, said = clips(speech_folder, "vi")[0]
    uploaded = recorded.upload(clip)
    recorded.done(uploaded.operation)
    request = speech_service_pb2.BatchRecognizeRequest(
        request_id=str(uuid.uuid4()), recording_ids=[uploaded.recording.recording_id]
    )
    names = {
        recorded.client.speech.BatchRecognize(request, metadata=recorded.running.bearer(TENANT), timeout=10).name
        for _ in range(2)
    }
    assert len(names) == 1
    recorded.done(names.pop())
    transcripts = recorded.transcripts(uploaded.recording.recording_id)
    assert len(transcripts) == 2
    assert transcripts[0].segment_count == transcripts[1].segment_count > 0

    def hits() -> list[str]:
        asked = search_service_pb2.SearchRequest(query=said, recording_ids=[uploaded.recording.recording_id])
        answer = recorded.client.search.Search(asked, metadata=recorded.running.bearer(TENANT), timeout=10)
        return [hit.transcript_id for hit in answer.hits]

    # It is found as it was heard last, and only so.
    newest, count = transcripts[0].transcript_id, transcripts[0].segment_count
    eventually(hits, lambda found: found == [newest] * count)


def test_operations_are_a_tenants_own(recorded: Recorded, speech_folder: Path) -> None:
    uploaded = recorded.upload(clips(speech_folder, "vi")[0][0])
    recorded.done(uploaded.operation)
    request = operations_pb2.GetOperationRequest(name=uploaded.operation)
    with pytest.raises(grpc.RpcError) as refused:
        recorded.operations.GetOperation(request, metadata=recorded.running.bearer("rival"), timeout=10)
    assert refused.value.code() is grpc.StatusCode.NOT_FOUND


@pytest.mark.timeout(300)
def test_a_batch_server_that_is_killed_loses_and_doubles_nothing(recorded: Recorded, speech_folder: Path) -> None:
    chosen = [clip for clip, _ in clips(speech_folder, "vi")]
    uploads = [recorded.upload(clip) for clip in chosen * 2]
    recorded.done(uploads[0].operation)
    recorded.running.kill("batch")
    files = [recorded.done(uploaded.operation, 200).files[0] for uploaded in uploads]
    for uploaded, file in zip(uploads, files, strict=True):
        assert file.state == batch_pb2.BATCH_FILE_STATE_SUCCEEDED
        (transcript,) = recorded.transcripts(uploaded.recording.recording_id)
        segments = recorded.segments(transcript.transcript_id)
        assert [segment.segment_index for segment in segments] == list(range(file.segment_count))
        assert len(segments) == transcript.segment_count
    recorded.running.wait_well()
