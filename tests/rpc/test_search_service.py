"""SearchService over a real port: hits, filters, what happens without an embedder, and every way to be refused."""

import asyncio
import sqlite3
import threading
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any, cast

import grpc
import pytest
from ai2text.search.v1 import hit_pb2
from ai2text.search.v1.filter_pb2 import SearchFilter
from ai2text.search.v1.search_service_pb2 import BatchSearchRequest, SearchRequest, SearchResponse
from ai2text.search.v1.search_service_pb2_grpc import SearchServiceStub

from servers.common.errors import DependencyUnavailable
from servers.embeddings.embedding import Kind, Vector
from servers.search import shelves
from servers.search.candidates import Matching
from servers.search.documents import Embedding, Scope
from servers.search.generations import Generations
from servers.search.hot import HotQueries
from servers.search.query import Query
from servers.search.reranking import Reranker
from servers.search.searching import Searches
from servers.search.service import mount
from servers.search.store import Store
from servers.search.terms import TenantTerms
from servers.search.vectors import TenantIndex
from tests.rpc.embeddings_server import headers, serving
from tests.rpc.refusals import refusal
from tests.rpc.search_server import Served, segment, served

ALLOWED = headers("search")
BOTH = [hit_pb2.RANKING_SEMANTIC, hit_pb2.RANKING_LEXICAL]
WORDS_ONLY = [hit_pb2.RANKING_LEXICAL]


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Served]:
    async with served(tmp_path) as server:
        yield server


async def find(server: Served, query: str, tenant: str = "acme", **fields: Any) -> SearchResponse:
    answer: SearchResponse = await server.search.Search(
        SearchRequest(query=query, **fields), metadata=headers("search", tenant=tenant), timeout=10
    )
    return answer


def ids(answer: SearchResponse) -> list[str]:
    return [hit.segment_id for hit in answer.hits]


async def test_a_hit_says_where_and_why(server: Served) -> None:
    await server.put([segment("s1", "Chiều nay trời có thể mưa"), segment("s2", "Giá vàng tăng mạnh")])
    answer = await find(server, "trời mưa")
    hit = answer.hits[0]
    assert (hit.recording_id, hit.transcript_id, hit.segment_id) == ("r1", "t1", "s1")
    assert (hit.start_ms, hit.end_ms, hit.language_code) == (1_000, 2_000, "vi")
    assert hit.snippet.text == "Chiều nay trời có thể mưa"
    assert [hit.snippet.text[mark.start : mark.end] for mark in hit.snippet.highlights] == ["trời", "mưa"]
    assert hit.lexical_rank == 1
    assert hit.semantic_rank in (1, 2)
    assert answer.rankings == BOTH
    assert hit.score == pytest.approx(1 / 61 + 1 / (60 + hit.semantic_rank))


async def test_accents_may_be_left_out(server: Served) -> None:
    await server.put([segment("s1", "Xin chào các bạn"), segment("s2", "Tạm biệt")])
    for query in ("xin chao", "XIN CHÀO", "xin chào"):
        assert ids(await find(server, query))[0] == "s1"


async def test_what_shares_no_word_is_found_by_its_vector(server: Served) -> None:
    await server.put([segment("s1", "zzzz"), segment("s2", "abc abc")])
    answer = await find(server, "cab bac")
    assert ids(answer) == ["s2", "s1"]
    assert [hit.lexical_rank for hit in answer.hits] == [0, 0]


async def test_words_in_quotes_are_a_condition_for_what_is_found_by_meaning_too(server: Served) -> None:
    await server.put([segment("s1", "xin chào bạn"), segment("s2", "chào bạn xin"), segment("s3", "bạn xin chào nhé")])
    answer = await find(server, '"xin chao" bạn')
    assert sorted(ids(answer)) == ["s1", "s3"]
    assert answer.rankings == BOTH
    assert ids(await find(server, '"chào xin"')) == []
    hit = (await find(server, '"bạn xin chào"')).hits[0]
    assert [hit.snippet.text[mark.start : mark.end] for mark in hit.snippet.highlights] == ["bạn xin chào"]


