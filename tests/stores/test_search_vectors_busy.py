"""Vector indexes in which much happens at the same time, and that are killed."""

import asyncio
import random
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from servers.common.errors import DependencyUnavailable
from servers.search import segments
from servers.search import vectors as module
from servers.search.documents import Scope
from servers.search.indexing import Changes
from servers.search.shelves import Shelves
from servers.search.store import Store
from servers.search.terms import Terms
from servers.search.vectors import Vectors
from tests.stores.search_entries import SPACE, clustered_entries, entry, random_entries
from tests.stores.vector_indexes import agree, exactly, forget, hits, nearest, rebuild, reopened


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
from tests.stores.vector_indexes import LISTED
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
