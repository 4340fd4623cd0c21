"""What the drill stands on: the running mesh, as a tenant of its own, from the outside and from the inside."""

import contextlib
import os
import subprocess
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

import grpc
from ai2text.admin.v1 import dead_letter_service_pb2
from ai2text.admin.v1.dead_letter_service_pb2_grpc import DeadLetterServiceStub
from ai2text.search.v1 import search_service_pb2
from ai2text.search.v1.search_service_pb2_grpc import SearchServiceStub

from mesh import objects
from mesh.home import Home
from mesh.keys import Keys
from mesh.launch import environment
from mesh.parts import named
from mesh.ports import Ports
from mesh.supervision import Supervisor
from servers.common import events, streams
from servers.common.objects import ObjectStore, StoreAddress, connected

Metadata = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Ground:
    """One run."""

    home: Home
    ports: Ports
    bus: events.Bus
    store: ObjectStore
    edge: grpc.aio.Channel
    tenant: str
    trace_id: str
    """All that the drill puts in belongs to this trace, so that it is known again even where it has no tenant."""

    @property
    def headers(self) -> Metadata:
        """Of every call through the edge."""
        token = Keys(self.home.keys).mint("drill", self.tenant)
        return (("authorization", f"Bearer {token}"), ("traceparent", self.traceparent))

    @property
    def traceparent(self) -> str:
        """The trace as a header."""
        return f"00-{self.trace_id}-{os.urandom(8).hex()}-01"

    async def publish(self, subject: str, payload: bytes) -> None:
        """Store an event, or what is none, as one of our producers might."""
        await events.publish(self.bus, subject, str(uuid.uuid4()), payload, {"traceparent": self.traceparent})

    async def letters(self) -> list[dead_letter_service_pb2.DeadLetter]:
        """The dead letters of this run, through the edge."""
        stub, found, token = DeadLetterServiceStub(self.edge), [], ""
        while True:
            request = dead_letter_service_pb2.ListDeadLettersRequest(page_size=1000, page_token=token)
            page = await stub.ListDeadLetters(request, metadata=self.headers, timeout=15)
            found += [one for one in page.dead_letters if self.trace_id == one.trace_id or self.tenant == one.tenant]
            if not (token := page.next_page_token):
                return found

    async def replay(self, *ids: str) -> int:
        """Send letters back, through the edge."""
        if not ids:  # would be all there are
            return 0
        selection = dead_letter_service_pb2.DeadLetterSelection(dead_letter_ids=ids)
        request = dead_letter_service_pb2.ReplayDeadLettersRequest(selection=selection)
        stub = DeadLetterServiceStub(self.edge)
        return (await stub.ReplayDeadLetters(request, metadata=self.headers, timeout=15)).replayed_count

    async def taken(self, letter: dead_letter_service_pb2.DeadLetter) -> bool:
        """Whether the consumer has done with what was replayed of a letter, and all before it."""
        topic = streams.topic(letter.subject)
        if topic is None:
            return False
        jetstream = await self.bus.jetstream()
        replayed = await jetstream.get_last_msg(topic.stream, streams.replay_subject(letter.consumer, letter.subject))
        floor = (await jetstream.consumer_info(topic.stream, letter.consumer)).ack_floor
        return replayed.seq is not None and floor is not None and floor.stream_seq >= replayed.seq

    async def discard(self, *ids: str) -> int:
        """Remove letters for good, through the edge."""
        if not ids:  # would be all there are
            return 0
        selection = dead_letter_service_pb2.DeadLetterSelection(dead_letter_ids=ids)
        request = dead_letter_service_pb2.DiscardDeadLettersRequest(selection=selection)
        stub = DeadLetterServiceStub(self.edge)
        return (await stub.DiscardDeadLetters(request, metadata=self.headers, timeout=15)).discarded_count

    async def found(self, query: str, recording_id: str) -> int:
        """How many segments of the recording a search ranks by meaning."""
        request = search_service_pb2.SearchRequest(query=query, limit=100, recording_ids=[recording_id])
        answer = await SearchServiceStub(self.edge).Search(request, metadata=self.headers, timeout=15)
        return sum(hit.semantic_rank > 0 for hit in answer.hits)

    @contextlib.contextmanager
    def bad_release(self, part: str, **settings: str) -> Iterator[None]:
        """Until the end of the block the part runs with other settings, as after a release that went wrong.

        It is the part's own program on the part's own ports; the part is stopped meanwhile.
        """
        supervisor = Supervisor(self.home, self.ports)
        released = named(part, self.ports, self.home)
        supervisor.stop(part)
        try:
            with (self.home.logs / f"{part}-drill.log").open("wb") as log:
                process = subprocess.Popen(
                    released.command, env=environment(released) | settings, stdout=log, stderr=subprocess.STDOUT
                )
                try:
                    yield
                finally:
                    process.terminate()
                    process.wait(30)
        finally:
            supervisor.start(part)


@asynccontextmanager
async def standing() -> AsyncIterator[Ground]:
    """The mesh of this home, until the end of the block."""
    home = Home.from_env()
    ports = Ports.of(home)
    keys = objects.credentials(home.keys)
    address = StoreAddress(f"http://{ports.address('objects')}", objects.BUCKET, keys.access_key, keys.secret_key)
    async with AsyncExitStack() as stack:
        yield Ground(
            home,
            ports,
            await stack.enter_async_context(events.connected(f"nats://{ports.address('nats')}")),
            await stack.enter_async_context(connected(address)),
            await stack.enter_async_context(grpc.aio.insecure_channel(ports.address("edge"))),
            tenant=f"drill-{uuid.uuid4().hex[:12]}",
            trace_id=os.urandom(16).hex(),
        )
