"""Dead letters in a real JetStream: what is buried, with what is known of it, and how it goes back to its consumer."""

import asyncio
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from ai2text.admin.v1.dead_letter_service_pb2 import (
    DeadLetterSelection,
    DiscardDeadLettersRequest,
    GetDeadLetterRequest,
    ListDeadLettersRequest,
    ReplayDeadLettersRequest,
)
from ai2text.events.v1 import transcript_events_pb2
from nats.js.api import ConsumerConfig
from nats.js.errors import APIError

from servers.admin import backlogs
from servers.admin.dead_letters import DeadLetters, Fate, Filters, Replayed
from servers.admin.graveyard import DeadLetterStream
from servers.common import events, streams
from servers.common.errors import DependencyUnavailable, FieldInvalid
from servers.common.events import Bus, Consumer
from tests.rpc.admin_server import ALLOWED, admin
from tests.stores.nats_server import NatsServer
from tests.stores.test_search_consumers import eventually, idle, job, messages

EVENT = transcript_events_pb2.TranscriptFinalized
SUBJECT = streams.TRANSCRIPT_FINALIZED
TRACE = "0af7651916cd43dd8448eb211c80319c"


class Handler:
    """Fails for as long as it has a fault; keeps what it has handled."""

    def __init__(self, fault: Exception | None = None) -> None:
        self.fault = fault
        self.tried = 0
        self.done: list[str] = []

    async def __call__(self, event: EVENT) -> None:
        self.tried += 1
        if self.fault:
            raise self.fault
        self.done.append(event.event_id)


def consumer(bus: Bus, handle: Callable[[EVENT], Awaitable[None]], durable: str = "embeddings", **more: Any) -> Any:
    """A consumer of `transcript.finalized` that loses no time."""
    settings = {"first_delay_s": 0.01, "longest_delay_s": 0.02, "max_tries": 3} | more
    return Consumer(bus, "TRANSCRIPTS", SUBJECT, durable, EVENT, handle, **settings)


async def tell(bus: Bus, event_id: str = "", tenant: str = "acme") -> str:
    """Store an event; its id."""
    event_id = event_id or str(uuid.uuid4())
    payload = EVENT(event_id=event_id, tenant=tenant).SerializeToString()
    await events.publish(bus, SUBJECT, event_id, payload, {"traceparent": f"00-{TRACE}-00f067aa0ba902b7-01"})
    return event_id


async def buried(letters: DeadLetters, count: int) -> list[Any]:
    """The letters, as soon as there are that many."""

    async def enough() -> bool:
        return len((await letters.page(Filters(), 1000, "")).letters) >= count

    await eventually(enough)
    return list((await letters.page(Filters(), 1000, "")).letters)


async def test_after_its_tries_a_message_is_buried_with_all_that_is_known_of_it(bus: Bus) -> None:
    handler = Handler(RuntimeError("ổ đĩa\nđầy"))
    letters = DeadLetters(DeadLetterStream(bus))
    async with job(consumer(bus, handler).run):
        event_id = await tell(bus)
        (letter,) = await buried(letters, 1)
    assert handler.tried == letter.tries == 3
    assert letter.reason == "gave up after 3 tries: RuntimeError: ổ đĩa đầy"
    assert (letter.subject, letter.consumer, letter.tenant) == (SUBJECT, "embeddings", "acme")
    assert (letter.event_id, letter.trace_id) == (event_id, TRACE)
    assert abs((datetime.now(UTC) - letter.buried_at).total_seconds()) < 30
    (dead,) = await messages(bus, "dlq.>", 1)
    headers = dead.headers or {}
    assert (headers["Ai2text-Stream"], headers["Ai2text-Sequence"]) == ("TRANSCRIPTS", "1")
    found, payload = await letters.get(letter.letter_id)
    assert replace(found, buried_at=letter.buried_at) == letter  # the two ways to read round it differently
    assert EVENT.FromString(payload).event_id == event_id
    assert letter.payload_bytes == len(payload)


async def test_a_replay_goes_to_the_consumer_that_gave_up_and_to_no_other(bus: Bus) -> None:
    failing, other = Handler(FieldInvalid("text", "is empty")), Handler()
    letters = DeadLetters(DeadLetterStream(bus))
    async with job(consumer(bus, failing).run), job(consumer(bus, other, "reader").run):
        event_id = await tell(bus)
        (letter,) = await buried(letters, 1)
        failing.fault = None
        assert await letters.replay([letter.letter_id], Filters()) == Replayed(1, 0)
        await idle(bus, "TRANSCRIPTS", "embeddings", 2)
        await idle(bus, "TRANSCRIPTS", "reader", 1)
    assert failing.done == other.done == [event_id]
    assert failing.tried == 2
    await messages(bus, "dlq.>", 0)
    (replayed,) = await messages(bus, f"replay.embeddings.{SUBJECT}", 1)
    assert TRACE in (replayed.headers or {})["traceparent"]
    assert not [name for name in replayed.headers or {} if name.startswith("Ai2text-")]


