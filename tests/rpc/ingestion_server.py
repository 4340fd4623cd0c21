"""The ingestion server in this process, over an object store in memory and the real metadata server beside it."""

import hashlib
import uuid
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import google_crc32c
import grpc
from ai2text.ingestion.v1 import ingestion_service_pb2
from ai2text.ingestion.v1.ingestion_service_pb2_grpc import IngestionServiceStub
from ai2text.metadata.v1.recording_service_pb2_grpc import RecordingServiceStub

from servers.common import lifecycle
from servers.common.retries import Retries
from servers.ingestion import service
from servers.ingestion.claims import Claims
from servers.ingestion.deposits import Deposits
from servers.ingestion.downloads import Downloads
from servers.ingestion.inputs import Store
from servers.ingestion.locks import Locks
from servers.ingestion.parts import PartedUploads
from servers.ingestion.places import Places
from servers.ingestion.probing import AvProber
from servers.ingestion.registry import MetadataRegistry
from servers.ingestion.streaming import StreamedUploads
from servers.ingestion.sweeping import Sweep
from tests.fakes.metadata_store import MemoryStore
from tests.rpc import metadata_server
from tests.rpc.metadata_server import headers

LIMIT_BYTES = 20 << 20
IDLE_S = 2.0
PLACES = 4
AGE_S = 3600.0
DOWNLOAD_EXPIRY_S = 900

UploadFile = ingestion_service_pb2.UploadFile


@dataclass
class Served:
    """A running server, its stubs, and what stands behind it."""

    uploads: IngestionServiceStub
    recordings: RecordingServiceStub
    metadata: MemoryStore
    deposits: Deposits
    claims: Claims
    sweep: Sweep
    registry: MetadataRegistry
    room: list[int] = field(default_factory=lambda: [1 << 40])
    """The free bytes of the disk."""

    async def upload(
        self, content: bytes, file: UploadFile | None = None, tenant: str = "acme", piece_bytes: int = 1 << 19
    ) -> ingestion_service_pb2.UploadRecordingResponse:
        """As a stream."""
        return await self.uploads.UploadRecording(
            stream(file or announced(content), *pieces(content, piece_bytes)), metadata=headers(tenant)
        )


def request_id() -> str:
    """A new one."""
    return str(uuid.uuid4())


def announced(content: bytes, **given: Any) -> UploadFile:
    """What a careful client says of a file."""
    said: dict[str, Any] = {
        "request_id": request_id(),
        "title": "Cuộc họp",
        "size_bytes": len(content),
        "sha256": hashlib.sha256(content).digest(),
        "crc32c": google_crc32c.value(content),
    }
    return UploadFile(**said | given)


def pieces(content: bytes, piece_bytes: int = 1 << 19) -> list[bytes]:
    """The content in order."""
    return [content[start : start + piece_bytes] for start in range(0, len(content), piece_bytes)]


async def stream(
    *messages: UploadFile | bytes | ingestion_service_pb2.UploadRecordingRequest,
) -> AsyncIterator[ingestion_service_pb2.UploadRecordingRequest]:
    """The messages of an upload."""
    for message in messages:
        if isinstance(message, UploadFile):
            yield ingestion_service_pb2.UploadRecordingRequest(file=message)
        elif isinstance(message, bytes):
            yield ingestion_service_pb2.UploadRecordingRequest(chunk=message)
        else:
            yield message


@asynccontextmanager
async def served(store: Store, folder: Path, places: int = PLACES) -> AsyncIterator[Served]:
    """A server on a free port until the end of the block."""
    async with metadata_server.served() as metadata:
        room = [1 << 40]
        registry = MetadataRegistry(metadata.channel, Retries("metadata", tries=2, first_s=0.01))
        locks = Locks()
        free: Callable[[Path], int] = lambda _: room[0]  # noqa: E731 - the test changes it
        taken = Places(folder, places, 1 << 20, free)
        claims = Claims(store)
        deposits = Deposits(store, registry, AvProber(60.0), locks, claims)
        mount = service.mount(
            StreamedUploads(deposits, taken, folder, LIMIT_BYTES, IDLE_S),
            PartedUploads(store, store.addresses, deposits, taken, locks, folder, LIMIT_BYTES),
            Downloads(store, store.addresses, registry, DOWNLOAD_EXPIRY_S),
            LIMIT_BYTES,
        )
        server, _, _ = lifecycle.build([mount])
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        try:
            async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
                sweep = Sweep(store, registry, deposits, claims, AGE_S, 3600.0)
                stub = IngestionServiceStub(channel)
                yield Served(stub, metadata.recordings, metadata.store, deposits, claims, sweep, registry, room)
        finally:
            await server.stop(None)


def numbers(parts: Iterable[ingestion_service_pb2.UploadPart]) -> list[int]:
    """Which they are."""
    return [part.part_number for part in parts]
