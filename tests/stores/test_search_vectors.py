"""The vector indexes over the real store."""

import asyncio
import errno
import os
import random
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from servers.common.errors import DependencyUnavailable
from servers.search import segments, snapshots
from servers.search import vectors as module
from servers.search.documents import Entry, Scope
from servers.search.indexing import Changes, Stats
from servers.search.rebuilding import Shape
from servers.search.shelves import Shelves
from servers.search.store import Store
from servers.search.terms import Terms
from servers.search.vectors import Vectors
from tests.stores.search_entries import SPACE, clustered_entries, entry, random_entries, vector

LISTED = Shape(most_loose=100, probes=24, least_rows=0, lists_by_root=4)
"""Lists for as few vectors as tests have."""


@pytest.fixture
def indexes(tmp_path: Path, store: Store) -> Vectors:
    return Vectors(tmp_path / "vectors", store)


@pytest.fixture
def listed(tmp_path: Path, store: Store) -> Vectors:
    return Vectors(tmp_path / "vectors", store, LISTED)


def rebuild(indexes: Vectors, tenant: str = "acme") -> Stats:
    """Take all in, and make the lists that are due."""
    indexes.follow(tenant, SPACE)
    indexes.rebuild_due()
    return indexes.stats(tenant, SPACE)


def reopened(store: Store, tmp_path: Path) -> Vectors:
    return Vectors(tmp_path / "vectors", store, LISTED)


def hits(indexes: Vectors, among: list[Entry], asked: list[Entry], scope: Scope | None = None) -> float:
    """The share of the ten nearest that are found."""
    found = sum(len({*nearest(indexes, put, 10, scope)} & {*exactly(among, put, 10)}) for put in asked)
    return found / (10 * len(asked))


def nearest(indexes: Vectors, to: Entry, limit: int = 3, scope: Scope | None = None) -> list[int]:
    return indexes.nearest(scope or Scope("acme"), to.embedding, limit).ids


def exactly(entries: list[Entry], to: Entry, limit: int) -> list[int]:
    order = sorted(entries, key=lambda put: -float(put.embedding.vector @ to.embedding.vector))
    return [put.document.id for put in order[:limit]]


def agree(found: list[int], wanted: list[int]) -> bool:
    """Whether they are the same, but for those that are as near as each other to within the rounding."""
    return {*found} == {*wanted} and found[:5] == wanted[:5]


def test_nothing_is_near_in_an_empty_index(indexes: Vectors) -> None:
    assert nearest(indexes, entry("s1")) == []


def test_the_nearest_come_nearest_first(store: Store, indexes: Vectors) -> None:
    entries = random_entries(200)
    store.put(entries)
    assert nearest(indexes, entries[7], 10) == exactly(entries, entries[7], 10)


def test_lists_find_nearly_all_and_look_at_few(store: Store, listed: Vectors) -> None:
    entries = clustered_entries(4_000)
    store.put(entries)
    stats = rebuild(listed)
    assert (stats.vectors, stats.loose, stats.lists) == (4_000, 0, 253)
    assert hits(listed, entries, entries[:50]) >= 0.98
    ranked = listed.nearest(Scope("acme"), entries[3].embedding, 10)
    assert ranked.lists == 24
    assert ranked.compared < 1_000


def test_what_comes_later_is_found_at_once(store: Store, indexes: Vectors) -> None:
    store.put([entry("s1", at=vector(1, 0))])
    assert len(nearest(indexes, entry("s1"))) == 1
    store.put([entry("s2", at=vector(0, 1))])
    assert nearest(indexes, entry("x", at=vector(0, 1)), 1) == [entry("s2").document.id]


