"""Live speech alone, and again while the batch transcriber has more to do than it can."""

import asyncio
import contextlib
import threading
import uuid
from collections.abc import Iterator, Sequence

import grpc
from ai2text.ingestion.v1 import ingestion_service_pb2
from ai2text.ingestion.v1.ingestion_service_pb2_grpc import IngestionServiceStub
from google.longrunning import operations_pb2
from google.longrunning.operations_pb2_grpc import OperationsStub

from bench import measures
from bench.clips import Clip
from bench.faults import messages
from bench.ground import Ground
from bench.load import Generator
from bench.measures import Figures
from bench.voices import Voice
from mesh.keys import Keys

CHUNK_MS = 40
TENANT = "bench-beside"
BUSY_WITHIN_S = 60.0


def measure(
    ground: Ground, voices: Sequence[Voice], streams: int, seconds: float, seed: int
) -> tuple[Figures, Figures]:
    """So many speakers at the pace of speech: first alone, then beside the clips as files, over and over."""
    with Generator(ground.target, ground.token(), ground.home, CHUNK_MS, stored=False) as generator:
        generator.await_admission()
        generator.round(voices, streams, 8.0, seed)  # warms up
        alone = measures.figures(generator.round(voices, streams, seconds, seed))
        with busy(ground, ground.clips()):
            generator.await_admission()
            beside = measures.figures(generator.round(voices, streams, seconds, seed))
    return alone, beside


@contextlib.contextmanager
def busy(ground: Ground, clips: Sequence[Clip]) -> Iterator[None]:
    """The batch transcriber works within the block, and has nothing left to do after it. RuntimeError when it does not
    begin."""
    begun, over = threading.Event(), threading.Event()
    failures: list[BaseException] = []

    def run() -> None:
        try:
            asyncio.run(_kept_busy(ground, clips, begun, over))
        except BaseException as failure:  # noqa: BLE001 - it is raised below, in the thread that waits
            failures.append(failure)
        finally:
            begun.set()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        if not begun.wait(BUSY_WITHIN_S) or failures:
            raise RuntimeError("the batch transcriber has not begun") from (failures[0] if failures else None)
        yield
    finally:
        over.set()
        thread.join()
    if failures:
        raise failures[0]


async def _kept_busy(ground: Ground, clips: Sequence[Clip], begun: threading.Event, over: threading.Event) -> None:
    """Uploads all clips, waits until the first are in work, and uploads them again when half of them are done."""
    token = Keys(ground.home.keys).mint("bench", TENANT)
    headers = (("authorization", f"Bearer {token}"),)
    async with grpc.aio.insecure_channel(ground.target) as channel:
        upload, operations = IngestionServiceStub(channel), OperationsStub(channel)
        waiting: list[str] = []
        while not over.is_set():
            if len(waiting) < len(clips) // 2:
                for clip in clips:
                    file = ingestion_service_pb2.UploadFile(
                        request_id=str(uuid.uuid4()), title="bench", language_code=clip.language
                    )
                    answer = await upload.UploadRecording(messages(file, clip.path), metadata=headers, timeout=60)
                    waiting.append(answer.operation)
            done = await _done(operations, headers, waiting[0])
            if done:
                waiting.pop(0)
                begun.set()
            else:
                await asyncio.sleep(0.5)
        for operation in waiting:
            cancel = operations_pb2.CancelOperationRequest(name=operation)
            await operations.CancelOperation(cancel, metadata=headers, timeout=15)


async def _done(stub: OperationsStub, headers: tuple[tuple[str, str], ...], operation: str) -> bool:
    """Whether it is; one that nobody knows yet is not."""
    try:
        request = operations_pb2.GetOperationRequest(name=operation)
        answer: operations_pb2.Operation = await stub.GetOperation(request, metadata=headers, timeout=15)
    except grpc.aio.AioRpcError as error:
        if error.code() is grpc.StatusCode.NOT_FOUND:
            return False
        raise
    return bool(answer.done)
