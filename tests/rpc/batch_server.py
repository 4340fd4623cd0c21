"""The calls of the batch server in this process behind a real port, with operations in memory."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import grpc
from ai2text.asr.v1.speech_service_pb2_grpc import SpeechServiceStub
from google.longrunning.operations_pb2_grpc import OperationsStub

from servers.asr.batch import announcement, service
from servers.asr.batch.operations import Operations
from servers.common.errors import DependencyUnavailable, RecordingNotFound, RecordingWithoutFile
from tests.fakes.operation_store import MemoryOperations
from tests.rpc.embeddings_server import serving

LANGUAGES = frozenset({"vi", "en"})


@dataclass
class Shelf:
    """What recordings there are, by tenant: with a file, or without."""

    files: dict[tuple[str, str], bool] = field(default_factory=dict)
    away: bool = False
    asked: list[tuple[str, str, str]] = field(default_factory=list)

    async def check(self, tenant: str, subject: str, recording_id: str) -> None:
        self.asked.append((tenant, subject, recording_id))
        if self.away:
            raise DependencyUnavailable("metadata")
        if (tenant, recording_id) not in self.files:
            raise RecordingNotFound("there is no such recording", recording_id=recording_id)
        if not self.files[tenant, recording_id]:
            raise RecordingWithoutFile("the recording has no file", recording_id=recording_id)


@dataclass(frozen=True)
class BatchServer:
    """A running server, and what is behind it."""

    store: MemoryOperations
    shelf: Shelf
    speech: SpeechServiceStub
    operations: OperationsStub


@asynccontextmanager
async def running() -> AsyncIterator[BatchServer]:
    """A fresh server until the end of the block."""
    store, shelf = MemoryOperations(), Shelf()
    operations = Operations(store, announcement.requested, shelf.check, LANGUAGES)
    async with (
        serving(service.speech(operations), service.long_running(operations)) as address,
        grpc.aio.insecure_channel(address) as channel,
    ):
        yield BatchServer(store, shelf, SpeechServiceStub(channel), OperationsStub(channel))