@pytest.mark.parametrize("shape", [Shape(), LISTED])
def test_a_changed_vector_replaces_the_old(tmp_path: Path, store: Store, shape: Shape) -> None:
    indexes = Vectors(tmp_path / "vectors", store, shape)
    entries = random_entries(300)
    store.put(entries)
    rebuild(indexes)
    changed = random_entries(300, seed=1)
    for half in (changed[:150], changed[150:]):
        store.put(half)
        now = [*half, *entries[150:]] if half[0] is changed[0] else changed
        for put in half[:50]:
            ids = nearest(indexes, put, 300)
            assert ids[0] == put.document.id
            assert len(ids) == len(set(ids)) == 300
        assert hits(indexes, now, half[:20]) >= 0.98
        rebuild(indexes)
        assert hits(indexes, now, half[:20]) >= 0.98
    assert indexes.stats("acme", SPACE).vectors == 300


def test_tenants_never_see_each_other(store: Store, indexes: Vectors) -> None:
    ours, theirs = random_entries(50), random_entries(50, tenant="rival")
    store.put(ours + theirs)
    for narrowed in ((), ("r1",)):
        seen = nearest(indexes, ours[0], 100, Scope("acme", narrowed))
        assert {*seen} == {put.document.id for put in ours}


def test_filters_keep_the_nearest_of_what_is_left(store: Store, indexes: Vectors) -> None:
    wanted = random_entries(100, recording_id="r2", language_code="en")
    others = [entry(f"o{n}", at=put.embedding.vector) for n, put in enumerate(random_entries(100, seed=3))]
    store.put(wanted + others)
    for scope in (Scope("acme", ("r2",)), Scope("acme", (), "en"), Scope("acme", ("r2", "r3"), "en")):
        assert nearest(indexes, wanted[3], 10, scope) == exactly(wanted, wanted[3], 10)
    assert nearest(indexes, wanted[3], 10, Scope("acme", ("r3",))) == []


def of_recordings(count: int) -> list[Entry]:
    """Clustered vectors; recording `few` has one in 50, `some` one in 5, `many` the rest; one in 10 is English."""
    entries = list[Entry]()
    for n, put in enumerate(clustered_entries(count)):
        recording = "few" if n % 50 == 0 else "some" if n % 5 == 1 else "many"
        document = replace(put.document, recording_id=recording, language_code="en" if n % 10 in (0, 1) else "vi")
        entries.append(Entry(replace(document, language_code="de") if n % 100 == 7 else document, put.embedding))
    return entries


FILTERS = [
    Scope("acme", ("few",)),
    Scope("acme", ("some",)),
    Scope("acme", ("many",)),
    Scope("acme", ("few", "some", "none")),
    Scope("acme", (), "en"),
    Scope("acme", (), "vi"),
    Scope("acme", (), "de"),
    Scope("acme", ("some", "few"), "en"),
    Scope("acme", ("none",)),
    Scope("acme", (), "fr"),
]


@pytest.mark.parametrize(("most_gathered", "most_named"), [(0, 0), (0, 10_000), (100, 500), (20_000, 100_000)])
def test_filters_keep_recall_in_lists(
    store: Store, listed: Vectors, monkeypatch: pytest.MonkeyPatch, most_gathered: int, most_named: int
) -> None:
    monkeypatch.setattr(segments, "MOST_GATHERED", most_gathered)
    monkeypatch.setattr(segments, "MOST_NAMED", most_named)
    entries = of_recordings(3_000)
    store.put(entries[:2_700])
    assert rebuild(listed).loose == 0
    store.put(entries[2_700:2_850])
    assert rebuild(listed).loose == 0  # in a later part
    store.put(entries[2_850:])
    asked = entries[::100]
    for scope in FILTERS:
        kept = [
            put
            for put in entries
            if (not scope.recording_ids or put.document.recording_id in scope.recording_ids)
            and scope.language_code in ("", put.document.language_code)
        ]
        inside = {put.document.id for put in kept}
        assert all({*nearest(listed, put, 10, scope)} <= inside for put in asked), scope
        if kept:
            assert hits(listed, kept, asked, scope) >= 0.95, scope


