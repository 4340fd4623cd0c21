"""How long questions wait for an embedder that is busy, and for one that hangs."""

import asyncio
import time
from collections.abc import Sequence

import numpy as np
import pytest

from servers.common.errors import DependencyUnavailable
from servers.search.candidates import EmbedderHangs
from servers.search.documents import Embedding
from servers.search.limiting import EmbedLimits, LimitedEmbedder


class Slow:
    """An embedder that answers when it is let; `fault` is what it raises then."""

    def __init__(self) -> None:
        self.asked = list[str]()
        self.may_answer = asyncio.Event()
        self.fault: Exception | None = None

    async def embed(self, text: str, tenant: str, subject: str) -> Embedding:
        return (await self.embed_all([text], tenant, subject))[0]

    async def embed_all(self, texts: Sequence[str], tenant: str, subject: str) -> list[Embedding]:
        self.asked += texts
        await self.may_answer.wait()
        if self.fault:
            raise self.fault
        return [Embedding("model", np.full(2, len(text), np.float32)) for text in texts]


async def test_of_more_questions_than_it_takes_the_others_are_answered_without() -> None:
    slow = Slow()
    embedder = LimitedEmbedder(slow, EmbedLimits(at_once=2, patience_s=0.05))
    taken = [asyncio.create_task(embedder.embed(text, "acme", "ann")) for text in ("một", "hai")]
    await asyncio.sleep(0)
    with pytest.raises(DependencyUnavailable):
        await embedder.embed("ba", "acme", "ann")
    slow.may_answer.set()
    await asyncio.gather(*taken)
    assert slow.asked == ["một", "hai"]
    assert (await embedder.embed("bốn", "acme", "ann")).vector[0] == 3


async def test_whoever_waits_has_the_turn_of_the_one_that_is_done() -> None:
    slow = Slow()
    embedder = LimitedEmbedder(slow, EmbedLimits(at_once=1, patience_s=5))
    first, second = (asyncio.create_task(embedder.embed(text, "acme", "ann")) for text in ("một", "hai"))
    await asyncio.sleep(0.01)
    assert slow.asked == ["một"]
    slow.may_answer.set()
    await asyncio.gather(first, second)
    assert slow.asked == ["một", "hai"]


async def test_a_caller_that_gives_up_leaves_its_turn_to_others() -> None:
    slow = Slow()
    embedder = LimitedEmbedder(slow, EmbedLimits(at_once=1, patience_s=0.05))
    for _ in range(3):
        task = asyncio.create_task(embedder.embed("một", "acme", "ann"))
        await asyncio.sleep(0.01)
        task.cancel()
        await asyncio.wait([task])
    slow.may_answer.set()
    assert len(await embedder.embed_all(["hai", "ba"], "acme", "ann")) == 2


async def test_one_that_hangs_is_left_alone_and_then_tried_by_one_question() -> None:
    slow, now = Slow(), [0.0]
    embedder = LimitedEmbedder(slow, EmbedLimits(most_hanging=2, rest_s=10), clock=lambda: now[0])
    slow.fault = EmbedderHangs()
    slow.may_answer.set()
    for _ in range(4):
        with pytest.raises(DependencyUnavailable):
            await embedder.embed("một", "acme", "ann")
    assert len(slow.asked) == 2

    now[0] = 11
    slow.may_answer.clear()
    trial = asyncio.create_task(embedder.embed("thử", "acme", "ann"))
    await asyncio.sleep(0)
    began = time.monotonic()
    with pytest.raises(DependencyUnavailable):
        await embedder.embed("hai", "acme", "ann")
    assert time.monotonic() - began < 5, "the others do not wait for the trial"
    slow.may_answer.set()
    await asyncio.wait([trial])
    assert isinstance(trial.exception(), EmbedderHangs)
    assert len(slow.asked) == 3

    now[0], slow.fault = 22, None
    await embedder.embed("ba", "acme", "ann")
    await asyncio.gather(*(embedder.embed("bốn", "acme", "ann") for _ in range(5)))
    assert len(slow.asked) == 9, "one answer is enough to trust it again"


async def test_a_question_that_cannot_be_embedded_turns_no_other_away() -> None:
    slow = Slow()
    embedder = LimitedEmbedder(slow, EmbedLimits(most_hanging=2))
    slow.may_answer.set()
    for fault in [EmbedderHangs(), DependencyUnavailable("embeddings")] * 3:
        slow.fault = fault
        with pytest.raises(DependencyUnavailable):
            await embedder.embed("một", "acme", "ann")
    assert len(slow.asked) == 6
