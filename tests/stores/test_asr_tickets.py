"""One suite that every store of tickets passes: the fake in memory, and Valkey. Then what an unwell Valkey costs."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace

import pytest
from valkey.asyncio import Connection, ConnectionPool, Valkey

from servers.asr.results import Final, TimedWord
from servers.asr.ticket_store import ValkeyTickets, connect
from servers.asr.tickets import KEPT_FINALS, Found, Ticket, TicketStore
from servers.common.errors import DependencyUnavailable
from tests.fakes.ticket_store import MemoryTickets
from tests.stores import valkey_server
from tests.stores.valkey_server import ValkeyServer

HOST = "127.0.0.1"
PATIENT_S = 20.0
"""For calls that have to succeed, however busy the machine is."""


@pytest.fixture(scope="module")
def valkey() -> Iterator[ValkeyServer]:
    with valkey_server.running() as server:
        yield server


@pytest.fixture(params=["memory", "valkey"])
async def store(request: pytest.FixtureRequest) -> AsyncIterator[TicketStore]:
    if request.param == "memory":
        yield MemoryTickets()
        return
    server: ValkeyServer = request.getfixturevalue("valkey")
    async with connect(server.url, timeout_s=PATIENT_S) as tickets:
        yield tickets


def new_ticket() -> Ticket:
    """A ticket of a session that no other test has."""
    return Ticket(str(uuid.uuid4()), "acme", "lan", "5ec4e7", b"\x00\xff\x0a config", "recording", ("left", "right"))


def final(index: int, text: str = "xin chào 'bạn'\n") -> Final:
    words = (TimedWord("xin", 0, 500, 0.1), TimedWord("chào", 500, 900, 0.25))
    return Final(final_index=index, text=text, words=words, start_ms=0, end_ms=900, language="vi", confidence=0.7)


async def claimed(store: TicketStore, ticket: Ticket) -> Found:
    found = await store.claim(ticket.session_id, ticket.tenant, ticket.subject, ticket.secret)
    assert found is not None
    return found


async def test_a_claimed_ticket_is_the_one_that_was_saved_with_its_epoch_raised(store: TicketStore) -> None:
    ticket = replace(
        new_ticket(),
        epoch=3,
        settled=(16_000, 32_000),
        final_index=2,
        language="vi",
        detector_states=(b"\x00\xff", b""),
    )
    assert await store.save(ticket, [final(0), final(1)])
    found = await claimed(store, ticket)
    assert found.ticket == replace(ticket, epoch=4)
    assert found.finals == (final(0), final(1))


async def test_who_only_looks_takes_nothing_over(store: TicketStore) -> None:
    ticket = new_ticket()
    await store.save(ticket, [final(0)])
    found = await store.find(ticket.session_id, ticket.tenant, ticket.subject, ticket.secret)
    assert found is not None
    assert (found.ticket, await store.save(ticket)) == (ticket, True)
    assert await store.find(ticket.session_id, ticket.tenant, ticket.subject, "guessed") is None


async def test_what_was_never_saved_is_none(store: TicketStore) -> None:
    for session_id in (str(uuid.uuid4()), "", "a\0b", "phiên {1}"):
        assert await store.claim(session_id, "acme", "lan", "5ec4e7") is None


@pytest.mark.parametrize(
    "other", [("beta", "lan", "5ec4e7"), ("acme", "mai", "5ec4e7"), ("acme", "lan", "guess"), ("acme", "lan", "")]
)
async def test_only_its_caller_with_its_secret_claims_a_session(store: TicketStore, other: tuple[str, ...]) -> None:
    ticket = new_ticket()
    await store.save(ticket)
    tenant, subject, secret = other
    assert await store.claim(ticket.session_id, tenant, subject, secret) is None
    assert (await claimed(store, ticket)).ticket.epoch == 1
    assert await store.save(replace(ticket, epoch=1))


async def test_who_lost_the_session_writes_nothing_more(store: TicketStore) -> None:
    ticket = new_ticket()
    await store.save(replace(ticket, final_index=1), [final(0)])
    ours = (await claimed(store, ticket)).ticket
    assert not await store.save(replace(ticket, final_index=2), [final(1, "theirs")])
    assert await store.save(replace(ours, final_index=2), [final(1, "ours")])
    assert (await claimed(store, ticket)).finals == (final(0), final(1, "ours"))


async def test_of_two_claims_the_later_one_has_the_session(store: TicketStore) -> None:
    ticket = new_ticket()
    await store.save(ticket)
    both = await asyncio.gather(*(claimed(store, ticket) for _ in range(2)))
    first, second = sorted((one.ticket for one in both), key=lambda one: one.epoch)
    assert (first.epoch, second.epoch) == (1, 2)
    assert not await store.save(first)
    assert await store.save(second)


async def test_only_the_newest_finals_are_kept(store: TicketStore) -> None:
    ticket = new_ticket()
    for index in range(KEPT_FINALS + 10):
        ticket = replace(ticket, final_index=index + 1)
        await store.save(ticket, [final(index)])
    assert (await claimed(store, ticket)).finals == tuple(final(index) for index in range(10, KEPT_FINALS + 10))


async def test_many_finals_at_once_are_kept_as_one_by_one(store: TicketStore) -> None:
    ticket = replace(new_ticket(), final_index=KEPT_FINALS + 10)
    await store.save(ticket, [final(index) for index in range(KEPT_FINALS + 10)])
    assert (await claimed(store, ticket)).finals == tuple(final(index) for index in range(10, KEPT_FINALS + 10))


async def test_finals_before_a_gap_are_not_given(store: TicketStore) -> None:
    ticket = replace(new_ticket(), final_index=5)
    await store.save(ticket, [final(0), final(1), final(3), final(4)])
    assert (await claimed(store, ticket)).finals == (final(3), final(4))
    await store.save(replace(ticket, epoch=1, final_index=6))
    assert (await claimed(store, ticket)).finals == ()


async def test_a_final_saved_twice_is_kept_once(store: TicketStore) -> None:
    ticket = replace(new_ticket(), final_index=1)
    for text in ("one", "two"):
        await store.save(ticket, [final(0, text)])
    assert (await claimed(store, ticket)).finals == (final(0, "two"),)


async def test_sessions_know_nothing_of_each_other(store: TicketStore) -> None:
    one, other = replace(new_ticket(), final_index=1), new_ticket()
    await store.save(one, [final(0)])
    await store.save(other)
    assert (await claimed(store, other)).finals == ()
    assert (await claimed(store, one)).finals == (final(0),)


@pytest.fixture(params=["memory", "valkey"])
async def forgetful(request: pytest.FixtureRequest) -> AsyncIterator[TicketStore]:
    """A store whose tickets last for 50 ms."""
    if request.param == "memory":
        yield MemoryTickets(ttl_s=0.05)
        return
    server: ValkeyServer = request.getfixturevalue("valkey")
    async with connect(server.url, ttl_s=0.05, timeout_s=PATIENT_S) as tickets:
        yield tickets


async def test_a_ticket_that_is_not_saved_again_goes(forgetful: TicketStore) -> None:
    ticket = replace(new_ticket(), epoch=7, final_index=1)
    await forgetful.save(ticket, [final(0)])
    await asyncio.sleep(0.2)
    assert await forgetful.claim(ticket.session_id, ticket.tenant, ticket.subject, ticket.secret) is None


async def test_a_ticket_that_was_lost_is_written_anew(forgetful: TicketStore) -> None:
    ticket = replace(new_ticket(), epoch=7, final_index=1)
    await forgetful.save(ticket, [final(0)])
    await asyncio.sleep(0.2)
    assert await forgetful.save(replace(ticket, epoch=2))


async def test_a_save_renews_the_time_to_live(valkey: ValkeyServer) -> None:
    ticket = new_ticket()
    async with connect(valkey.url, ttl_s=100, timeout_s=PATIENT_S) as tickets:
        await tickets.save(ticket)
    async with connect(valkey.url, ttl_s=1000, timeout_s=PATIENT_S) as tickets:
        await tickets.save(ticket)
    async with Valkey(port=valkey.port) as client:
        assert 100_000 < await client.pttl(f"ai2text:asr:session:{ticket.session_id}") <= 1_000_000


class HeldConnection(Connection):
    """Connects when `let_go` is set."""

    let_go: asyncio.Event

    async def _connect(self) -> None:
        await self.let_go.wait()
        await super()._connect()


async def test_a_save_that_arrives_late_does_not_set_the_ticket_back(valkey: ValkeyServer) -> None:
    ticket = new_ticket()
    async with Valkey.from_pool(ConnectionPool(HeldConnection, port=valkey.port)) as client:
        pool, tickets = client.connection_pool, ValkeyTickets(client, timeout_s=PATIENT_S)
        HeldConnection.let_go = asyncio.Event()
        slow = asyncio.create_task(tickets.save(replace(ticket, final_index=1), [final(0)]))
        await asyncio.sleep(0)  # it has its turn now, and waits for its connection
        pool.connection_class = Connection
        await tickets.save(replace(ticket, final_index=2), [final(1)])
        assert not slow.done()
        HeldConnection.let_go.set()
        assert await slow
        found = await claimed(tickets, ticket)
    assert (found.ticket.final_index, found.finals) == (2, (final(0), final(1)))


async def test_a_ticket_of_another_version_is_as_good_as_none(valkey: ValkeyServer) -> None:
    ticket = new_ticket()
    async with connect(valkey.url, timeout_s=PATIENT_S) as tickets, Valkey(port=valkey.port) as client:
        await tickets.save(ticket)
        await client.hset(f"ai2text:asr:session:{ticket.session_id}", "ticket", '{"session_id": 7}')
        assert await tickets.claim(ticket.session_id, ticket.tenant, ticket.subject, ticket.secret) is None


async def test_valkey_may_be_killed_and_comes_back_empty(valkey: ValkeyServer) -> None:
    ticket = new_ticket()
    async with Valkey(port=valkey.port) as client:
        tickets = ValkeyTickets(client, timeout_s=PATIENT_S, pause_s=0)
        await tickets.save(ticket)
        valkey.stop()
        with pytest.raises(DependencyUnavailable) as refused:
            await tickets.save(ticket)
        assert refused.value.dependency == "valkey"
        with pytest.raises(DependencyUnavailable):
            await claimed(tickets, ticket)
        valkey.start()
        assert await tickets.claim(ticket.session_id, ticket.tenant, ticket.subject, ticket.secret) is None
        assert await tickets.save(ticket)
        assert (await claimed(tickets, ticket)).ticket.epoch == 1


async def test_a_valkey_that_hangs_holds_nobody_up(valkey: ValkeyServer) -> None:
    ticket = new_ticket()
    async with connect(valkey.url, timeout_s=0.1) as tickets:
        with valkey.held_up():
            async with asyncio.timeout(PATIENT_S):
                with pytest.raises(DependencyUnavailable):
                    await tickets.save(ticket)
                with pytest.raises(DependencyUnavailable):
                    await claimed(tickets, ticket)


class SilentServer:
    """Takes connections, and never says a word."""

    def __init__(self) -> None:
        self.connections = 0

    async def _taken(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        await reader.read()
        writer.close()

    async def listen(self) -> asyncio.Server:
        return await asyncio.start_server(self._taken, HOST, 0)


async def silence_of(pause_s: float, calls: int) -> tuple[int, list[BaseException | bool]]:
    """How many connections so many saves make to a server that does not answer, and what they end with."""
    silent = SilentServer()
    async with await silent.listen() as server, Valkey(host=HOST, port=server.sockets[0].getsockname()[1]) as client:
        tickets = ValkeyTickets(client, timeout_s=1, pause_s=pause_s)
        await asyncio.gather(tickets.save(new_ticket()), return_exceptions=True)
        results = await asyncio.gather(*(tickets.save(new_ticket()) for _ in range(calls)), return_exceptions=True)
    return silent.connections, results


async def test_after_a_failure_saves_fail_without_asking() -> None:
    connections, results = await silence_of(pause_s=60, calls=10)
    assert [type(result) for result in results] == [DependencyUnavailable] * 10
    assert connections == 1


async def test_after_the_pause_valkey_is_asked_again() -> None:
    connections, results = await silence_of(pause_s=0, calls=1)
    assert [type(result) for result in results] == [DependencyUnavailable]
    assert connections == 2
