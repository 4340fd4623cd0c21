"""The indexes of words over the real store."""

import asyncio
import itertools
import random
import shutil
import subprocess
import sys
import threading
import time
import unicodedata
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from servers.common.errors import DependencyUnavailable
from servers.search import matching, postings
from servers.search import terms as module
from servers.search.documents import Entry, Scope
from servers.search.indexing import Filter
from servers.search.postings import PostingsIndex
from servers.search.query import Query, parsed
from servers.search.shelves import MOST_THRIFT, Shelves
from servers.search.store import Store
from servers.search.terms import Terms
from servers.search.vectors import Vectors
from servers.search.word_index import WordChanges, WordIndexDamaged, WordIndexUnwritable, WordRow
from tests.stores.search_entries import entry


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(tmp_path / "documents.sqlite")
    yield store
    store.close()


@pytest.fixture
def terms(tmp_path: Path, store: Store) -> Terms:
    return Terms(tmp_path / "words", store)


def put(store: Store, terms: Terms, *entries: Entry) -> None:
    store.put(entries)
    for tenant in {one.document.tenant for one in entries}:
        assert terms.follow(tenant)


def texts(*given: str, **fields: str) -> list[Entry]:
    """Segments `s0`, `s1`, ... with these texts."""
    return [entry(f"s{n}", text, **fields) for n, text in enumerate(given)]


def found(store: Store, terms: Terms, query: str, scope: Scope | None = None, limit: int = 100) -> list[str]:
    """The segments found, best first."""
    scope = scope or Scope("acme")
    ids = terms.matching(scope, parsed(query), limit)
    documents = store.documents(scope.tenant, ids)
    return [documents[id].segment_id for id in ids]


def folder_of(tmp_path: Path) -> Path:
    (folder,) = (tmp_path / "words").iterdir()
    return folder


# What is found


@pytest.mark.parametrize("query", ["việt nam", "viet nam", "VIỆT NAM", "Viêt  Nam!", "nam xxx"])
@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_a_text_is_found_by_its_words_with_accents_and_without(
    store: Store, terms: Terms, query: str, form: str
) -> None:
    put(store, terms, *texts(unicodedata.normalize("NFD", "Xin chào Việt Nam"), "đi học"))
    assert found(store, terms, unicodedata.normalize(form, query)) == ["s0"]


def test_d_with_a_stroke_is_found_as_d(store: Store, terms: Terms) -> None:
    put(store, terms, *texts("Đường Đà Nẵng"))
    for query in ("duong", "đường", "Da Nang", "ĐÀ"):
        assert found(store, terms, query) == ["s0"]


def test_exact_accents_come_first(store: Store, terms: Terms) -> None:
    put(store, terms, *texts("bán nhà", "bạn nhà", "bàn nhà"))
    assert found(store, terms, "bạn")[0] == "s1"
    assert found(store, terms, "bàn")[0] == "s2"
    assert {*found(store, terms, "ban")} == {"s0", "s1", "s2"}


def test_words_side_by_side_count_more_than_apart(store: Store, terms: Terms) -> None:
    put(store, terms, *texts("sinh ra là viên", "là sinh viên ra"))
    assert found(store, terms, "sinh vien") == ["s1", "s0"]


def test_rare_words_count_more_than_frequent_ones(store: Store, terms: Terms) -> None:
    put(store, terms, *texts("không biết", *["không có gì"] * 20, "ông Nguyễn"))
    assert found(store, terms, "không nguyễn")[0] == "s21"


def test_a_phrase_stands_in_its_order(store: Store, terms: Terms) -> None:
    put(store, terms, *texts("xin chào các bạn", "chào xin các bạn", "xin gì mà chào", "Xin chao cac ban"))
    assert {*found(store, terms, '"xin chào"')} == {"s0"}
    assert {*found(store, terms, '"xin chao"')} == {"s0", "s3"}
    assert {*found(store, terms, '"xin chao cac ban"')} == {"s0", "s3"}
    assert {*found(store, terms, '"chào xin" "các bạn"')} == {"s1"}
    assert found(store, terms, '"chào bạn"') == []
    assert found(store, terms, '"xin chào" "không có"') == []


