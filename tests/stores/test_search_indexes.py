"""What every VectorIndex does, and what the indexes of all tenants do, wherever the vectors lie: one suite over lists
of our own and over Qdrant: its engine, the local mode of its client, and that behind its REST interface. The server of
Qdrant itself is not among them."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeAlias, cast

import numpy as np
import pytest
from qdrant_client import QdrantClient

from servers.search import qdrant
from servers.search.documents import Entry, Scope, Vector
from servers.search.indexing import Changes, Filter, Ids, Rows, VectorIndex
from servers.search.journal import VectorIndexes
from servers.search.lists import ListIndex
from servers.search.qdrant import Qdrant, QdrantIndex
from servers.search.qdrant_vectors import QdrantVectors
from servers.search.rebuilding import Shape
from servers.search.segments import Segment
from servers.search.store import Store
from servers.search.vectors import Vectors
from tests.fakes import qdrant_server
from tests.fakes.qdrant_engine import QdrantEngine
from tests.stores.search_entries import DIMENSIONS, SPACE, clustered_entries, entry, random_entries, vector

pytestmark = pytest.mark.filterwarnings(
    "ignore:Payload indexes have no effect in the local Qdrant", "ignore:Local mode performs exact"
)

Make: TypeAlias = Callable[[str], VectorIndex]
"""Makes an empty index of a tenant."""

LARGEST = 2**63 - 1
VI, EN = 22 * 27 + 9, 5 * 27 + 14
"""Numbers of languages."""


class Listed(ListIndex):
    """Whatever it takes in it brings into lists at once, and all lists are looked through."""

    def __init__(self, path: Path) -> None:
        super().__init__(DIMENSIONS, Shape(most_loose=100, probes=1_000))
        self._path = path

    def apply(self, changes: Changes) -> None:
        super().apply(changes)
        frozen = self.freeze()
        self._path.mkdir(exist_ok=True)
        path = self._path / str(len(list(self._path.iterdir())))
        frozen.write(path, lambda: False)
        self.install(frozen, Segment(path))


@pytest.fixture
def client() -> Iterator[QdrantClient]:
    client = QdrantClient(":memory:")
    yield client
    client.close()


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[QdrantClient]:
    (tmp_path / "engine").mkdir()
    engine = QdrantEngine(tmp_path / "engine")
    yield cast(QdrantClient, engine)
    engine.close()


@pytest.fixture(params=["tail", "lists", "qdrant", "qdrant over http", "qdrant's engine"])
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Make]:
    match request.param:
        case "tail":
            yield lambda tenant: ListIndex(DIMENSIONS, Shape())
        case "lists":
            yield lambda tenant: Listed(tmp_path / tenant)
        case "qdrant" | "qdrant's engine":
            client = request.getfixturevalue("client" if request.param == "qdrant" else "engine")
            yield lambda tenant: begun(Qdrant(client), tenant)
        case _:
            client = request.getfixturevalue("client")
            with qdrant_server.served(client) as fake, qdrant.connected(fake.url) as connection:
                yield lambda tenant: begun(connection, tenant)


def begun(connection: Qdrant, tenant: str) -> QdrantIndex:
    index = QdrantIndex(connection, tenant, SPACE, "a database")
    index.begin()
    return index


@pytest.fixture
def index(make: Make) -> VectorIndex:
    return make("acme")


def put(
    index: VectorIndex, ids: Sequence[int], vectors: Sequence[Vector], recording: int = 1, language: int = VI
) -> Changes:
    """Take vectors in under the next numbers."""
    numbers = np.array(ids, np.int64)
    rows = Rows(
        numbers,
        np.array(vectors).astype(np.float16).reshape(len(ids), DIMENSIONS),
        np.full(len(ids), recording, np.int64),
        np.full(len(ids), language, np.uint16),
    )
    changes = Changes(index.seq + len(ids), np.empty(0, np.int64), rows)
    index.apply(changes)
    return changes


def drop(index: VectorIndex, ids: Sequence[int]) -> Changes:
    """Have vectors go, under the next numbers."""
    none: Ids = np.empty(0, np.int64)
    rows = Rows(none, np.empty((0, 0), np.float16), none, none.astype(np.uint16))
    changes = Changes(index.seq + len(ids), np.array(ids, np.int64), rows)
    index.apply(changes)
    return changes


def near(index: VectorIndex, *parts: float, narrowed: Filter | None = None, limit: int = 10) -> list[int]:
    return index.nearest(vector(*parts), narrowed or Filter(), limit).ids


def test_an_empty_index_has_nothing_near(index: VectorIndex) -> None:
    assert near(index, 1) == []
    assert near(index, 1, narrowed=Filter((1,), VI)) == []
    assert (index.seq, index.stats().seq, index.stats().vectors) == (0, 0, 0)


def test_the_nearest_come_first_and_no_more_than_asked_for(index: VectorIndex) -> None:
    put(index, [5, 3, 8, 1], [vector(1, n / 4) for n in range(4)])
    assert near(index, 1) == [5, 3, 8, 1]
    assert near(index, 0.1, 1) == [1, 8, 3, 5]
    assert near(index, 1, limit=2) == [5, 3]
    assert near(index, 1, limit=0) == []
    assert (index.seq, index.stats().seq, index.stats().vectors) == (4, 4, 4)


def test_the_order_is_by_inner_products_not_by_angles(index: VectorIndex) -> None:
    put(index, [1, 2, 3], [vector(1), np.float32(2) * vector(1, 0.5), vector(0.5, 0.1)])
    assert near(index, 1) == [2, 1, 3]


def test_the_largest_numbers_come_back_as_they_were(index: VectorIndex) -> None:
    put(index, [LARGEST], [vector(1)], recording=LARGEST, language=2**16 - 1)
    put(index, [LARGEST - 1], [vector(1)], recording=LARGEST - 1)
    assert near(index, 1, narrowed=Filter((LARGEST,))) == [LARGEST]
    assert near(index, 1, narrowed=Filter((LARGEST - 1,))) == [LARGEST - 1]
    assert near(index, 1, narrowed=Filter((), 2**16 - 1)) == [LARGEST]


def test_what_comes_again_takes_the_place_of_what_was_there(index: VectorIndex) -> None:
    put(index, [1, 2], [vector(1), vector(0, 1)])
    put(index, [1], [vector(0, 0, 1)], recording=7, language=EN)
    assert near(index, 0, 0, 1, limit=1) == [1]
    assert near(index, 1, 0.1, limit=1) == [2]
    assert near(index, 1, narrowed=Filter((1,), VI)) == [2]
    assert near(index, 1, narrowed=Filter((7,), EN)) == [1]
    assert index.stats().vectors == 2


def test_what_is_gone_is_found_no_more_until_it_comes_again(index: VectorIndex) -> None:
    put(index, [1, 2, 3], [vector(1), vector(1, 0.5), vector(0, 1)])
    drop(index, [1, 99])
    assert near(index, 1) == [2, 3]
    assert (index.seq, index.stats().vectors) == (5, 2)
    put(index, [1], [vector(1)])
    assert near(index, 1) == [1, 2, 3]


def test_one_step_may_bring_some_and_take_others(index: VectorIndex) -> None:
    put(index, [1, 2], [vector(1), vector(0, 1)])
    rows = Rows(np.array([3]), np.array([vector(1)]).astype(np.float16), np.array([1]), np.array([VI], np.uint16))
    index.apply(Changes(9, np.array([1]), rows))
    assert near(index, 1) == [3, 2]
    assert index.stats().seq == index.seq == 9


def test_the_same_changes_again_change_nothing(index: VectorIndex) -> None:
    there = put(index, [1, 2, 3], [vector(1), vector(1, 0.5), vector(0, 1)])
    gone = drop(index, [2])
    for changes in (there, gone, gone):
        index.apply(changes)
    assert near(index, 1) == [1, 3]
    assert (index.seq, index.stats().seq, index.stats().vectors) == (4, 4, 2)


def test_filters_leave_out_what_they_leave_out(index: VectorIndex) -> None:
    for id, recording, language in [(1, 1, VI), (2, 1, EN), (3, 2, VI), (4, 2, 0), (5, 3, EN)]:
        put(index, [id], [vector(1, id / 10)], recording, language)
    expected = {
        Filter(): [1, 2, 3, 4, 5],
        Filter((1,)): [1, 2],
        Filter((2, 3)): [3, 4, 5],
        Filter((), VI): [1, 3],
        Filter((), EN): [2, 5],
        Filter((), 0): [4],
        Filter((1, 3), EN): [2, 5],
        Filter((2,), EN): [],
        Filter((9,)): [],
        Filter((1, 9)): [1, 2],
    }
    assert {narrowed: near(index, 1, narrowed=narrowed) for narrowed in expected} == expected


def test_tenants_have_nothing_in_common(make: Make) -> None:
    ours, theirs = make("acme"), make("rival")
    put(ours, [1, 2], [vector(1), vector(0, 1)])
    put(theirs, [3], [vector(1)])
    drop(theirs, [3])
    put(theirs, [4], [vector(1)])
    for narrowed in (Filter(), Filter((1,), VI)):
        assert near(ours, 1, narrowed=narrowed) == [1, 2]
        assert near(theirs, 1, narrowed=narrowed) == [4]
    assert (ours.seq, ours.stats().vectors, theirs.seq, theirs.stats().vectors) == (2, 2, 3, 1)


def test_of_many_they_are_those_that_comparing_all_finds(index: VectorIndex) -> None:
    entries = clustered_entries(1_500)
    vectors = np.array([one.embedding.vector for one in entries]).astype(np.float16)
    numbers = np.arange(1_500)
    for part in (slice(0, 700), slice(700, 1_500)):
        languages = np.where(numbers[part] % 3 == 0, EN, VI).astype(np.uint16)
        index.apply(
            Changes(part.stop, np.empty(0, np.int64), Rows(numbers[part], vectors[part], numbers[part] % 7, languages))
        )
    drop(index, range(0, 1_500, 10))
    for narrowed, kept in {
        Filter(): numbers % 10 != 0,
        Filter((2, 5)): (numbers % 10 != 0) & np.isin(numbers % 7, (2, 5)),
        Filter((2,), EN): (numbers % 10 != 0) & (numbers % 7 == 2) & (numbers % 3 == 0),
    }.items():
        for asked in vectors[::100].astype(np.float32):
            scores = np.where(kept, vectors.astype(np.float32) @ asked, -2)
            found = index.nearest(asked, narrowed, 10).ids
            assert len(set(found)) == 10
            assert kept[found].all()
            # To within the rounding: which of two that are as near comes first is anybody's choice.
            np.testing.assert_allclose(scores[found], np.sort(scores)[::-1][:10], atol=1e-3)


Open: TypeAlias = Callable[[Store], VectorIndexes]
"""Opens the indexes over a store, as a server that starts does; what lies on disk or in Qdrant stays the same."""


@pytest.fixture(params=["lists", "qdrant", "qdrant over http", "qdrant's engine"])
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Open]:
    match request.param:
        case "lists":
            yield lambda store: Vectors(tmp_path / "vectors", store, Shape(most_loose=100, probes=1_000))
        case "qdrant" | "qdrant's engine":
            client = request.getfixturevalue("client" if request.param == "qdrant" else "engine")
            yield lambda store: QdrantVectors(Qdrant(client), store)
        case _:
            client = request.getfixturevalue("client")
            with qdrant_server.served(client) as fake, qdrant.connected(fake.url) as connection:
                yield lambda store: QdrantVectors(connection, store)


@pytest.fixture
def indexes(opened: Open, store: Store) -> VectorIndexes:
    return opened(store)


def settle(indexes: VectorIndexes, tenant: str = "acme", space: str = SPACE) -> int:
    """Take all in, do what is due; how many vectors there are."""
    assert indexes.follow(tenant, space)
    indexes.rebuild_due()
    return indexes.stats(tenant, space).vectors


def found(indexes: VectorIndexes, to: Entry, limit: int = 10, scope: Scope | None = None) -> list[int]:
    return indexes.nearest(scope or Scope("acme"), to.embedding, limit).ids


def ids(entries: Sequence[Entry]) -> list[int]:
    return [one.document.id for one in entries]


def exactly(entries: Sequence[Entry], to: Entry, limit: int = 10) -> list[int]:
    order = sorted(entries, key=lambda one: -float(one.embedding.vector @ to.embedding.vector))
    return ids(order)[:limit]


def test_nothing_is_near_where_nothing_was_put(indexes: VectorIndexes) -> None:
    assert found(indexes, entry("s1")) == []
    assert settle(indexes) == 0
    assert found(indexes, entry("s1")) == []


def test_what_was_put_is_found_and_what_was_deleted_is_not(store: Store, indexes: VectorIndexes) -> None:
    stay = random_entries(150)
    go = [entry(f"g{n}", recording_id="r2", at=one.embedding.vector) for n, one in enumerate(random_entries(50))]
    store.put(stay + go)
    assert settle(indexes) == 200
    assert {*found(indexes, stay[7], 2)} == {*ids([stay[7], go[7]])}
    while store.delete("acme", "r2", 30)[0]:
        pass
    assert settle(indexes) == 150
    assert found(indexes, stay[7]) == exactly(stay, stay[7])


def test_a_document_that_moves_is_found_where_it_is(store: Store, indexes: VectorIndexes) -> None:
    entries = random_entries(150)
    store.put(entries)
    settle(indexes)
    moved = Entry(replace(entries[5].document, recording_id="r9", language_code="en"), entries[5].embedding)
    store.put([moved])
    assert settle(indexes) == 150
    for scope in (Scope("acme", ("r9",)), Scope("acme", (), "en"), Scope("acme", ("r9", "r1"), "en")):
        assert found(indexes, moved, scope=scope) == [moved.document.id]
    assert moved.document.id not in found(indexes, moved, 200, Scope("acme", ("r1",)))
    assert moved.document.id not in found(indexes, moved, 200, Scope("acme", (), "vi"))


def test_tenants_and_spaces_are_apart(store: Store, indexes: VectorIndexes) -> None:
    ours, theirs = random_entries(120), random_entries(120, tenant="rival")
    other = entry("s0", model="intfloat/other")
    store.put([*ours, *theirs, other])
    assert settle(indexes) == settle(indexes, "rival") == 120
    assert settle(indexes, space=other.embedding.space) == 1
    for scope in (Scope("acme"), Scope("acme", ("r1",)), Scope("acme", ("r1",), "vi")):
        assert {*found(indexes, ours[0], 300, scope)} == {*ids(ours)}
    assert {*found(indexes, ours[0], 300, Scope("rival"))} == {*ids(theirs)}
    assert found(indexes, other) == [other.document.id]


def test_who_starts_again_reads_on(store: Store, opened: Open) -> None:
    entries = random_entries(300)
    store.put(entries[:200])
    settle(opened(store))
    assert found(opened(store), entries[9]) == exactly(entries[:200], entries[9])
    store.put(entries[200:])
    store.put(entries[:50])  # the same again
    again = opened(store)
    assert settle(again) == 300
    assert again.stats("acme", SPACE).seq == store.last_seq() == 300
    assert found(again, entries[9]) == exactly(entries, entries[9])


def test_of_a_database_that_was_lost_nothing_stays(tmp_path: Path, store: Store, opened: Open) -> None:
    store.put(random_entries(150) + random_entries(10, tenant="rival"))
    settle(opened(store))
    settle(opened(store), "rival")
    fresh = Store(tmp_path / "fresh.sqlite")
    others = [entry(f"o{n}", at=one.embedding.vector) for n, one in enumerate(random_entries(200, seed=6))]
    fresh.put(others)
    again = opened(fresh)
    assert settle(again) == 200
    assert {*found(again, others[3], 400)} == {*ids(others)}
    assert found(again, others[3]) == exactly(others, others[3])
    assert found(again, others[3], scope=Scope("rival")) == []
    assert settle(again, "rival") == 0
    fresh.close()


def test_writing_all_anew_leaves_all_as_it_is(store: Store, indexes: VectorIndexes) -> None:
    entries = random_entries(150)
    store.put(entries)
    for whole in (False, True):
        indexes.rebuild("acme", SPACE, whole)
        assert indexes.stats("acme", SPACE).vectors == 150
        assert found(indexes, entries[3]) == exactly(entries, entries[3])


def test_who_is_told_to_stop_takes_nothing_more_in(store: Store, opened: Open) -> None:
    indexes = opened(store)
    store.put(random_entries(10))
    settle(indexes)
    store.put(random_entries(20))
    indexes.stop()
    indexes.follow("acme", SPACE)
    assert indexes.stats("acme", SPACE).vectors == 10
