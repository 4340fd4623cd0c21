"""The documents in SQLite."""

import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from servers.common.errors import DependencyUnavailable
from servers.search.documents import Entry, Scope
from servers.search.indexing import language_number, recording_number
from servers.search.query import parsed
from servers.search.store import Store
from servers.search.terms import Terms
from tests.stores.search_entries import DIMENSIONS, SPACE, entry, random_entries, vector


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "search" / "documents.sqlite"


@pytest.fixture
def store(path: Path) -> Iterator[Store]:
    store = Store(path)
    yield store
    store.close()


def found(store: Store, query: str, scope: Scope | None = None) -> list[str]:
    """The segments that an index of words finds, made of what the store holds."""
    scope = scope or Scope("acme")
    with tempfile.TemporaryDirectory() as folder:
        terms = Terms(Path(folder), store)
        terms.follow(scope.tenant)
        ids = terms.matching(scope, parsed(query), 100)
    documents = store.documents(scope.tenant, ids)
    return [documents[id].segment_id for id in ids]


def test_what_is_put_is_found_as_it_was(store: Store) -> None:
    put = entry("s1", "Xin chào Việt Nam", channel=3)
    store.put([put])
    assert found(store, "viet nam") == ["s1"]
    assert store.documents("acme", [put.document.id]) == {put.document.id: put.document}
    changes = store.changes_after("acme", SPACE, 0, 10)
    assert (changes.seq, changes.there.ids.tolist()) == (1, [put.document.id])
    np.testing.assert_allclose(changes.there.vectors[0].astype(np.float32), put.embedding.vector, atol=1e-3)


def test_the_same_again_changes_nothing(store: Store) -> None:
    store.put([entry("s1"), entry("s1")])
    store.put([entry("s1")])
    assert found(store, "xin") == ["s1"]
    assert store.last_seq() == 1


def test_a_changed_text_is_found_by_its_new_words_only(store: Store) -> None:
    store.put([entry("s1", "cũ kỹ")])
    store.put([entry("s1", "mới tinh")])
    assert found(store, "mới") == ["s1"]
    assert found(store, "cũ") == []


def test_of_a_segment_that_comes_several_times_at_once_the_last_stays(store: Store) -> None:
    store.put([entry("a", "một"), entry("b", "hai"), entry("a", "ba", at=vector(0, 1)), entry("a", at=vector(0, 0, 1))])
    (first, second) = (entry(name).document.id for name in "ab")
    texts = {id: document.text for id, document in store.documents("acme", [first, second]).items()}
    assert texts == {first: "xin chào", second: "hai"}
    changes = store.changes_after("acme", SPACE, 0, 10)
    assert changes.there.ids.tolist() == [second, first]
    np.testing.assert_array_equal(changes.there.vectors[1], vector(0, 0, 1))
    assert store.last_seq() == changes.seq == 4


def test_a_changed_vector_comes_last_and_once(store: Store) -> None:
    store.put([entry("s1"), entry("s2")])
    store.put([entry("s1", at=vector(0, 1))])
    changes = store.changes_after("acme", SPACE, 0, 10)
    assert changes.seq == store.last_seq() == 3
    assert changes.there.ids.tolist() == [entry("s2").document.id, entry("s1").document.id]


@pytest.mark.parametrize("changed", [{"recording_id": "r2"}, {"language_code": "en"}])
def test_what_filters_ask_for_is_read_again_when_it_changes(store: Store, changed: dict[str, str]) -> None:
    store.put([entry("s1"), entry("s1", model="other"), entry("s2")])
    store.put([entry("s1", **changed)])
    for space in (SPACE, f"other/{DIMENSIONS}"):
        changes = store.changes_after("acme", space, 3, 10)
        assert changes.there.ids.tolist() == [entry("s1").document.id]
        assert changes.there.recordings.tolist() == [recording_number(changed.get("recording_id", "r1"))]
        assert changes.there.languages.tolist() == [language_number(changed.get("language_code", "vi"))]
    store.put([entry("s1", "khác", **changed)])
    assert store.last_seq() == 5


def test_vectors_of_two_models_stand_side_by_side(store: Store) -> None:
    store.put([entry("s1"), entry("s1", model="other")])
    assert found(store, "xin") == ["s1"]
    assert sorted(store.spaces()) == [("acme", SPACE), ("acme", f"other/{DIMENSIONS}")]