def test_a_recording_that_moves_is_found_where_it_is(store: Store, listed: Vectors) -> None:
    entries = random_entries(300)
    store.put(entries)
    rebuild(listed)
    moved = Entry(replace(entries[5].document, recording_id="r9", language_code="en"), entries[5].embedding)
    store.put([moved])
    for _ in range(2):
        assert nearest(listed, moved, 3, Scope("acme", ("r9",))) == [moved.document.id]
        assert nearest(listed, moved, 3, Scope("acme", (), "en")) == [moved.document.id]
        assert moved.document.id not in nearest(listed, moved, 300, Scope("acme", ("r1",)))
        store.put([entry(f"more{n}", at=one.embedding.vector) for n, one in enumerate(random_entries(150, seed=4))])
        rebuild(listed)


def test_spaces_are_apart(store: Store, indexes: Vectors) -> None:
    store.put([entry("s1"), entry("s2", model="other")])
    assert nearest(indexes, entry("x")) == [entry("s1").document.id]
    assert nearest(indexes, entry("x", model="other")) == [entry("s2").document.id]


def test_a_snapshot_spares_the_way(tmp_path: Path, store: Store, listed: Vectors) -> None:
    entries = random_entries(1_300)
    store.put(entries[:1_100])
    rebuild(listed)
    store.put(entries[1_100:1_210])
    rebuild(listed)
    store.put(entries[1_210:])
    asked = list[int]()
    original = store.changes_after

    def counted(tenant: str, space: str, seq: int, limit: int) -> Changes:
        asked.append(seq)
        return original(tenant, space, seq, limit)

    store.changes_after = counted  # type: ignore[method-assign]
    again = reopened(store, tmp_path)
    for put in entries[::100]:
        assert nearest(again, put, 10) == nearest(listed, put, 10)
    assert asked[0] == 1_210
    assert hits(again, entries, entries[::50]) >= 0.98
    assert again.stats("acme", SPACE) == listed.stats("acme", SPACE)


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


@pytest.mark.parametrize("shape", [Shape(), LISTED])
def test_deleted_vectors_are_found_no_more_and_all_others_are(tmp_path: Path, store: Store, shape: Shape) -> None:
    indexes = Vectors(tmp_path / "vectors", store, shape)
    stay, go = halved(store, 500)
    rebuild(indexes)
    assert nearest(indexes, go[3], 1) == [go[3].document.id]
    forget(store)
    for _ in range(2):
        for one in (*stay[:25], *go[:25]):
            found = nearest(indexes, one, 10)
            assert len(found) == 10
            assert not {*found} & {put.document.id for put in go}
        assert hits(indexes, stay, [*stay[:25], *go[:25]]) >= (0.98 if shape is LISTED else 1)
        stats = rebuild(indexes)
        assert (stats.vectors, stats.dead) == (500, 0 if shape is LISTED else 500)


def test_a_snapshot_from_before_a_deletion_brings_nothing_back(tmp_path: Path, store: Store, listed: Vectors) -> None:
    stay, go = halved(store)
    assert rebuild(listed).loose == 0
    forget(store)
    again = reopened(store, tmp_path)
    assert agree(nearest(again, go[5], 200), exactly(stay, go[5], 200))


def test_what_died_below_a_later_part_is_dead_after_reopening(tmp_path: Path, store: Store, listed: Vectors) -> None:
    entries = random_entries(1_100)
    gone = [entry(f"g{n}", recording_id="r2", at=put.embedding.vector) for n, put in enumerate(entries[:50])]
    store.put([*gone, *entries])
    rebuild(listed)
    forget(store)
    late = [entry(f"l{n}", at=put.embedding.vector) for n, put in enumerate(random_entries(101, seed=5))]
    store.put(late)
    stats = rebuild(listed)
    assert (stats.vectors, stats.dead, stats.loose) == (1_201, 50, 0)
    again = reopened(store, tmp_path)
    for put in gone[:10]:
        assert len(nearest(again, put, 1_201)) == 1_201
        assert not {*nearest(again, put, 50)} & {one.document.id for one in gone}
    assert again.stats("acme", SPACE) == stats


