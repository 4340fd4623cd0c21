"""Qdrant behind the indexes: what it is told, and what becomes of the search server when it is away, slow or lost."""

import asyncio
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from qdrant_client import QdrantClient

from servers.common.errors import DependencyUnavailable
from servers.search import qdrant, qdrant_vectors, vector_homes
from servers.search.documents import Entry, Scope
from servers.search.indexing import Changes, Filter
from servers.search.qdrant import Qdrant, QdrantIndex, collection_name
from servers.search.qdrant_vectors import QdrantVectors
from servers.search.settings import Settings
from servers.search.shelves import COMMIT_EVERY_S, Shelves
from servers.search.store import Store
from servers.search.terms import Terms
from servers.search.vectors import Vectors
from tests.fakes import qdrant_server
from tests.fakes.qdrant_server import FakeQdrant
from tests.stores.search_entries import DIMENSIONS, SPACE, entry, random_entries, vector

pytestmark = pytest.mark.filterwarnings(
    "ignore:Payload indexes have no effect in the local Qdrant", "ignore:Local mode performs exact"
)

NAME = collection_name(SPACE)


@pytest.fixture
def fake() -> Iterator[FakeQdrant]:
    client = QdrantClient(":memory:")
    with qdrant_server.served(client) as fake:
        yield fake
    client.close()


@pytest.fixture
def connection(fake: FakeQdrant) -> Iterator[Qdrant]:
    with qdrant.connected(fake.url) as connection:
        yield connection


