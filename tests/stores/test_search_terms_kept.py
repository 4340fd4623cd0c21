"""What is kept of the indexes of words, and how they follow the store."""

import errno
import itertools
import random
import shutil
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from servers.common.errors import DependencyUnavailable
from servers.search import inverted, snapshots
from servers.search import terms as module
from servers.search.documents import Scope
from servers.search.inverted import InvertedIndex
from servers.search.query import parsed
from servers.search.store import Store
from servers.search.terms import Terms
from servers.search.word_index import WordChanges, WordIndexDamaged, WordIndexUnwritable
from tests.stores.search_entries import entry
from tests.stores.search_words import found, put, texts


@pytest.fixture
def saved(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every commit is brought into files."""
    monkeypatch.setattr(inverted, "SAVED", 1)


def folder_of(tmp_path: Path) -> Path:
    (folder,) = (tmp_path / "words").iterdir()
    return folder


def reopened(tmp_path: Path, store: Store) -> Terms:
    """As a server that starts, whether the one before stopped or was killed."""
    return Terms(tmp_path / "words", store)


# Files


@pytest.mark.usefixtures("saved")
def test_an_index_goes_on_where_it_was(tmp_path: Path, store: Store, terms: Terms) -> None:
    put(store, terms, entry("s1"))
    store.put([entry("s2", "xin việc")])
    read = list[int]()
    original = store.written_after

    def noted(tenant: str, seq: int, limit: int) -> WordChanges:
        read.append(seq)
        return original(tenant, seq, limit)

    store.written_after = noted  # type: ignore[method-assign]
    again = reopened(tmp_path, store)
    assert again.follow("acme")
    assert {*found(store, again, "xin")} == {"s1", "s2"}
    assert min(read) == 1


def test_what_was_read_but_not_committed_is_read_again(
    tmp_path: Path, store: Store, terms: Terms, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A crash between the two."""
    put(store, terms, entry("s1"))
    store.put([entry("s1", "mới"), entry("s2")])
    with monkeypatch.context() as patched:
        patched.setattr(InvertedIndex, "commit", lambda self: None)
        terms.follow("acme")
    again = reopened(tmp_path, store)
    assert again.follow("acme")
    assert (found(store, again, "xin"), found(store, again, "mới")) == (["s2"], ["s1"])


@pytest.mark.usefixtures("saved")
def test_the_dead_stay_dead(tmp_path: Path, store: Store, terms: Terms) -> None:
    put(store, terms, *texts("xin chào", "xin việc"), entry("s9", "xin phép", recording_id="r9"))
    store.delete("acme", "r9", 10)
    terms.follow("acme")
    put(store, terms, entry("s1", "xin lỗi"))
    again = reopened(tmp_path, store)
    assert again.follow("acme")
    assert {*found(store, again, "xin")} == {"s0", "s1"}
    assert (found(store, again, "việc"), found(store, again, "lỗi")) == ([], ["s1"])


@pytest.mark.usefixtures("saved")
@pytest.mark.parametrize("suffix", [".postings", ".dead"])
@pytest.mark.parametrize("harm", ["cut", "flipped", "missing"])
def test_a_damaged_index_is_built_anew(
    tmp_path: Path, store: Store, terms: Terms, suffix: str, harm: str, capsys: pytest.CaptureFixture[str]
) -> None:
    put(store, terms, *texts("xin chào", "xin việc"), entry("s9", "đã xóa", recording_id="r9"))
    store.delete("acme", "r9", 10)
    terms.follow("acme")
    again = reopened(tmp_path, store)
    path = max(folder_of(tmp_path).glob(f"*{suffix}"), key=lambda one: one.stat().st_size)
    content = path.read_bytes()
    path.unlink()
    if harm == "cut":
        path.write_bytes(content[: len(content) // 2])
    elif harm == "flipped":
        middle = len(content) // 3
        path.write_bytes(content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :])
    assert again.follow("acme")
    assert {*found(store, again, "xin")} == {"s0", "s1"}
    assert "unusable" in capsys.readouterr().out


@pytest.mark.usefixtures("saved")
def test_an_index_that_the_disk_does_not_give_stays_and_is_tried_again_later(
    tmp_path: Path, store: Store, terms: Terms, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(store, terms, entry("s1"))
    files = {*folder_of(tmp_path).iterdir()}
    again = reopened(tmp_path, store)

    def broken(path: Path) -> str:
        raise OSError(errno.EIO, "input/output error")

    with monkeypatch.context() as patched:
        patched.setattr(snapshots, "checksum", broken)
        assert not again.follow("acme")
    assert {*folder_of(tmp_path).iterdir()} == files
    again._open._all["acme"]._resting_until = 0.0
    assert again.follow("acme")
    assert found(store, again, "xin") == ["s1"]


@pytest.mark.usefixtures("saved")
@pytest.mark.parametrize("content", [b"", b"{", b"{}", b"\xff\xff", b'{"index_id": "one", "seq": 1, "files": 7}'])
def test_an_index_whose_manifest_is_unreadable_is_built_anew(
    tmp_path: Path, store: Store, terms: Terms, content: bytes
) -> None:
    put(store, terms, entry("s1"))
    (folder_of(tmp_path) / "manifest.json").write_bytes(content)
    again = reopened(tmp_path, store)
    assert again.follow("acme")
    assert found(store, again, "xin") == ["s1"]


@pytest.mark.usefixtures("saved")
def test_what_a_crash_left_of_a_commit_goes_and_is_no_damage(
    tmp_path: Path, store: Store, terms: Terms, capsys: pytest.CaptureFixture[str]
) -> None:
    put(store, terms, entry("s1"))
    whole = next(folder_of(tmp_path).glob("*.postings"))
    begun = whole.with_name(f"{'0' * 32}.postings")
    begun.write_bytes(whole.read_bytes()[:20])
    again = reopened(tmp_path, store)
    put(store, again, entry("s2"))
    assert {*found(store, again, "xin")} == {"s1", "s2"}
    assert not begun.exists()
    assert "unusable" not in capsys.readouterr().out


def test_few_changes_are_in_no_file_and_many_are(
    tmp_path: Path, store: Store, terms: Terms, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inverted, "SAVED", 10)
    put(store, terms, *texts(*["xin"] * 9))
    assert list(folder_of(tmp_path).iterdir()) == []
    put(store, terms, entry("s9", "xin"))
    assert len(list(folder_of(tmp_path).glob("*.postings"))) == 1
    again = reopened(tmp_path, store)
    assert again.follow("acme")
    assert len(found(store, again, "xin")) == 10


def test_an_index_of_older_files_is_built_anew(tmp_path: Path, store: Store, terms: Terms) -> None:
    """As tantivy left them, which was here before."""
    put(store, terms, entry("s1"))
    (folder_of(tmp_path) / "meta.json").write_text("{}")
    again = reopened(tmp_path, store)
    assert again.follow("acme")
    assert found(store, again, "xin") == ["s1"]
    assert list(folder_of(tmp_path).iterdir()) == []


@pytest.mark.usefixtures("saved")
def test_an_index_of_another_database_or_version_is_built_anew(
    tmp_path: Path, store: Store, terms: Terms, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(store, terms, entry("s1", "của kho cũ"))
    other = Store(tmp_path / "other.sqlite")
    put(other, reopened(tmp_path, other), entry("s2", "của kho mới"))
    assert found(other, reopened(tmp_path, other), "kho") == ["s2"]
    monkeypatch.setattr(inverted, "VERSION", 99)
    with pytest.raises(WordIndexDamaged, match="version"):
        InvertedIndex(folder_of(tmp_path), other.index_id)
    other.close()


@pytest.mark.usefixtures("saved")
def test_an_index_that_is_ahead_of_its_database_is_built_anew(tmp_path: Path, store: Store, terms: Terms) -> None:
    """As after restoring an older copy without giving it another id."""
    put(store, terms, *texts("xin chào", "xin việc"))
    store._connection().execute("DELETE FROM documents WHERE segment_id = 's1'")
    store._connection().execute("DELETE FROM written WHERE seq = 2")
    assert found(store, reopened(tmp_path, store), "xin") == ["s0"]


def test_an_index_that_cannot_be_written_stays_as_it_is_and_is_tried_again(
    store: Store, terms: Terms, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(store, terms, entry("s1"))
    store.put([entry("s2")])

    def full(self: InvertedIndex) -> None:
        raise WordIndexUnwritable("no space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(InvertedIndex, "commit", full)
        assert not terms.follow("acme")
    assert found(store, terms, "xin") == ["s1"]
    assert not terms.follow("acme")
    terms._open._all["acme"]._resting_until = 0.0
    assert terms.follow("acme")
    assert {*found(store, terms, "xin")} == {"s1", "s2"}


@pytest.mark.parametrize("seed", range(3))
def test_kill_9_at_any_moment_loses_nothing(tmp_path: Path, seed: int) -> None:
    """In the middle of puts, commits and merges, one after the other without a pause."""
    script = """
import sys
from pathlib import Path
from servers.search import inverted, snapshots
from servers.search.store import Store
from servers.search.terms import Terms
from tests.stores.search_entries import entry
inverted.SAVED = 20
folder = Path(sys.argv[1])
store = Store(folder / "documents.sqlite")
terms = Terms(folder / "words", store)
for n in range(0, 100_000, 5):
    store.put([entry(f"s{i % 400}", f"câu w{i}") for i in range(n, n + 5)])
    print(n + 5, file=sys.stderr, flush=True)
    terms.follow("acme")
    terms.merge_due()
"""
    command = [sys.executable, "-c", script, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, cwd=Path.cwd()) as process:
        assert process.stderr is not None
        acknowledged = [int(process.stderr.readline()) for _ in range(15 + 40 * seed)]
        time.sleep(random.Random(seed).uniform(0, 0.05))
        process.kill()
        acknowledged += [int(line) for line in process.stderr.read().split()]
    store = Store(tmp_path / "documents.sqlite")
    terms = reopened(tmp_path, store)
    assert terms.follow("acme")
    ids = terms.matching(Scope("acme"), parsed("câu"), 1_000)
    documents = store.documents("acme", ids)
    assert len(ids) == len(documents) == min(400, len({*ids}))
    texts = {document.text for document in documents.values()}
    assert texts >= {f"câu w{i}" for i in range(max(0, acknowledged[-1] - 395), acknowledged[-1])}
    for text in texts:
        assert terms.matching(Scope("acme"), parsed(text.split()[1]), 5) != []
    store.close()


# Many indexes, and large ones


def test_an_index_that_is_far_behind_is_no_search_s_business(
    store: Store, terms: Terms, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "STEP", 10)
    monkeypatch.setattr(module, "SEARCH_STEPS", 2)
    monkeypatch.setattr(module, "FOLLOW_STEPS", 3)
    store.put(texts(*["xin"] * 100))
    with pytest.raises(DependencyUnavailable):
        found(store, terms, "xin")
    assert [terms.follow("acme") for _ in range(3)] == [False, False, True]
    assert len(found(store, terms, "xin")) == 100


def test_an_index_that_is_being_opened_delays_nobody_for_long(
    store: Store, terms: Terms, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.put([entry("s1")])
    opening, go_on = threading.Event(), threading.Event()
    load = module.TenantTerms._loaded

    def slowly(index: module.TenantTerms) -> InvertedIndex:
        opening.set()
        assert go_on.wait(10)
        return load(index)

    monkeypatch.setattr(module.TenantTerms, "_loaded", slowly)
    monkeypatch.setattr(module, "SEARCH_PATIENCE_S", 0.01)
    with ThreadPoolExecutor(1) as pool:
        following = pool.submit(terms.follow, "acme")
        assert opening.wait(10)
        with pytest.raises(DependencyUnavailable):
            found(store, terms, "xin")
        monkeypatch.setattr(module, "SEARCH_PATIENCE_S", 60)
        with pytest.raises(DependencyUnavailable):
            found(store, terms, "xin")  # one has waited for all
        go_on.set()
        assert following.result(10)
    assert found(store, terms, "xin") == ["s1"]


def test_few_are_open_at_a_time(tmp_path: Path, store: Store) -> None:
    terms = Terms(tmp_path / "words", store, most_open=4)
    tenants = [f"t{n}" for n in range(8)]
    for text in ("xin", "xin chào"):
        for tenant in tenants:
            put(store, terms, entry("s1", text, tenant=tenant))
        assert len(terms._open) == 4
    for tenant in tenants:
        assert found(store, terms, "xin", Scope(tenant)) == ["s1"]
    assert len(terms._open) == 4


def test_what_never_stops_coming_keeps_no_search_from_an_answer(
    store: Store, terms: Terms, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.put(texts("xin", "xin"))
    numbers = itertools.count()
    commit = InvertedIndex.commit

    def meanwhile(self: InvertedIndex) -> None:
        commit(self)
        store.put([entry(f"more{next(numbers)}")])

    monkeypatch.setattr(InvertedIndex, "commit", meanwhile)
    assert len(found(store, terms, "xin")) == 2
    assert terms.follow("acme")
    assert len(found(store, terms, "xin")) == 3


@pytest.mark.usefixtures("saved")
def test_an_index_whose_files_vanish_while_it_is_open_comes_back(tmp_path: Path, store: Store, terms: Terms) -> None:
    put(store, terms, entry("s1"))
    shutil.rmtree(tmp_path / "words")
    store.put([entry("s2")])
    assert not terms.follow("acme"), "it could not be written"
    assert {*found(store, terms, "xin")} == {"s1", "s2"}
    terms._open._all["acme"]._resting_until = 0.0
    assert terms.follow("acme")
    assert {*found(store, reopened(tmp_path, store), "xin")} == {"s1", "s2"}


def test_reading_ends_when_told_to_stop(store: Store, terms: Terms, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "STEP", 10)
    store.put(texts(*["xin"] * 100))
    original = store.written_after

    def stopping(tenant: str, seq: int, limit: int) -> WordChanges:
        if seq >= 30:
            terms.stop()
        return original(tenant, seq, limit)

    store.written_after = stopping  # type: ignore[method-assign]
    assert terms.follow("acme")
    assert len(found(store, terms, "xin")) == 40
