"""SearchService over a real port: only what was said in some channels, with all else that a request may say."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from ai2text.search.v1 import hit_pb2
from ai2text.search.v1.filter_pb2 import SearchFilter
from ai2text.search.v1.search_service_pb2 import BatchSearchRequest, SearchRequest, SearchResponse

from servers.search import paging
from tests.rpc.embeddings_server import headers
from tests.rpc.refusals import refusal
from tests.rpc.search_server import Served, segment, served

ALLOWED = headers("search")


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Served]:
    async with served(tmp_path) as server:
        yield server


async def find(server: Served, query: str = "câu", **fields: Any) -> SearchResponse:
    answer: SearchResponse = await server.search.Search(
        SearchRequest(query=query, **fields), metadata=ALLOWED, timeout=10
    )
    return answer


def ids(answer: SearchResponse) -> list[str]:
    return [hit.segment_id for hit in answer.hits]


@pytest.fixture
async def spoken(server: Served) -> Served:
    """A recording of two channels that say the same by turns, but for one of channel 1, and one of one channel."""
    said = [segment(f"s{n}", f"câu số {n}", start_ms=1_000 * n, channel=n % 2) for n in range(40)]
    await server.put([*said, segment("alone", "mưa rào", channel=1), segment("mono", "câu mưa", recording_id="r2")])
    return server


@pytest.mark.parametrize(
    ("channels", "found"), [([], {"alone", "mono"}), ([0], {"mono"}), ([1], {"alone"}), ([1, 0], {"alone", "mono"}),
    ([2], set())],
)  # fmt: skip
async def test_only_what_was_said_in_a_channel(spoken: Served, channels: list[int], found: set[str]) -> None:
    answer = await find(spoken, "mưa", filter=SearchFilter(channels=channels), limit=100)
    by_words = {hit.segment_id for hit in answer.hits if hit.lexical_rank}
    assert by_words == found
    assert {hit.channel for hit in answer.hits} == (set(channels) or {0, 1}) & {0, 1}
    assert sorted(hit.lexical_rank for hit in answer.hits if hit.lexical_rank) == list(range(1, len(found) + 1))
    assert sorted(hit.semantic_rank for hit in answer.hits) == list(range(1, len(answer.hits) + 1))


async def test_a_channel_goes_with_all_else_that_narrows(spoken: Served) -> None:
    narrowed = SearchFilter(channels=[1], start_ms=10_000, end_ms=14_000)
    assert set(ids(await find(spoken, recording_ids=["r1"], filter=narrowed))) == {"s11", "s13"}
    assert ids(await find(spoken, '"câu số 7"', filter=SearchFilter(channels=[1]))) == ["s7"]
    assert ids(await find(spoken, '"câu số 7"', filter=SearchFilter(channels=[0]))) == []
    assert ids(await find(spoken, recording_ids=["r2"], filter=SearchFilter(channels=[1]))) == []


async def test_of_a_channel_as_many_are_found_as_are_asked_for(server: Served) -> None:
    """However many of another rank before them, as long as these are within the greatest depth."""
    await server.put([segment(f"a{n}", "câu") for n in range(900)])
    await server.put([segment(f"b{n}", f"câu hỏi thứ {n}", channel=1) for n in range(30)])
    answer = await find(server, filter=SearchFilter(channels=[1]), limit=20)
    assert len(ids(answer)) == 20
    assert {hit.channel for hit in answer.hits} == {1}
    rest = await find(server, filter=SearchFilter(channels=[1]), limit=20, page_token=answer.next_page_token)
    assert {*ids(answer), *ids(rest)} == {f"b{n}" for n in range(30)}
    assert (len(ids(rest)), rest.next_page_token) == (10, "")


async def test_beyond_the_greatest_depth_a_channel_is_found_within_its_recording(
    server: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paging, "DEPTHS", (10, 20))
    await server.put([segment(f"a{n}", "câu") for n in range(100)])
    await server.put([segment("b", "câu hỏi khác hẳn", recording_id="r2", channel=1)])
    narrowed = SearchFilter(channels=[1])
    assert ids(await find(server, filter=narrowed)) == []
    assert ids(await find(server, filter=narrowed, recording_ids=["r2"])) == ["b"]


async def test_by_recording_a_channel_narrows_too(spoken: Served) -> None:
    answer = await find(spoken, "câu", group_by_recording=True, filter=SearchFilter(channels=[1]))
    ((group),) = answer.groups
    assert group.recording_id == "r1"
    assert [hit.channel for hit in group.hits] == [1, 1, 1]


async def test_an_explanation_counts_what_is_of_the_channel(spoken: Served) -> None:
    why = (await find(spoken, "câu", explain=True, filter=SearchFilter(channels=[1]))).explanation
    assert (why.semantic_candidates, why.lexical_candidates) == (21, 20)
    assert not why.HasField("recordings_left")


async def test_a_better_order_is_made_of_what_is_of_the_channel(spoken: Served) -> None:
    answer = await find(spoken, "câu số 3", rerank=True, explain=True, filter=SearchFilter(channels=[1]))
    assert hit_pb2.RANKING_CLOSENESS in answer.rankings
    assert {hit.channel for hit in answer.hits} == {1}
    assert all(hit.explanation.HasField("closeness") for hit in answer.hits[:5])


async def test_a_channel_in_a_batch(spoken: Served) -> None:
    requests = [SearchRequest(query="mưa", filter=SearchFilter(channels=[channel]), limit=1) for channel in (0, 1)]
    answer = await spoken.search.BatchSearch(BatchSearchRequest(requests=requests), metadata=ALLOWED, timeout=10)
    assert [ids(one) for one in answer.responses] == [["mono"], ["alone"]]
    requests.append(SearchRequest(query="x", filter=SearchFilter(channels=[8])))
    refused = await refusal(spoken.search.BatchSearch(BatchSearchRequest(requests=requests), metadata=ALLOWED))
    assert (refused.code, refused.field) == (grpc.StatusCode.INVALID_ARGUMENT, "requests[2].filter.channels")
