"""From `transcript.finalized` over `embedding.created` to a hit, through a real NATS."""

import asyncio
import contextlib
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from ai2text.events.v1 import embedding_events_pb2, recording_events_pb2, transcript_events_pb2
from nats.aio.msg import Msg
from nats.js.errors import NotFoundError
from opentelemetry import propagate, trace

from servers.common import dead_letters, events
from servers.common.events import Bus, Consumer
from servers.embeddings.embedding import Kind, ModelFailed, Vector
from servers.embeddings.finals import Finals, created_id
from servers.search.arrivals import Arrivals
from servers.search.consumers import jobs
from servers.search.deletions import Deletions
from servers.search.documents import Embedding, Scope
from servers.search.intake import Intake
from servers.search.query import parsed
from servers.search.shelves import Shelves
from tests.rpc import search_server
from tests.rpc.embeddings_server import MODEL, LetterCounter, embedder, letters

TRACE = "0af7651916cd43dd8448eb211c80319c"
SEGMENT = "6f1e2a34-5b6c-4d7e-8f90-a1b2c3d4e5f6"


@asynccontextmanager
async def job(run: Callable[[], Awaitable[None]]) -> AsyncIterator[None]:
    """The job of a server, until the end of the block."""
    task = asyncio.ensure_future(run())
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


def embeddings(bus: Bus, model: LetterCounter) -> Consumer[transcript_events_pb2.TranscriptFinalized]:
    """The consumer of the embeddings server, with a fake model."""
    finals = Finals(embedder(model), partial(events.publish, bus))
    event, subject = transcript_events_pb2.TranscriptFinalized, events.TRANSCRIPT_FINALIZED
    return Consumer(bus, "TRANSCRIPTS", subject, "embeddings", event, finals.handle, first_delay_s=0.05)


def search(bus: Bus, intake: Intake, durable: str = "search-1") -> Consumer[embedding_events_pb2.EmbeddingCreated]:
    """The consumer of the search server."""
    event, subject = embedding_events_pb2.EmbeddingCreated, events.EMBEDDING_CREATED
    return Consumer(bus, "EMBEDDINGS", subject, durable, event, Arrivals(intake).handle, first_delay_s=0.05)


def deletions(
    bus: Bus, kept: Shelves, durable: str = "search-deletions-1"
) -> Consumer[recording_events_pb2.RecordingDeleted]:
    """The other consumer of the search server."""
    event, subject = recording_events_pb2.RecordingDeleted, events.RECORDING_DELETED
    return Consumer(bus, "RECORDINGS", subject, durable, event, Deletions(kept).handle, first_delay_s=0.05)


def recording_deleted(recording_id: str = "r1", tenant: str = "acme") -> bytes:
    return recording_events_pb2.RecordingDeleted(tenant=tenant, recording_id=recording_id).SerializeToString()


def finalized(text: str = "xin chào", segment_id: str = SEGMENT, tenant: str = "acme") -> bytes:
    segment = transcript_events_pb2.SegmentContent(
        recording_id=str(uuid.uuid4()), transcript_id=str(uuid.uuid4()), segment_id=segment_id, end_ms=900, text=text
    )
    return transcript_events_pb2.TranscriptFinalized(tenant=tenant, segment=segment).SerializeToString()


def created(text: str = "xin chào", segment_id: str = SEGMENT, **fields: Any) -> bytes:
    segment = transcript_events_pb2.SegmentContent(recording_id="r1", segment_id=segment_id, end_ms=900, text=text)
    given = {"tenant": "acme", "model": MODEL, "vector": letters(text).tolist()} | fields
    return embedding_events_pb2.EmbeddingCreated(segment=segment, **given).SerializeToString()


async def tell(bus: Bus, subject: str, payload: bytes, traceparent: str | None = None) -> None:
    """Store an event under an id of its own, so that JetStream takes the same payload twice."""
    headers = {"traceparent": traceparent} if traceparent else None
    await events.publish(bus, subject, str(uuid.uuid4()), payload, headers)


