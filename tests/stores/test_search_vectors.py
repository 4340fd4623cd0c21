"""The vector indexes in usearch, over the real store."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from servers.common.errors import DependencyUnavailable
from servers.search import vectors as module
from servers.search.documents import Entry, Scope
from servers.search.store import Store
from servers.search.vectors import Vectors
from tests.stores.search_entries import SPACE, entry, random_entries, vector


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(tmp_path / "documents.sqlite")
    yield store
    store.close()


@pytest.fixture
def indexes(tmp_path: Path, store: Store) -> Vectors:
    return Vectors(tmp_path / "vectors", store)


def nearest(indexes: Vectors, to: Entry, limit: int = 3, scope: Scope | None = None) -> list[int]:
    return indexes.nearest(scope or Scope("acme"), to.embedding, limit)


def exactly(entries: list[Entry], to: Entry, limit: int) -> list[int]:
    order = sorted(entries, key=lambda put: -float(put.embedding.vector @ to.embedding.vector))
    return [put.document.id for put in order[:limit]]


def test_nothing_is_near_in_an_empty_index(indexes: Vectors) -> None:
    assert nearest(indexes, entry("s1")) == []


def test_the_nearest_come_nearest_first(store: Store, indexes: Vectors) -> None:
    entries = random_entries(200)
    store.put(entries)
    assert nearest(indexes, entries[7], 10) == exactly(entries, entries[7], 10)


def test_the_graph_finds_nearly_all(store: Store, indexes: Vectors, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_EXACT", 0)
    entries = random_entries(2_000)
    store.put(entries)
    hits = sum(len({*nearest(indexes, put, 10)} & {*exactly(entries, put, 10)}) for put in entries[:50])
    assert hits >= 490


def test_what_comes_later_is_found_at_once(store: Store, indexes: Vectors) -> None:
    store.put([entry("s1", at=vector(1, 0))])
    assert len(nearest(indexes, entry("s1"))) == 1
    store.put([entry("s2", at=vector(0, 1))])
    assert nearest(indexes, entry("x", at=vector(0, 1)), 1) == [entry("s2").document.id]


@pytest.mark.parametrize("most_exact", [0, 20_000])
def test_a_changed_vector_replaces_the_old(
    store: Store, indexes: Vectors, monkeypatch: pytest.MonkeyPatch, most_exact: int
) -> None:
    monkeypatch.setattr(module, "MOST_EXACT", most_exact)
    entries = random_entries(300)
    store.put(entries)
    indexes.follow("acme", SPACE)
    changed = random_entries(300, seed=1)
    store.put(changed)
    for put in changed[:50]:
        ids = nearest(indexes, put, 300)
        assert ids[0] == put.document.id
        assert len(ids) == len(set(ids)) == 300


def test_tenants_never_see_each_other(store: Store, indexes: Vectors) -> None:
    ours, theirs = random_entries(50), random_entries(50, tenant="rival")
    store.put(ours + theirs)
    for narrowed in ((), ("r1",)):
        seen = nearest(indexes, ours[0], 100, Scope("acme", narrowed))
        assert {*seen} == {put.document.id for put in ours}


@pytest.mark.parametrize("most_filtered", [50_000, 10])
def test_filters_keep_the_nearest_of_what_is_left(
    store: Store, indexes: Vectors, monkeypatch: pytest.MonkeyPatch, most_filtered: int
) -> None:
    monkeypatch.setattr(module, "MOST_FILTERED_EXACT", most_filtered)
    wanted = random_entries(100, recording_id="r2", language_code="en")
    others = [entry(f"o{n}", at=put.embedding.vector) for n, put in enumerate(random_entries(100, seed=3))]
    store.put(wanted + others)
    for scope in (Scope("acme", ("r2",)), Scope("acme", (), "en"), Scope("acme", ("r2", "r3"), "en")):
        assert nearest(indexes, wanted[3], 10, scope) == exactly(wanted, wanted[3], 10)
    assert nearest(indexes, wanted[3], 10, Scope("acme", ("r3",))) == []


def test_spaces_are_apart(store: Store, indexes: Vectors) -> None:
    store.put([entry("s1"), entry("s2", model="other")])
    assert nearest(indexes, entry("x")) == [entry("s1").document.id]
    assert nearest(indexes, entry("x", model="other")) == [entry("s2").document.id]


def test_a_snapshot_spares_the_way(tmp_path: Path, store: Store, indexes: Vectors) -> None:
    entries = random_entries(100)
    store.put(entries[:90])
    indexes.follow("acme", SPACE)
    indexes.save_changed()
    store.put(entries[90:])
    asked = list[int]()
    original = store.changes_after
    store.changes_after = lambda tenant, space, seq, limit: (  # type: ignore[method-assign]
        asked.append(seq) or original(tenant, space, seq, limit)  # type: ignore[func-returns-value]
    )
    again = Vectors(tmp_path / "vectors", store)
    assert nearest(again, entries[95], 10) == exactly(entries, entries[95], 10)
    assert asked[0] == 90


def halved(store: Store, recordings: int = 100) -> tuple[list[Entry], list[Entry]]:
    """Entries of two recordings: those to stay, and those to be deleted."""
    stay = random_entries(recordings, seed=1)
    go = [
        entry(f"g{n}", recording_id="r2", at=one.embedding.vector) for n, one in enumerate(random_entries(recordings))
    ]
    store.put([one for pair in zip(stay, go, strict=True) for one in pair])
    return stay, go


def forget(store: Store, recording_id: str = "r2") -> None:
    while store.delete("acme", recording_id, 30)[0]:
        pass


@pytest.mark.parametrize("graph", [False, True])
def test_deleted_vectors_are_found_no_more_and_all_others_are(
    store: Store, indexes: Vectors, monkeypatch: pytest.MonkeyPatch, graph: bool
) -> None:
    if graph:
        monkeypatch.setattr(module, "MOST_EXACT", 0)
    stay, go = halved(store, 500)
    assert nearest(indexes, go[3], 1) == [go[3].document.id]
    forget(store)
    hits = 0
    for one in (*stay[:25], *go[:25]):
        found = nearest(indexes, one, 10)
        assert len(found) == 10
        assert not {*found} & {put.document.id for put in go}
        hits += len({*found} & {*exactly(stay, one, 10)})
    assert hits >= (490 if graph else 500)


def test_a_snapshot_from_before_a_deletion_brings_nothing_back(tmp_path: Path, store: Store, indexes: Vectors) -> None:
    stay, go = halved(store)
    indexes.follow("acme", SPACE)
    indexes.save_changed()
    forget(store)
    again = Vectors(tmp_path / "vectors", store)
    assert nearest(again, go[5], 200) == exactly(stay, go[5], 200)


def test_a_snapshot_from_after_a_deletion_and_one_built_anew_agree(
    tmp_path: Path, store: Store, indexes: Vectors
) -> None:
    stay, go = halved(store)
    indexes.follow("acme", SPACE)
    forget(store)
    indexes.follow("acme", SPACE)
    indexes.save_changed()
    late = entry("late", at=go[5].embedding.vector)
    store.put([late])
    for folder in ("vectors", "none"):
        again = Vectors(tmp_path / folder, store)
        assert nearest(again, go[5], 300) == exactly([*stay, late], go[5], 300)


def test_an_index_of_which_all_is_deleted_is_empty(tmp_path: Path, store: Store, indexes: Vectors) -> None:
    store.put([entry("s1"), entry("s2")])
    assert len(nearest(indexes, entry("s1"))) == 2
    forget(store, "r1")
    assert nearest(indexes, entry("s1")) == []
    indexes.save_changed()
    again = Vectors(tmp_path / "vectors", store)
    assert nearest(again, entry("s1")) == []
    store.put([entry("s3", recording_id="r2")])
    assert nearest(again, entry("s1")) == [entry("s3", recording_id="r2").document.id]


def test_without_a_snapshot_after_a_crash_all_is_read_anew(tmp_path: Path, store: Store, indexes: Vectors) -> None:
    entries = random_entries(100)
    store.put(entries)
    indexes.follow("acme", SPACE)
    again = Vectors(tmp_path / "vectors", store)
    assert nearest(again, entries[5], 10) == exactly(entries, entries[5], 10)


@pytest.mark.parametrize("harm", ["data", "manifest", "lost data"])
def test_a_damaged_snapshot_is_built_anew(tmp_path: Path, store: Store, indexes: Vectors, harm: str) -> None:
    entries = random_entries(100)
    store.put(entries)
    indexes.follow("acme", SPACE)
    indexes.save_changed()
    (data,) = (tmp_path / "vectors").glob("*.data")
    (manifest,) = (tmp_path / "vectors").glob("*.json")
    match harm:
        case "data":
            data.write_bytes(data.read_bytes()[:-100])
        case "manifest":
            manifest.write_text("{")
        case "lost data":
            data.unlink()
    again = Vectors(tmp_path / "vectors", store)
    assert nearest(again, entries[5], 10) == exactly(entries, entries[5], 10)


def test_a_snapshot_of_a_lost_database_is_not_believed(tmp_path: Path, store: Store, indexes: Vectors) -> None:
    store.put(random_entries(100))
    indexes.follow("acme", SPACE)
    indexes.save_changed()
    fresh = Store(tmp_path / "fresh.sqlite")
    fresh.put([entry("new")])
    again = Vectors(tmp_path / "vectors", fresh)
    assert nearest(again, entry("x"), 10) == [entry("new").document.id]
    fresh.close()


def test_of_many_tenants_the_one_unused_for_longest_is_closed_and_opened_again(tmp_path: Path, store: Store) -> None:
    indexes = Vectors(tmp_path / "vectors", store, most_open=2)
    tenants = ["a", "b", "c"]
    store.put([entry("s1", tenant=tenant) for tenant in tenants])
    for tenant in tenants * 2:
        assert len(nearest(indexes, entry("x"), 10, Scope(tenant))) == 1
    assert len(list((tmp_path / "vectors").glob("*.json"))) == 3


def test_searches_writes_and_snapshots_at_the_same_time(store: Store, indexes: Vectors) -> None:
    entries = random_entries(1_000)
    store.put(entries[:100])
    done = threading.Event()

    def search() -> None:
        while not done.is_set():
            assert len(nearest(indexes, entries[0], 10)) == 10

    with ThreadPoolExecutor(3) as pool:
        searching = [pool.submit(search) for _ in range(3)]
        for start in range(100, 1_000, 50):
            store.put(entries[start : start + 50])
            indexes.follow("acme", SPACE)
            indexes.save_changed()
        done.set()
        for one in searching:
            one.result()
    assert nearest(indexes, entries[999], 1) == [entries[999].document.id]
    assert len(nearest(indexes, entries[999], 2_000)) == 1_000


def test_scores_are_those_of_full_precision_within_a_thousandth(store: Store) -> None:
    entries = random_entries(50)
    store.put(entries)
    _, _, (_, kept) = store.changes_after("acme", SPACE, 0, 50)
    full = np.stack([put.embedding.vector for put in entries])
    np.testing.assert_allclose(kept.astype(np.float32) @ full[0], full @ full[0], atol=2e-3)


def test_an_index_that_is_being_opened_delays_nobody_for_long(
    store: Store, indexes: Vectors, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = entry("s1")
    store.put([mine])
    opening, go_on = threading.Event(), threading.Event()
    load = module.TenantIndex._load

    def slowly(index: module.TenantIndex) -> None:
        opening.set()
        assert go_on.wait(10)
        load(index)

    monkeypatch.setattr(module.TenantIndex, "_load", slowly)
    with ThreadPoolExecutor(1) as pool:
        building = pool.submit(indexes.follow, "acme", SPACE)
        assert opening.wait(10)
        with pytest.raises(DependencyUnavailable):
            nearest(indexes, mine)
        go_on.set()
        building.result(10)
    assert nearest(indexes, mine) == [mine.document.id]
