"""Vectors of questions that were asked before."""

from collections.abc import Sequence

import numpy as np
import pytest

from servers.common.errors import DependencyUnavailable
from servers.search.documents import Embedding
from servers.search.remembering import RememberingEmbedder


class Counting:
    """An embedder that says what it was asked for; a text's vector is its length."""

    def __init__(self) -> None:
        self.asked = list[tuple[str, ...]]()
        self.away = False

    async def embed(self, text: str, tenant: str, subject: str) -> Embedding:
        return (await self.embed_all([text], tenant, subject))[0]

    async def embed_all(self, texts: Sequence[str], tenant: str, subject: str) -> list[Embedding]:
        if self.away:
            raise DependencyUnavailable("embeddings")
        self.asked.append((tenant, *texts))
        return [Embedding("model", np.full(2, len(text), np.float32)) for text in texts]


async def test_a_question_is_embedded_once() -> None:
    made, now = Counting(), [0.0]
    embedder = RememberingEmbedder(made, kept_s=10, clock=lambda: now[0])
    first = await embedder.embed("một", "acme", "ann")
    assert await embedder.embed("một", "acme", "bob") is first
    assert made.asked == [("acme", "một")]
    now[0] = 11
    await embedder.embed("một", "acme", "ann")
    assert len(made.asked) == 2, "it is not remembered for ever"


async def test_tenants_share_no_vectors() -> None:
    made = Counting()
    embedder = RememberingEmbedder(made)
    for tenant in ("acme", "other"):
        await embedder.embed("một", tenant, "ann")
    assert made.asked == [("acme", "một"), ("other", "một")]


async def test_of_several_only_the_new_ones_are_embedded_and_all_come_in_order() -> None:
    made = Counting()
    embedder = RememberingEmbedder(made)
    await embedder.embed("hai", "acme", "ann")
    found = await embedder.embed_all(["một một", "hai", "bốn bốn bốn", "một một"], "acme", "ann")
    assert [round(float(one.vector[0])) for one in found] == [7, 3, 11, 7]
    assert made.asked == [("acme", "hai"), ("acme", "một một", "bốn bốn bốn")]


async def test_the_one_unused_for_longest_goes_first() -> None:
    made = Counting()
    embedder = RememberingEmbedder(made, most=2)
    for text in ("a", "b", "a", "c", "a", "b"):
        await embedder.embed(text, "acme", "ann")
    assert [text for _, text in made.asked] == ["a", "b", "c", "b"]


async def test_what_failed_is_asked_for_again() -> None:
    made = Counting()
    made.away = True
    embedder = RememberingEmbedder(made)
    with pytest.raises(DependencyUnavailable):
        await embedder.embed("a", "acme", "ann")
    made.away = False
    await embedder.embed("a", "acme", "ann")
    assert made.asked == [("acme", "a")]
