"""SearchService over a real port: what each field of a request changes, and what it is refused for."""

from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import grpc
import pytest
from ai2text.search.v1 import hit_pb2, search_service_pb2
from ai2text.search.v1.filter_pb2 import SearchFilter
from ai2text.search.v1.search_service_pb2 import BatchSearchRequest, SearchRequest, SearchResponse
from google.protobuf.timestamp_pb2 import Timestamp

from servers.common.errors import DependencyUnavailable
from servers.search import finding
from servers.search.documents import Embedding, Entry
from servers.search.embedder import RemoteEmbedder
from servers.search.indexing import recording_number
from servers.search.narrowing import Conditions
from servers.search.vectors import TenantIndex
from tests.rpc.embeddings_server import headers
from tests.rpc.refusals import refusal
from tests.rpc.search_server import Served, segment, served

DAY_US = 86_400_000_000


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Served]:
    async with served(tmp_path) as server:
        yield server


async def find(server: Served, query: str = "câu", tenant: str = "acme", **fields: Any) -> SearchResponse:
    answer: SearchResponse = await server.search.Search(
        SearchRequest(query=query, **fields), metadata=headers("search", tenant=tenant), timeout=10
    )
    return answer


def ids(answer: SearchResponse) -> list[str]:
    return [hit.segment_id for hit in answer.hits]


def numbers(*recording_ids: str) -> list[int]:
    """Those that stand for the recordings."""
    return sorted(map(recording_number, recording_ids))


def day(number: int) -> Timestamp:
    """Midnight of a day, counted from 1970."""
    return Timestamp(seconds=number * 86_400)


# Filters


@pytest.fixture
async def labelled(server: Served) -> Served:
    """Four recordings with a segment each; nothing is known of the last."""
    await server.put([segment(f"s{n}", f"câu số {n}", recording_id=f"r{n}") for n in range(4)])
    await server.put([segment("theirs", "câu của họ", tenant="rival", recording_id="r0")])
    await server.note("r0", labels={"team": "a", "show": "news"}, created_us=0)
    await server.note("r1", labels={"team": "a"}, created_us=DAY_US)
    await server.note("r2", labels={"team": "b"}, created_us=2 * DAY_US)
    await server.note("r0", tenant="rival", labels={"team": "secret"}, created_us=DAY_US)
    return server


@pytest.mark.parametrize(
    ("narrowed", "found"),
    [
        (SearchFilter(labels={"team": "a"}), {"s0", "s1"}),
        (SearchFilter(labels={"team": "a", "show": "news"}), {"s0"}),
        (SearchFilter(labels={"team": "c"}), set()),
        (SearchFilter(labels={"show": ""}), set()),
        (SearchFilter(labels={"team": "secret"}), set()),
        (SearchFilter(recorded_after=day(1)), {"s1", "s2"}),
        (SearchFilter(recorded_before=day(1)), {"s0"}),
        (SearchFilter(recorded_after=day(1), recorded_before=day(2)), {"s1"}),
        (SearchFilter(recorded_after=Timestamp(seconds=86_400, nanos=1)), {"s2"}),
        (SearchFilter(recorded_before=Timestamp(seconds=86_400, nanos=1)), {"s0", "s1"}),
        (SearchFilter(labels={"team": "a"}, recorded_after=day(1)), {"s1"}),
        (SearchFilter(), {"s0", "s1", "s2", "s3"}),
    ],
)
async def test_labels_and_time_narrow_both_rankings(labelled: Served, narrowed: SearchFilter, found: set[str]) -> None:
    answer = await find(labelled, filter=narrowed)
    assert set(ids(answer)) == found
    assert all(hit.semantic_rank and hit.lexical_rank for hit in answer.hits)
    assert answer.rankings == [hit_pb2.RANKING_SEMANTIC, hit_pb2.RANKING_LEXICAL]