def test_the_words_of_a_long_phrase_stand_side_by_side(store: Store, terms: Terms) -> None:
    """Not just each pair of them somewhere."""
    put(store, terms, *texts("một hai rồi hai ba", "một hai ba"))
    assert found(store, terms, '"một hai ba"') == ["s1"]


def test_what_else_is_asked_for_beside_a_phrase_is_no_condition_but_counts(store: Store, terms: Terms) -> None:
    put(store, terms, *texts("xin chào ông", "xin chào bà", "tạm biệt bà"))
    assert found(store, terms, '"xin chào" bà') == ["s1", "s0"]


def test_a_phrase_of_one_word_must_be_there(store: Store, terms: Terms) -> None:
    put(store, terms, *texts("xin chào", "xin lỗi"))
    assert found(store, terms, 'xin "lỗi"') == ["s1"]


def test_a_prefix(store: Store, terms: Terms) -> None:
    put(store, terms, *texts("ông Nguyễn", "nguyên nhân", "nguy hiểm", "ngủ rồi"))
    assert {*found(store, terms, "nguy*")} == {"s0", "s1", "s2"}
    assert {*found(store, terms, "nguye*")} == {"s0", "s1"}
    assert found(store, terms, "nguyễ*")[0] == "s0"
    assert found(store, terms, "ông nguye*")[0] == "s0"
    assert found(store, terms, '"nguyên nhân" nguy*') == ["s1"]


