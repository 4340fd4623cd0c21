"""Uploads and removals of the same bytes on several servers, in every order, with deaths: no recording loses its file.

The store and the registry are in memory; each call is a step, and the steps of all servers are taken in every order
that there is.
"""

import asyncio
import hashlib
import io
import re
from collections.abc import AsyncIterator, Callable, Hashable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, BinaryIO

import google_crc32c
import pytest

from servers.common.errors import AlreadyExists, DependencyUnavailable, Overloaded
from servers.common.stored import ObjectInfo
from servers.ingestion.claims import Claim, Claims, Kind
from servers.ingestion.deposits import FRESH, Deposits
from servers.ingestion.files import CLAIMS, Announced, Content, Media, Owner, Registration, audio_key
from servers.ingestion.locks import Locks
from servers.ingestion.sweeping import Sweep
from tests.fakes.interleavings import Step, Turns, every_order
from tests.fakes.object_store import MemoryObjects

SOUND = b"some sound"
SHA256 = hashlib.sha256(SOUND).digest()
KEY = audio_key("acme", SHA256)
OWNER = Owner("acme", "lan")
OLD_S = 2 * 24 * 3600.0
"""So old that all claims have lapsed and the sweep takes what nobody has."""


class Given:
    """A spool that is full."""

    content = Content(len(SOUND), SHA256, google_crc32c.value(SOUND))

    def opened(self) -> BinaryIO:
        return io.BytesIO(SOUND)


class Probed:
    """A prober that has seen everything."""

    async def probe(self, opened: Callable[[], BinaryIO]) -> Media:
        return Media("wav", "pcm_s16le", 16_000, 1, 1000)


@dataclass
class Recordings:
    """A registry: the titles of the recordings there are, all of the one object."""

    titles: set[str] = field(default_factory=set)

    async def create(self, owner: Owner, registration: Registration) -> object:
        if registration.title == "refused":
            raise AlreadyExists("the request_id was used for another file")
        self.titles.add(registration.title)
        return registration.title

    async def used(self, tenant: str, keys: Sequence[str]) -> set[str]:
        return set(keys) if self.titles else set()

    async def remove(self, title: str) -> None:
        self.titles.discard(title)


class Distant:
    """Something whose every call is a step of its server."""

    def __init__(self, near: Any, turns: Turns) -> None:
        self._near = near
        self._turns = turns

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method = getattr(self._near, name)
        if name != "entries":
            return lambda *given, **named: self._turns.call(name, lambda: method(*given, **named))

        async def entries(prefix: str) -> AsyncIterator[ObjectInfo]:
            async def listed() -> list[ObjectInfo]:
                return [entry async for entry in method(prefix)]

            for entry in await self._turns.call("entries", listed):
                yield entry

        return entries


class Unclaimed(Claims):
    """Servers that do not care about each other."""

    @asynccontextmanager
    async def keeping(self, key: str) -> AsyncIterator[Claim]:
        yield Claim(key)

    @asynccontextmanager
    async def removing(self, key: str) -> AsyncIterator[Claim | None]:
        yield Claim(key)


class Rash(Claims):
    """Withdraws its claims whatever may come of what it has asked for."""

    @asynccontextmanager
    async def _claimed(self, key: str, kind: Kind) -> AsyncIterator[Claim]:
        async with super()._claimed(key, kind) as claim:
            try:
                yield claim
            finally:
                claim.settled = True


class Scene:
    """Some servers, each with one thing to do: `upload TITLE`, `delete TITLE` (and its file), `release`."""

    def __init__(self, deeds: Sequence[str], age_s: float | None, titles: set[str], claims: type[Claims]) -> None:
        """`age_s` is the age of the object; None: there is none."""
        self.store, self.registry = MemoryObjects(), Recordings(set(titles))
        if age_s is not None:
            self.store.put(KEY, SOUND, age_s)
        self.waiting: list[Step] = []
        self.servers = [Turns(deed, self.waiting, seen=_seen) for deed in deeds]
        self._claims = claims

    def begin(self) -> None:
        for server in self.servers:
            server.work = asyncio.create_task(self._work(server))

    async def _work(self, server: Turns) -> None:
        store, registry = Distant(self.store, server), Distant(self.registry, server)
        deposits = Deposits(store, registry, Probed(), Locks(), self._claims(store, waits_s=(0.0,)))
        deed, _, title = server.name.partition(" ")
        try:
            if deed == "upload":
                await deposits.make(OWNER, Announced(title, title), Given())  # type: ignore[arg-type]
            else:
                if title:
                    await registry.remove(title)
                await deposits.release("acme", KEY)
        except (AlreadyExists, Overloaded):
            pass

    def state(self) -> Hashable:
        there = self.store.infos.get(KEY)
        fresh = there is not None and datetime.now(UTC) - there.modified < FRESH
        claims = sorted(_seen(key) for key in self.store.keys(CLAIMS))
        return self.store.contents.get(KEY), fresh, tuple(claims), frozenset(self.registry.titles)

    def check(self) -> None:
        assert not self.registry.titles or self.store.contents.get(KEY) == SOUND, "a recording has lost its file"

    async def end(self) -> None:
        """The sweep of a later day finds what a death has left."""
        for key in list(self.store.contents):
            self.store.age(key, OLD_S)
        claims = Claims(self.store)
        deposits = Deposits(self.store, self.registry, Probed(), Locks(), claims)
        await Sweep(self.store, self.registry, deposits, claims, OLD_S / 2, 1.0).sweep()
        self.check()
        assert self.store.keys() == ([KEY] if self.registry.titles else []), "something is left that nobody has"