def test_vectors_are_read_in_steps(store: Store) -> None:
    store.put(random_entries(25))
    seq, read = 0, list[int]()
    while True:
        changes = store.changes_after("acme", SPACE, seq, 10)
        if changes.seq == seq:
            break
        seq = changes.seq
        read += changes.there.ids.tolist()
    assert read == [put.document.id for put in random_entries(25)]


def test_tenants_never_see_each_other(store: Store) -> None:
    ours, theirs = entry("s1", "bí mật"), entry("s1", "bí mật", tenant="rival")
    store.put([ours, theirs])
    assert ours.document.id != theirs.document.id
    assert found(store, "bí mật") == ["s1"]
    assert [row.id for row in store.written_after("acme", 0, 10).there] == [ours.document.id]
    assert store.documents("acme", [theirs.document.id]) == {}
    assert store.changes_after("acme", SPACE, 0, 10).there.ids.tolist() == [ours.document.id]


def test_a_tenant_whose_name_begins_another_is_still_another(store: Store) -> None:
    store.put([entry("s1", tenant="acme2"), entry("s2", tenant="ac")])
    assert found(store, "xin", Scope("acme")) == []


def test_all_or_nothing(store: Store) -> None:
    broken = entry("s2")
    object.__setattr__(broken.document, "start_ms", None)
    with pytest.raises(Exception, match="NOT NULL"):
        store.put([entry("s1"), broken])
    assert found(store, "xin") == []
    assert store.last_seq() == 0


def deleted(store: Store, recording_id: str, tenant: str = "acme") -> int:
    """How many documents one call deletes."""
    count, _ = store.delete(tenant, recording_id, 100)
    return count


def test_a_deleted_recording_is_found_in_no_way(store: Store) -> None:
    gone = [entry("s1"), entry("s2", "xin việc"), entry("s1", model="other")]
    kept = [entry("s3", recording_id="r2"), entry("s1", tenant="rival")]
    store.put([*gone, *kept])
    assert store.delete("acme", "r1", 100) == (2, {SPACE, f"other/{DIMENSIONS}"})
    assert found(store, "xin") == ["s3"]
    assert found(store, "xin", Scope("rival")) == ["s1"]
    ids = [put.document.id for put in gone]
    assert store.documents("acme", ids) == {}
    assert store.changes_after("acme", SPACE, 0, 10).there.ids.tolist() == [kept[0].document.id]


def test_who_reads_on_learns_what_is_gone(store: Store) -> None:
    entries = [entry("s1"), entry("s2"), entry("s3", recording_id="r2")]
    store.put(entries)
    before = store.last_seq()
    deleted(store, "r1")
    changes = store.changes_after("acme", SPACE, before, 10)
    assert changes.seq == store.last_seq()
    assert sorted(changes.gone.tolist()) == sorted(put.document.id for put in entries[:2])
    assert changes.there.ids.tolist() == []
    changes = store.changes_after("acme", SPACE, 0, 10)
    assert (len(changes.gone), changes.there.ids.tolist()) == (2, [entries[2].document.id])


def test_what_comes_late_to_a_deleted_recording_is_let_go(path: Path, store: Store) -> None:
    assert deleted(store, "r1") == 0
    store.put([entry("s1"), entry("s2", recording_id="r2"), entry("s1", tenant="rival")])
    assert found(store, "xin") == ["s2"]
    assert found(store, "xin", Scope("rival")) == ["s1"]
    again = Store(path)
    again.put([entry("s3")])
    assert found(again, "xin") == ["s2"]
    assert again.last_seq() == 2
    again.close()


def test_a_recording_is_deleted_little_by_little_and_twice(store: Store) -> None:
    store.put(random_entries(25))
    assert [store.delete("acme", "r1", 10)[0] for _ in range(4)] == [10, 10, 5, 0]
    assert store.last_seq() == 50
    assert store.delete("acme", "r1", 10) == (0, set())


