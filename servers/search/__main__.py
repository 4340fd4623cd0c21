"""Compose and run the search server."""

import sys
from contextlib import AsyncExitStack

import uvloop

from servers.common import channel, events, lifecycle, telemetry
from servers.search import (
    claim,
    consumers,
    hot_store,
    index_service,
    inverted,
    lists,
    near_cache,
    service,
    vector_homes,
)
from servers.search.backlog import Backlog
from servers.search.embedder import RemoteEmbedder
from servers.search.generations import Generations
from servers.search.hot import HotQueries
from servers.search.intake import Intake
from servers.search.limiting import EmbedLimits, LimitedEmbedder
from servers.search.remembering import RememberingEmbedder
from servers.search.reranking import Reranker
from servers.search.searching import Searches
from servers.search.settings import Settings
from servers.search.shelves import Shelves
from servers.search.store import Store
from servers.search.terms import Terms
from servers.search.upkeep import Upkeep

SWITCH_S = 0.001
"""How long a thread that takes new segments in may keep the interpreter from one that answers; Python's own is 5 ms."""

MOST_BYTES = 6 * 1024 * 1024
"""Of one message: 100 segments of the longest texts with the longest vectors fit."""


async def main(settings: Settings) -> None:
    """Serve until told to stop."""
    inverted.prepare()
    lists.prepare()
    async with AsyncExitStack() as stack:
        stack.enter_context(telemetry.started("search", settings))
        embeddings = await stack.enter_async_context(channel.connect(settings.embeddings))
        bus = await stack.enter_async_context(events.connected(settings.nats_url))
        stack.enter_context(claim.claimed(settings.data_dir))
        store = Store(settings.data_dir / "documents.sqlite")
        vectors = stack.enter_context(vector_homes.opened(settings, store))
        generations = Generations()
        terms = Terms(settings.data_dir / "words", store)
        shelves = Shelves(store, vectors, terms, changed=generations.count_up)
        stack.push_async_callback(shelves.close)
        intake = Intake(shelves)
        embedder = RemoteEmbedder(embeddings, settings.embed_timeout_s)
        limits = EmbedLimits(settings.embeds_at_once, settings.embed_patience_s)
        questions = RememberingEmbedder(LimitedEmbedder(embedder, limits))
        reranker = Reranker(embedder, settings.rerank_candidates)
        backlog = Backlog(bus, f"search-{store.index_id}")
        searches = Searches(shelves, questions, reranker, settings.max_searches, lambda: backlog.is_long)
        answers = await stack.enter_async_context(hot_store.opened(settings))
        near = await stack.enter_async_context(near_cache.opened(answers, settings.hot_cache_ttl_s))
        hot = HotQueries(near, generations)
        jobs = {"intake": intake.run, "indexes": shelves.keep_indexes, "backlog": backlog.run}
        await lifecycle.run(
            settings,
            mounts=[service.mount(searches, hot), index_service.mount(Upkeep(shelves, intake))],
            needs={"embeddings": embedder.check, "nats": bus.check},
            jobs=jobs | consumers.jobs(bus, store.index_id, shelves, intake),
            most_bytes=MOST_BYTES,
        )


if __name__ == "__main__":
    sys.setswitchinterval(SWITCH_S)
    uvloop.run(main(Settings()))
