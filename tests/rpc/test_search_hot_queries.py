"""The cache of hot queries behind SearchService: when an answer comes from it, and that nobody gets another's."""

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from ai2text.search.v1.filter_pb2 import SearchFilter
from ai2text.search.v1.search_service_pb2 import (
    INDEX_STATUS_BUILDING,
    INDEX_STATUS_READY,
    SearchRequest,
    SearchResponse,
)

from servers.common.errors import DependencyUnavailable
from servers.search import hot
from servers.search.candidates import Matching
from servers.search.generations import QUIET_S, Generations
from tests.fakes.answer_cache import KeptAnswers
from tests.rpc.embeddings_server import headers
from tests.rpc.refusals import refusal
from tests.rpc.search_server import Served, segment, served


class Clock:
    """Stands still until it is told to go on."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def cache() -> KeptAnswers:
    return KeptAnswers()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def server(tmp_path: Path, cache: KeptAnswers, clock: Clock) -> AsyncIterator[Served]:
    """Two tenants with a segment each, and nothing has changed for a while."""
    async with served(tmp_path, cache=cache, generations=Generations(clock)) as server:
        await server.put([segment("s1", "bí mật của ta"), segment("s1", "bí mật của họ", tenant="rival")])
        clock.now += QUIET_S
        yield server


async def find(server: Served, query: str = "bí mật", tenant: str = "acme", **fields: Any) -> SearchResponse:
    answer: SearchResponse = await server.search.Search(
        SearchRequest(query=query, **fields), metadata=headers("search", tenant=tenant), timeout=10
    )
    return answer


async def test_what_was_kept_says_that_the_index_has_fallen_behind_since(
    tmp_path: Path, cache: KeptAnswers, clock: Clock
) -> None:
    behind = True
    async with served(tmp_path, cache=cache, generations=Generations(clock), behind=lambda: behind) as server:
        await server.put([segment("s1", "bí mật của ta")])
        clock.now += QUIET_S
        assert (await find(server)).index_status == INDEX_STATUS_BUILDING
        behind = False
        assert (await find(server)).index_status == INDEX_STATUS_READY
        behind = True
        assert not await made_anew(server, lambda: find(server))
        assert (await find(server)).index_status == INDEX_STATUS_BUILDING


def texts(answer: SearchResponse) -> list[str]:
    return [hit.snippet.text for hit in answer.hits]


async def made_anew(server: Served, find: Callable[[], Awaitable[SearchResponse]]) -> bool:
    """Whether a search looks at the documents."""
    before, looked = server.shelves.matching, list[object]()

    async def counted(*args: Any) -> Matching:
        looked.append(args)
        return await before(*args)

    server.shelves.matching = counted  # type: ignore[method-assign]
    try:
        await find()
    finally:
        server.shelves.matching = before  # type: ignore[method-assign]
    return bool(looked)


async def test_the_same_again_comes_from_the_cache(server: Served) -> None:
    assert await made_anew(server, lambda: find(server))
    first = await find(server)
    assert not await made_anew(server, lambda: find(server))
    assert await find(server) == first
    assert texts(first) == ["bí mật của ta"]


@pytest.mark.parametrize(
    "other",
    [
        {"query": "mật bí"},
        {"limit": 9},
        {"recording_ids": ["r1"]},
        {"language_code": "vi"},
        {"filter": SearchFilter(labels={"a": "b"})},
        {"filter": SearchFilter(channels=[0])},
        {"group_by_recording": True},
    ],
)
async def test_another_request_is_answered_by_itself(server: Served, cache: KeptAnswers, other: dict[str, Any]) -> None:
    await find(server)
    asked = len(cache.kept)
    answer = await find(server, **other)
    assert len(cache.kept) == asked + 1
    assert bool(answer.groups) == ("group_by_recording" in other)
    assert await find(server, **other) == answer


async def test_an_answer_with_nothing_to_compare_is_kept(server: Served) -> None:
    assert texts(await find(server, rerank=True)) == ["bí mật của ta"]
    assert not await made_anew(server, lambda: find(server, rerank=True))
    assert not server.model.compared


async def test_an_answer_that_was_to_be_compared_and_was_not_is_made_anew(
    server: Served, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    await server.put([segment("s2", "bí mật khác của ta")])
    clock.now += QUIET_S

    async def away(*_: object) -> list[float]:
        raise DependencyUnavailable("triton")

    with monkeypatch.context() as patched:
        patched.setattr(server.model, "closeness", away)
        assert len((await find(server, rerank=True)).hits) == 2
    assert await made_anew(server, lambda: find(server, rerank=True))
    assert not await made_anew(server, lambda: find(server, rerank=True))


async def test_what_was_answered_in_a_hurry_is_not_kept(server: Served, cache: KeptAnswers) -> None:
    thorough = server.shelves.matching

    async def hurried(*args: Any) -> Matching:
        return replace(await thorough(*args), thorough=False)

    server.shelves.matching = hurried  # type: ignore[method-assign]
    assert texts(await find(server)) == ["bí mật của ta"]
    assert not cache.kept
    assert (await find(server, explain=True)).explanation.hurried
    server.shelves.matching = thorough  # type: ignore[method-assign]
    assert texts(await find(server)) == ["bí mật của ta"]
    assert len(cache.kept) == 1
    assert not (await find(server, explain=True)).explanation.hurried


async def test_two_tenants_share_nothing(server: Served, cache: KeptAnswers) -> None:
    for _ in range(2):
        assert texts(await find(server)) == ["bí mật của ta"]
        assert texts(await find(server, tenant="rival")) == ["bí mật của họ"]
        assert texts(await find(server, tenant="nobody")) == []
    assert len(cache.kept) == 3
    assert not (await find(server, tenant="another", explain=True)).explanation.cached


@pytest.mark.parametrize("write", ["put", "note", "delete", "remove"])
async def test_any_write_counts_at_once(server: Served, clock: Clock, write: str) -> None:
    await find(server)
    if write == "put":
        await server.put([segment("s2", "bí mật mới")])
    elif write == "note":
        await server.note("r1", labels={"team": "a"})
    elif write == "delete":
        await server.shelves.delete("acme", "r1")
    else:
        await server.shelves.remove("acme", [segment("s1", "").document.id])
    expected = {"put": 2, "note": 1, "delete": 0, "remove": 0}[write]
    assert len((await find(server)).hits) == expected
    clock.now += QUIET_S
    assert len((await find(server)).hits) == expected
    assert not await made_anew(server, lambda: find(server))


async def test_a_deletion_that_nobody_waits_for_any_more_counts_all_the_same(server: Served) -> None:
    await find(server)
    begun, go_on = threading.Event(), threading.Event()
    remove = server.shelves._store.remove

    def slowly(tenant: str, ids: Sequence[int]) -> tuple[int, set[str]]:
        begun.set()
        assert go_on.wait(10)
        return remove(tenant, ids)

    server.shelves._store.remove = slowly  # type: ignore[method-assign]
    asked = asyncio.create_task(server.shelves.remove("acme", [segment("s1", "").document.id]))
    assert await asyncio.to_thread(begun.wait, 10)
    asked.cancel()
    await asyncio.wait([asked])
    go_on.set()
    await server.put([])  # comes after it
    assert texts(await find(server)) == []


async def test_a_write_of_one_tenant_leaves_the_others_answers(server: Served) -> None:
    await find(server, tenant="rival")
    await server.put([segment("s2", "bí mật mới")])
    assert not await made_anew(server, lambda: find(server, tenant="rival"))


async def test_while_documents_keep_coming_the_cache_is_left_alone(
    server: Served, cache: KeptAnswers, clock: Clock
) -> None:
    await server.put([segment("s2", "bí mật mới")])
    cache.asked.clear()
    for _ in range(2):
        clock.now += QUIET_S / 4
        assert await made_anew(server, lambda: find(server))
    assert (cache.asked, cache.kept) == ([], {})
    clock.now += QUIET_S
    await find(server)
    assert not await made_anew(server, lambda: find(server))


async def test_what_was_made_before_a_write_is_not_found_after_it(server: Served, clock: Clock) -> None:
    """However late it is kept."""
    before = server.shelves.documents

    async def write_meanwhile(*args: Any) -> Any:
        found = await before(*args)
        await server.put([segment("s2", "bí mật mới")])
        return found

    server.shelves.documents = write_meanwhile  # type: ignore[method-assign]
    assert len((await find(server)).hits) == 1
    server.shelves.documents = before  # type: ignore[method-assign]
    clock.now += QUIET_S
    assert len((await find(server)).hits) == 2


async def test_when_the_indexes_have_followed_a_new_generation_begins(server: Served, clock: Clock) -> None:
    """A search between the write and that may have missed something."""
    counted = list[str]()
    server.shelves._tell = counted.append
    await server.shelves.put([segment("s2", "bí mật mới")])
    assert counted == ["acme"]
    job = asyncio.create_task(server.shelves.keep_indexes())
    async with asyncio.timeout(10):
        while counted.count("acme") < 3:
            await asyncio.sleep(0.01)
    job.cancel()
    await asyncio.gather(job, return_exceptions=True)


async def test_an_explanation_is_made_anew_and_says_whether_there_was_an_answer(server: Served) -> None:
    assert not (await find(server, explain=True)).explanation.cached
    assert not (await find(server, explain=True)).explanation.cached, "an explained answer is not kept"
    await find(server)
    assert (await find(server, explain=True)).explanation.cached
    assert await made_anew(server, lambda: find(server, explain=True))
    assert not (await find(server)).HasField("explanation")


async def test_an_answer_that_something_was_missing_for_is_not_kept(server: Served, cache: KeptAnswers) -> None:
    server.model.away = True
    await find(server)
    assert cache.kept == {}
    server.model.away = False
    assert len((await find(server)).rankings) == 2


async def test_while_the_cache_is_away_every_search_is_made_anew(server: Served, cache: KeptAnswers) -> None:
    cache.away = True
    for _ in range(2):
        assert texts(await find(server)) == ["bí mật của ta"]
    assert not (await find(server, explain=True)).explanation.cached


async def test_what_is_no_answer_is_not_taken_for_one(server: Served, cache: KeptAnswers) -> None:
    await find(server)
    cache.kept = dict.fromkeys(cache.kept, b"\xff\xff")
    assert texts(await find(server)) == ["bí mật của ta"]


async def test_a_very_large_answer_is_not_kept(
    server: Served, cache: KeptAnswers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hot, "MOST_BYTES", 10)
    await find(server)
    assert cache.kept == {}


async def test_a_refused_request_is_never_looked_up(server: Served, cache: KeptAnswers) -> None:
    await refusal(find(server, ""))
    await refusal(server.search.Search(SearchRequest(query="x"), metadata=headers("speech")))
    assert cache.asked == []


def test_another_run_of_the_server_has_other_generations() -> None:
    assert Generations().of("acme") != Generations().of("acme")