def test_of_a_recording_that_is_being_deleted_nothing_is_there_from_the_first_step_on(store: Store) -> None:
    entries, kept = random_entries(25), entry("k", recording_id="r2")
    store.put([*entries, kept, *random_entries(1, tenant="rival")])
    ids = [one.document.id for one in [*entries, kept]]
    assert store.delete("acme", "r1", 10)[0] == 10
    assert store.documents("acme", ids) == {kept.document.id: kept.document}
    assert store.existing("acme", ids) == {kept.document.id}
    assert store.existing("rival", [entry("s0", tenant="rival").document.id])


def made_older(store: Store) -> None:
    """A database as version 1 left it: documents and vectors are there, and FTS5 has the words."""
    connection = store._connection()
    tables = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")
    for (name,) in tables.fetchall():
        if name not in ("this_index", "documents", "vectors"):
            connection.execute(f"DROP TABLE {name}")
    connection.execute("CREATE VIRTUAL TABLE words USING fts5 (folded, spelt, place, content = '', tokenize = 'ascii')")
    connection.execute("ALTER TABLE documents DROP COLUMN channel")
    connection.execute("PRAGMA user_version = 1")


def test_a_database_of_version_1_is_kept_and_learns_to_delete_and_to_number_texts(path: Path, store: Store) -> None:
    store.put([entry("s1"), entry("s2", recording_id="r2"), entry("s1", tenant="rival")])
    made_older(store)
    again = Store(path)
    assert again.index_id == store.index_id
    assert found(again, "xin", Scope("rival")) == ["s1"]
    assert sorted(found(again, "xin")) == ["s1", "s2"]
    assert deleted(again, "r1") == 1
    assert found(again, "xin") == ["s2"]
    assert again._connection().execute("SELECT name FROM sqlite_master WHERE name LIKE 'words%'").fetchall() == []
    again.close()


def test_a_database_of_version_3_learns_of_channels_where_it_stands(path: Path, store: Store) -> None:
    entries = [entry("s1"), entry("s2", recording_id="r2"), *random_entries(500, tenant="rival")]
    store.put(entries)
    connection = store._connection()
    connection.execute("ALTER TABLE documents DROP COLUMN channel")
    connection.execute("DROP TABLE superseded")
    connection.execute("PRAGMA user_version = 3")
    before = connection.execute("SELECT * FROM documents ORDER BY id").fetchall()
    pages = dict(_pages(store))
    again = Store(path)
    assert again.index_id == store.index_id
    assert (again.last_seq(), again.last_written()) == (502, 502)
    after = again._connection().execute("SELECT * FROM documents ORDER BY id").fetchall()
    assert after == [(*row, 0) for row in before]
    changed = {number for number, page in _pages(again) if pages.get(number) != page}
    assert len(changed) < 6, "no row is written anew"
    assert sorted(found(again, "xin")) == ["s1", "s2"]
    assert again.documents("acme", [entries[0].document.id]).popitem()[1].channel == 0
    again.put([entry("s1", channel=1)])
    assert again.documents("acme", [entries[0].document.id]).popitem()[1].channel == 1
    assert again.last_seq() == 502, "no index of vectors need read it again"
    again.close()


def _pages(store: Store) -> Iterator[tuple[int, bytes]]:
    """The pages of the file, by their numbers."""
    connection = store._connection()
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    (size,) = connection.execute("PRAGMA page_size").fetchone()
    content = store._path.read_bytes()
    for at in range(0, len(content), size):
        yield at // size + 1, content[at : at + size]


def test_every_text_that_is_new_or_goes_has_the_next_number(store: Store) -> None:
    entries = [entry("s1"), entry("s2", recording_id="r2"), entry("s1", tenant="rival")]
    store.put(entries)
    store.put([entry("s1"), entry("s1", model="other")])
    assert store.last_written() == 3
    assert sorted(store.tenants()) == ["acme", "rival"]
    store.put([entry("s1", "khác")])
    store.delete("acme", "r2", 10)
    changes = store.written_after("acme", 0, 10)
    assert (changes.seq, changes.gone) == (5, (entries[1].document.id,))
    assert [(row.id, row.text) for row in changes.there] == [(entries[0].document.id, "khác")]
    assert store.written_after("acme", 0, 1).seq == 4
    assert store.written_after("acme", 5, 10).seq == 5
    row = store.written_after("rival", 0, 10).there[0]
    assert (row.recording, row.language) == (recording_number("r1"), language_number("vi"))