async def test_all_filters_hold_together(labelled: Served) -> None:
    narrowed = SearchFilter(labels={"team": "a"})
    assert ids(await find(labelled, filter=narrowed, recording_ids=["R1", "r2"])) == ["s1"]
    assert ids(await find(labelled, filter=narrowed, recording_ids=["r2"])) == []
    assert ids(await find(labelled, filter=narrowed, language_code="en")) == []


@pytest.mark.parametrize(
    ("moved", "narrowed"),
    [
        (segment("s1", "câu số 1", recording_id="r2"), {"recording_ids": ["r1"]}),
        (segment("s1", "câu số 1", recording_id="r1", language_code="en"), {"language_code": "vi"}),
    ],
)
async def test_what_has_moved_is_not_found_where_it_was(
    labelled: Served, moved: Entry, narrowed: dict[str, Any]
) -> None:
    """Not even until the index of words has followed."""
    assert "s1" in ids(await find(labelled, **narrowed))
    await labelled.shelves.put([moved])
    assert "s1" not in ids(await find(labelled, **narrowed))


async def test_what_nothing_matches_is_asked_of_nobody(labelled: Served) -> None:
    asked = labelled.model.asked[:]
    await find(labelled, filter=SearchFilter(labels={"team": "c"}))
    assert labelled.model.asked == asked


async def test_only_the_newest_that_is_known_of_a_recording_counts(labelled: Served) -> None:
    await labelled.note("r1", labels={"team": "z"}, version=3)
    await labelled.note("r1", labels={"team": "late"}, version=2)
    for team, found in (("a", ["s0"]), ("z", ["s1"]), ("late", [])):
        assert ids(await find(labelled, filter=SearchFilter(labels={"team": team}))) == found


async def test_of_a_deleted_recording_nothing_is_known_again(labelled: Served) -> None:
    await labelled.shelves.delete("acme", "r1")
    await labelled.note("r1", labels={"team": "a"}, version=9)
    assert await labelled.shelves.recordings("acme", Conditions(labels=(("team", "a"),))) == numbers("r0")
    assert await labelled.shelves.recordings("rival", Conditions(labels=(("team", "secret"),))) == numbers("r0")


@pytest.fixture
async def long(server: Served) -> Served:
    """A recording of 150 segments of a second each, and another."""
    await server.put([segment(f"s{n}", f"câu số {n}", start_ms=1_000 * n) for n in range(150)])
    await server.put([segment("other", "câu khác", recording_id="r2", start_ms=0)])
    return server


@pytest.mark.parametrize(
    ("span", "found"),
    [
        ({"start_ms": 146_000}, ["s146", "s147", "s148", "s149"]),
        ({"start_ms": 147_999}, ["s147", "s148", "s149"]),
        ({"end_ms": 2_000}, ["s0", "s1"]),
        ({"end_ms": 2_001}, ["s0", "s1", "s2"]),
        ({"start_ms": 70_500, "end_ms": 71_500}, ["s70", "s71"]),
        ({"start_ms": 150_000}, []),
    ],
)
async def test_a_part_of_a_recording_is_searched_to_its_last_segment(
    long: Served, span: dict[str, int], found: list[str]
) -> None:
    """However many of the recording rank before them."""
    answer = await find(long, recording_ids=["r1"], filter=SearchFilter(**span), limit=100)
    assert sorted(ids(answer)) == sorted(found)
    assert sorted(hit.lexical_rank for hit in answer.hits) == list(range(1, len(found) + 1))


async def test_a_part_of_several_recordings(long: Served) -> None:
    answer = await find(long, recording_ids=["r1", "r2"], filter=SearchFilter(end_ms=1))
    assert set(ids(answer)) == {"s0", "other"}


