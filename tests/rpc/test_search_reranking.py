"""SearchService over a real port: the first hits in a better order, when that is wanted."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, cast

import pytest
from ai2text.search.v1 import hit_pb2
from ai2text.search.v1.search_service_pb2 import SearchRequest, SearchResponse

from servers.common.errors import DependencyUnavailable
from servers.search.candidates import Library
from servers.search.documents import Document, Scope
from servers.search.embedder import RemoteEmbedder
from servers.search.query import parsed
from servers.search.ranking import Place
from servers.search.reading import Reading
from servers.search.reranking import Reranker
from servers.search.timings import Watch
from tests.rpc.embeddings_server import headers
from tests.rpc.search_server import Served, segment, served

CLOSENESS = hit_pb2.RANKING_CLOSENESS


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Served]:
    """Eight segments, the shorter the earlier they are found."""
    async with served(tmp_path) as server:
        await server.put([segment(f"s{n}", "câu" + " thêm" * n) for n in range(8)])
        yield server


async def find(server: Served, query: str = "câu", **fields: Any) -> SearchResponse:
    answer: SearchResponse = await server.search.Search(
        SearchRequest(query=query, **fields), metadata=headers("search"), timeout=10
    )
    return answer


def ids(answer: SearchResponse) -> list[str]:
    return [hit.segment_id for hit in answer.hits]


async def test_the_closest_of_the_first_hits_comes_first_and_what_is_behind_them_stays(server: Served) -> None:
    before = await find(server)
    server.model.closest = "câu" + " thêm" * 4
    after = await find(server, rerank=True, explain=True)
    assert ids(before) == [f"s{n}" for n in range(8)]
    assert ids(after)[0] == "s4"
    assert sorted(ids(after)[:5]) == ids(before)[:5]
    assert ids(after)[5:] == ids(before)[5:]
    assert CLOSENESS in after.rankings
    assert CLOSENESS not in before.rankings
    assert after.hits[0].explanation.closeness == 1.0
    assert [hit.explanation.HasField("closeness") for hit in after.hits] == [True] * 5 + [False] * 3
    assert after.explanation.timings.rerank_us > 0
    assert before.hits[0].score == max(hit.score for hit in after.hits)


async def test_only_who_wants_it_has_hits_compared(server: Served) -> None:
    await find(server)
    assert server.model.compared == []


async def test_what_is_behind_the_first_hits_is_not_compared(server: Served) -> None:
    server.model.closest = "câu" + " thêm" * 6
    assert (await find(server, rerank=True)).hits[0].segment_id != "s6"
    assert sum(len(texts) for _, *texts in server.model.compared) == 5


async def test_pages_after_the_first_go_on_without_doubles(server: Served) -> None:
    server.model.closest = "câu" + " thêm" * 4
    first = await find(server, rerank=True, limit=2)
    compared = len(server.model.compared)
    rest = await find(server, rerank=True, limit=10, page_token=first.next_page_token)
    assert ids(first)[0] == "s4"
    assert sorted(ids(first) + ids(rest)) == [f"s{n}" for n in range(8)]
    assert CLOSENESS not in rest.rankings
    assert len(server.model.compared) == compared


async def test_by_recording_the_closest_leads_its_group(server: Served) -> None:
    server.model.closest = "câu" + " thêm" * 3
    answer = await find(server, rerank=True, group_by_recording=True)
    assert answer.groups[0].hits[0].segment_id == "s3"


async def test_vietnamese_without_accents_stays_as_it_is(server: Served) -> None:
    server.model.closest = "câu" + " thêm" * 4
    answer = await find(server, "cau them", rerank=True)
    assert CLOSENESS not in answer.rankings
    assert server.model.compared == []


async def test_when_nobody_compares_the_order_stays(server: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    async def away(*_: object) -> list[float]:
        raise DependencyUnavailable("triton")

    monkeypatch.setattr(server.model, "closeness", away)
    answer = await find(server, rerank=True)
    assert ids(answer) == ids(await find(server))
    assert CLOSENESS not in answer.rankings
    assert hit_pb2.RANKING_SEMANTIC in answer.rankings


async def test_who_did_not_embed_the_query_is_not_waited_for_again(
    server: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = list[object]()

    async def away(*given: object) -> list[float]:
        asked.append(given)
        raise DependencyUnavailable("embeddings")

    monkeypatch.setattr(RemoteEmbedder, "closeness", away)
    await find(server, rerank=True)
    assert len(asked) == 1
    server.model.away = True
    answer = await find(server, "thêm câu", rerank=True)
    assert answer.rankings == [hit_pb2.RANKING_LEXICAL]
    assert len(asked) == 1


class Alike:
    """Finds all texts as close as each other, but for one."""

    def __init__(self, close: str = "") -> None:
        self.close = close

    async def closeness(self, query: str, texts: Any, tenant: str, subject: str) -> list[float]:
        return [float(text == self.close) for text in texts]


async def test_scores_and_closeness_count_in_standard_deviations() -> None:
    places = [Place(id, score, id, 0) for id, score in ((1, 0.030), (2, 0.0299), (3, 0.010))]

    class Shelf:
        async def documents(self, tenant: str, ids: Any) -> dict[int, Document]:
            return {id: Document(tenant, "r", "t", f"s{id}", 0, 1, "vi", f"câu {id}") for id in ids}

    async def order(comparer: Alike, candidates: int = 3) -> list[int]:
        reading = Reading(cast(Library, Shelf()), Scope("acme"), parsed("câu"), Watch())
        found = await Reranker(comparer, candidates).rerank("câu", places, reading, "acme", "lan")
        return [place.id for place in (found.places if found else places)]

    assert await order(Alike()) == [1, 2, 3]
    assert await order(Alike("câu 2")) == [2, 1, 3]
    assert await order(Alike("câu 3")) == [3, 1, 2]
    assert await order(Alike("câu 3"), 2) == [1, 2, 3]
    assert await order(Alike("câu 2"), 0) == [1, 2, 3]