def test_a_later_part_of_the_base_before_is_not_believed(tmp_path: Path, store: Store, listed: Vectors) -> None:
    entries = random_entries(1_500)
    store.put(entries[:1_100])
    rebuild(listed)
    store.put(entries[1_100:1_205])
    rebuild(listed)
    folder = tmp_path / "vectors"
    old = {path: path.read_bytes() for path in folder.glob("*.late*")}
    assert len(old) == 2
    store.put(entries[1_205:])
    assert rebuild(listed).loose == 0
    assert not list(folder.glob("*.late*"))
    for path, content in old.items():  # as if killed before it was removed
        path.write_bytes(content)
    again = reopened(store, tmp_path)
    assert again.stats("acme", SPACE) == listed.stats("acme", SPACE)
    assert agree(nearest(again, entries[1_150], 1_500), exactly(entries, entries[1_150], 1_500))
    assert not list(folder.glob("*.late*"))


def test_a_snapshot_from_after_a_deletion_and_one_built_anew_agree(
    tmp_path: Path, store: Store, listed: Vectors
) -> None:
    stay, go = halved(store)
    rebuild(listed)
    forget(store)
    assert rebuild(listed).dead == 0
    late = entry("late", at=go[5].embedding.vector)
    store.put([late])
    for folder in ("vectors", "none"):
        again = Vectors(tmp_path / folder, store, LISTED)
        assert agree(nearest(again, go[5], 300), exactly([*stay, late], go[5], 300))


def test_an_index_of_which_all_is_deleted_is_empty(tmp_path: Path, store: Store, listed: Vectors) -> None:
    store.put(random_entries(150))
    assert rebuild(listed).lists > 1
    forget(store, "r1")
    assert nearest(listed, entry("s1")) == []
    stats = rebuild(listed)
    assert (stats.vectors, stats.dead, stats.lists) == (0, 0, 1)
    again = reopened(store, tmp_path)
    assert nearest(again, entry("s1")) == nearest(listed, entry("s1")) == []
    store.put([entry("s3", recording_id="r2")])
    for indexes in (again, listed):
        assert nearest(indexes, entry("s1")) == [entry("s3", recording_id="r2").document.id]
        assert nearest(indexes, entry("s1"), 3, Scope("acme", ("r2",))) == [entry("s3").document.id]


def test_lists_are_made_anew_when_there_are_twice_as_many(store: Store, listed: Vectors) -> None:
    entries = clustered_entries(1_500)
    store.put(entries[:400])
    assert rebuild(listed).lists == 80
    store.put(entries[400:600])
    assert rebuild(listed).lists == 80
    store.put(entries[600:])
    assert rebuild(listed).lists == 155
    assert hits(listed, entries, entries[:50]) >= 0.98


def test_without_a_snapshot_after_a_crash_all_is_read_anew(tmp_path: Path, store: Store, indexes: Vectors) -> None:
    entries = random_entries(100)
    store.put(entries)
    indexes.follow("acme", SPACE)
    again = Vectors(tmp_path / "vectors", store)
    assert nearest(again, entries[5], 10) == exactly(entries, entries[5], 10)


@pytest.mark.parametrize("part", ["base", "later"])
@pytest.mark.parametrize("harm", ["cut", "flip", "manifest", "lost data", "another kind"])
def test_a_damaged_snapshot_is_built_anew(tmp_path: Path, store: Store, listed: Vectors, harm: str, part: str) -> None:
    entries = random_entries(1_300)
    store.put(entries[:1_100])
    rebuild(listed)
    store.put(entries[1_100:1_205])
    assert rebuild(listed).loose == 0
    store.put(entries[1_205:])
    name = next((tmp_path / "vectors").glob("*.late.json")).stem
    name = name if part == "later" else name.removesuffix(".late")
    (data,) = (tmp_path / "vectors").glob(f"{name}-*.data")
    manifest = tmp_path / "vectors" / f"{name}.json"
    content = data.read_bytes()
    data.unlink()  # the index that is open maps it, and shall be compared
    match harm:
        case "cut":
            data.write_bytes(content[:-100])
        case "flip":
            at = len(content) * 2 // 3
            data.write_bytes(content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :])
        case "manifest":
            data.write_bytes(content)
            manifest.write_text("{")
        case "another kind":
            snapshots.save(tmp_path / "vectors", name, store.index_id, 7, of_another_kind)
    again = reopened(store, tmp_path)
    assert agree(nearest(again, entries[5], 1_300), nearest(listed, entries[5], 1_300))
    assert hits(again, entries, entries[::50]) >= 0.98
    stats = rebuild(again)
    assert (stats.vectors, stats.loose) == (1_300, 0)
    assert reopened(store, tmp_path).stats("acme", SPACE) == stats