async def messages(bus: Bus, subject: str, count: int) -> list[Msg]:
    """The first `count` messages of a subject, and proof that within a moment there come no more."""
    jetstream = await bus.jetstream()
    subscription = await jetstream.subscribe(subject, ordered_consumer=True)
    got = [await subscription.next_msg(timeout=10) for _ in range(count)]
    with pytest.raises(TimeoutError):
        got.append(await subscription.next_msg(timeout=0.3))
    await subscription.unsubscribe()
    return got


async def eventually(condition: Callable[[], Awaitable[Any]]) -> Any:
    """What `condition` answers as soon as that is true."""
    async with asyncio.timeout(30):
        while not (answer := await condition()):
            await asyncio.sleep(0.02)
    return answer


async def idle(bus: Bus, stream: str, durable: str, handled: int) -> None:
    """Wait until the consumer has handled `handled` messages and nothing is left."""
    jetstream = await bus.jetstream()

    async def done() -> bool:
        try:
            info = await jetstream.consumer_info(stream, durable)
        except NotFoundError:
            return False
        return info.ack_floor is not None and info.ack_floor.stream_seq >= handled and not info.num_pending

    await eventually(done)


async def found(kept: Shelves, query: str, tenant: str = "acme") -> list[int]:
    """What is found without waiting for the keeper."""
    await asyncio.to_thread(kept._terms.follow, tenant)
    return list((await kept.matching(Scope(tenant), parsed(query), 10)).ids)


async def test_a_final_delivered_twice_is_embedded_and_found_once(bus: Bus, tmp_path: Path) -> None:
    model = LetterCounter()
    async with (
        search_server.shelves(tmp_path) as kept,
        search_server.intake(kept) as intake,
        job(embeddings(bus, model).run),
        job(search(bus, intake).run),
    ):
        await tell(bus, events.TRANSCRIPT_FINALIZED, finalized())
        await tell(bus, events.TRANSCRIPT_FINALIZED, finalized())
        await eventually(lambda: found(kept, "xin chao"))
        await idle(bus, "TRANSCRIPTS", "embeddings", 2)
        (message,) = await messages(bus, events.EMBEDDING_CREATED, 1)
        assert len(await found(kept, "xin chao")) == 1
    event = embedding_events_pb2.EmbeddingCreated.FromString(message.data)
    assert event.event_id == created_id("", SEGMENT, MODEL, "xin chào")
    assert (message.headers or {})["Nats-Msg-Id"] == event.event_id
    assert (event.tenant, event.model, event.segment.text, event.segment.end_ms) == ("acme", MODEL, "xin chào", 900)
    assert list(event.vector) == pytest.approx(letters("xin chào").tolist())


async def test_an_embedding_delivered_twice_is_indexed_once(bus: Bus, tmp_path: Path) -> None:
    async with (
        search_server.shelves(tmp_path) as kept,
        search_server.intake(kept) as intake,
        job(search(bus, intake).run),
    ):
        for _ in range(3):
            await tell(bus, events.EMBEDDING_CREATED, created())
        await idle(bus, "EMBEDDINGS", "search-1", 3)
        assert len(await found(kept, "xin chao")) == 1
        assert kept._store.last_seq() == 1