def _seen(answer: Any) -> Hashable:
    """An answer without the names of claims, which are random, and without times."""
    if isinstance(answer, ObjectInfo):
        return _seen(answer.key), datetime.now(UTC) - answer.modified < FRESH
    if isinstance(answer, list):
        return tuple(sorted(map(_seen, answer)))
    return re.sub(r"-[0-9a-f]{32}", "", str(answer))


def scenes(*deeds: str, age_s: float | None = 0.0, titles: set[str] | None = None, claims: Any = Claims) -> Any:
    return lambda: Scene(deeds, age_s, titles or set(), claims)


@pytest.mark.parametrize("age_s", [None, 0.0, OLD_S])
async def test_an_upload_and_a_deletion_of_the_same_bytes_of_which_one_may_die(age_s: float | None) -> None:
    titles = set() if age_s is None else {"b"}
    assert await every_order(scenes("upload a", "delete b", age_s=age_s, titles=titles), faults=1) > 500


async def test_a_refused_upload_does_not_take_the_file_of_another() -> None:
    assert await every_order(scenes("upload a", "upload refused"), faults=1) > 500


@pytest.mark.parametrize(
    ("deeds", "titles"),
    [
        (("upload a", "upload b", "release"), set()),
        (("upload a", "upload refused", "release"), set()),
        (("upload a", "delete b", "release"), {"b"}),
        (("delete a", "delete b", "release"), {"a", "b"}),
    ],
)
async def test_three_servers_at_once(deeds: tuple[str, ...], titles: set[str]) -> None:
    assert await every_order(scenes(*deeds, titles=titles), faults=0) > 500


@pytest.mark.parametrize("deeds", [("upload a", "release"), ("upload a", "upload refused")])
async def test_without_claims_there_is_an_order_that_loses_the_file(deeds: tuple[str, ...]) -> None:
    with pytest.raises(AssertionError, match="a recording has lost its file"):
        await every_order(scenes(*deeds, claims=Unclaimed), faults=0)


async def test_who_withdraws_a_claim_while_a_call_may_yet_be_carried_out_loses_the_file() -> None:
    with pytest.raises(AssertionError, match="a recording has lost its file"):
        await every_order(scenes("upload a", "release", claims=Rash), faults=1)


async def test_an_upload_that_is_refused_while_its_bytes_are_removed_may_come_again() -> None:
    store = MemoryObjects()
    claims = Claims(store, waits_s=(0.0, 0.0))
    async with claims.removing(KEY) as removal:
        assert removal is not None
        with pytest.raises(Overloaded):
            async with claims.keeping(KEY):
                raise AssertionError
        assert len(store.keys(CLAIMS)) == 1
    async with claims.keeping(KEY), claims.removing(KEY) as removal:
        assert removal is None
    assert store.keys() == []


@pytest.mark.parametrize("kind", list(Kind))
async def test_a_claim_that_has_lapsed_counts_no_more_and_is_forgotten(kind: Kind) -> None:
    store = MemoryObjects()
    claims = Claims(store, waits_s=(0.0,))

    async def unanswered() -> None:
        async with claims.keeping(KEY) if kind is Kind.KEEP else claims.removing(KEY) as claim:
            assert claim is not None
            with claim.asking():
                raise DependencyUnavailable("objects")

    with pytest.raises(DependencyUnavailable):
        await unanswered()
    (key,) = store.keys(CLAIMS)
    assert await claims.forget_lapsed() == 0
    store.age(key, kind.limit.total_seconds())
    assert await claims.forget_lapsed() == 0
    store.age(key, kind.lapse.total_seconds() + 1)
    async with claims.removing(KEY) as removal:
        assert removal is not None
    async with claims.keeping(KEY):
        pass
    assert await claims.forget_lapsed() == 1
    assert store.keys() == []


@pytest.mark.parametrize("kind", list(Kind))
def test_an_owner_gives_up_long_before_its_claim_lapses(kind: Kind) -> None:
    assert kind.limit * 2 <= kind.lapse
