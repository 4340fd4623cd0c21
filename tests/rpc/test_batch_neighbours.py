"""How the batch server asks metadata and Triton, over real ports."""

import uuid
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import grpc
import numpy as np
import pytest
from ai2text.metadata.v1 import media_pb2, recording_pb2
from ai2text.metadata.v1.recording_service_pb2 import CreateRecordingRequest, DeleteRecordingRequest
from ai2text.metadata.v1.transcript_service_pb2 import ListSegmentsRequest, ListTranscriptsRequest
from tritonclient.grpc import service_pb2, service_pb2_grpc

from servers.asr.batch.hearing import Segment
from servers.asr.batch.library import RemoteLibrary
from servers.asr.batch.progress import Job
from servers.asr.batch.transcription import Recording
from servers.asr.batch.whisper import BatchWhisper, ModelFailed
from servers.asr.recognition import Request
from servers.asr.results import TimedWord
from servers.common.errors import (
    DependencyUnavailable,
    InvalidInput,
    RecordingNotFound,
    RecordingWithoutFile,
    TooManyTranscripts,
)
from servers.common.retries import Retries
from tests.rpc.embeddings_server import serving
from tests.rpc.metadata_server import Served, headers, served

KEY = "audio/acme/" + "0" * 64


@pytest.fixture
async def metadata() -> AsyncIterator[Served]:
    async with served() as running:
        yield running


@pytest.fixture
def library(metadata: Served) -> RemoteLibrary:
    return RemoteLibrary(metadata.channel, "whisper-base")


async def recorded(metadata: Served, with_file: bool = True) -> Job:
    """A job for a recording that is there."""
    recording_id = str(uuid.uuid4())
    file: dict[str, Any] = {
        "source": recording_pb2.RECORDING_SOURCE_FILE,
        "object": media_pb2.StoredObject(key=KEY, size_bytes=7, sha256=bytes(32)),
        "media": media_pb2.MediaInfo(
            container="wav", codec="pcm_s16le", sample_rate_hz=16_000, channel_count=1, duration_ms=61_000
        ),
    }
    live = {"source": recording_pb2.RECORDING_SOURCE_LIVE}
    request = CreateRecordingRequest(
        recording_id=recording_id, title="Họp", language_code="vi", **(file if with_file else live)
    )
    await metadata.recordings.CreateRecording(request, metadata=headers())
    return Job("acme", "lan", str(uuid.uuid4()), recording_id)


def segment(index: int, raw_text: str = "") -> Segment:
    words = (TimedWord("xin", 0, 400, 0.5), TimedWord("chào", 400, 900, 0.25))
    return Segment(index, "xin chào", raw_text, 0, 900, "vi", 0.75, words)


async def test_a_recording_is_found_with_its_file(metadata: Served, library: RemoteLibrary) -> None:
    job = await recorded(metadata)
    assert await library.recording(job) == Recording(KEY, "vi", 61_000)
    await library.check("acme", "lan", job.recording_id)


async def test_segments_are_stored_once_with_all_that_is_known_of_them(
    metadata: Served, library: RemoteLibrary
) -> None:
    job, transcript_id = await recorded(metadata), str(uuid.uuid4())
    for _ in range(2):
        await library.create_transcript(job, transcript_id)
        await library.append(job, transcript_id, [segment(0, "XIN CHAO"), segment(1)])
    listed = await metadata.transcripts.ListTranscripts(
        ListTranscriptsRequest(recording_id=job.recording_id), metadata=headers()
    )
    assert [(one.model, one.segment_count) for one in listed.transcripts] == [("whisper-base", 2)]
    kept = await metadata.transcripts.ListSegments(ListSegmentsRequest(transcript_id=transcript_id), metadata=headers())
    first, second = kept.segments
    assert (first.text, first.raw_text, first.start_ms, first.end_ms) == ("xin chào", "XIN CHAO", 0, 900)
    assert (first.language_code, first.confidence, second.raw_text) == ("vi", 0.75, "")
    assert [(word.text, word.start_ms, word.end_ms, word.confidence) for word in first.words] == [
        ("xin", 0, 400, 0.5),
        ("chào", 400, 900, 0.25),
    ]


async def test_what_was_begun_with_another_model_is_gone_on_with_under_its_name(
    metadata: Served, library: RemoteLibrary
) -> None:
    job, transcript_id = await recorded(metadata), str(uuid.uuid4())
    await library.create_transcript(job, transcript_id)
    await library.append(job, transcript_id, [segment(0)])
    newer = RemoteLibrary(metadata.channel, "whisper-small")
    assert await newer.create_transcript(job, transcript_id) == 1
    await newer.append(job, transcript_id, [segment(1)])
    await newer.complete_transcript(job, transcript_id)
    listed = await metadata.transcripts.ListTranscripts(
        ListTranscriptsRequest(recording_id=job.recording_id), metadata=headers()
    )
    assert [(one.model, one.segment_count, one.incomplete) for one in listed.transcripts] == [
        ("whisper-base", 2, False)
    ]
    other = await recorded(metadata)
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await newer.create_transcript(other, transcript_id)
    assert refused.value.code() is grpc.StatusCode.ALREADY_EXISTS


async def test_a_recording_that_was_transcribed_too_often_is_told_of(metadata: Served, library: RemoteLibrary) -> None:
    job = await recorded(metadata)
    for _ in range(100):
        await library.create_transcript(job, str(uuid.uuid4()))
    with pytest.raises(TooManyTranscripts) as told:
        await library.create_transcript(job, str(uuid.uuid4()))
    assert told.value.metadata == {"recording_id": job.recording_id, "limit": "100"}


