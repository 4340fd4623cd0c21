"""One file to the mesh: a small one as a stream, a large one in parts that can be resumed."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import aiohttp
from ai2text.ingestion.v1 import ingestion_service_pb2
from ai2text.ingestion.v1.ingestion_service_pb2_grpc import IngestionServiceStub
from ai2text.metadata.v1 import recording_pb2

from clients.cli import media_files
from clients.cli.connection import UNARY_DEADLINE_S, Connection, refused_in_words
from clients.cli.media_files import Fingerprint
from clients.cli.patience import Patience
from clients.cli.problem import Problem
from clients.cli.refusal import Code, Refusal

LARGE_BYTES = 64 * 1024 * 1024
"""A file that is larger goes in parts."""
PARTS_AT_ONCE = 3
PATIENT_FOR_S = 120.0
ROUNDS_WITHOUT_PROGRESS = 8
LONGEST_PAUSE_S = 15.0
SLOWEST_BYTES_PER_S = 64 * 1024
COMPLETE_DEADLINE_S = 3600.0
"""The server reads the whole file through, slowly where its store is slow."""
HTTP_TIMEOUT = aiohttp.ClientTimeout(total=None, sock_connect=5, sock_read=60)

T = TypeVar("T")

Progressed = Callable[[int], None]
"""Is told how many bytes of the file have been sent; fewer than before when it begins anew."""


@dataclass(frozen=True)
class Wanted:
    """What the user wants all files to be called and marked."""

    title: str = ""
    """Empty: each is called like its file."""
    language_code: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    turn: str = ""
    """Names this turn when a file shall become a recording although it was uploaded before; else empty."""


@dataclass(frozen=True)
class Stored:
    """A file that is a recording now."""

    recording: recording_pb2.Recording
    operation: str


class Uploader:
    """Uploads over one connection to the edge, and one HTTP session to the object store."""

    def __init__(self, connection: Connection, http: aiohttp.ClientSession, wanted: Wanted) -> None:
        self._connection = connection
        self._stub = IngestionServiceStub(connection.channel)
        self._http = http
        self._wanted = wanted

    async def upload(self, path: Path, progressed: Progressed) -> Stored:
        """Take the file to its end, again and again while that may help. Raises Problem."""
        fingerprint = await asyncio.to_thread(media_files.fingerprint, path)
        file = self._announced(path, fingerprint)
        if fingerprint.size_bytes > LARGE_BYTES:
            return await self._in_parts(path, file, progressed)
        return await self._as_stream(path, file, progressed)

    def _announced(self, path: Path, fingerprint: Fingerprint) -> ingestion_service_pb2.UploadFile:
        return ingestion_service_pb2.UploadFile(
            request_id=fingerprint.request_id(path.name, self._wanted.turn),
            title=self._wanted.title or media_files.title_of(path),
            language_code=self._wanted.language_code,
            labels=self._wanted.labels,
            size_bytes=fingerprint.size_bytes,
            sha256=fingerprint.sha256,
            crc32c=fingerprint.crc32c,
        )

    async def _as_stream(self, path: Path, file: ingestion_service_pb2.UploadFile, progressed: Progressed) -> Stored:
        patience = Patience(PATIENT_FOR_S, when_full=True)
        deadline_s = 60 + file.size_bytes / SLOWEST_BYTES_PER_S
        while True:
            messages = _Remembering(_messages(path, file, progressed))
            try:
                with refused_in_words(self._connection.endpoint):
                    response = await self._stub.UploadRecording(
                        messages, timeout=deadline_s, metadata=self._connection.metadata
                    )
                return Stored(response.recording, response.operation)
            except asyncio.CancelledError:
                task = asyncio.current_task()
                if messages.error is None or (task is not None and task.cancelling()):
                    raise
                raise _problem(path, messages.error) from messages.error
            except Refusal as refusal:
                await patience.wait_or_raise(refusal)

    async def _in_parts(self, path: Path, file: ingestion_service_pb2.UploadFile, progressed: Progressed) -> Stored:
        """Send what is missing until nothing is, then have it joined."""
        patience = Patience(PATIENT_FOR_S, when_full=True)
        fewest, stalled = file.size_bytes, 0
        while True:
            try:
                plan = await self._plan(file)
                missing = sum(part.size_bytes for part in plan.parts)
                progressed(file.size_bytes - missing)
                fewest, stalled = min(fewest, missing), 0 if missing < fewest else stalled
                await _Parts(self._http, path, file.size_bytes, plan.parts, progressed).send()
                return await self._completed(plan.upload_id)
            except PartRefused as refused:
                problem: Problem = refused
            except Refusal as refusal:
                # Whoever took too long has not done it by halves: all that was called may be called again.
                if refusal.details.reason != "UPLOAD_INCOMPLETE" and refusal.code is not Code.DEADLINE_EXCEEDED:
                    await patience.wait_or_raise(refusal)
                    continue
                problem = refusal
            if (stalled := stalled + 1) > ROUNDS_WITHOUT_PROGRESS:
                raise problem
            await asyncio.sleep(min(0.5 * 2**stalled, LONGEST_PAUSE_S) * random.uniform(0.5, 1.0))

    async def _plan(self, file: ingestion_service_pb2.UploadFile) -> ingestion_service_pb2.CreateUploadResponse:
        request = ingestion_service_pb2.CreateUploadRequest(file=file)
        with refused_in_words(self._connection.endpoint):
            return await self._stub.CreateUpload(request, timeout=UNARY_DEADLINE_S, metadata=self._connection.metadata)

    async def _completed(self, upload_id: str) -> Stored:
        request = ingestion_service_pb2.CompleteUploadRequest(upload_id=upload_id)
        with refused_in_words(self._connection.endpoint):
            response = await self._stub.CompleteUpload(
                request, timeout=COMPLETE_DEADLINE_S, metadata=self._connection.metadata
            )
        return Stored(response.recording, response.operation)


class _Remembering(AsyncIterator[T]):
    """Remembers what an iterator raises: gRPC swallows it and cancels the call, aiohttp takes it for a broken line."""

    def __init__(self, items: AsyncIterator[T]) -> None:
        self._items = items
        self.error: Exception | None = None

    async def __anext__(self) -> T:
        try:
            return await anext(self._items)
        except StopAsyncIteration:
            raise
        except Exception as error:
            self.error = error
            raise


def _problem(path: Path, error: Exception) -> Exception:
    """What went wrong with the file while it was sent, in words; what is no fault of the file stays what it is."""
    if isinstance(error, OSError):
        return Problem(f"{path} cannot be read any more: {error.strerror or error}.")
    return error


async def _messages(
    path: Path, file: ingestion_service_pb2.UploadFile, progressed: Progressed
) -> AsyncIterator[ingestion_service_pb2.UploadRecordingRequest]:
    sent = 0
    progressed(sent)
    yield ingestion_service_pb2.UploadRecordingRequest(file=file)
    pieces = media_files.pieces(path, size=file.size_bytes)
    while piece := await asyncio.to_thread(next, pieces, b""):
        yield ingestion_service_pb2.UploadRecordingRequest(chunk=piece)
        sent += len(piece)
        progressed(sent)


class PartRefused(Problem):
    """The object store did not take a part."""


class _Parts:
    """Some parts of one file on their way."""

    def __init__(
        self,
        http: aiohttp.ClientSession,
        path: Path,
        size_bytes: int,
        parts: Iterable[ingestion_service_pb2.UploadPart],
        progressed: Progressed,
    ) -> None:
        self._http = http
        self._path = path
        self._waiting = list(parts)
        self._left = sum(part.size_bytes for part in self._waiting)
        self._size = size_bytes
        self._progressed = progressed

    async def send(self) -> None:
        """PARTS_AT_ONCE at a time. Raises PartRefused as soon as one is refused."""
        self._waiting.reverse()
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(min(PARTS_AT_ONCE, len(self._waiting))):
                    group.create_task(self._send_some())
        except BaseExceptionGroup as failures:
            problems, others = failures.split(Problem)
            raise (problems if others is None and problems else failures).exceptions[0] from None

    async def _send_some(self) -> None:
        while self._waiting:
            part = self._waiting.pop()
            headers = {"Content-Length": str(part.size_bytes)}
            content = _Remembering(self._bytes(part))
            try:
                async with self._http.put(part.url, data=content, headers=headers) as answer:
                    if answer.status != 200:
                        raise PartRefused(f"The object store does not take {self._path}: HTTP {answer.status}.")
            except (aiohttp.ClientError, TimeoutError, OSError) as error:
                if content.error is not None:
                    raise _problem(self._path, content.error) from content.error
                raise PartRefused(f"The object store does not answer: {error or type(error).__name__}.") from error

    async def _bytes(self, part: ingestion_service_pb2.UploadPart) -> AsyncIterator[bytes]:
        pieces = media_files.pieces(self._path, part.offset_bytes, part.size_bytes)
        while piece := await asyncio.to_thread(next, pieces, b""):
            yield piece
            self._left -= len(piece)
            self._progressed(self._size - self._left)