async def test_the_trace_goes_on(bus: Bus) -> None:
    traceparent = f"00-{TRACE}-00f067aa0ba902b7-01"
    async with job(embeddings(bus, LetterCounter()).run):
        await tell(bus, events.TRANSCRIPT_FINALIZED, finalized(), traceparent)
        (message,) = await messages(bus, events.EMBEDDING_CREATED, 1)
    span = trace.get_current_span(propagate.extract(message.headers or {})).get_span_context()
    assert f"{span.trace_id:032x}" == TRACE


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b"\xff\xff\xff", "DecodeError"),
        (finalized(text=" "), "text is empty"),
        (finalized(text="x" * 8193), "more than 8192 characters"),
        (finalized(segment_id="7"), "segment_id is no UUID"),
        (finalized(tenant=""), "tenant is empty"),
    ],
)
async def test_a_final_that_can_never_be_embedded_is_buried(bus: Bus, payload: bytes, reason: str) -> None:
    async with job(embeddings(bus, LetterCounter()).run):
        await tell(bus, events.TRANSCRIPT_FINALIZED, payload)
        await tell(bus, events.TRANSCRIPT_FINALIZED, finalized())
        (dead,) = await messages(bus, f"{events.DEAD_LETTERS}.>", 1)
        await messages(bus, events.EMBEDDING_CREATED, 1)
    assert dead.data == payload
    assert dead.subject == f"{events.DEAD_LETTERS}.{events.TRANSCRIPT_FINALIZED}"
    assert reason in (dead.headers or {})["Ai2text-Reason"]
    assert (dead.headers or {})["Ai2text-Consumer"] == "embeddings"


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b"not an event", "DecodeError"),
        (created(vector=[]), "vector must have 1 to 4096 dimensions"),
        (created(vector=[2.0]), "vector must have length 1"),
        (created(tenant=""), "tenant is empty"),
    ],
)
async def test_an_embedding_that_can_never_be_indexed_is_buried(
    bus: Bus, tmp_path: Path, payload: bytes, reason: str
) -> None:
    async with (
        search_server.shelves(tmp_path) as kept,
        search_server.intake(kept) as intake,
        job(search(bus, intake).run),
    ):
        await tell(bus, events.EMBEDDING_CREATED, payload)
        await tell(bus, events.EMBEDDING_CREATED, created())
        (dead,) = await messages(bus, f"{events.DEAD_LETTERS}.>", 1)
        await eventually(lambda: found(kept, "xin chao"))
    assert dead.data == payload
    assert reason in (dead.headers or {})["Ai2text-Reason"]


async def test_while_the_model_is_away_finals_wait_and_none_is_buried(bus: Bus) -> None:
    model = LetterCounter(away=True)
    consumer = embeddings(bus, model)
    object.__setattr__(consumer, "max_tries", 1)
    async with job(consumer.run):
        await tell(bus, events.TRANSCRIPT_FINALIZED, finalized())
        await asyncio.sleep(0.6)
        assert model.asked == []
        model.away = False
        await messages(bus, events.EMBEDDING_CREATED, 1)
        await messages(bus, f"{events.DEAD_LETTERS}.>", 0)


class Stumbling(LetterCounter):
    """A model that fails at one text."""

    async def encode(self, text: str, kind: Kind) -> Vector:
        if text == "hỏng":
            raise ModelFailed
        return await super().encode(text, kind)


async def test_a_final_at_which_the_model_fails_is_buried_after_its_tries(bus: Bus) -> None:
    consumer = embeddings(bus, Stumbling())
    object.__setattr__(consumer, "max_tries", 2)
    async with job(consumer.run):
        await tell(bus, events.TRANSCRIPT_FINALIZED, finalized("hỏng"))
        await tell(bus, events.TRANSCRIPT_FINALIZED, finalized())
        await messages(bus, events.EMBEDDING_CREATED, 1)
        (letter,) = await messages(bus, f"{events.DEAD_LETTERS}.>", 1)
    assert letter.headers is not None
    assert (letter.headers[dead_letters.TRIES], "NotEmbedded" in letter.headers[dead_letters.REASON]) == ("2", True)


async def test_a_lost_database_is_filled_again_from_the_stream(bus: Bus, tmp_path: Path) -> None:
    for folder in ("first", "second"):
        async with (
            search_server.shelves(tmp_path / folder) as kept,
            search_server.intake(kept) as intake,
            job(search(bus, intake, f"search-{kept._store.index_id}").run),
        ):
            if folder == "first":
                for n in range(50):
                    await tell(bus, events.EMBEDDING_CREATED, created(f"câu {n}", segment_id=str(n)))
            await idle(bus, "EMBEDDINGS", f"search-{kept._store.index_id}", 50)
            assert len(await found(kept, "câu")) == 10
            assert kept._store.last_seq() == 50


