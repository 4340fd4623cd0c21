"""The admin server in this process behind a real port."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import grpc
from ai2text.admin.v1.dead_letter_service_pb2_grpc import DeadLetterServiceStub

from servers.admin import service
from servers.admin.dead_letters import DeadLetters, Graveyard
from tests.rpc.embeddings_server import headers, serving

ALLOWED = headers("admin")


@asynccontextmanager
async def admin(graveyard: Graveyard) -> AsyncIterator[DeadLetterServiceStub]:
    """The stub of a running admin server."""
    async with (
        serving(service.mount(DeadLetters(graveyard))) as address,
        grpc.aio.insecure_channel(address) as channel,
    ):
        yield DeadLetterServiceStub(channel)
