"""The vector indexes over the real store: what they find."""

from dataclasses import replace
from pathlib import Path

import pytest

from servers.search import segments
from servers.search import vectors as module
from servers.search.documents import Entry, Scope
from servers.search.indexing import Changes
from servers.search.rebuilding import Shape
from servers.search.store import Store
from servers.search.vectors import Vectors
from tests.stores.search_entries import SPACE, clustered_entries, entry, random_entries, vector
from tests.stores.vector_indexes import LISTED, agree, exactly, forget, hits, nearest, rebuild, reopened


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