def test_documents_are_found_by_their_ids_however_many_the_tenant_has(store: Store) -> None:
    entries = random_entries(3_000)
    store.put(entries)
    ids = [entry.document.id for entry in entries[:200]]
    steps = 0

    def count() -> None:
        nonlocal steps
        steps += 1

    connection = store._connection()
    connection.set_progress_handler(count, 100)
    assert len(store.documents("acme", ids)) == len(store.existing("acme", ids)) == 200
    assert store.documents("rival", ids) == {}
    found, steps = steps, 0
    assert store.remove("rival", ids) == (0, set())
    connection.set_progress_handler(None, 0)
    assert found + steps < 200  # hundreds of instructions: by going through all of the tenant's it is over 400


def test_which_documents_there_are(store: Store) -> None:
    ours, theirs = entry("s1").document.id, entry("s1", tenant="rival").document.id
    store.put([entry("s1"), entry("s1", tenant="rival")])
    assert store.existing("acme", [ours, theirs, 7]) == {ours}
    assert store.existing("acme", range(100_000)) == set()


def test_it_is_there_after_reopening_without_closing(path: Path, store: Store) -> None:
    store.put([entry("s1")])
    again = Store(path)
    assert again.index_id == store.index_id
    assert found(again, "xin") == ["s1"]
    again.close()


def test_what_was_acknowledged_outlives_kill_9(path: Path) -> None:
    script = """
import sys
from pathlib import Path
from servers.search.store import Store
from tests.stores.search_entries import entry
store = Store(Path(sys.argv[1]))
n = 0
while True:
    store.put([entry(f"s{n}", f"từ{n}")])
    print(n, flush=True)
    n += 1
"""
    process = subprocess.Popen([sys.executable, "-c", script, str(path)], stdout=subprocess.PIPE, cwd=Path.cwd())
    assert process.stdout is not None
    acknowledged = [int(process.stdout.readline()) for _ in range(30)]
    os.kill(process.pid, signal.SIGKILL)
    acknowledged += [int(line) for line in process.stdout.read().split()]
    process.stdout.close()
    process.wait()
    store = Store(path)
    assert [n for n in acknowledged if found(store, f"từ{n}") != [f"s{n}"]] == []
    store.close()


def test_a_database_that_is_none_is_set_aside(path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(b"this is not a database at all" * 100)
    store = Store(path)
    store.put([entry("s1")])
    assert found(store, "xin") == ["s1"]
    assert path.with_name("documents.sqlite.unusable").exists()
    store.close()


def test_a_database_of_another_version_is_set_aside_and_the_new_one_has_another_id(path: Path) -> None:
    old = Store(path)
    old.put([entry("s1")])
    old._connection().execute("PRAGMA user_version = 99")
    old.close()
    new = Store(path)
    assert new.index_id != old.index_id
    assert found(new, "xin") == []
    new.close()


def test_a_disk_that_fails_is_a_dependency_that_is_away(store: Store) -> None:
    store._connection().execute("PRAGMA max_page_count = 1")
    many: list[Entry] = random_entries(500)
    with pytest.raises(DependencyUnavailable):
        store.put(many)
    store._connection().execute("PRAGMA max_page_count = 1000000")
    store.put(many)
    assert store.last_seq() == 500


def test_a_file_that_cannot_be_opened_is_a_dependency_that_is_away(path: Path, store: Store) -> None:
    path.rename(path.with_name("elsewhere"))
    path.mkdir()
    with ThreadPoolExecutor(1) as another:
        for work in (partial(store.put, [entry("s1")]), store.last_seq, partial(store.documents, "acme", [1])):
            with pytest.raises(DependencyUnavailable):
                another.submit(work).result()


def test_connections_that_are_of_no_use_are_closed(path: Path, store: Store) -> None:
    store._connection().execute("PRAGMA wal_checkpoint(TRUNCATE)")
    content = path.read_bytes()
    path.write_bytes(b"this is not a database at all" * 1_000)
    with ThreadPoolExecutor(1) as another:
        for _ in range(2):
            with pytest.raises(sqlite3.DatabaseError):
                another.submit(store.last_seq).result()
    assert len(store._open) == 1
    path.write_bytes(content)