async def test_the_beginning_of_a_word(server: Served) -> None:
    await server.put([segment("s1", "ông Nguyễn"), segment("s2", "ngủ rồi")])
    hit = (await find(server, "nguy*")).hits[0]
    assert (hit.segment_id, hit.lexical_rank) == ("s1", 1)
    assert [hit.snippet.text[mark.start : mark.end] for mark in hit.snippet.highlights] == ["Nguyễn"]


async def test_while_the_index_of_words_is_being_built_the_meaning_alone_decides(
    server: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    await server.put([segment("s1", "xin chào")])
    with monkeypatch.context() as patched:
        patched.setattr(TenantTerms, "matching", away)
        answer = await find(server, "xin chào")
        assert (ids(answer), answer.rankings) == (["s1"], [hit_pb2.RANKING_SEMANTIC])
        server.model.away = True
        refused = await refusal(server.search.Search(SearchRequest(query="xin"), metadata=ALLOWED))
        assert refused.code == grpc.StatusCode.UNAVAILABLE
    assert (await find(server, "chào")).rankings == WORDS_ONLY


def away(index: TenantTerms, *_: object) -> list[int]:
    raise DependencyUnavailable("word index")


async def test_a_question_without_words_is_asked_by_meaning_only(server: Served) -> None:
    await server.put([segment("s1", "abc")])
    answer = await find(server, "?!")
    assert ids(answer) == ["s1"]
    assert answer.rankings == [hit_pb2.RANKING_SEMANTIC]


async def test_nothing_is_found_in_nothing(server: Served) -> None:
    assert ids(await find(server, "xin chào")) == []


async def test_the_limit_is_kept(server: Served) -> None:
    await server.put([segment(f"s{n}", f"câu số {n}") for n in range(150)])
    assert len((await find(server, "câu số")).hits) == 10
    assert len((await find(server, "câu số", limit=3)).hits) == 3
    hits = (await find(server, "câu số", limit=100)).hits
    assert len(hits) == 100
    assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)


async def test_filters(server: Served) -> None:
    await server.put(
        [
            segment("s1", "xin chào"),
            segment("s2", "xin chào", recording_id="r2"),
            segment("s3", "xin chào", recording_id="r2", language_code="en"),
        ]
    )
    assert set(ids(await find(server, "xin chào"))) == {"s1", "s2", "s3"}
    assert set(ids(await find(server, "xin chào", recording_ids=["r2"]))) == {"s2", "s3"}
    assert set(ids(await find(server, "xin chào", recording_ids=["r1", "R2"], language_code="vi"))) == {"s1", "s2"}
    assert ids(await find(server, "xin chào", recording_ids=["nowhere"])) == []


async def test_tenants_never_see_each_other(server: Served) -> None:
    await server.put([segment("s1", "bí mật của ta"), segment("s1", "bí mật của họ", tenant="rival")])
    assert [hit.snippet.text for hit in (await find(server, "bí mật")).hits] == ["bí mật của ta"]
    assert [hit.snippet.text for hit in (await find(server, "bí mật", tenant="rival")).hits] == ["bí mật của họ"]
    assert ids(await find(server, "bí mật", tenant="nobody")) == []


async def test_without_the_embedder_the_words_alone_decide(server: Served) -> None:
    await server.put([segment("s1", "xin chào"), segment("s2", "tạm biệt")])
    server.model.away = True
    answer = await find(server, "xin chao")
    assert ids(answer) == ["s1"]
    assert answer.rankings == WORDS_ONLY
    assert answer.hits[0].semantic_rank == 0
    server.model.away = False
    assert (await find(server, "xin chao")).rankings == BOTH


async def test_without_anybody_at_the_embedder_s_address_too(tmp_path: Path) -> None:
    async with served(tmp_path, embeddings="127.0.0.1:1") as server:
        await server.put([segment("s1", "xin chào")])
        answer = await find(server, "xin chao")
        assert (ids(answer), answer.rankings) == (["s1"], WORDS_ONLY)


