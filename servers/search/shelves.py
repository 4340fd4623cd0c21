"""The store and the vector indexes behind the event loop: what blocks runs on a bounded number of threads."""

import asyncio
import contextlib
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import TypeVar

from servers.common.errors import DependencyUnavailable
from servers.search.documents import Document, Embedding, Entry, Scope
from servers.search.store import Store
from servers.search.vectors import Vectors
from servers.search.words import Word

LOOK_EVERY_S = 10.0
DELETE_STEP = 200
"""Documents deleted at a time; new ones wait no longer than that takes."""
NEAREST_TIMEOUT_S = 1.5

T = TypeVar("T")


class Shelves:
    """One thread writes, one has the indexes follow, one makes their lists, `readers` read and as many look for
    vectors: no kind delays another."""

    def __init__(self, store: Store, vectors: Vectors, readers: int = 2) -> None:
        self._store = store
        self._vectors = vectors
        self._writer = ThreadPoolExecutor(1, "writer")
        self._keeper = ThreadPoolExecutor(1, "keeper")
        self._rebuilder = ThreadPoolExecutor(1, "rebuilder")
        self._readers = ThreadPoolExecutor(readers, "reader")
        self._seekers = ThreadPoolExecutor(readers, "seeker")
        self._behind: set[tuple[str, str]] = set()
        self._changed = asyncio.Event()

    async def put(self, entries: Sequence[Entry]) -> None:
        """See Shelf. The words can be found when this returns, the vectors a moment later."""
        await _on(self._writer, lambda: self._store.put(entries))
        self._behind |= {(entry.document.tenant, entry.embedding.space) for entry in entries}
        self._changed.set()

    async def delete(self, tenant: str, recording_id: str) -> None:
        """See DeletionShelf. Little by little: what is spoken now must not wait for it."""
        deleted = DELETE_STEP
        while deleted == DELETE_STEP:
            delete = partial(self._store.delete, tenant, recording_id, DELETE_STEP)
            deleted, spaces = await _on(self._writer, delete)
            self._behind |= {(tenant, space) for space in spaces}
            self._changed.set()

    async def matching(self, scope: Scope, asked: Sequence[Word], limit: int) -> list[int]:
        """See Library."""
        return await _on(self._readers, lambda: self._store.matching(scope, asked, limit))

    async def documents(self, tenant: str, ids: Collection[int]) -> Mapping[int, Document]:
        """See Library."""
        return await _on(self._readers, lambda: self._store.documents(tenant, ids))

    async def nearest(self, scope: Scope, embedding: Embedding, limit: int) -> list[int]:
        """See Library. An index that is still being built does not answer in time."""
        try:
            async with asyncio.timeout(NEAREST_TIMEOUT_S):
                ranked = await _on(self._seekers, lambda: self._vectors.nearest(scope, embedding, limit))
        except TimeoutError:
            raise DependencyUnavailable("vector index") from None
        return ranked.ids

    async def keep_indexes(self) -> None:
        """Have every index follow the store, and make lists where it is due, until cancelled."""
        self._behind |= set(await _on(self._keeper, self._store.spaces))
        rebuilt: Future[None] | None = None
        while True:
            behind, self._behind = self._behind, set()
            self._changed.clear()
            for tenant, space in behind:
                await _on(self._keeper, partial(self._vectors.follow, tenant, space))
            if rebuilt is None or rebuilt.done():
                if rebuilt is not None:
                    rebuilt.result()
                rebuilt = self._rebuilder.submit(self._vectors.rebuild_due)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._changed.wait(), LOOK_EVERY_S)

    async def close(self) -> None:
        """End what is under way and close the store."""
        self._vectors.stop()
        for pool in (self._writer, self._keeper, self._rebuilder, self._readers, self._seekers):
            await asyncio.to_thread(pool.shutdown, cancel_futures=True)
        self._store.close()


async def _on(pool: ThreadPoolExecutor, work: Callable[[], T]) -> T:
    return await asyncio.get_running_loop().run_in_executor(pool, work)
