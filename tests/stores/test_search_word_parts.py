"""How the parts of an index of words become few, over the real store."""

import errno
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from servers.search import inverted, snapshots
from servers.search.inverted import InvertedIndex
from servers.search.store import Store
from servers.search.terms import TenantTerms, Terms
from tests.stores.search_entries import entry
from tests.stores.search_words import found, put, texts


def folder_of(tmp_path: Path) -> Path:
    (folder,) = (tmp_path / "words").iterdir()
    return folder


def reopened(tmp_path: Path, store: Store) -> Terms:
    """As a server that starts, whether the one before stopped or was killed."""
    return Terms(tmp_path / "words", store)


def parts_of(terms: Terms, tenant: str = "acme") -> list[int]:
    """How many rows the parts of an index have."""
    index = terms._open._all[tenant]._index
    assert index
    return [len(part.alive) for part in index._parts]


def four_parts(store: Store, terms: Terms, monkeypatch: pytest.MonkeyPatch) -> None:
    """Four segments, each in a file by itself, that are to become one part."""
    monkeypatch.setattr(inverted, "SAVED", 1)
    monkeypatch.setattr(inverted, "AT_ONCE", 1)
    for n in range(4):
        put(store, terms, entry(f"s{n}"))
    assert parts_of(terms) == [1, 1, 1, 1]


def test_parts_become_few(store: Store, terms: Terms, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inverted, "SAVED", 8)
    for n in range(64):
        put(store, terms, entry(f"s{n}", f"câu số {n}"))
    assert sum(parts_of(terms)) == 64
    assert len(parts_of(terms)) <= 5
    assert [found(store, terms, f'"số {n}"') for n in range(64)] == [[f"s{n}"] for n in range(64)]


def test_no_file_is_left_that_no_manifest_names(
    tmp_path: Path, store: Store, terms: Terms, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inverted, "SAVED", 4)
    for tries in range(2):
        for n in range(40):
            put(store, terms, entry(f"s{n % 30}", f"câu số {n}"))
            terms.merge_due()
        manifest = json.loads((folder_of(tmp_path) / "manifest.json").read_text())
        there = {path.name for path in folder_of(tmp_path).iterdir()}
        assert there == {"manifest.json", *(name for name, _ in manifest["files"])}
        assert any(name.endswith(".dead") for name in there)
        terms = reopened(tmp_path, store)
        assert len(found(store, terms, "câu")) == 30, tries


def test_large_parts_are_merged_beside_everything_else(
    tmp_path: Path, store: Store, terms: Terms, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inverted, "SAVED", 1)
    monkeypatch.setattr(inverted, "AT_ONCE", 3)
    for n in range(16):
        put(store, terms, entry(f"s{n}", f"câu số {n}"))
    assert len(parts_of(terms)) > 5
    original = InvertedIndex.make

    def meanwhile(self: InvertedIndex, run: inverted.Merging, stopped: Callable[[], bool]) -> inverted.Part:
        made = original(self, run, stopped)
        put(store, terms, entry("s3", "khác"), entry(f"more{len(run.parts)}", "thêm"))
        return made

    monkeypatch.setattr(InvertedIndex, "make", meanwhile)
    terms.merge_due()
    assert len(parts_of(terms)) <= 5
    for one in (terms, reopened(tmp_path, store)):
        assert one.follow("acme")
        assert (found(store, one, '"số 3"'), found(store, one, "khác")) == ([], ["s3"])
        assert len(found(store, one, "câu")) == 15
        assert found(store, one, "thêm")


def test_a_part_with_many_dead_rows_is_made_anew(store: Store, terms: Terms, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inverted, "SAVED", 1)
    monkeypatch.setattr(inverted, "LEAST_WASTE", 4)
    put(store, terms, *texts(*["xin"] * 30), *(entry(f"d{n}", "xin", recording_id="r2") for n in range(10)))
    store.delete("acme", "r2", 100)
    assert terms.follow("acme")
    assert parts_of(terms) == [40]
    terms.merge_due()
    assert parts_of(terms) == [30]
    assert len(found(store, terms, "xin")) == 30


def test_an_index_of_which_everything_is_deleted_is_empty(
    tmp_path: Path, store: Store, terms: Terms, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inverted, "SAVED", 1)
    monkeypatch.setattr(inverted, "LEAST_WASTE", 1)
    put(store, terms, *texts(*["xin"] * 5))
    store.delete("acme", "r1", 100)
    assert terms.follow("acme")
    terms.merge_due()
    assert parts_of(terms) == []
    assert found(store, terms, "xin") == []
    assert [path.name for path in folder_of(tmp_path).iterdir()] == ["manifest.json"]
    put(store, terms, entry("s1", recording_id="r2"))
    assert found(store, reopened(tmp_path, store), "xin") == ["s1"]


def test_a_disk_that_is_full_leaves_large_parts_for_later(
    tmp_path: Path, store: Store, terms: Terms, monkeypatch: pytest.MonkeyPatch
) -> None:
    four_parts(store, terms, monkeypatch)

    def full(path: Path) -> None:
        raise OSError(errno.ENOSPC, "no space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(snapshots, "sync", full)
        terms.merge_due()
    assert len(found(store, terms, "xin")) == 4
    assert len(list(folder_of(tmp_path).glob("*.postings"))) == 4
    terms._open._all["acme"]._resting_until = 0.0
    assert terms.follow("acme")
    terms.merge_due()
    assert parts_of(terms) == [4]
    assert len(found(store, terms, "xin")) == 4


def test_what_was_closed_meanwhile_is_left_alone(tmp_path: Path, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another of its like may be open again, whose files it would remove."""
    few, merged = Terms(tmp_path / "words", store, most_open=2), list[str]()
    for tenant in ("a", "b"):
        put(store, few, entry("s1", tenant=tenant))

    def merge(self: TenantTerms) -> bool:
        merged.append(self._tenant)
        few.follow("c")
        assert few._open._all[self._tenant] is self, "what is in use was closed"
        return False

    monkeypatch.setattr(TenantTerms, "merge", merge)
    few.merge_due()
    assert merged == ["a"], "b had been closed"


def test_a_part_of_an_index_that_was_given_up_meanwhile_goes(
    tmp_path: Path, store: Store, terms: Terms, monkeypatch: pytest.MonkeyPatch
) -> None:
    four_parts(store, terms, monkeypatch)
    files = {*folder_of(tmp_path).iterdir()}
    original = InvertedIndex.make

    def given_up(self: InvertedIndex, run: inverted.Merging, stopped: Callable[[], bool]) -> inverted.Part:
        terms._open._all["acme"]._index = None
        return original(self, run, stopped)

    with monkeypatch.context() as patched:
        patched.setattr(InvertedIndex, "make", given_up)
        terms.merge_due()
    assert {*folder_of(tmp_path).iterdir()} == files
    assert terms.follow("acme")
    terms.merge_due()
    assert parts_of(terms) == [4]


def test_a_merge_ends_when_told_to_stop(
    tmp_path: Path, store: Store, terms: Terms, monkeypatch: pytest.MonkeyPatch
) -> None:
    four_parts(store, terms, monkeypatch)
    files, original = {*folder_of(tmp_path).iterdir()}, InvertedIndex.make

    def stopping(self: InvertedIndex, run: inverted.Merging, stopped: Callable[[], bool]) -> inverted.Part:
        terms.stop()
        return original(self, run, stopped)

    monkeypatch.setattr(InvertedIndex, "make", stopping)
    terms.merge_due()
    assert parts_of(terms) == [1, 1, 1, 1]
    assert {*folder_of(tmp_path).iterdir()} == files