async def test_in_very_long_recordings_the_best_of_each_ranking_are_looked_at(
    long: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(finding, "MOST_IN_SPAN", 120)
    answer = await find(long, "câu số 149", recording_ids=["r1"], filter=SearchFilter(start_ms=149_000))
    assert ids(answer) == ["s149"]


# Pages


async def pages(server: Served, **fields: Any) -> list[list[str]]:
    """The ids on each page, until there is no more."""
    found, token = list[list[str]](), ""
    while True:
        answer = await find(server, page_token=token, **fields)
        found.append(ids(answer) or [group.recording_id for group in answer.groups])
        token = answer.next_page_token
        if not token:
            return found


async def test_pages_have_everything_once_in_one_order(long: Served) -> None:
    found = await pages(long, limit=20)
    together = [one for page in found for one in page]
    assert len(together) == len(set(together)) == 151
    assert [len(page) for page in found] == [20] * 7 + [11]
    (whole,) = [ids(await find(long, limit=100))]
    assert together[:100] == whole


async def test_the_page_size_may_change_and_so_may_explain(long: Served) -> None:
    first = await find(long, limit=3)
    second = await find(long, limit=5, explain=True, page_token=first.next_page_token)
    assert ids(first) + ids(second) == ids(await find(long, limit=8))


async def test_what_comes_and_goes_between_pages_makes_no_doubles(long: Served) -> None:
    first = await find(long, limit=50)
    await long.put([segment(f"new{n}", "câu câu câu", start_ms=1_000 * n) for n in range(30)])
    await long.shelves.remove("acme", [segment(ids(first)[0], "").document.id, segment("s140", "").document.id])
    await long.follow()
    rest, token = list[str](), first.next_page_token
    while token:
        answer = await find(long, limit=50, page_token=token)
        rest += ids(answer)
        token = answer.next_page_token
    assert not set(rest) & set(ids(first))
    assert len(rest) == len(set(rest)) == 151 - 50 + 30 - 1
    assert "s140" not in rest


async def test_after_a_thousand_hits_there_is_no_more(server: Served) -> None:
    await server.put([segment(f"s{n}", "câu") for n in range(1_100)])
    found = await pages(server, limit=100)
    assert [len(page) for page in found] == [100] * 10
    assert len({one for page in found for one in page}) == 1_000


async def test_the_last_page_has_no_token(server: Served) -> None:
    assert not (await find(server)).next_page_token
    await server.put([segment(f"s{n}", "câu") for n in range(10)])
    assert not (await find(server, limit=10)).next_page_token
    assert (await find(server, limit=9)).next_page_token


@pytest.mark.parametrize(
    "other",
    [
        {"query": "câu số"},
        {"recording_ids": ["r2"]},
        {"recording_ids": []},
        {"language_code": "vi"},
        {"filter": SearchFilter(labels={"a": "b"})},
        {"filter": SearchFilter(recorded_after=day(0))},
        {"filter": SearchFilter(start_ms=1)},
        {"filter": SearchFilter(channels=[0])},
        {"group_by_recording": True},
        {"tenant": "rival"},
    ],
)
async def test_a_token_of_another_request_is_refused(long: Served, other: dict[str, Any]) -> None:
    given: dict[str, Any] = {"query": "câu", "recording_ids": ["r1"]}
    token = (await find(long, **given)).next_page_token
    refused = await refusal(find(long, **(given | other | {"page_token": token})))
    assert (refused.code, refused.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "PAGE_TOKEN_INVALID")
    assert refused.metadata == {"field": "page_token"}


@pytest.mark.parametrize("broken", ["{}A", "{}AAAA", "x{}", "é{}", "", "x", "A" * 100_000], ids=range(7))
async def test_what_is_no_token_is_refused(long: Served, broken: str) -> None:
    token = (await find(long)).next_page_token
    refused = await refusal(find(long, page_token=broken.format(token) or token[:-1]))
    assert (refused.code, refused.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "PAGE_TOKEN_INVALID")


# Groups


@pytest.fixture
async def grouped(server: Served) -> Served:
    """One recording with very many hits, which rank first, and five with two each."""
    await server.put([segment(f"a{n}", "mưa", recording_id="much") for n in range(300)])
    few = [segment(f"b{n}{m}", f"mưa to {n}", recording_id=f"r{n}") for n in range(5) for m in range(2)]
    await server.put(few)
    return server


async def test_by_recording_each_comes_once_with_its_best(grouped: Served) -> None:
    answer = await find(grouped, "mưa", group_by_recording=True)
    assert not answer.hits
    assert {group.recording_id for group in answer.groups} == {"much", *(f"r{n}" for n in range(5))}
    assert [len(group.hits) for group in answer.groups] == [3, 2, 2, 2, 2, 2]
    assert answer.groups[0].recording_id == "much"
    for group in answer.groups:
        assert group.score == max(hit.score for hit in group.hits) == group.hits[0].score
        assert {hit.recording_id for hit in group.hits} == {group.recording_id}
    scores = [group.score for group in answer.groups]
    assert scores == sorted(scores, reverse=True)


async def test_by_recording_with_more_or_fewer_hits_each(grouped: Served) -> None:
    for each in (1, 10):
        answer = await find(grouped, "mưa", group_by_recording=True, hits_per_recording=each, limit=1)
        assert [len(group.hits) for group in answer.groups] == [each]


async def test_pages_by_recording(grouped: Served) -> None:
    found = await pages(grouped, query="mưa", group_by_recording=True, limit=4)
    assert [len(page) for page in found] == [4, 2]
    assert len({one for page in found for one in page}) == 6


# Explanations


async def test_an_answer_says_why_when_it_is_asked(labelled: Served) -> None:
    answer = await find(labelled, "cau số 1", explain=True, filter=SearchFilter(labels={"team": "a"}))
    why = answer.explanation
    assert (why.semantic_weight, why.lexical_weight, why.word_coverage) == (1, 1, 1)
    assert (why.semantic_candidates, why.lexical_candidates, why.recordings_left) == (2, 2, 2)
    assert why.vectors_compared == 2
    assert not why.cached
    took = why.timings
    for stage in (took.filter_us, took.embed_us, took.words_us, took.vectors_us, took.documents_us, took.snippets_us):
        assert 0 < stage <= took.total_us < 10_000_000
    for hit in answer.hits:
        shares = hit.explanation.semantic_share + hit.explanation.lexical_share
        assert hit.score == pytest.approx(shares)
        assert hit.explanation.semantic_share == pytest.approx(1 / (60 + hit.semantic_rank))
        assert hit.explanation.lexical_share == pytest.approx(1 / (60 + hit.lexical_rank))
    (one,) = (hit.explanation for hit in answer.hits if hit.segment_id == "s1")
    assert (list(one.exact_words), list(one.folded_words)) == (["số", "1"], ["cau"])


async def test_an_explanation_changes_nothing_else(labelled: Served) -> None:
    explained = await find(labelled, explain=True)
    plain = await find(labelled)
    assert not plain.HasField("explanation")
    assert not any(hit.HasField("explanation") for hit in plain.hits)
    explained.ClearField("explanation")
    for hit in explained.hits:
        hit.ClearField("explanation")
    assert explained == plain


async def test_an_explanation_says_what_took_no_part(server: Served) -> None:
    await server.put([segment("s1", "xin chào")])
    server.model.away = True
    why = (await find(server, "xin", explain=True)).explanation
    assert (why.semantic_weight, why.lexical_weight) == (0, 1)
    assert not why.HasField("recordings_left")
    server.model.away = False
    why = (await find(server, "?!", explain=True)).explanation
    assert (why.semantic_weight, why.lexical_weight, why.lexical_candidates) == (1, 0, 0)


async def test_an_explanation_counts_nothing_of_another_tenant(labelled: Served) -> None:
    why = (await find(labelled, tenant="rival", explain=True)).explanation
    assert (why.semantic_candidates, why.lexical_candidates, why.vectors_compared) == (1, 1, 1)


# How far the index is


async def test_the_status_of_the_index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    behind = False
    async with served(tmp_path, behind=lambda: behind) as server:
        await server.put([segment("s1", "xin chào")])
        assert (await find(server, "xin")).index_status == search_service_pb2.INDEX_STATUS_READY
        server.model.away = True
        assert (await find(server, "chào")).index_status == search_service_pb2.INDEX_STATUS_WORDS_ONLY
        behind = True
        assert (await find(server, "chào")).index_status == search_service_pb2.INDEX_STATUS_BUILDING
        behind, server.model.away = False, False
        with monkeypatch.context() as patched:
            patched.setattr(TenantIndex, "open", _away)
            answer = await find(server, "chào")
            assert answer.index_status == search_service_pb2.INDEX_STATUS_BUILDING
            assert (ids(answer), answer.rankings) == (["s1"], [hit_pb2.RANKING_LEXICAL])
        assert (await find(server, "xin")).index_status == search_service_pb2.INDEX_STATUS_READY


def _away(index: TenantIndex, patience_s: float) -> None:
    raise DependencyUnavailable("vector index")


# Batches


async def batch(server: Served, *requests: SearchRequest, tenant: str = "acme") -> list[SearchResponse]:
    answer = await server.search.BatchSearch(
        BatchSearchRequest(requests=requests), metadata=headers("search", tenant=tenant), timeout=10
    )
    return list(answer.responses)


async def test_a_batch_is_answered_in_order_and_embedded_at_once(
    labelled: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    requests = [
        SearchRequest(query="câu số 1"),
        SearchRequest(query="câu số 2", filter=SearchFilter(labels={"team": "a"})),
        SearchRequest(query="câu", group_by_recording=True),
        SearchRequest(query="số", limit=1),
    ]
    alone = [await labelled.search.Search(one, metadata=headers("search"), timeout=10) for one in requests]
    calls, embed_all = list[Sequence[str]](), RemoteEmbedder.embed_all

    async def counted(embedder: RemoteEmbedder, texts: Sequence[str], tenant: str, subject: str) -> list[Embedding]:
        calls.append(texts)
        return await embed_all(embedder, texts, tenant, subject)

    monkeypatch.setattr(RemoteEmbedder, "embed_all", counted)
    monkeypatch.setattr(RemoteEmbedder, "embed", None)  # a batch must not come to it
    assert await batch(labelled, *requests) == alone
    assert calls == [[request.query for request in requests]]


async def test_pages_go_on_in_batches(long: Served) -> None:
    (first,) = await batch(long, SearchRequest(query="câu", limit=3))
    (second,) = await batch(long, SearchRequest(query="câu", limit=3, page_token=first.next_page_token))
    assert ids(first) + ids(second) == ids(await find(long, limit=6))


async def test_a_batch_without_the_embedder_is_answered_by_words(labelled: Served) -> None:
    labelled.model.away = True
    answers = await batch(labelled, SearchRequest(query="một câu"), SearchRequest(query="hai câu", explain=True))
    assert [answer.index_status for answer in answers] == [search_service_pb2.INDEX_STATUS_WORDS_ONLY] * 2
    assert all(answer.hits for answer in answers)
    assert answers[1].explanation.timings.embed_us > 0


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        (SearchRequest(), "requests[1].query"),
        (SearchRequest(query="x", limit=101), "requests[1].limit"),
        (SearchRequest(query="x", filter=SearchFilter(end_ms=1)), "requests[1].filter.end_ms"),
        (
            SearchRequest(query="x", filter=SearchFilter(recorded_after=Timestamp(nanos=-1))),
            "requests[1].filter.recorded_after",
        ),
    ],
)
async def test_one_wrong_request_refuses_the_batch_and_is_named(
    server: Served, request_: SearchRequest, field: str
) -> None:
    refused = await refusal(batch(server, SearchRequest(query="x"), request_))
    assert (refused.code, refused.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "FIELD_INVALID")
    assert (refused.field, refused.metadata["field"]) == (field, field)