@pytest.fixture
def indexes(connection: Qdrant, store: Store) -> QdrantVectors:
    return QdrantVectors(connection, store)


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody rests for long."""
    monkeypatch.setattr(qdrant, "FIRST_REST_S", 0.02)
    monkeypatch.setattr(qdrant_vectors, "FIRST_REST_S", 0.02)


def found(indexes: QdrantVectors, to: Entry, limit: int = 10, tenant: str = "acme") -> list[int]:
    return indexes.nearest(Scope(tenant), to.embedding, limit).ids


def points(fake: FakeQdrant) -> int:
    """Of all tenants, and their marks."""
    return fake.client.count(NAME).count


def caught_up(indexes: QdrantVectors, tenant: str = "acme") -> bool:
    """Try for some seconds."""
    until = time.monotonic() + 10
    while time.monotonic() < until:
        if indexes.follow(tenant, SPACE):
            return True
        time.sleep(0.005)
    return False


def writes(method: str, path: str) -> bool:
    return method == "PUT" or path.endswith("/delete")


def test_what_a_collection_is_made_for(fake: FakeQdrant, store: Store, indexes: QdrantVectors) -> None:
    store.put([entry("s1")])
    assert indexes.follow("acme", SPACE)
    (made,) = [body for method, path, body, _ in fake.asked if (method, path) == ("PUT", f"/collections/{NAME}")]
    assert made["vectors"] == {"size": DIMENSIONS, "distance": "Dot", "on_disk": True, "datatype": "float16"}
    assert made["quantization_config"]["scalar"] == {"type": "int8", "quantile": 0.99, "always_ram": True}
    assert (made["hnsw_config"]["m"], made["hnsw_config"]["payload_m"]) == (0, 16)
    indexed = {body["field_name"]: body["field_schema"] for _, path, body, _ in fake.asked if path.endswith("/index")}
    assert {*indexed} == {"tenant", "recording", "language"}
    assert indexed["tenant"] == {"type": "keyword", "is_tenant": True}


def test_every_call_has_a_deadline_and_every_write_is_waited_for(
    fake: FakeQdrant, store: Store, indexes: QdrantVectors
) -> None:
    store.put([entry("s1"), entry("s2", recording_id="r2")])
    indexes.follow("acme", SPACE)
    store.delete("acme", "r2", 10)
    indexes.follow("acme", SPACE)
    found(indexes, entry("s1"))
    indexes.stats("acme", SPACE)
    for method, path, _, given in fake.asked:
        assert "timeout" in given or path.endswith("/exists"), path
        assert not path.endswith(("/points", "/delete")) or method == "POST" or given["wait"] == ["true"], path
    assert {path.rsplit("/", 1)[1] for _, path, _, _ in fake.asked} >= {"exists", "index", "points", "delete", "query"}


def test_a_search_compares_the_best_again_and_asks_for_no_payload(
    fake: FakeQdrant, store: Store, indexes: QdrantVectors
) -> None:
    store.put([entry("s1")])
    indexes.follow("acme", SPACE)
    assert found(indexes, entry("s1"), 7) == [entry("s1").document.id]
    *_, (_, path, body, _) = fake.asked
    assert path.endswith("/query")
    assert body["params"]["quantization"] == {"rescore": True, "oversampling": 2.0}
    assert (body["limit"], body["with_payload"], body["with_vector"]) == (7, False, False)
    assert body["filter"]["must"] == [{"key": "tenant", "match": {"value": "acme"}}]


def test_spaces_have_names_that_qdrant_allows_and_that_differ() -> None:
    spaces = ["e5/8", "e5_8", "intfloat/multilingual-e5-small/384", 'a:b\\c?d*<e>|"\0/8', "m" * 300 + "/8", "m" * 301]
    names = {collection_name(space) for space in spaces}
    assert len(names) == len(spaces)
    for name in names:
        assert not set(name) & set('<>:"/\\|?*\0\x1f')
        assert len(name) <= 255


def test_who_is_cut_short_between_points_and_mark_does_it_again(
    soon: None, fake: FakeQdrant, store: Store, connection: Qdrant, indexes: QdrantVectors
) -> None:
    entries = random_entries(30)
    store.put(entries[:10])
    assert indexes.follow("acme", SPACE)
    store.put(entries[10:])
    put = iter([200, 500])  # the points arrive, and the mark does not
    fake.broken = lambda method, path: next(put) if (method, path[-7:]) == ("PUT", "/points") else 200
    assert not indexes.follow("acme", SPACE)
    assert points(fake) == 31
    fake.broken = lambda method, path: 200
    again = QdrantVectors(connection, store)
    assert again.stats("acme", SPACE).seq == 10
    assert again.follow("acme", SPACE)
    assert points(fake) == 31
    assert (again.stats("acme", SPACE).seq, again.stats("acme", SPACE).vectors) == (30, 30)
    assert len(found(again, entries[20], 50)) == 30


def test_who_starts_again_reads_from_the_mark(store: Store, connection: Qdrant, indexes: QdrantVectors) -> None:
    store.put(random_entries(30))
    indexes.follow("acme", SPACE)
    asked = list[int]()
    original = store.changes_after

    def counted(tenant: str, space: str, seq: int, limit: int) -> Changes:
        asked.append(seq)
        return original(tenant, space, seq, limit)

    store.changes_after = counted  # type: ignore[method-assign]
    again = QdrantVectors(connection, store)
    assert len(found(again, entry("x"), 50)) == 30
    assert again.follow("acme", SPACE)
    assert asked == [30]


def test_a_database_put_back_from_a_copy_is_written_anew(
    tmp_path: Path, fake: FakeQdrant, store: Store, connection: Qdrant, indexes: QdrantVectors
) -> None:
    store.put(random_entries(5))
    copy = tmp_path / "copy.sqlite"
    with store._connection() as open_one:
        open_one.execute("VACUUM INTO ?", (str(copy),))
    store.put(random_entries(20))
    indexes.follow("acme", SPACE)
    old = Store(copy)
    assert old.index_id == store.index_id
    again = QdrantVectors(connection, old)
    with pytest.raises(DependencyUnavailable):
        found(again, entry("x"))
    assert again.follow("acme", SPACE)
    assert points(fake) == 6
    assert len(found(again, entry("x"), 50)) == 5
    old.close()


def test_what_is_written_anew_is_not_searched_before_it_is_whole(
    monkeypatch: pytest.MonkeyPatch, store: Store, connection: Qdrant, indexes: QdrantVectors
) -> None:
    monkeypatch.setattr(qdrant_vectors, "STEP", 10)
    monkeypatch.setattr(qdrant_vectors, "STEPS", 1)
    entries = random_entries(25)
    store.put(entries)
    again = QdrantVectors(connection, store)
    steps = 0
    while not indexes.follow("acme", SPACE):
        steps += 1
        for one in (indexes, again):
            with pytest.raises(DependencyUnavailable):
                found(one, entries[0])
    assert steps == 2  # the third brings fewer than a step may: it is the last
    for one in (indexes, again):
        assert len(found(one, entries[0], 50)) == 25


@pytest.mark.parametrize("status", [400, 403, 404, 429, 500, 503])
def test_away_and_back(soon: None, fake: FakeQdrant, store: Store, indexes: QdrantVectors, status: int) -> None:
    entries = random_entries(20)
    store.put(entries[:10])
    indexes.follow("acme", SPACE)
    fake.broken = lambda method, path: status
    store.put(entries[10:])
    for _ in range(2):
        assert not indexes.follow("acme", SPACE)
        with pytest.raises(DependencyUnavailable) as caught:
            found(indexes, entries[0])
        assert caught.value.dependency == "qdrant"
    with pytest.raises(DependencyUnavailable):
        indexes.stats("acme", SPACE)
    indexes.rebuild_due()
    fake.broken = lambda method, path: 200
    assert caught_up(indexes)
    assert len(found(indexes, entries[15], 50)) == 20


def test_a_snapshot_says_that_it_cannot_be_made(fake: FakeQdrant, store: Store, indexes: QdrantVectors) -> None:
    store.put([entry("s1")])
    fake.broken = lambda method, path: 500 if writes(method, path) else 200
    with pytest.raises(DependencyUnavailable):
        indexes.rebuild("acme", SPACE, whole=False)


def test_who_does_not_answer_is_not_asked_for_a_while_and_longer_each_time(fake: FakeQdrant) -> None:
    now = 0.0
    connection = Qdrant(QdrantClient(url=fake.url, timeout=1, check_compatibility=False), clock=lambda: now)

    def rests_s(count: int) -> list[float]:
        """Ask in vain every 50 ms; how long it is from each time that the server hears of it to the next."""
        nonlocal now
        heard = list[float]()
        while len(heard) <= count:
            asked = len(fake.asked)
            with pytest.raises(DependencyUnavailable):
                connection.has(NAME)
            heard += [now] * (len(fake.asked) - asked)
            now += 0.05
        return [later - earlier for earlier, later in pairwise(heard)]

    fake.broken = lambda method, path: 503
    first_s, *_, last_s = rests_s(8)
    assert 0.25 <= first_s < 0.6
    assert 15 <= last_s < 31
    fake.broken = lambda method, path: 200
    now += 31
    assert not connection.has(NAME)
    fake.broken = lambda method, path: 503
    assert 0.25 <= rests_s(1)[0] < 0.6
    connection.client.close()


def test_how_long_to_rest_is_asked_by_one_thread_at_a_time(fake: FakeQdrant, connection: Qdrant) -> None:
    """Two that find out together that nobody answers would be in one generator, which is an error of another kind."""
    begun, go_on = threading.Event(), threading.Event()

    def slowly() -> Iterator[float]:
        begun.set()
        assert go_on.wait(10)
        yield 0.0

    connection._rests = slowly()
    fake.broken = lambda method, path: 503
    with ThreadPoolExecutor(1) as another:
        asked = another.submit(connection.has, NAME)
        assert begun.wait(10)
        alone = not connection._resting.acquire(blocking=False)
        go_on.set()
        assert type(asked.exception(10)) is DependencyUnavailable
    assert alone


def test_one_tenant_that_is_refused_holds_up_no_other(fake: FakeQdrant, store: Store, indexes: QdrantVectors) -> None:
    store.put([entry("s1", tenant="bad"), entry("s1", tenant="good")])
    assert indexes.follow("good", SPACE)
    store.put([entry("s2", tenant="bad"), entry("s2", tenant="good")])
    fake.broken = lambda method, path: 413 if writes(method, path) else 200
    assert not indexes.follow("bad", SPACE)
    fake.broken = lambda method, path: 200
    assert not indexes.follow("bad", SPACE)  # it rests
    assert indexes.follow("good", SPACE)
    assert len(found(indexes, entry("s1"), tenant="good")) == 2


def test_a_collection_that_was_half_made_is_made(
    soon: None, fake: FakeQdrant, store: Store, connection: Qdrant, indexes: QdrantVectors
) -> None:
    store.put([entry("s1")])
    fake.broken = lambda method, path: 500 if path.endswith("/index") else 200
    assert not indexes.follow("acme", SPACE)
    fake.broken = lambda method, path: 200
    fake.asked.clear()
    assert QdrantVectors(connection, store).follow("acme", SPACE)
    assert {body["field_name"] for _, path, body, _ in fake.asked if path.endswith("/index")} == {
        "tenant",
        "recording",
        "language",
    }


def test_a_collection_that_was_lost_is_written_anew_by_itself(
    fake: FakeQdrant, store: Store, indexes: QdrantVectors
) -> None:
    entries = random_entries(20)
    store.put(entries)
    indexes.follow("acme", SPACE)
    assert len(found(indexes, entries[0], 50)) == 20
    fake.client.delete_collection(NAME)
    with pytest.raises(DependencyUnavailable):
        found(indexes, entries[0])
    indexes.rebuild_due()
    assert len(found(indexes, entries[0], 50)) == 20
    assert sum(path.endswith("/index") for _, path, _, _ in fake.asked) == 6


def test_a_collection_that_was_lost_unseen_is_written_anew_with_what_comes_next(
    fake: FakeQdrant, store: Store, indexes: QdrantVectors
) -> None:
    store.put(random_entries(20))
    indexes.follow("acme", SPACE)
    fake.client.delete_collection(NAME)
    store.put([entry("new")])
    assert indexes.follow("acme", SPACE)
    assert len(found(indexes, entry("x"), 50)) == 21


def lose_the_points_of_two(fake: FakeQdrant, store: Store, indexes: QdrantVectors) -> None:
    """Two tenants find what they have, and then their collection is gone."""
    store.put([entry("s1"), entry("s1", tenant="idle")])
    for tenant in ("acme", "idle"):
        indexes.follow(tenant, SPACE)
        assert len(found(indexes, entry("x"), tenant=tenant)) == 1
    fake.client.delete_collection(NAME)


def test_a_collection_that_another_tenant_has_made_anew_answers_nobody_with_nothing(
    fake: FakeQdrant, store: Store, indexes: QdrantVectors
) -> None:
    lose_the_points_of_two(fake, store, indexes)
    store.put([entry("new", tenant="newcomer")])
    assert indexes.follow("newcomer", SPACE)
    with pytest.raises(DependencyUnavailable):
        found(indexes, entry("x"), tenant="idle")
    indexes.rebuild_due()
    for tenant in ("acme", "idle"):
        assert len(found(indexes, entry("x"), tenant=tenant)) == 1


def test_points_that_were_lost_with_a_collection_that_is_there_again_are_missed_by_all(
    fake: FakeQdrant, store: Store, connection: Qdrant, indexes: QdrantVectors
) -> None:
    """As when another search server has made it anew."""
    lose_the_points_of_two(fake, store, indexes)
    connection.make(NAME, DIMENSIONS)
    store.put([entry("new")])
    assert indexes.follow("acme", SPACE)
    with pytest.raises(DependencyUnavailable):
        found(indexes, entry("x"), tenant="idle")


def test_a_tenant_that_is_new_makes_nobody_look_again(fake: FakeQdrant, store: Store, indexes: QdrantVectors) -> None:
    store.put([entry("s1")])
    indexes.follow("acme", SPACE)
    found(indexes, entry("x"))
    store.put([entry("s1", tenant="newcomer")])
    assert indexes.follow("newcomer", SPACE)
    fake.asked.clear()
    found(indexes, entry("x"))
    indexes.rebuild_due()
    assert [path.rpartition("/")[2] for _, path, _, _ in fake.asked] == ["query"]


def test_a_vector_of_another_length_is_refused_and_does_no_harm(
    connection: Qdrant, store: Store, indexes: QdrantVectors
) -> None:
    store.put([entry("s1")])
    indexes.follow("acme", SPACE)
    longer = vector(1).repeat(2)
    with pytest.raises(DependencyUnavailable):
        QdrantIndex(connection, "acme", SPACE, store.index_id).nearest(longer, Filter(), 10)
    assert found(indexes, entry("x", at=longer)) == []
    assert found(indexes, entry("x")) == [entry("s1").document.id]


@contextmanager
def listening() -> Iterator[tuple[socket.socket, str]]:
    """A socket that takes calls, and whoever may answer them; its address as an URL."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(5)
        yield server, f"http://127.0.0.1:{server.getsockname()[1]}"


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", b"\x00\x01\x02\r\n\r\n"])
def test_what_is_no_qdrant_is_unavailable(answer: bytes) -> None:
    with listening() as (server, url), qdrant.connected(url) as connection:

        def talk() -> None:
            call, _ = server.accept()
            with call:
                call.recv(65_536)
                call.sendall(answer)

        talking = threading.Thread(target=talk)
        talking.start()
        with pytest.raises(DependencyUnavailable):
            connection.has(NAME)
        talking.join()