async def test_an_embedder_that_hangs_is_waited_for_by_the_first_questions_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = list[str]()

    async def hang(text: str, kind: Kind) -> Vector:
        asked.append(text)
        await asyncio.sleep(60)
        raise AssertionError

    async with served(tmp_path, embeds_within_s=1.0) as server:
        await server.put([segment("s1", "xin chào")])
        monkeypatch.setattr(server.model, "encode", hang)
        answers = await asyncio.gather(*(find(server, f"chào {n}") for n in range(3)))
        answers += [await find(server, f"xin {n}") for n in range(5)]
    assert all((ids(answer), answer.rankings) == (["s1"], WORDS_ONLY) for answer in answers)
    assert sorted(asked) == ["chào 0", "chào 1", "chào 2"]


async def test_texts_that_the_model_fails_at_turn_no_other_question_away(server: Served) -> None:
    await server.put([segment("s1", "xin chào")])
    server.model.away = True
    for number in range(5):
        assert (await find(server, f"chào {number}")).rankings == WORDS_ONLY
    server.model.away = False
    assert (await find(server, "xin chao")).rankings == BOTH


async def test_while_an_index_is_being_built_the_words_alone_decide(
    server: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    built = threading.Event()

    def wait(index: TenantIndex, patience_s: float) -> None:
        built.wait(10)

    await server.put([segment("s1", "xin chào")])
    with monkeypatch.context() as patched:
        patched.setattr(shelves, "NEAREST_TIMEOUT_S", 0.1)
        patched.setattr(TenantIndex, "open", wait)
        answer = await find(server, "xin chao")
        assert (ids(answer), answer.rankings) == (["s1"], WORDS_ONLY)
        built.set()
    assert (await find(server, "xin chao")).rankings == BOTH


async def test_after_reopening_all_is_there(tmp_path: Path) -> None:
    async with served(tmp_path) as server:
        await server.put([segment("s1", "xin chào")])
    async with served(tmp_path) as server:
        answer = await find(server, "xin chào")
        assert ids(answer) == ["s1"]
        assert answer.hits[0].semantic_rank == 1


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"query": ""}, "query"),
        ({"query": " \t"}, "query"),
        ({"query": "x" * 1001}, "query"),
        ({"query": "x", "limit": 101}, "limit"),
        ({"query": "x", "recording_ids": ["r"] * 101}, "recording_ids"),
        ({"query": "x", "language_code": "tiếng Việt"}, "language_code"),
        ({"query": "x", "filter": SearchFilter(channels=[8])}, "filter.channels"),
        ({"query": "x", "filter": SearchFilter(channels=[1, 1])}, "filter.channels"),
    ],
)
async def test_a_wrong_field_is_named(server: Served, fields: dict[str, Any], field: str) -> None:
    refused = await refusal(server.search.Search(SearchRequest(**fields), metadata=ALLOWED))
    assert (refused.code, refused.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "FIELD_INVALID")
    assert refused.field == field


@pytest.mark.parametrize("query", ['"', "AND", "a NEAR/3 b", "folded: x", "(((", "\0", "'; DROP TABLE documents", "🎉"])
async def test_no_query_is_a_syntax_error(server: Served, query: str) -> None:
    await server.put([segment("s1", "xin chào")])
    await find(server, query)


async def test_no_identity(server: Served) -> None:
    refused = await refusal(server.search.Search(SearchRequest(query="x")))
    assert (refused.code, refused.reason) == (grpc.StatusCode.UNAUTHENTICATED, "IDENTITY_MISSING")


async def test_no_scope(server: Served) -> None:
    refused = await refusal(server.search.Search(SearchRequest(query="x"), metadata=headers("speech")))
    assert (refused.code, refused.reason) == (grpc.StatusCode.PERMISSION_DENIED, "SCOPE_MISSING")
    assert refused.metadata == {"scope": "search"}


