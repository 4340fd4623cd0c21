"""The cache of hot queries in a real Valkey: what it keeps and for how long, and that it never costs a search."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from ai2text.search.v1.search_service_pb2 import SearchRequest
from valkey.asyncio import Valkey

from servers.search import hot_store
from servers.search.hot import CacheAway
from servers.search.settings import Settings
from tests.rpc.embeddings_server import headers
from tests.rpc.search_server import segment, served
from tests.stores import valkey_server
from tests.stores.valkey_server import ValkeyServer

PATIENT_S = 20.0
"""For calls that have to succeed, however busy the machine is."""


@pytest.fixture(scope="module")
def valkey() -> Iterator[ValkeyServer]:
    with valkey_server.running() as server:
        yield server


def settings(url: str, **fields: object) -> Settings:
    given = {"listen": "", "embeddings": "", "nats_url": "", "data_dir": Path(), "hot_cache_timeout_s": PATIENT_S}
    return Settings.model_validate(given | {"valkey_url": url} | fields)


async def test_an_answer_comes_back_as_it_was_and_ends_after_its_time(valkey: ValkeyServer) -> None:
    async with (
        hot_store.opened(settings(valkey.url, hot_cache_ttl_s=60)) as cache,
        Valkey.from_url(valkey.url) as client,
    ):
        assert cache is not None
        await cache.put("name", b"\x00answer")
        assert await cache.get("name") == b"\x00answer"
        assert await cache.get("other") is None
        assert 0 < await client.pttl("ai2text:search:name") <= 60_000


async def test_without_an_address_or_told_so_there_is_none(valkey: ValkeyServer) -> None:
    for without in (settings(""), settings(valkey.url, hot_cache=False)):
        async with hot_store.opened(without) as cache:
            assert cache is None


def test_it_is_on_unless_the_environment_says_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LISTEN", "EMBEDDINGS", "NATS_URL", "DATA_DIR"):
        monkeypatch.setenv(f"AI2TEXT_{name}", "x")
    assert Settings().hot_cache  # type: ignore[call-arg]
    monkeypatch.setenv("AI2TEXT_HOT_CACHE", "false")
    assert not Settings().hot_cache  # type: ignore[call-arg]


async def test_while_valkey_hangs_searches_wait_for_it_once(valkey: ValkeyServer, tmp_path: Path) -> None:
    patient = settings(valkey.url, hot_cache_timeout_s=1)
    async with hot_store.opened(patient) as cache, served(tmp_path, cache=cache) as server:
        await server.put([segment("s1", "câu", tenant="calm")])
        request, caller = SearchRequest(query="câu"), headers("search", tenant="other")
        await server.search.Search(request, metadata=caller)
        with valkey.held_up():
            began = time.monotonic()
            for _ in range(10):
                await server.search.Search(request, metadata=caller, timeout=10)
            assert time.monotonic() - began < 8, "each by itself would wait for a second"


async def test_without_valkey_nothing_is_kept_and_nothing_fails(tmp_path: Path) -> None:
    async with hot_store.opened(settings("valkey://127.0.0.1:1")) as cache:
        assert cache is not None
        with pytest.raises(CacheAway):
            await cache.get("name")
        async with served(tmp_path, cache=cache) as server:
            await server.put([segment("s1", "câu")])
            answer = await server.search.Search(SearchRequest(query="câu"), metadata=headers("search"))
            assert [hit.segment_id for hit in answer.hits] == ["s1"]


async def test_two_tenants_have_two_answers_that_no_key_tells_of(valkey: ValkeyServer, tmp_path: Path) -> None:
    async with (
        hot_store.opened(settings(valkey.url)) as cache,
        served(tmp_path, cache=cache) as server,
        Valkey.from_url(valkey.url) as client,
    ):
        await client.flushall()
        for tenant in ("one", "two", "one"):
            await server.search.Search(SearchRequest(query="bí mật"), metadata=headers("search", tenant=tenant))
        keys = [key async for key in client.scan_iter("*")]
        assert len(keys) == 2
        assert not any(word in key for key in keys for word in ("bí mật".encode(), b"one", b"two"))