def test_where_nobody_listens_it_is_unavailable(store: Store) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
    with qdrant.connected(url) as connection:
        indexes = QdrantVectors(connection, store)
        for _ in range(2):
            assert not indexes.follow("acme", SPACE)
            with pytest.raises(DependencyUnavailable):
                found(indexes, entry("s1"))


def test_who_hangs_is_waited_for_no_longer_than_said(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(qdrant, "FIRST_REST_S", 30.0)
    store.put([entry("s1")])
    with listening() as (server, url), qdrant.connected(url) as connection:
        indexes = QdrantVectors(connection, store)
        with pytest.raises(DependencyUnavailable):
            found(indexes, entry("s1"))
        server.accept()[0].close()
        with pytest.raises(DependencyUnavailable):
            found(indexes, entry("s1"))
        assert not indexes.follow("acme", SPACE)
        server.settimeout(0.1)
        with pytest.raises(TimeoutError):
            server.accept()  # it was asked only once


async def test_through_the_shelves_also_when_qdrant_was_away(
    soon: None, tmp_path: Path, fake: FakeQdrant, store: Store, indexes: QdrantVectors
) -> None:
    told = list[str]()
    shelves = Shelves(store, indexes, Terms(tmp_path / "words", store), changed=told.append)
    keeping = asyncio.create_task(shelves.keep_indexes())
    entries = random_entries(20)
    try:
        await shelves.put(entries[:10])
        assert await until(shelves, entries[3], lambda ids: len(ids) == 10)
        fake.broken = lambda method, path: 503
        asked = len(fake.asked)
        await shelves.put(entries[10:])
        with pytest.raises(DependencyUnavailable):
            await shelves.nearest(Scope("acme"), entries[3].embedding, 50)
        async with asyncio.timeout(10):
            while len(fake.asked) < asked + 3:  # it is tried again
                await asyncio.sleep(0.01)
        assert not keeping.done()
        await asyncio.sleep(2 * COMMIT_EVERY_S)  # the words have been told of
        told.clear()
        fake.broken = lambda method, path: 200
        ids = await until(shelves, entries[15], lambda ids: len(ids) == 20)
        assert ids[0] == entries[15].document.id
        async with asyncio.timeout(10):
            while "acme" not in told:
                await asyncio.sleep(0.01)
        await shelves.delete("acme", "r1")
        assert await until(shelves, entries[15], lambda ids: not ids) == []
    finally:
        keeping.cancel()
        await shelves.close()


async def until(shelves: Shelves, to: Entry, enough: Callable[[list[int]], bool]) -> list[int]:
    """What is nearest, as soon as it is enough."""
    async with asyncio.timeout(10):
        while True:
            try:
                ids = (await shelves.nearest(Scope("acme"), to.embedding, 50)).ids
            except DependencyUnavailable:
                ids = None
            if ids is not None and enough(ids):
                return ids
            await asyncio.sleep(0.01)


def test_who_keeps_lists_needs_no_client_of_qdrant() -> None:
    script = "import sys; sys.modules['qdrant_client'] = None; import servers.search.__main__"
    subprocess.run([sys.executable, "-c", script], check=True, cwd=Path.cwd())


@pytest.mark.parametrize(("url", "kind"), [("", Vectors), ("http://127.0.0.1:1", QdrantVectors)])
def test_one_setting_says_where_the_vectors_are(tmp_path: Path, store: Store, url: str, kind: type) -> None:
    given: dict[str, Any] = {"listen": "x", "embeddings": "x", "nats_url": "x", "data_dir": tmp_path}
    with vector_homes.opened(Settings(**given, qdrant_url=url), store) as indexes:
        assert type(indexes) is kind
