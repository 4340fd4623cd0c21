"""RetellingService in this process behind a real port, over a store in memory that one can look into."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import grpc
from ai2text.metadata.v1.retelling_service_pb2 import RetellRecordingsRequest, RetellRecordingsResponse
from ai2text.metadata.v1.retelling_service_pb2_grpc import RetellingServiceStub

from servers.common.outbox import Event
from servers.metadata import announcement, repetition, retelling_service
from servers.metadata.library import Draft, Library
from servers.metadata.recordings import Source
from servers.metadata.retelling import Retelling
from servers.metadata.transcripts import Segment, Transcripts
from tests.fakes.metadata_retelling import Audience, MemoryRetelling
from tests.rpc.embeddings_server import headers, serving

ALLOWED = headers("admin")


@dataclass
class Served:
    """A running server, its stub, and what stands behind it."""

    stub: RetellingServiceStub
    store: MemoryRetelling
    audience: Audience
    library: Library
    transcripts: Transcripts
    told: list[Event]
    """What was relayed since it was last cleared."""
    relays: list[bool] = field(default_factory=lambda: [True])
    """While the last is False the outbox stands still."""

    async def recorded(self, tenant: str, *texts: str, transcripts: int = 1) -> str:
        """A recording with these texts as the segments of each of its transcripts, which are each of another channel;
        nothing of it is left in `told`."""
        made = await self.library.create(tenant, "someone", Draft("Họp", Source.LIVE))
        for channel in range(transcripts):
            transcript = await self.transcripts.create(tenant, made.recording_id, "", "m", channel)
            segments = [Segment(n, text, n, n + 1, "vi", 1.0) for n, text in enumerate(texts)]
            if segments:
                await self.transcripts.append(tenant, transcript.transcript_id, segments)
        self.told.clear()
        return made.recording_id

    async def deleted(self, tenant: str) -> str:
        """A recording that is there no more; nothing of it is left in `told`."""
        recording_id = await self.recorded(tenant, "gone")
        await self.library.delete(tenant, recording_id, "")
        self.told.clear()
        return recording_id

    async def retell(self, **given: str) -> RetellRecordingsResponse:
        """One call."""
        return await self.stub.RetellRecordings(RetellRecordingsRequest(**given), metadata=ALLOWED)

    async def retell_all(self, **given: str) -> list[RetellRecordingsResponse]:
        """Calls until all is told."""
        answers = [await self.retell(**given)]
        while answers[-1].next_page_token:
            answers.append(await self.retell(**given, page_token=answers[-1].next_page_token))
        return answers


@asynccontextmanager
async def retelling() -> AsyncIterator[Served]:
    """A server on a free port until the end of the block."""
    store, audience, told, relays = MemoryRetelling(), Audience(), list[Event](), [True]

    def relay() -> None:
        if relays[-1]:
            told.extend(kept.event for kept in store.events)
            store.events.clear()

    library = Library(store, announcement, relay)
    transcripts = Transcripts(library, store, announcement, relay)
    domain = Retelling(store, repetition, audience, relay)
    async with (
        serving(retelling_service.mount(domain)) as address,
        grpc.aio.insecure_channel(address) as channel,
    ):
        yield Served(RetellingServiceStub(channel), store, audience, library, transcripts, told, relays)
