"""What vector indexes keep on disk: damage, disks that are full or fail."""

import errno
import os
from pathlib import Path

import pytest

from servers.common.errors import DependencyUnavailable
from servers.search import snapshots
from servers.search import vectors as module
from servers.search.store import Store
from servers.search.vectors import Vectors
from tests.stores.search_entries import SPACE, clustered_entries, entry, random_entries
from tests.stores.vector_indexes import agree, exactly, hits, nearest, rebuild, reopened


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