async def test_a_replay_that_fails_again_is_a_new_letter_of_the_same_event(bus: Bus) -> None:
    handler = Handler(FieldInvalid("text", "is empty"))
    letters = DeadLetters(DeadLetterStream(bus))
    async with job(consumer(bus, handler).run):
        event_id = await tell(bus)
        (first,) = await buried(letters, 1)
        await letters.replay([], Filters())
        await eventually(lambda: _true(handler.tried == 2))
        (second,) = await buried(letters, 1)
    assert second.letter_id != first.letter_id
    assert (second.subject, second.consumer, second.event_id) == (SUBJECT, "embeddings", event_id)
    assert await letters.replay([first.letter_id], Filters()) == Replayed(0, 0)


async def test_replays_at_the_same_time_deliver_once(bus: Bus) -> None:
    handler = Handler(FieldInvalid("text", "is empty"))
    letters = DeadLetters(DeadLetterStream(bus))
    async with job(consumer(bus, handler).run):
        for n in range(5):
            await tell(bus, f"e{n}")
        await buried(letters, 5)
    results = await asyncio.gather(*(letters.replay([], Filters()) for _ in range(3)))
    assert sum(result.replayed for result in results) <= 5
    assert await letters.page(Filters(), 0, "") == await letters.page(Filters(), 0, "")
    assert (await letters.page(Filters(), 0, "")).total == 0
    await messages(bus, streams.replay_subject("embeddings", SUBJECT), 5)


async def test_removals_at_the_same_time_find_a_letter_once(bus: Bus) -> None:
    letters, graveyard = DeadLetters(DeadLetterStream(bus)), DeadLetterStream(bus)
    async with job(consumer(bus, Handler(FieldInvalid("text", "is empty"))).run):
        for n in range(20):
            await tell(bus, f"e{n}")
        for letter in await buried(letters, 20):
            removed = await asyncio.gather(*(graveyard.remove(letter) for _ in range(16)))
            assert sorted(removed) == [False] * 15 + [True]