async def test_a_store_that_cannot_be_read_is_a_dependency_that_is_away(
    server: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(store: Store) -> sqlite3.Connection:
        raise sqlite3.OperationalError("disk I/O error")

    await server.put([segment("s1", "xin chào")])
    monkeypatch.setattr(Store, "_connection", broken)
    refused = await refusal(server.search.Search(SearchRequest(query="chào"), metadata=ALLOWED))
    assert (refused.code, refused.reason) == (grpc.StatusCode.UNAVAILABLE, "DEPENDENCY_UNAVAILABLE")
    assert refused.retry_s
    assert "disk" not in refused.message


class Stuck:
    """A library and an embedder: a search that waits until it is let go, or fails."""

    def __init__(self) -> None:
        self.go = asyncio.Event()
        self.error: Exception | None = None

    async def embed(self, text: str, tenant: str, subject: str) -> Embedding:
        raise DependencyUnavailable("embeddings")

    async def nearest(self, scope: Scope, embedding: Embedding, limit: int) -> list[int]:
        return []

    async def matching(self, scope: Scope, asked: object, limit: int) -> Matching:
        if self.error:
            raise self.error
        await self.go.wait()
        return Matching()

    async def documents(self, tenant: str, ids: object) -> dict[int, Any]:
        return {}


@pytest.fixture
def stuck() -> Stuck:
    return Stuck()


@pytest.fixture
async def one_at_a_time(stuck: Stuck) -> AsyncIterator[Any]:
    async with (
        serving(
            mount(Searches(stuck, stuck, Reranker(stuck, 0), at_once=1), HotQueries(None, Generations()))
        ) as address,
        grpc.aio.insecure_channel(address) as to,
    ):
        yield SearchServiceStub(to)


async def test_too_many_at_a_time(one_at_a_time: Any, stuck: Stuck) -> None:
    def search() -> Any:
        return one_at_a_time.Search(SearchRequest(query="x"), metadata=ALLOWED, timeout=10)

    calls = [search(), search()]
    done, (waiting,) = await asyncio.wait([asyncio.ensure_future(c) for c in calls], return_when="FIRST_COMPLETED")
    refused = await refusal(done.pop())
    assert (refused.code, refused.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "OVERLOADED")
    assert refused.retry_s
    stuck.go.set()
    await waiting
    await search()


class HalfStuck(Stuck):
    """One query fails while the others wait."""

    def __init__(self) -> None:
        super().__init__()
        self.waits, self.ended = asyncio.Event(), asyncio.Event()

    async def embed_all(self, texts: Sequence[str], tenant: str, subject: str) -> list[Embedding]:
        raise DependencyUnavailable("embeddings")

    async def matching(self, scope: Scope, asked: object, limit: int) -> Matching:
        if cast(Query, asked).text == "fails":
            await self.waits.wait()
            raise DependencyUnavailable("word index")
        self.waits.set()
        try:
            return await super().matching(scope, asked, limit)
        finally:
            self.ended.set()


async def test_when_one_of_a_batch_fails_nothing_of_it_goes_on() -> None:
    stuck = HalfStuck()
    searches = Searches(stuck, stuck, Reranker(stuck, 0), at_once=2)
    async with (
        serving(mount(searches, HotQueries(None, Generations()))) as address,
        grpc.aio.insecure_channel(address) as to,
    ):
        requests = [SearchRequest(query="waits"), SearchRequest(query="fails")]
        call = SearchServiceStub(to).BatchSearch(BatchSearchRequest(requests=requests), metadata=ALLOWED, timeout=10)
        refused = await refusal(call)
        assert (refused.code, refused.reason) == (grpc.StatusCode.UNAVAILABLE, "DEPENDENCY_UNAVAILABLE")
        assert refused.metadata == {"dependency": "search index"}
        assert stuck.ended.is_set()


async def test_a_fault_of_ours_says_nothing_of_itself(one_at_a_time: Any, stuck: Stuck) -> None:
    stuck.error = RuntimeError("secret path")
    refused = await refusal(one_at_a_time.Search(SearchRequest(query="x"), metadata=ALLOWED))
    assert (refused.code, refused.reason) == (grpc.StatusCode.INTERNAL, "INTERNAL")
    assert "secret" not in refused.message