async def test_a_wrong_token_in_a_batch_is_named(server: Served) -> None:
    refused = await refusal(batch(server, SearchRequest(query="x"), SearchRequest(query="x", page_token="abc")))
    assert (refused.reason, refused.metadata["field"]) == ("PAGE_TOKEN_INVALID", "requests[1].page_token")


@pytest.mark.parametrize("count", [0, 33])
async def test_a_batch_has_its_bounds(server: Served, count: int) -> None:
    refused = await refusal(batch(server, *[SearchRequest(query="x")] * count))
    assert (refused.reason, refused.field) == ("FIELD_INVALID", "requests")


async def test_a_batch_of_the_largest_size_is_answered(labelled: Served) -> None:
    assert len(await batch(labelled, *[SearchRequest(query="câu")] * 32)) == 32


async def test_a_batch_needs_the_scope_and_sees_its_tenant_alone(labelled: Served) -> None:
    request = BatchSearchRequest(requests=[SearchRequest(query="câu")])
    refused = await refusal(labelled.search.BatchSearch(request, metadata=headers("admin")))
    assert (refused.code, refused.reason) == (grpc.StatusCode.PERMISSION_DENIED, "SCOPE_MISSING")
    (answer,) = await batch(labelled, SearchRequest(query="câu"), tenant="rival")
    assert ids(answer) == ["theirs"]


