"""How the benchmark of embeddings counts its jobs."""

import asyncio
from collections import Counter
from types import SimpleNamespace
from typing import Any

import pytest
from ai2text.events.v1 import embedding_events_pb2, transcript_events_pb2

from bench import embeddings


class Created:
    """The vectors that come, and then silence."""

    def __init__(self, *segments: str) -> None:
        self._left = list(segments)

    async def next_msg(self, **_: Any) -> Any:
        if not self._left:
            await asyncio.sleep(0.001)
            raise TimeoutError
        segment = transcript_events_pb2.SegmentContent(segment_id=self._left.pop(0))
        event = embedding_events_pb2.EmbeddingCreated(tenant="acme", segment=segment)
        return SimpleNamespace(data=event.SerializeToString())


async def nothing_left() -> int:
    return 0


async def test_jobs_that_never_come_lower_the_rate_and_raise_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embeddings, "JOBS_TIMEOUT_S", 0.05)
    made, _ = await embeddings._arrived(Created("a", "b", "b"), "acme", 4, nothing_left)
    figures = embeddings.job_figures(4, made, 2.0)
    assert figures["embedding_job_success_rate"] == 0.5
    assert figures["duplicate_vectors"] == 1
    assert figures["embedding_jobs_per_second"] == 1.0


async def test_when_all_have_come_it_does_not_wait_for_the_time_out() -> None:
    made, last = await embeddings._arrived(Created("a", "b"), "acme", 2, nothing_left)
    assert made == Counter(a=1, b=1)
    assert last > 0


def test_where_none_came_there_is_a_rate_too() -> None:
    figures = embeddings.job_figures(4, Counter(), 0.0)
    assert (figures["embedding_job_success_rate"], figures["embedding_jobs_per_second"]) == (0, 0)
