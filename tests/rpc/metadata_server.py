"""The metadata server in this process, over the stores in memory, called through a real port."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import grpc
from ai2text.metadata.v1.recording_service_pb2_grpc import RecordingServiceStub
from ai2text.metadata.v1.transcript_service_pb2_grpc import TranscriptServiceStub
from grpc_health.v1 import health_pb2

from servers.common import lifecycle
from servers.common.identity import Caller
from servers.metadata import announcement, service
from servers.metadata.exports import Exports
from servers.metadata.library import Library
from servers.metadata.transcripts import Transcripts
from tests.fakes.metadata_store import MemoryStore

BOTH = frozenset({"recordings.read", "recordings.write"})

Metadata = tuple[tuple[str, str], ...]


def headers(tenant: str = "acme", scopes: frozenset[str] = BOTH) -> Metadata:
    """What the edge forwards of a caller."""
    return Caller(tenant, "someone", scopes).metadata()


@dataclass
class Served:
    """A running server, its stubs, and what stands behind it."""

    recordings: RecordingServiceStub
    transcripts: TranscriptServiceStub
    store: MemoryStore
    channel: grpc.aio.Channel
    address: str
    woken: list[int] = field(default_factory=list)
    """One entry for each time the relay was told that events wait."""


@asynccontextmanager
async def served(store: MemoryStore | None = None) -> AsyncIterator[Served]:
    """A server on a free port until the end of the block."""
    store = store or MemoryStore()
    woken: list[int] = []
    library = Library(store, announcement, lambda: woken.append(1))
    transcripts = Transcripts(library, store, announcement, lambda: woken.append(1))
    mounts = [service.recordings(library), service.transcripts(transcripts, Exports(library, store))]
    server, checks, names = lifecycle.build(mounts)
    for name in names:
        await checks.set(name, health_pb2.HealthCheckResponse.SERVING)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            yield Served(
                RecordingServiceStub(channel),
                TranscriptServiceStub(channel),
                store,
                channel,
                f"127.0.0.1:{port}",
                woken,
            )
    finally:
        await server.stop(None)