# Refusals


YEAR_10000 = int(datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC).timestamp()) + 1


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"hits_per_recording": 2}, "hits_per_recording"),
        ({"group_by_recording": True, "hits_per_recording": 11}, "hits_per_recording"),
        ({"filter": SearchFilter(labels={f"k{n}": "" for n in range(11)})}, "filter.labels"),
        ({"filter": SearchFilter(labels={"Not a key": "x"})}, "filter.labels"),
        ({"filter": SearchFilter(labels={"k": "x" * 201})}, "filter.labels[k]"),
        ({"filter": SearchFilter(start_ms=5)}, "filter.start_ms"),
        ({"filter": SearchFilter(end_ms=5)}, "filter.end_ms"),
        ({"filter": SearchFilter(start_ms=-1), "recording_ids": ["r"]}, "filter.start_ms"),
        ({"filter": SearchFilter(start_ms=5, end_ms=5), "recording_ids": ["r"]}, "filter.end_ms"),
        ({"filter": SearchFilter(end_ms=-5), "recording_ids": ["r"]}, "filter.end_ms"),
        ({"filter": SearchFilter(recorded_after=day(2), recorded_before=day(2))}, "filter.recorded_before"),
        ({"filter": SearchFilter(recorded_after=Timestamp(seconds=YEAR_10000))}, "filter.recorded_after"),
        ({"filter": SearchFilter(recorded_before=Timestamp(nanos=10**9))}, "filter.recorded_before"),
        ({"filter": SearchFilter(recorded_before=Timestamp(seconds=-(2**63)))}, "filter.recorded_before"),
    ],
)
async def test_a_wrong_field_is_named(server: Served, fields: dict[str, Any], field: str) -> None:
    refused = await refusal(find(server, "x", **fields))
    assert (refused.code, refused.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "FIELD_INVALID")
    assert refused.field == field


async def test_the_largest_times_are_no_fault(server: Served) -> None:
    narrowed = SearchFilter(recorded_after=Timestamp(seconds=-62_135_596_800), start_ms=2**63 - 2, end_ms=2**63 - 1)
    narrowed.recorded_before.seconds = YEAR_10000 - 1
    assert ids(await find(server, "x", filter=narrowed, recording_ids=["r"])) == []
