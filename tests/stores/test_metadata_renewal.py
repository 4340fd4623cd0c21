"""Streams that were made anew are told everything again, by one server, to the end; and what is remembered of them."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest

from servers.common import events
from servers.common.errors import DependencyUnavailable
from servers.common.events import Bus
from servers.common.postgres import connected
from servers.metadata.listeners import TOLD, BusListeners
from servers.metadata.renewal import Renewal, ToldStreams
from servers.metadata.renewal_store import PostgresToldStreams
from servers.metadata.retelling import Asked, Retelling, Stretch, Told
from tests.fakes.metadata_retelling import RememberedStreams
from tests.stores.postgres_server import PostgresServer


@pytest.fixture(params=["memory", "postgres"])
async def told(request: pytest.FixtureRequest) -> AsyncIterator[ToldStreams]:
    if request.param == "memory":
        yield RememberedStreams()
        return
    server: PostgresServer = request.getfixturevalue("postgres")
    async with connected(server.app()) as database:
        remembered = PostgresToldStreams(database)
        await remembered.remember("")
        yield remembered
        await remembered.remember("")


@dataclass
class Named:
    """Streams with a name."""

    current: str = "first"

    async def name(self) -> str:
        return self.current


@dataclass
class Steps(Retelling):
    """Tells in three steps; what it was asked is kept."""

    asked: list[tuple[Asked, str]] = field(default_factory=list)
    away_at: str = "never"
    """The token at which NATS is away, once."""

    async def go_on(self, asked: Asked, token: str) -> Stretch:
        if token == self.away_at:
            self.away_at = "never"
            raise DependencyUnavailable("nats")
        self.asked.append((asked, token))
        return Stretch(Told(1, 1), "acme", 0, {"": "1", "1": "2", "2": ""}[token])

    @property
    def tokens(self) -> list[str]:
        return [token for _, token in self.asked]


def some_name() -> str:
    return str(uuid.uuid4())


async def test_what_was_told_is_remembered(told: ToldStreams) -> None:
    assert await told.told() == ""
    await told.remember("EMBEDDINGS 1")
    assert await told.told() == "EMBEDDINGS 1"


async def test_one_at_a_time_may_tell_until_it_is_done(told: ToldStreams) -> None:
    one, other = some_name(), some_name()
    assert await told.claim(one, 60)
    assert not await told.claim(other, 60)
    assert await told.claim(one, 60)
    await told.remember("x")
    assert await told.claim(other, 60)


async def test_a_claim_that_is_not_renewed_runs_out(postgres: PostgresServer) -> None:
    async with connected(postgres.app()) as database:
        remembered = PostgresToldStreams(database)
        await remembered.remember("")
        assert await remembered.claim(some_name(), 0.05)
        await asyncio.sleep(0.1)
        assert await remembered.claim(some_name(), 0.05)
        await remembered.remember("")


async def test_no_tenant_sees_or_changes_what_is_remembered(postgres: PostgresServer) -> None:
    async with connected(postgres.app()) as database, database.transaction("acme") as connection:
        cursor = await connection.execute("UPDATE told_streams SET streams = 'x'")
        assert cursor.rowcount == 0
        cursor = await connection.execute("SELECT count(*) FROM told_streams")
        assert await cursor.fetchone() == (0,)


async def test_the_first_streams_are_taken_as_told_and_so_are_the_same_again(told: ToldStreams) -> None:
    streams, steps = Named(), Steps()
    renewal = Renewal(streams, told, steps)
    await renewal.look()
    await renewal.look()
    assert await told.told() == "first"
    assert steps.asked == []


async def test_streams_that_were_made_anew_are_told_everything_once(told: ToldStreams) -> None:
    streams, steps = Named(), Steps()
    renewals = [Renewal(streams, told, steps) for _ in range(2)]
    await renewals[0].look()
    streams.current = "second"
    for renewal in renewals:
        await renewal.look()
    assert steps.asked == [(Asked(), token) for token in ("", "1", "2")]
    assert await told.told() == "second"


async def test_what_another_server_tells_is_left_to_it(told: ToldStreams) -> None:
    await told.remember("first")
    assert await told.claim(some_name(), 60)
    steps = Steps()
    await Renewal(Named("second"), told, steps).look()
    assert steps.asked == []
    assert await told.told() == "first"


async def test_a_server_that_was_taken_for_dead_leaves_off(told: ToldStreams) -> None:
    await told.remember("first")
    steps = Steps()

    class Robbed(Steps):
        async def go_on(self, asked: Asked, token: str) -> Stretch:
            stretch = await super().go_on(asked, token)
            await told.remember("first")  # which ends the claim
            assert await told.claim(some_name(), 60)
            return stretch

    steps = Robbed()
    await Renewal(Named("second"), told, steps).look()
    assert steps.tokens == [""]
    assert await told.told() == "first"


async def test_after_a_failure_it_goes_on_where_it_was(told: ToldStreams) -> None:
    await told.remember("first")
    streams, steps = Named("second"), Steps(away_at="1")
    renewal = Renewal(streams, told, steps)
    with pytest.raises(DependencyUnavailable):
        await renewal.look()
    assert await told.told() == "first"
    await renewal.look()
    assert steps.tokens == ["", "1", "2"]
    assert await told.told() == "second"


async def test_for_other_streams_it_begins_at_the_beginning(told: ToldStreams) -> None:
    await told.remember("first")
    streams, steps = Named("second"), Steps(away_at="1")
    renewal = Renewal(streams, told, steps)
    with pytest.raises(DependencyUnavailable):
        await renewal.look()
    streams.current = "third"
    await renewal.look()
    assert steps.tokens == ["", "", "1", "2"]
    assert await told.told() == "third"


async def test_streams_have_another_name_once_they_were_made_anew(bus: Bus) -> None:
    listeners = BusListeners(bus)
    name = await listeners.name()
    await events.publish(bus, events.EMBEDDING_CREATED, some_name(), b"x")
    assert await listeners.name() == name
    jetstream = await bus.jetstream()
    names = {name}
    for stream in TOLD:
        await jetstream.delete_stream(stream)
        with pytest.raises(DependencyUnavailable):  # and from now on it is known that one is missing
            await listeners.name()
        names.add(await listeners.name())
    assert len(names) == 1 + len(TOLD)
