"""What is found by the indexes of words, over the real store."""

import asyncio
import itertools
import random
import threading
import unicodedata
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from servers.common.errors import DependencyUnavailable
from servers.search import matching, word_search
from servers.search.documents import Scope
from servers.search.indexing import Filter
from servers.search.inverted import InvertedIndex
from servers.search.query import Query, parsed
from servers.search.shelves import MOST_THRIFT, Shelves
from servers.search.store import Store
from servers.search.terms import Terms
from servers.search.vectors import Vectors
from servers.search.word_index import WordChanges, WordRow
from tests.stores.search_entries import entry
from tests.stores.search_words import found, put, texts

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


def test_of_a_long_phrase_each_pair_of_neighbours_is_there(store: Store, terms: Terms) -> None:
    """Whether they stand side by side is seen in the text (`servers.search.reading`)."""
    put(store, terms, *texts("một hai rồi hai ba", "một hai ba", "hai ba một hai"))
    assert {*found(store, terms, '"một hai ba"')} == {"s0", "s1", "s2"}
    assert found(store, terms, '"một hai rồi"') == ["s0"]
    assert found(store, terms, '"hai ba rồi"') == []


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
    monkeypatch.setattr(word_search, "MOST_COMPLETIONS", 2)
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


@pytest.mark.parametrize("gathered", [0, 2, 20_000])
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
    store: Store, terms: Terms, scope: Scope, expected: set[str], gathered: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(word_search, "MOST_GATHERED", gathered)
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
    with terms._open.using("acme") as index:
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
                while not await found_yet(shelves, f"t{n % 2}", f"số{n}"):
                    await asyncio.sleep(0.01)
    finally:
        keeping.cancel()
        await shelves.close()


async def found_yet(shelves: Shelves, tenant: str, query: str) -> bool:
    """Not while the keeper is at the index and keeps everybody else from it."""
    try:
        return bool((await shelves.matching(Scope(tenant), parsed(query), 5)).ids)
    except DependencyUnavailable:
        return False


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
def test_what_other_engines_read_as_signs_means_nothing(store: Store, terms: Terms, query: str) -> None:
    put(store, terms, *texts("không liên quan"))
    assert found(store, terms, query) == []


def test_any_text_is_found_by_itself_and_no_query_is_an_error(tmp_path: Path) -> None:
    numbers = itertools.count(1)
    index = InvertedIndex(tmp_path / "words", "one")

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