def test_a_prefix_stands_for_a_bounded_number_of_words(
    store: Store, terms: Terms, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(store, terms, *texts("tu1", *["tu2"] * 3, *["tu3"] * 2))
    monkeypatch.setattr(postings, "MOST_COMPLETIONS", 2)
    assert {*found(store, terms, "tu*")} == {"s1", "s2", "s3", "s4", "s5"}


def test_the_limit_is_kept(store: Store, terms: Terms) -> None:
    put(store, terms, *texts(*["câu số mấy"] * 50))
    assert len(found(store, terms, "câu số", limit=7)) == 7
    assert len({*found(store, terms, "câu số", limit=100)}) == 50


def test_nothing_is_found_in_nothing(tmp_path: Path, terms: Terms) -> None:
    assert terms.matching(Scope("nobody"), parsed("xin"), 10) == []
    assert not (tmp_path / "words").exists()


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """A word in more than two documents, and in a twentieth, is frequent."""
    monkeypatch.setattr(matching, "FEW", 2)


@pytest.mark.usefixtures("few")
def test_frequent_words_are_left_out_where_others_find_enough(store: Store, terms: Terms) -> None:
    put(store, terms, *texts("ông Nguyễn đi", "bà Nguyễn về", *["không có gì"] * 40))
    assert {*found(store, terms, "không nguyễn", limit=2)} == {"s0", "s1"}
    assert len(found(store, terms, "không nguyễn", limit=10)) == 10


@pytest.mark.usefixtures("few")
def test_frequent_words_alone_are_answered(store: Store, terms: Terms) -> None:
    put(store, terms, *texts("của và", "và của", *["và không"] * 20, *["của không"] * 20, "khác"))
    assert found(store, terms, "và của", limit=1) == ["s1"]
    assert len(found(store, terms, "không", limit=10)) == 10
    assert len(found(store, terms, "và không của", limit=100)) == 42


@pytest.mark.usefixtures("few")
def test_words_that_stand_together_do_not_count_as_enough(
    store: Store, terms: Terms, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(matching, "MOST_POSTINGS", 12)
    put(store, terms, *texts(*["ông Nguyễn"] * 4, *["không có gì"] * 40))
    assert len(found(store, terms, "ông nguyễn không", limit=10)) == 10
    assert {*found(store, terms, "ông nguyễn không", limit=4)} == {"s0", "s1", "s2", "s3"}


# Filters


@pytest.mark.parametrize("broad", [0.0, 0.25, 1.1])
@pytest.mark.parametrize(
    ("scope", "expected"),
    [
        (Scope("acme", ("r1",)), {"s1", "s2"}),
        (Scope("acme", ("r1", "r2")), {"s1", "s2", "s3"}),
        (Scope("acme", (), "en"), {"s2", "s3"}),
        (Scope("acme", ("r1",), "en"), {"s2"}),
        (Scope("acme", ("none",)), set()),
        (Scope("acme", tuple(f"r{n}" for n in range(2, 3_000))), {"s3"}),
    ],
)
def test_a_scope_narrows_what_is_found(
    store: Store, terms: Terms, scope: Scope, expected: set[str], broad: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postings, "BROAD", broad)
    put(
        store,
        terms,
        entry("s1"),
        entry("s2", language_code="en"),
        entry("s3", recording_id="r2", language_code="en"),
        entry("s4", recording_id="r1", tenant="rival", language_code="en"),
        entry("s5", "khác"),
    )
    assert {*found(store, terms, "xin", scope)} == expected
    assert {*found(store, terms, '"xin chao"', scope)} == expected
    assert found(store, terms, '"khác"', Scope("acme", ("r2",))) == []


@pytest.mark.usefixtures("few")
@pytest.mark.parametrize(("language", "count"), [("vi", 60), ("en", 30)])
def test_a_filter_loses_no_hits_wherever_they_rank(store: Store, terms: Terms, language: str, count: int) -> None:
    """Short texts rank before long ones: all that are in English come last."""
    short = texts(*["xin chào"] * 60)
    long = [entry(f"l{n}", "xin chào các bạn nghe đài", language_code="en") for n in range(30)]
    put(store, terms, *short, *long)
    wanted = [one.document.segment_id for one in [*short, *long] if one.document.language_code == language]
    assert sorted(found(store, terms, "xin", Scope("acme", (), language))) == sorted(wanted)
    assert len(found(store, terms, "xin", Scope("acme", (), language), limit=10)) == 10
    assert count == len(wanted)


def test_a_filter_changes_no_order(store: Store, terms: Terms) -> None:
    numbers = random.Random(1)
    words = [f"w{n}" for n in range(40)]
    many = [
        entry(f"s{n}", " ".join(numbers.choices(words, k=numbers.randint(3, 20))), recording_id=f"r{n % 7}")
        for n in range(400)
    ]
    put(store, terms, *many)
    ranked = found(store, terms, "w1 w2 w3", limit=400)
    recording = {one.document.segment_id: one.document.recording_id for one in many}
    scores = found(store, terms, "w1 w2 w3", Scope("acme", ("r3",)), limit=400)
    assert scores == [segment for segment in ranked if recording[segment] == "r3"]


# Changes


def test_a_changed_text_is_found_by_its_new_words_only(store: Store, terms: Terms) -> None:
    put(store, terms, entry("s1", "cũ kỹ"))
    put(store, terms, entry("s1", "mới tinh"))
    assert (found(store, terms, "cũ"), found(store, terms, "mới")) == ([], ["s1"])


def test_a_text_that_changes_before_the_commit_is_there_once(store: Store, terms: Terms) -> None:
    store.put([entry("s1", "cũ kỹ")])
    index = terms._index("acme")
    index._index = opened = index._loaded()
    opened.apply(store.written_after("acme", 0, 10))
    put(store, terms, entry("s1", "mới tinh"))
    assert (found(store, terms, "cũ"), found(store, terms, "mới")) == ([], ["s1"])


def test_what_is_put_twice_is_there_once(store: Store, terms: Terms) -> None:
    for _ in range(2):
        put(store, terms, entry("s1"), entry("s1"))
    assert found(store, terms, "xin") == ["s1"]


@pytest.mark.parametrize("changed", [{"recording_id": "r2"}, {"language_code": "en"}])
def test_what_filters_ask_for_changes_with_the_document(store: Store, terms: Terms, changed: dict[str, str]) -> None:
    put(store, terms, entry("s1"))
    put(store, terms, entry("s1", **changed))
    assert found(store, terms, "xin", Scope("acme", ("r1",), "vi")) == []
    new = {"recording_id": "r1", "language_code": "vi"} | changed
    assert found(store, terms, "xin", Scope("acme", (new["recording_id"],), new["language_code"])) == ["s1"]


def test_what_is_deleted_is_gone_for_good(store: Store, terms: Terms) -> None:
    put(store, terms, entry("s1"), entry("s2", recording_id="r2"))
    store.delete("acme", "r1", 10)
    terms.follow("acme")
    assert found(store, terms, "xin") == ["s2"]
    put(store, terms, entry("s1"), entry("s3", "xin xin", recording_id="r2"))
    assert {*found(store, terms, "xin")} == {"s2", "s3"}


async def test_what_is_deleted_but_not_yet_followed_takes_no_place(tmp_path: Path, store: Store, terms: Terms) -> None:
    shelves = Shelves(store, Vectors(tmp_path / "vectors", store), terms)
    try:
        await shelves.put([*texts(*["xin"] * 30), *(entry(f"k{n}", "xin chào", recording_id="r2") for n in range(5))])
        await asyncio.to_thread(terms.follow, "acme")
        await shelves.delete("acme", "r1")
        matching = await shelves.matching(Scope("acme"), parsed("xin"), 5)
        documents = await shelves.documents("acme", matching.ids)
        assert {document.segment_id for document in documents.values()} == {f"k{n}" for n in range(5)}
    finally:
        await shelves.close()


async def test_where_many_searches_wait_each_does_less(
    tmp_path: Path, store: Store, terms: Terms, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(store, terms, *texts("xin chào"))
    go, thrifts, thorough = threading.Event(), list[int](), terms.matching

    def slow(scope: Scope, query: Query, limit: int, thrift: int) -> list[int]:
        assert go.wait(60)
        thrifts.append(thrift)
        return thorough(scope, query, limit, thrift)

    monkeypatch.setattr(terms, "matching", slow)
    shelves = Shelves(store, Vectors(tmp_path / "vectors", store), terms, readers=1)
    try:
        searches = [asyncio.create_task(shelves.matching(Scope("acme"), parsed("xin"), 5)) for _ in range(8)]
        await asyncio.sleep(0)  # each has asked its thread
        go.set()
        matchings = await asyncio.gather(*searches)
        assert thrifts[1] == MOST_THRIFT  # the first may have begun before the others came
        assert all(len(matching.ids) == 1 for matching in matchings)
        assert [matching.thorough for matching in matchings] == [thrift == 1 for thrift in thrifts]
        assert (await shelves.matching(Scope("acme"), parsed("xin"), 5)).thorough
        assert thrifts[-1] == 1
    finally:
        go.set()
        await shelves.close()


async def test_the_shelves_have_words_found_by_themselves(tmp_path: Path, store: Store, terms: Terms) -> None:
    shelves = Shelves(store, Vectors(tmp_path / "vectors", store), terms)
    keeping = asyncio.create_task(shelves.keep_indexes())
    try:
        for n in range(3):
            await shelves.put([entry(f"s{n}", f"câu số{n}", tenant=f"t{n % 2}")])
            async with asyncio.timeout(10):
                while not (await shelves.matching(Scope(f"t{n % 2}"), parsed(f"số{n}"), 5)).ids:
                    await asyncio.sleep(0.01)
    finally:
        keeping.cancel()
        await shelves.close()


def test_tenants_never_see_each_other(store: Store, terms: Terms) -> None:
    put(store, terms, entry("s1", "bí mật"), entry("s2", "bí mật", tenant="rival"))
    assert found(store, terms, "bí mật") == ["s1"]
    assert found(store, terms, "bi*", Scope("rival")) == ["s2"]


def test_another_tenant_s_texts_change_no_order(store: Store, terms: Terms) -> None:
    """Which of two words is rarer is told by the tenant's own texts."""
    ours = texts("hiếm thay", "quen thay", "quen rồi", "quen nhé")
    put(store, terms, *ours)
    assert found(store, terms, "hiếm quen")[0] == "s0"
    put(store, terms, *(entry(f"t{n}", "hiếm", tenant="rival") for n in range(500)))
    assert found(store, terms, "hiếm quen")[0] == "s0"


# Odd texts


def test_a_very_long_text_and_a_very_long_word(store: Store, terms: Terms) -> None:
    put(store, terms, *texts("từ " * 20_000 + "cuối", "x" * 100_000 + " sau", "tu"))
    assert found(store, terms, "cuối") == ["s0"]
    assert found(store, terms, "sau") == ["s1"]
    assert found(store, terms, "x" * 1_000) == []
    assert len(found(store, terms, " ".join(f"w{n}" for n in range(300)) + " từ")) == 0
    assert {*found(store, terms, "từ " + " ".join(f"w{n}" for n in range(300)))} == {"s0", "s2"}


@pytest.mark.parametrize(
    "query",
    ['"', "a AND", "NEAR(", "folded:x", "a* -b ^c", "NOT", "+x", "[a TO b]", "x~2", "\0", "'; DROP", "\\", "/.*/"],
)
def test_the_query_language_of_tantivy_means_nothing(store: Store, terms: Terms, query: str) -> None:
    put(store, terms, *texts("không liên quan"))
    assert found(store, terms, query) == []


def test_any_text_is_found_by_itself_and_no_query_is_an_error(tmp_path: Path) -> None:
    numbers = itertools.count(1)
    index = PostingsIndex(tmp_path / "words", "one")

    @given(text=st.text(min_size=1, max_size=200), asked=st.text(max_size=200))
    @settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=40)
    def check(text: str, asked: str) -> None:
        number = next(numbers)
        index.apply(WordChanges(number, (number - 1,), (WordRow(number, text, 1, 1),)))
        index.commit()
        for query in (text, f'"{text}"', f"{text}*", asked, f'"{asked}"', f"{asked}*"):
            assert len(index.matching(parsed(query), Filter(), 5)) <= 1
        itself = parsed(text.replace('"', " ").replace("*", " ").replace("“", " "))
        assert index.matching(itself, Filter(), 5) == ([] if itself.empty else [number])

    check()


# What is kept


def reopened(tmp_path: Path, store: Store, before: Terms | None = None) -> Terms:
    """As a server that starts; of one `before` that stopped."""
    if before:
        before._index("acme").rest()
    return Terms(tmp_path / "words", store)


def test_an_index_goes_on_where_it_was(tmp_path: Path, store: Store, terms: Terms) -> None:
    put(store, terms, entry("s1"))
    store.put([entry("s2", "xin việc")])
    read = list[int]()
    original = store.written_after

    def noted(tenant: str, seq: int, limit: int) -> WordChanges:
        read.append(seq)
        return original(tenant, seq, limit)

    store.written_after = noted  # type: ignore[method-assign]
    again = reopened(tmp_path, store, terms)
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
        patched.setattr(PostingsIndex, "commit", lambda self: None)
        terms.follow("acme")
    again = reopened(tmp_path, store, terms)
    assert again.follow("acme")
    assert (found(store, again, "xin"), found(store, again, "mới")) == (["s2"], ["s1"])


@pytest.mark.parametrize("part", ["idx", "pos", "term", "fieldnorm", "fast", "store", "del"])
@pytest.mark.parametrize("harm", ["cut", "flipped", "missing"])
def test_a_damaged_index_is_built_anew(
    tmp_path: Path, store: Store, terms: Terms, part: str, harm: str, capsys: pytest.CaptureFixture[str]
) -> None:
    put(store, terms, *texts("xin chào", "xin việc"), entry("s9", "đã xóa", recording_id="r9"))
    store.delete("acme", "r9", 10)
    terms.follow("acme")
    again = reopened(tmp_path, store, terms)
    path = max(folder_of(tmp_path).glob(f"*.{part}"), key=lambda one: one.stat().st_size)
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


@pytest.mark.parametrize("content", [b"", b"{", b"{}", b"\xff\xff", b'{"segments": [], "index_settings": {}}'])
def test_an_index_whose_table_of_contents_is_unreadable_is_built_anew(
    tmp_path: Path, store: Store, terms: Terms, content: bytes
) -> None:
    put(store, terms, entry("s1"))
    (folder_of(tmp_path) / "meta.json").write_bytes(content)
    again = reopened(tmp_path, store)
    assert again.follow("acme")
    assert found(store, again, "xin") == ["s1"]


def test_what_a_crash_left_of_a_commit_is_no_damage(
    tmp_path: Path, store: Store, terms: Terms, capsys: pytest.CaptureFixture[str]
) -> None:
    put(store, terms, entry("s1"))
    whole = next(folder_of(tmp_path).glob("*.idx"))
    whole.with_name(f"{'0' * 32}.idx").write_bytes(whole.read_bytes()[:20])
    again = reopened(tmp_path, store, terms)
    put(store, again, entry("s2"))
    assert {*found(store, again, "xin")} == {"s1", "s2"}
    assert "unusable" not in capsys.readouterr().out


def test_an_index_of_another_database_or_version_is_built_anew(
    tmp_path: Path, store: Store, terms: Terms, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(store, terms, entry("s1", "của kho cũ"))
    other = Store(tmp_path / "other.sqlite")
    put(other, reopened(tmp_path, other), entry("s2", "của kho mới"))
    assert found(other, reopened(tmp_path, other), "kho") == ["s2"]
    monkeypatch.setattr(postings, "VERSION", 99)
    with pytest.raises(WordIndexDamaged, match="version"):
        PostingsIndex(folder_of(tmp_path), other.index_id)
    other.close()


def test_an_index_that_is_ahead_of_its_database_is_built_anew(tmp_path: Path, store: Store, terms: Terms) -> None:
    """As after restoring an older copy without giving it another id."""
    put(store, terms, *texts("xin chào", "xin việc"))
    store._connection().execute("DELETE FROM documents WHERE segment_id = 's1'")
    store._connection().execute("DELETE FROM written WHERE seq = 2")
    assert found(store, reopened(tmp_path, store), "xin") == ["s0"]


def test_a_damage_that_a_search_finds_is_mended(store: Store, terms: Terms, monkeypatch: pytest.MonkeyPatch) -> None:
    put(store, terms, entry("s1"))

    def broken(self: PostingsIndex, *_: object) -> list[int]:
        raise WordIndexDamaged("a panic")

    with monkeypatch.context() as patched:
        patched.setattr(PostingsIndex, "matching", broken)
        with pytest.raises(DependencyUnavailable):
            found(store, terms, "xin")
    assert found(store, terms, "xin") == ["s1"]


def test_a_panic_of_tantivy_is_damage() -> None:
    with pytest.raises(WordIndexDamaged, match="phrase"), postings._translated(WordIndexDamaged):
        postings.Query.phrase_query(postings._SCHEMA, "folded", ["one"])


def test_an_index_that_cannot_be_written_stays_as_it_is_and_is_tried_again(
    store: Store, terms: Terms, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(store, terms, entry("s1"))
    store.put([entry("s2")])

    def full(self: PostingsIndex) -> None:
        self.close()
        raise WordIndexUnwritable("no space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(PostingsIndex, "commit", full)
        assert not terms.follow("acme")
    assert found(store, terms, "xin") == ["s1"]
    assert not terms.follow("acme")
    terms._index("acme")._resting_until = 0.0
    assert terms.follow("acme")
    assert {*found(store, terms, "xin")} == {"s1", "s2"}


def test_two_writers_cannot_be_and_the_second_is_told(tmp_path: Path) -> None:
    one, other = (PostingsIndex(tmp_path / "words", "id") for _ in range(2))
    one.apply(WordChanges(1, (), (WordRow(1, "xin", 1, 1),)))
    with pytest.raises(WordIndexUnwritable):
        other.apply(WordChanges(1, (), (WordRow(1, "xin", 1, 1),)))
    one.close()
    other.apply(WordChanges(1, (), (WordRow(1, "xin", 1, 1),)))
    other.commit()
    assert other.matching(parsed("xin"), Filter(), 5) == [1]


@pytest.mark.parametrize("seed", range(3))
def test_kill_9_at_any_moment_loses_nothing(tmp_path: Path, seed: int) -> None:
    """In the middle of puts, commits and merges, one after the other without a pause."""
    script = """
import sys
from pathlib import Path
from servers.search.store import Store
from servers.search.terms import Terms
from tests.stores.search_entries import entry
folder = Path(sys.argv[1])
store = Store(folder / "documents.sqlite")
terms = Terms(folder / "words", store)
for n in range(0, 100_000, 5):
    store.put([entry(f"s{i % 400}", f"câu w{i}") for i in range(n, n + 5)])
    print(n + 5, file=sys.stderr, flush=True)
    terms.follow("acme")
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


def test_of_one_tenant_at_a_time_much_is_read_and_not_committed(
    tmp_path: Path, store: Store, terms: Terms, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "STEP", 10)
    monkeypatch.setattr(module, "FOLLOW_STEPS", 3)
    for tenant in ("acme", "rival"):
        store.put([entry(f"s{n}", "xin", tenant=tenant) for n in range(100)])

    def committed(tenant: str) -> int:
        return terms._open[tenant]._index._committed  # type: ignore[union-attr]

    assert not terms.follow("acme")
    assert committed("acme") == 0, "a commit makes a segment, and every word is looked up in each"
    assert not terms.follow("rival")
    assert (committed("acme"), committed("rival")) == (30, 0)
    assert [terms.follow("rival") for _ in range(3)] == [False, False, True]
    assert [terms.follow("acme") for _ in range(3)] == [False, False, True]
    assert len(found(store, terms, "xin", Scope("rival"))) == len(found(store, terms, "xin")) == 100


def test_an_index_that_is_being_opened_delays_nobody_for_long(
    store: Store, terms: Terms, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.put([entry("s1")])
    opening, go_on = threading.Event(), threading.Event()
    load = module.TenantTerms._loaded

    def slowly(index: module.TenantTerms) -> module.WordIndex:
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
        go_on.set()
        assert following.result(10)
    assert found(store, terms, "xin") == ["s1"]


def test_few_are_open_at_a_time_and_fewer_can_be_written(
    tmp_path: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_WRITING", 2)
    terms = Terms(tmp_path / "words", store, most_open=4)
    tenants = [f"t{n}" for n in range(8)]
    for text in ("xin", "xin chào"):
        for tenant in tenants:
            put(store, terms, entry("s1", text, tenant=tenant))
        kept = [index._index._writer is not None for index in terms._open.values()]  # type: ignore[union-attr]
        assert sum(kept) == 2
        assert len(terms._open) == 4
    for tenant in tenants:
        assert found(store, terms, "xin", Scope(tenant)) == ["s1"]
    assert len(terms._open) == 4


def test_what_never_stops_coming_keeps_no_search_from_an_answer(
    store: Store, terms: Terms, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.put(texts("xin", "xin"))
    numbers = itertools.count()
    commit = PostingsIndex.commit

    def meanwhile(self: PostingsIndex) -> None:
        commit(self)
        store.put([entry(f"more{next(numbers)}")])

    monkeypatch.setattr(PostingsIndex, "commit", meanwhile)
    assert len(found(store, terms, "xin")) == 2
    assert terms.follow("acme")
    assert len(found(store, terms, "xin")) == 3


def test_an_index_whose_files_vanish_while_it_is_open_comes_back(tmp_path: Path, store: Store, terms: Terms) -> None:
    put(store, terms, entry("s1"))
    shutil.rmtree(tmp_path / "words")
    store.put([entry("s2")])
    assert not terms.follow("acme")
    assert found(store, terms, "xin") == ["s1"]
    terms._index("acme")._resting_until = 0.0
    assert terms.follow("acme")
    assert {*found(store, terms, "xin")} == {"s1", "s2"}


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