async def test_what_is_deleted_is_found_no_more_and_comes_back_by_no_late_embedding(bus: Bus, tmp_path: Path) -> None:
    async with (
        search_server.shelves(tmp_path) as kept,
        search_server.intake(kept) as intake,
        job(search(bus, intake).run),
        job(deletions(bus, kept).run),
    ):
        await tell(bus, events.EMBEDDING_CREATED, created())
        await eventually(lambda: found(kept, "xin chao"))
        await tell(bus, events.RECORDING_DELETED, recording_deleted("R1"))
        await tell(bus, events.RECORDING_DELETED, recording_deleted())
        await idle(bus, "RECORDINGS", "search-deletions-1", 2)
        assert await found(kept, "xin chao") == []
        await tell(bus, events.EMBEDDING_CREATED, created())
        await tell(bus, events.EMBEDDING_CREATED, created(tenant="rival"))
        await idle(bus, "EMBEDDINGS", "search-1", 3)
        assert await found(kept, "xin chao") == []
        assert (await kept.nearest(Scope("acme"), Embedding(MODEL, letters("xin chào")), 10)).ids == []
        assert len((await kept.nearest(Scope("rival"), Embedding(MODEL, letters("xin chào")), 10)).ids) == 1


async def test_an_index_that_is_built_anew_has_nothing_that_was_deleted(bus: Bus, tmp_path: Path) -> None:
    for n in range(450):
        await tell(bus, events.EMBEDDING_CREATED, created(f"câu {n}", segment_id=str(n)))
    await tell(bus, events.EMBEDDING_CREATED, created("khác", segment_id="other", tenant="rival"))
    await tell(bus, events.RECORDING_DELETED, recording_deleted())
    for folder in ("first", "second"):
        async with search_server.shelves(tmp_path / folder) as kept, search_server.intake(kept) as intake:
            name = kept._store.index_id
            async with (
                job(search(bus, intake, f"search-{name}").run),
                job(deletions(bus, kept, f"search-deletions-{name}").run),
            ):
                await idle(bus, "RECORDINGS", f"search-deletions-{name}", 1)
                await idle(bus, "EMBEDDINGS", f"search-{name}", 451)
            assert await found(kept, "câu") == []
            assert (await kept.nearest(Scope("acme"), Embedding(MODEL, letters("câu")), 10)).ids == []
            assert len(await found(kept, "khác", "rival")) == 1


async def test_an_index_that_is_built_anew_never_shows_what_was_deleted(bus: Bus, tmp_path: Path) -> None:
    for n in range(3):
        await tell(bus, events.EMBEDDING_CREATED, created(f"câu {n}", segment_id=str(n)))
    await tell(bus, events.EMBEDDING_CREATED, created("câu khác", segment_id="other", tenant="rival"))
    await tell(bus, events.RECORDING_DELETED, recording_deleted())
    async with search_server.shelves(tmp_path) as kept, search_server.intake(kept) as intake:
        every, handled = jobs(bus, "1", kept, intake), asyncio.Event()
        delete = kept.delete

        async def slowly(tenant: str, recording_id: str) -> None:
            await asyncio.wait_for(handled.wait(), 10)
            await delete(tenant, recording_id)

        kept.delete = slowly  # type: ignore[method-assign]
        async with job(every["in"]), job(every["out"]):
            await eventually(partial(delivered, bus, "RECORDINGS", "search-deletions-1"))
            await messages(bus, f"{events.DEAD_LETTERS}.>", 0)
            assert kept._store.last_seq() == 0
            handled.set()
            await idle(bus, "EMBEDDINGS", "search-1", 4)
        assert kept._store.last_seq() == 1


async def delivered(bus: Bus, stream: str, durable: str) -> bool:
    """Whether the consumer has begun with something."""
    try:
        return bool((await (await bus.jetstream()).consumer_info(stream, durable)).num_ack_pending)
    except NotFoundError:
        return False


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b"\xff\xff\xff", "DecodeError"),
        (recording_deleted(""), "recording_id is empty"),
        (recording_deleted(tenant=""), "tenant is empty"),
    ],
)
async def test_a_deletion_of_nothing_is_buried(bus: Bus, tmp_path: Path, payload: bytes, reason: str) -> None:
    async with search_server.shelves(tmp_path) as kept, job(deletions(bus, kept).run):
        await tell(bus, events.RECORDING_DELETED, payload)
        await tell(bus, events.RECORDING_DELETED, recording_deleted())
        (dead,) = await messages(bus, f"{events.DEAD_LETTERS}.>", 1)
    assert dead.data == payload
    assert reason in (dead.headers or {})["Ai2text-Reason"]
    assert (dead.headers or {})["Ai2text-Consumer"] == "search-deletions-1"
