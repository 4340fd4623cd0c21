"""Files through the mesh's batch path, and through faster-whisper's own batched pipeline."""

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import grpc
from ai2text.asr.v1 import batch_pb2
from ai2text.ingestion.v1 import ingestion_service_pb2
from ai2text.ingestion.v1.ingestion_service_pb2_grpc import IngestionServiceStub
from ai2text.metadata.v1 import transcript_service_pb2
from ai2text.metadata.v1.transcript_service_pb2_grpc import TranscriptServiceStub
from faster_whisper import BatchedInferencePipeline, WhisperModel
from google.longrunning import operations_pb2
from google.longrunning.operations_pb2_grpc import OperationsStub
from google.protobuf import duration_pb2

UPLOADS_AT_ONCE = 4
CHUNK_BYTES = 1 << 19
WAIT_S = 30

THREADS = 2
"""Of the peer's decoder, as `whisper-batch` has."""
TOGETHER = 8
"""Chunks that the peer decodes at once, as `whisper-batch` does."""


@dataclass(frozen=True)
class Sound:
    """A file to be transcribed."""

    path: Path
    language: str
    seconds: float
    transcript: str


@dataclass(frozen=True)
class Written:
    """The texts of some files, in their order, and how long they took together."""

    texts: list[str]
    raw_texts: list[str]
    """As the model wrote them."""
    took_s: float


class NotTranscribed(Exception):
    """The mesh has not done it."""


async def ours(sounds: Sequence[Sound], target: str, token: str, told: Callable[[], None]) -> Written:
    """From the first byte of the first upload until the last transcript is whole. Raises NotTranscribed."""
    headers = (("authorization", f"Bearer {token}"),)
    slots = asyncio.Semaphore(UPLOADS_AT_ONCE)
    async with grpc.aio.insecure_channel(target) as channel:

        async def transcribed(sound: Sound) -> str:
            async with slots:
                uploaded = await IngestionServiceStub(channel).UploadRecording(
                    _messages(sound), metadata=headers, timeout=120
                )
            transcript_id = await _done(channel, headers, uploaded.operation)
            told()
            return transcript_id

        began = time.perf_counter()
        transcripts = await asyncio.gather(*map(transcribed, sounds))
        took_s = time.perf_counter() - began
        pairs = [await _texts(channel, headers, transcript_id) for transcript_id in transcripts]
    return Written([text for text, _ in pairs], [raw for _, raw in pairs], took_s)


def peer(sounds: Sequence[Sound], weights: Path, beam: int, told: Callable[[], None]) -> Written:
    """As faster-whisper's documentation has it, with the words' times, which the mesh has too."""
    model = WhisperModel(str(weights), device="cpu", compute_type="int8", cpu_threads=THREADS)
    pipeline = BatchedInferencePipeline(model)
    texts = []
    began = time.perf_counter()
    for sound in sounds:
        segments, _ = pipeline.transcribe(
            str(sound.path), language=sound.language, beam_size=beam, batch_size=TOGETHER, word_timestamps=True
        )
        texts.append(" ".join(segment.text.strip() for segment in segments))
        told()
    return Written(texts, texts, time.perf_counter() - began)


async def _messages(sound: Sound) -> AsyncIterator[ingestion_service_pb2.UploadRecordingRequest]:
    file = ingestion_service_pb2.UploadFile(
        request_id=str(uuid.uuid4()), title=sound.path.stem, language_code=sound.language, labels={"bench": "batch"}
    )
    yield ingestion_service_pb2.UploadRecordingRequest(file=file)
    content = await asyncio.to_thread(sound.path.read_bytes)
    for begin in range(0, len(content), CHUNK_BYTES):
        yield ingestion_service_pb2.UploadRecordingRequest(chunk=content[begin : begin + CHUNK_BYTES])


async def _done(channel: grpc.aio.Channel, headers: tuple[tuple[str, str], ...], name: str) -> str:
    """Wait; the transcript."""
    request = operations_pb2.WaitOperationRequest(name=name, timeout=duration_pb2.Duration(seconds=WAIT_S))
    while True:
        try:
            operation = await OperationsStub(channel).WaitOperation(request, metadata=headers, timeout=2 * WAIT_S)
        except grpc.aio.AioRpcError as error:
            if error.code() is not grpc.StatusCode.NOT_FOUND:  # the event of the upload has not arrived yet
                raise
            await asyncio.sleep(0.05)
            continue
        if operation.WhichOneof("result") == "error":
            raise NotTranscribed(operation.error.message)
        if operation.done:
            response = batch_pb2.BatchRecognizeResponse()
            operation.response.Unpack(response)
            return response.files[0].transcript_id


async def _texts(
    channel: grpc.aio.Channel, headers: tuple[tuple[str, str], ...], transcript_id: str
) -> tuple[str, str]:
    """What is read, and what the model wrote."""
    texts, raw_texts, token = [], [], ""
    while True:
        request = transcript_service_pb2.ListSegmentsRequest(transcript_id=transcript_id, page_token=token)
        page = await TranscriptServiceStub(channel).ListSegments(request, metadata=headers, timeout=20)
        texts += [segment.text for segment in page.segments]
        raw_texts += [segment.raw_text or segment.text for segment in page.segments]
        token = page.next_page_token
        if not token:
            return " ".join(texts), " ".join(raw_texts)