@pytest.mark.parametrize("code", [10043, 10057])
async def test_a_letter_that_the_server_no_longer_finds_is_gone(
    bus: Bus, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    async def gone(*_: object) -> bool:
        raise APIError(code=400, err_code=code, description="it was a moment ago")

    letters, graveyard = DeadLetters(DeadLetterStream(bus)), DeadLetterStream(bus)
    async with job(consumer(bus, Handler(FieldInvalid("text", "is empty"))).run):
        await tell(bus)
        (letter,) = await buried(letters, 1)
    monkeypatch.setattr(await bus.jetstream(), "delete_msg", gone)
    assert not await graveyard.remove(letter)
    assert await graveyard.replay(letter) is Fate.GONE


async def test_a_letter_stays_when_its_consumer_is_gone(bus: Bus) -> None:
    letters = DeadLetters(DeadLetterStream(bus))
    async with job(consumer(bus, Handler(FieldInvalid("text", "is empty")), "search-1").run):
        await tell(bus)
        (letter,) = await buried(letters, 1)
    await (await bus.jetstream()).delete_consumer("TRANSCRIPTS", "search-1")
    assert await letters.replay([], Filters()) == Replayed(0, 1)
    assert (await letters.page(Filters(), 0, "")).letters == [letter]
    await messages(bus, streams.replay_subject("search-1", SUBJECT), 0)


async def test_a_consumer_made_before_there_were_replays_keeps_its_place_and_gets_them(bus: Bus) -> None:
    jetstream = await bus.jetstream()
    old = ConsumerConfig(durable_name="embeddings", filter_subject=SUBJECT, ack_wait=30, max_ack_pending=128)
    await jetstream.add_consumer("TRANSCRIPTS", old)
    done = await tell(bus)
    subscription = await jetstream.pull_subscribe_bind("embeddings", "TRANSCRIPTS")
    await (await subscription.fetch(1))[0].ack_sync()
    await subscription.unsubscribe()
    handler = Handler()
    async with job(consumer(bus, handler).run):
        new = await tell(bus)
        await idle(bus, "TRANSCRIPTS", "embeddings", 2)
        await jetstream.publish(streams.replay_subject("embeddings", SUBJECT), EVENT(event_id="r").SerializeToString())
        await idle(bus, "TRANSCRIPTS", "embeddings", 3)
    assert handler.done == [new, "r"]
    assert done not in handler.done


async def test_the_service_pages_through_filters_and_discards_in_the_real_stream(bus: Bus) -> None:
    handler = Handler(FieldInvalid("text", "is empty"))
    async with job(consumer(bus, handler).run):
        for n in range(7):
            await tell(bus, f"e{n}", tenant="acme" if n % 2 else "other")
        await buried(DeadLetters(DeadLetterStream(bus)), 7)
    async with admin(DeadLetterStream(bus)) as stub:
        token, found = "", []
        while True:
            request = ListDeadLettersRequest(page_size=3, page_token=token, tenant="acme", subject=SUBJECT)
            page = await stub.ListDeadLetters(request, metadata=ALLOWED)
            found += page.dead_letters
            if not (token := page.next_page_token):
                break
        assert sorted(letter.event_id for letter in found) == ["e1", "e3", "e5"]
        assert page.total_count == 7
        selection = DeadLetterSelection(tenant="acme")
        done = await stub.DiscardDeadLetters(DiscardDeadLettersRequest(selection=selection), metadata=ALLOWED)
        assert done.discarded_count == 3
        left = (await stub.ListDeadLetters(ListDeadLettersRequest(), metadata=ALLOWED)).dead_letters
        assert {letter.tenant for letter in left} == {"other"}
        got = await stub.GetDeadLetter(GetDeadLetterRequest(dead_letter_id=left[0].dead_letter_id), metadata=ALLOWED)
        assert '"tenant": "other"' in got.event_json
        request = ReplayDeadLettersRequest(selection=DeadLetterSelection(subject="recording.uploaded"))
        assert (await stub.ReplayDeadLetters(request, metadata=ALLOWED)).replayed_count == 0


async def test_more_letters_than_one_fetch_brings_are_read_and_no_consumer_is_left_behind(bus: Bus) -> None:
    jetstream = await bus.jetstream()
    for n in range(600):
        await jetstream.publish_async(f"dlq.{SUBJECT}", b"x", headers={"Nats-Msg-Id": f"m{n}"})
    await jetstream.publish_async_completed()
    letters = DeadLetters(DeadLetterStream(bus))
    page = await letters.page(Filters(), 550, "")
    rest = await letters.page(Filters(), 550, page.next_token)
    assert [letter.sequence for letter in (*page.letters, *rest.letters)] == list(range(1, 601))
    assert await letters.discard([], Filters()) == 600
    assert await jetstream.consumers_info("DLQ") == []


async def test_backlog_age_and_dead_letters_are_measured(bus: Bus) -> None:
    waiting = asyncio.Event()

    async def wait(_: EVENT) -> None:
        await waiting.wait()

    failing = consumer(bus, Handler(FieldInvalid("text", "is empty")))
    async with job(consumer(bus, wait, "slow", concurrency=1).run), job(failing.run):
        for _ in range(3):
            await tell(bus)
        await buried(DeadLetters(DeadLetterStream(bus)), 3)
        jetstream = await bus.jetstream()
        seen = await backlogs.measure(jetstream)
        await asyncio.sleep(0.2)
        later = await backlogs.measure(jetstream)
        of = {backlog.durable: backlog for backlog in later.backlogs}
        assert of["slow"].waiting + of["slow"].unacknowledged == 3
        assert of["slow"].oldest_s >= {one.durable: one for one in seen.backlogs}["slow"].oldest_s + 0.2
        assert (of["embeddings"].waiting, of["embeddings"].unacknowledged, of["embeddings"].oldest_s) == (0, 0, 0)
        assert of["slow"].subject == SUBJECT
        assert later.dead[SUBJECT] == 3
        assert later.dead["recording.uploaded"] == 0
        waiting.set()
        await idle(bus, "TRANSCRIPTS", "slow", 3)
        assert [one.oldest_s for one in (await backlogs.measure(jetstream)).backlogs] == [0, 0]


async def test_while_nats_is_away_the_graveyard_says_so(nats: NatsServer) -> None:
    async with events.connected(nats.url) as bus:
        letters = DeadLetters(DeadLetterStream(bus))
        await letters.page(Filters(), 0, "")
        nats.stop()
        with pytest.raises(DependencyUnavailable) as info:
            await letters.page(Filters(), 0, "")
        assert info.value.dependency == "nats"
        nats.start()


async def _true(value: bool) -> bool:
    return value
