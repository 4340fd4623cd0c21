"""The cache of vectors in a real Valkey: what it keeps, and that it never costs a call."""

import asyncio
import time
from collections.abc import Iterator

import numpy as np
import pytest
from valkey.asyncio import Valkey

from servers.embeddings import cache
from servers.embeddings.embedding import Kind
from tests.rpc.embeddings_server import LetterCounter, embedder, letters
from tests.stores import valkey_server
from tests.stores.valkey_server import ValkeyServer

TTL_S = 60.0
TIMEOUT_S = 20.0
"""For calls that have to succeed, however busy the machine is."""


@pytest.fixture(scope="module")
def valkey() -> Iterator[ValkeyServer]:
    with valkey_server.running() as server:
        yield server


async def test_a_vector_comes_back_as_it_was_for_its_tenant_kind_and_model_only(valkey: ValkeyServer) -> None:
    vector = letters("xin chào")
    async with cache.connect(valkey.url, "e5", TTL_S, TIMEOUT_S) as vectors:
        await vectors.put("acme", {"xin chào": vector}, Kind.PASSAGE)
        found, unknown = await vectors.get("acme", ["xin chào", "tạm biệt"], Kind.PASSAGE)
        assert found is not None
        assert found.dtype == np.float32
        np.testing.assert_array_equal(found, vector)
        assert unknown is None
        assert await vectors.get("acme", ["xin chào"], Kind.QUERY) == [None]
        assert await vectors.get("other", ["xin chào"], Kind.PASSAGE) == [None]
    async with cache.connect(valkey.url, "other", TTL_S, TIMEOUT_S) as vectors:
        assert await vectors.get("acme", ["xin chào"], Kind.PASSAGE) == [None]


async def test_keys_end_after_their_time_and_hold_no_text(valkey: ValkeyServer) -> None:
    async with cache.connect(valkey.url, "ttl", TTL_S, TIMEOUT_S) as vectors:
        await vectors.put("acme", {"bí mật": letters("bí mật")}, Kind.QUERY)
    async with Valkey.from_url(valkey.url) as client:
        (key,) = [key async for key in client.scan_iter("ai2text:embedding:ttl:*")]
        assert 0 < await client.pttl(key) <= TTL_S * 1000
    assert "bí mật".encode() not in key
    assert b"acme" not in key


async def test_what_is_no_vector_is_not_taken_for_one(valkey: ValkeyServer) -> None:
    async with cache.connect(valkey.url, "damaged", TTL_S, TIMEOUT_S) as vectors, Valkey.from_url(valkey.url) as client:
        await vectors.put("acme", {"a": letters("a")}, Kind.QUERY)
        (key,) = [key async for key in client.scan_iter("ai2text:embedding:damaged:*")]
        await client.set(key, b"abc")
        assert await vectors.get("acme", ["a"], Kind.QUERY) == [None]


async def test_while_valkey_hangs_texts_are_embedded_and_wait_for_it_once(valkey: ValkeyServer) -> None:
    model = LetterCounter()
    async with cache.connect(valkey.url, "hung", TTL_S, timeout_s=1) as vectors:
        domain = embedder(model, cache=vectors)
        with valkey.held_up():
            began = time.monotonic()
            for text in "abcdefghij":
                np.testing.assert_array_equal(await domain.embed("acme", text, Kind.QUERY), letters(text))
            assert time.monotonic() - began < 8, "each by itself would wait for a second"
        assert len(model.asked) == 10


async def test_after_valkey_was_away_it_is_used_again() -> None:
    model = LetterCounter()
    with valkey_server.running() as server:
        async with cache.connect(server.url, "back", TTL_S, TIMEOUT_S) as vectors:
            vectors._asking._pause_s = 0.01
            domain = embedder(model, cache=vectors)
            server.stop()
            await domain.embed("acme", "a", Kind.QUERY)
            server.start()
            async with asyncio.timeout(10):
                while (await vectors.get("acme", ["a"], Kind.QUERY))[0] is None:
                    await domain.embed("acme", "a", Kind.QUERY)
                    await asyncio.sleep(0.02)
            asked = len(model.asked)
            await domain.embed("acme", "a", Kind.QUERY)
            assert len(model.asked) == asked