async def test_many_segments_go_in_several_calls(metadata: Served, library: RemoteLibrary) -> None:
    job, transcript_id = await recorded(metadata), str(uuid.uuid4())
    await library.create_transcript(job, transcript_id)
    await library.append(job, transcript_id, [segment(index) for index in range(1201)])
    listed = await metadata.transcripts.ListTranscripts(
        ListTranscriptsRequest(recording_id=job.recording_id), metadata=headers()
    )
    assert listed.transcripts[0].segment_count == 1201


async def test_what_has_no_file_or_is_not_there_is_told_of(metadata: Served, library: RemoteLibrary) -> None:
    live = await recorded(metadata, with_file=False)
    with pytest.raises(RecordingWithoutFile):
        await library.recording(live)
    theirs = replace(await recorded(metadata), tenant="beta")
    with pytest.raises(RecordingNotFound):
        await library.recording(theirs)
    with pytest.raises(RecordingNotFound):
        await library.create_transcript(theirs, str(uuid.uuid4()))


async def test_a_recording_that_is_deleted_meanwhile_is_told_of(metadata: Served, library: RemoteLibrary) -> None:
    job, transcript_id = await recorded(metadata), str(uuid.uuid4())
    await library.create_transcript(job, transcript_id)
    request = DeleteRecordingRequest(recording_id=job.recording_id)
    await metadata.recordings.DeleteRecording(request, metadata=headers())
    with pytest.raises(RecordingNotFound):
        await library.append(job, transcript_id, [segment(0)])
    with pytest.raises(RecordingNotFound) as told:
        await library.recording(job)
    assert told.value.metadata == {"recording_id": job.recording_id, "deleted": "true"}
    with pytest.raises(RecordingNotFound) as unknown:
        await library.recording(replace(job, recording_id=str(uuid.uuid4())))
    assert "deleted" not in unknown.value.metadata


async def test_without_metadata_a_retry_helps() -> None:
    async with grpc.aio.insecure_channel("127.0.0.1:1") as channel:
        library = RemoteLibrary(channel, "whisper-base")
        library._retries = Retries("metadata", tries=2, first_s=0.001)
        with pytest.raises(DependencyUnavailable):
            await library.check("acme", "lan", str(uuid.uuid4()))


NUMBERS = {
    "AVG_LOGPROB": [-0.25],
    "NO_SPEECH_PROB": [0.5],
    "COMPRESSION_RATIO": [1.5],
    "INFERENCE_SECONDS": [2.0],
    "WORKED_SECONDS": [1.5],
    "WORD_START": [0.0, 0.5],
    "WORD_END": [0.5, 1.0],
    "WORD_PROB": [0.5, 1.0],
}


class Triton(service_pb2_grpc.GRPCInferenceServiceServicer):
    """Answers every inference with the same words."""

    def __init__(self) -> None:
        self.asked: list[service_pb2.ModelInferRequest] = []
        self.refuse: grpc.StatusCode | None = None

    async def ModelInfer(self, request: Any, context: Any) -> Any:
        self.asked.append(request)
        if self.refuse is not None:
            await context.abort(self.refuse, "no")
        answer = service_pb2.ModelInferResponse()
        for name, texts in {"TEXT": ["xin chào"], "LANGUAGE": ["vi"], "WORDS": ["xin", "chào"]}.items():
            encoded = [text.encode() for text in texts]
            answer.outputs.add(name=name, datatype="BYTES", shape=[1, len(texts)])
            answer.raw_output_contents.append(b"".join(len(one).to_bytes(4, "little") + one for one in encoded))
        for name, numbers in NUMBERS.items():
            answer.outputs.add(name=name, datatype="FP32", shape=[1, len(numbers)])
            answer.raw_output_contents.append(np.array(numbers, np.float32).tobytes())
        return answer


@pytest.fixture
async def triton() -> AsyncIterator[tuple[Triton, BatchWhisper]]:
    servicer = Triton()

    def mount(server: grpc.aio.Server) -> str:
        service_pb2_grpc.add_GRPCInferenceServiceServicer_to_server(servicer, server)
        return "inference.GRPCInferenceService"

    async with serving(mount) as address, grpc.aio.insecure_channel(address) as channel:
        yield servicer, BatchWhisper(channel, beam=5, at_once=2, timeout_s=5)


async def test_the_batch_instance_hears_with_its_beam(triton: tuple[Triton, BatchWhisper]) -> None:
    servicer, whisper = triton
    heard = await whisper.recognize(Request(np.zeros(16_000, np.float32), "vi"))
    (request,) = servicer.asked
    assert request.model_name == "whisper-batch"
    inputs = dict(zip((one.name for one in request.inputs), request.raw_input_contents, strict=True))
    assert inputs["BEAM_SIZE"] == (5).to_bytes(4, "little")
    assert (heard.text, heard.language, [word.text for word in heard.words]) == ("xin chào", "vi", ["xin", "chào"])


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (grpc.StatusCode.UNAVAILABLE, DependencyUnavailable),
        (grpc.StatusCode.INTERNAL, ModelFailed),
        (grpc.StatusCode.INVALID_ARGUMENT, InvalidInput),
    ],
)
async def test_a_model_that_fails(
    triton: tuple[Triton, BatchWhisper], code: grpc.StatusCode, expected: type[Exception]
) -> None:
    servicer, whisper = triton
    servicer.refuse = code
    with pytest.raises(expected):
        await whisper.recognize(Request(np.zeros(16, np.float32)))