def of_another_kind(path: Path) -> None:
    path.write_bytes(b"what another index once wrote")


def test_a_snapshot_of_a_lost_database_is_not_believed(tmp_path: Path, store: Store, listed: Vectors) -> None:
    store.put(random_entries(150))
    rebuild(listed)
    fresh = Store(tmp_path / "fresh.sqlite")
    others = [entry(f"o{n}", at=put.embedding.vector) for n, put in enumerate(random_entries(200, seed=6))]
    fresh.put(others)
    again = reopened(fresh, tmp_path)
    assert agree(nearest(again, entry("x"), 400), exactly(others, entry("x"), 200))
    fresh.close()


def test_a_disk_that_is_full_leaves_all_as_it_is(
    tmp_path: Path, store: Store, listed: Vectors, monkeypatch: pytest.MonkeyPatch
) -> None:
    entries = random_entries(1_300)
    store.put(entries[:1_100])
    rebuild(listed)
    store.put(entries[1_100:])

    def full(*args: object) -> None:
        raise OSError(errno.ENOSPC, "no space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "posix_fallocate", full)
        assert rebuild(listed).loose == 200
        assert not list((tmp_path / "vectors").glob("*.late.json"))
    for indexes in (listed, reopened(store, tmp_path)):
        assert len(nearest(indexes, entries[1_200], 1_300)) == 1_300
        assert hits(indexes, entries, entries[::50]) >= 0.98


def test_a_compaction_that_fails_leaves_the_snapshot_before(
    tmp_path: Path, store: Store, listed: Vectors, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.put(random_entries(300))
    assert rebuild(listed).loose == 0

    def full(*args: object) -> None:
        raise OSError(errno.ENOSPC, "no space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "posix_fallocate", full)
        with pytest.raises(DependencyUnavailable):
            listed.rebuild("acme", SPACE, whole=True)
    again = reopened(store, tmp_path)
    assert again.stats("acme", SPACE).loose == 0, "it was read from the snapshot"


def test_a_disk_that_is_full_while_all_is_read_anew_is_tried_again_later(
    tmp_path: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_READ", 200)
    monkeypatch.setattr(module, "STEP", 50)
    entries = clustered_entries(1_000)
    store.put(entries)
    indexes, tried = reopened(store, tmp_path), list[object]()

    def full(*args: object) -> None:
        tried.append(args)
        raise OSError(errno.ENOSPC, "no space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "posix_fallocate", full)
        assert not indexes.follow("acme", SPACE)
        with pytest.raises(DependencyUnavailable):
            nearest(indexes, entries[0])
    assert len(tried) == 1
    next(iter(indexes._open._all.values()))._resting_until = 0.0
    assert indexes.follow("acme", SPACE)
    assert indexes.stats("acme", SPACE).vectors == 1_000
    assert hits(indexes, entries, entries[::20]) >= 0.98


def test_a_snapshot_that_the_disk_does_not_give_stays_and_is_tried_again_later(
    tmp_path: Path, store: Store, listed: Vectors, monkeypatch: pytest.MonkeyPatch
) -> None:
    entries = random_entries(300)
    store.put(entries)
    rebuild(listed)
    again = reopened(store, tmp_path)

    def broken(path: Path) -> str:
        raise OSError(errno.EIO, "input/output error")

    with monkeypatch.context() as patched:
        patched.setattr(snapshots, "checksum", broken)
        with pytest.raises(DependencyUnavailable):
            nearest(again, entries[0])
        assert not again.follow("acme", SPACE)
    next(iter(again._open._all.values()))._resting_until = 0.0
    assert nearest(again, entries[0]) == nearest(listed, entries[0])
    assert again.stats("acme", SPACE).loose == 0


def test_a_rebuilding_ends_when_told_to_stop(store: Store, listed: Vectors) -> None:
    store.put(random_entries(300))
    listed.follow("acme", SPACE)
    frozen = next(iter(listed._open._all.values()))
    listed.stop()
    frozen.rebuild()
    assert listed.stats("acme", SPACE).loose == 300


def test_of_many_tenants_the_one_unused_for_longest_is_closed_and_opened_again(tmp_path: Path, store: Store) -> None:
    indexes = Vectors(tmp_path / "vectors", store, LISTED, most_open=2)
    tenants = ["a", "b", "c"]
    for tenant in tenants:
        store.put(random_entries(150, tenant=tenant))
    for tenant in tenants * 2:
        assert len(nearest(indexes, entry("x"), 200, Scope(tenant))) == 150
        assert len(indexes._open) <= 2
        rebuild(indexes, tenant)
    assert len(list((tmp_path / "vectors").glob("*.json"))) == 3


def test_what_was_closed_meanwhile_is_left_alone(tmp_path: Path, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another of its like may be open again, whose files it would remove."""
    few, rebuilt = Vectors(tmp_path / "vectors", store, LISTED, most_open=2), list[str]()
    for tenant in ("a", "b"):
        few.follow(tenant, SPACE)

    def rebuild(self: module.TenantIndex) -> None:
        rebuilt.append(self._tenant)
        few.follow("c", SPACE)
        assert few._open._all[self._tenant, SPACE] is self, "what is in use was closed"

    monkeypatch.setattr(module.TenantIndex, "due", lambda self: True)
    monkeypatch.setattr(module.TenantIndex, "rebuild", rebuild)
    few.rebuild_due()
    assert rebuilt == ["a"], "b had been closed"


def test_searches_writes_and_rebuildings_at_the_same_time(store: Store, listed: Vectors) -> None:
    entries = clustered_entries(2_000)
    store.put(entries[:200])
    done = threading.Event()

    def search() -> None:
        while not done.is_set():
            ids = nearest(listed, entries[0], 10)
            assert len(ids) == len(set(ids)) == 10
            assert ids[0] == entries[0].document.id

    def rebuilding() -> None:
        while not done.wait(0.05):
            listed.rebuild_due()

    with ThreadPoolExecutor(4) as pool:
        beside = [pool.submit(search) for _ in range(2)] + [pool.submit(rebuilding)]
        for start in range(200, 2_000, 90):
            store.put(entries[start : start + 90])
            listed.follow("acme", SPACE)
            assert nearest(listed, entries[start + 89], 1) == [entries[start + 89].document.id]
        done.set()
        for one in beside:
            one.result()
    assert len(nearest(listed, entries[1_999], 2_000)) == 2_000
    assert hits(listed, entries, entries[::40]) >= 0.98


def test_what_happens_during_a_rebuilding_is_kept(
    tmp_path: Path, store: Store, listed: Vectors, monkeypatch: pytest.MonkeyPatch
) -> None:
    entries = random_entries(300)
    gone = [entry(f"g{n}", recording_id="r2", at=put.embedding.vector) for n, put in enumerate(entries[:100])]
    store.put([*entries, *gone[:50]])
    rebuild(listed)
    store.put(gone[50:])
    store.put(random_entries(200))  # the same again
    late = [entry(f"l{n}", at=put.embedding.vector) for n, put in enumerate(random_entries(60, seed=8))]
    changed = random_entries(20, seed=9)
    write = segments.write

    def meanwhile(*args: Any, **facts: Any) -> None:
        write(*args, **facts)
        store.put(late)
        forget(store)
        store.put(changed)
        listed.follow("acme", SPACE)

    store.put([entry("one more")])
    store.put(random_entries(1, recording_id="r3"))
    monkeypatch.setattr(segments, "write", meanwhile)
    listed.follow("acme", SPACE)
    assert listed.stats("acme", SPACE).loose <= 100
    next(iter(listed._open._all.values())).rebuild()
    now = [*changed, *entries[20:], entry("one more"), *late]
    for indexes in (listed, reopened(store, tmp_path)):
        assert indexes.stats("acme", SPACE).vectors == len(now)
        for put in (*late[:10], *changed[:10], *gone[30:60]):
            assert agree(nearest(indexes, put, 400), exactly(now, put, 400))


def test_very_many_come_into_lists_while_they_are_read(
    tmp_path: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_READ", 200)
    monkeypatch.setattr(module, "STEP", 50)
    entries = clustered_entries(1_000)
    store.put(entries)
    indexes = reopened(store, tmp_path)
    indexes.follow("acme", SPACE)
    stats = indexes.stats("acme", SPACE)
    assert (stats.vectors, stats.loose, stats.lists) == (1_000, 0, 113)
    assert hits(indexes, entries, entries[::20]) >= 0.98


def test_reading_ends_when_told_to_stop(
    tmp_path: Path, store: Store, listed: Vectors, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "STEP", 50)
    store.put(random_entries(300))
    original = store.changes_after

    def stopping(tenant: str, space: str, seq: int, limit: int) -> Changes:
        if seq >= 100:
            listed.stop()
        return original(tenant, space, seq, limit)

    store.changes_after = stopping  # type: ignore[method-assign]
    listed.follow("acme", SPACE)
    assert listed.stats("acme", SPACE).vectors == 150


async def test_the_shelves_make_lists_by_themselves(tmp_path: Path, store: Store, listed: Vectors) -> None:
    shelves = Shelves(store, listed, Terms(tmp_path / "words", store))
    keeping = asyncio.create_task(shelves.keep_indexes())
    try:
        entries = random_entries(150)
        await shelves.put(entries)
        async with asyncio.timeout(10):
            while listed.stats("acme", SPACE).lists == 0:
                await shelves.put(entries)
                await asyncio.sleep(0.01)
        found = await shelves.nearest(Scope("acme"), entries[3].embedding, 10)
        assert found.ids == exactly(entries, entries[3], 10)
    finally:
        keeping.cancel()
        await shelves.close()


@pytest.mark.parametrize("seed", range(4))
def test_kill_9_at_any_moment_loses_nothing(tmp_path: Path, seed: int) -> None:
    """In the middle of puts and rebuildings, one after the other without a pause."""
    script = """
import sys
from pathlib import Path
from servers.search.store import Store
from servers.search.terms import Terms
from servers.search.vectors import Vectors
from tests.stores.search_entries import SPACE, clustered_entries
from tests.stores.test_search_vectors import LISTED
folder = Path(sys.argv[1])
store = Store(folder / "documents.sqlite")
indexes = Vectors(folder / "vectors", store, LISTED)
entries = clustered_entries(3_000)
for start in range(0, 3_000, 60):
    store.put(entries[start : start + 60])
    print(start + 60, file=sys.stderr, flush=True)
    indexes.follow("acme", SPACE)
    indexes.rebuild_due()
"""
    command = [sys.executable, "-c", script, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, cwd=Path.cwd()) as process:
        assert process.stderr is not None
        acknowledged = [int(process.stderr.readline()) for _ in range(5 + 3 * seed)]
        time.sleep(random.Random(seed).uniform(0, 0.05))
        process.kill()
        acknowledged += [int(line) for line in process.stderr.read().split()]
    entries = clustered_entries(3_000)
    store = Store(tmp_path / "documents.sqlite")
    again = reopened(store, tmp_path)
    found = nearest(again, entries[0], 3_000)
    assert len(found) == len(set(found)) == again.stats("acme", SPACE).vectors
    assert {*found} >= {put.document.id for put in entries[: acknowledged[-1]]}
    there = entries[: len(found)]
    assert {*found} == {put.document.id for put in there}
    assert hits(again, there, there[::20]) >= 0.98
    stats = rebuild(again)
    assert (stats.vectors, stats.dead) == (len(found), 0)
    store.close()


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
        monkeypatch.setattr(module, "SEARCH_PATIENCE_S", 60)
        with pytest.raises(DependencyUnavailable):
            nearest(indexes, mine)  # one has waited for all
        go_on.set()
        building.result(10)
    assert nearest(indexes, mine) == [mine.document.id]
