"""The store and the indexes behind the event loop: what blocks runs on a bounded number of threads."""

import asyncio
import contextlib
import threading
from collections.abc import Callable, Collection, Mapping, Sequence, Set
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import TypeVar

from servers.common.errors import DependencyUnavailable
from servers.search.candidates import Matching, Within
from servers.search.catalogue import Known
from servers.search.documents import Document, Embedding, Entry, Scope
from servers.search.indexing import Ranked
from servers.search.journal import VectorIndexes
from servers.search.narrowing import Conditions, Span
from servers.search.query import Query
from servers.search.store import Store
from servers.search.terms import Terms
from servers.search.upkeep import IndexStats, SpaceStats

LOOK_EVERY_S = 10.0
AGAIN_S = 0.5
"""How soon an index is made to follow again that could not take in all."""

DELETE_STEP = 200
"""Documents deleted at a time; new ones wait no longer than that takes."""
NEAREST_TIMEOUT_S = 1.5
MATCHING_TIMEOUT_S = 1.5
DOCUMENTS_TIMEOUT_S = 1.5
NARROWING_TIMEOUT_S = 3.0
"""About twice what a filter should take that leaves a million recordings, going by the .26 to .45 s of 300,000."""
COMMIT_EVERY_S = 0.75
"""From one commit of words to the next while more come; what comes after a longer while is committed at once. Each adds
a part, and every word is looked up in every part."""

MOST_THRIFT = 6
"""Where many searches wait for words, each goes through so many times fewer entries of the index at most: to answer all
a little less well is better than to answer some of them late."""

T = TypeVar("T")


class Shelves:
    """One thread writes, one has the indexes of vectors follow, one makes their lists, one has those of words follow,
    one merges their parts, `readers` read, as many find what filters leave, as many look for vectors and as many for
    words: no kind delays another."""

    def __init__(
        self,
        store: Store,
        vectors: VectorIndexes,
        terms: Terms,
        readers: int = 2,
        changed: Callable[[str], None] = lambda tenant: None,
    ) -> None:
        """`changed` is told the tenant whenever its searches may find something else than before."""
        self._store = store
        self._tell = changed
        self._vectors = vectors
        self._terms = terms
        self._writer = ThreadPoolExecutor(1, "writer")
        self._keeper = ThreadPoolExecutor(1, "keeper")
        self._rebuilder = ThreadPoolExecutor(1, "rebuilder")
        self._readers = ThreadPoolExecutor(readers, "reader")
        self._narrowers = ThreadPoolExecutor(readers, "narrower")
        self._seekers = ThreadPoolExecutor(readers, "seeker")
        self._speller = ThreadPoolExecutor(1, "speller")
        self._merger = ThreadPoolExecutor(1, "merger")
        self._matchers = ThreadPoolExecutor(readers, "matcher")
        self._matching_at_once, self._matching_now = readers, 0
        self._behind: set[tuple[str, str]] = set()
        self._changed = asyncio.Event()
        self._unread, self._reading = set[str](), set[str]()
        self._written = asyncio.Event()
        self._asking = threading.Lock()
        self._asked = dict[tuple[str, bool], asyncio.Future[None]]()
        """The rebuildings that have not begun, by their tenant and whether they are whole."""

    async def put(self, entries: Sequence[Entry]) -> None:
        """See Shelf. The vectors can be found a moment after this returns, the words after COMMIT_EVERY_S."""
        await self._write(lambda: self._store.put(entries), lambda _: self._say_put(entries))

    async def delete(self, tenant: str, recording_id: str) -> None:
        """See DeletionShelf. Little by little: what is spoken now must not wait for it."""
        deleted = DELETE_STEP
        while deleted == DELETE_STEP:
            delete = partial(self._store.delete, tenant, recording_id, DELETE_STEP)
            deleted, _ = await self._write(delete, lambda done: self._say_deleted(tenant, done[1]))

    async def remove(self, tenant: str, ids: Sequence[int]) -> int:
        """Delete these documents of a tenant; how many there were. DependencyUnavailable, with all of them there."""
        remove = partial(self._store.remove, tenant, ids)
        removed, _ = await self._write(remove, lambda done: self._say_deleted(tenant, done[1]))
        return removed

    async def note(self, known: Sequence[Known]) -> None:
        """Keep what was told of recordings, unless as much or more is known. DependencyUnavailable, and nothing is."""
        await self._write(lambda: self._store.note(known), self._tell_changed)

    async def has_never_had_any(self) -> bool:
        """Whether no document was ever stored."""
        return await _on(self._readers, self._store.last_seq) == 0

    async def recordings(self, tenant: str, conditions: Conditions) -> Sequence[int]:
        """See Library."""
        narrow = partial(self._store.recordings, tenant, conditions)
        return await _in_time(NARROWING_TIMEOUT_S, "search filter", self._narrowers, narrow)

    async def within(self, scope: Scope, span: Span) -> Within:
        """See Library."""
        narrow = partial(self._store.within, scope, span)
        return await _in_time(NARROWING_TIMEOUT_S, "search filter", self._narrowers, narrow)

    async def stats(self, tenant: str) -> IndexStats:
        """See IndexShelf."""
        documents = await asyncio.to_thread(self._store.count, tenant)  # of millions that takes seconds
        newest = await _on(self._readers, lambda: self._store.newest_by_space(tenant))
        spaces = [
            SpaceStats(space, await _on(self._seekers, partial(self._vectors.stats, tenant, space)), seq)
            for space, seq in newest.items()
        ]
        return IndexStats(documents, tuple(spaces))

    async def rebuild(self, tenant: str, whole: bool) -> None:
        """See IndexShelf. It is done even when whoever asked leaves. Who asks before it began waits for the same."""
        with self._asking:
            done = self._asked.get((tenant, whole))
            if done is None:
                done = asyncio.get_running_loop().run_in_executor(self._rebuilder, self._rebuild, tenant, whole)
                self._asked[tenant, whole] = done
        await asyncio.shield(done)

    async def matching(self, scope: Scope, query: Query, limit: int) -> Matching:
        """See Library. An index that is still being built does not answer in time."""
        self._matching_now += 1
        try:
            async with asyncio.timeout(MATCHING_TIMEOUT_S):
                return await _on(self._matchers, lambda: self._matching(scope, query, limit))
        except (TimeoutError, DependencyUnavailable):
            self._say_unread({scope.tenant})
            raise DependencyUnavailable("word index") from None
        finally:
            self._matching_now -= 1

    async def documents(self, tenant: str, ids: Collection[int]) -> Mapping[int, Document]:
        """See Library."""
        read = partial(self._store.documents, tenant, ids)
        return await _in_time(DOCUMENTS_TIMEOUT_S, "search store", self._readers, read)

    async def nearest(self, scope: Scope, embedding: Embedding, limit: int) -> Ranked:
        """See Library. An index that is still being built does not answer in time."""
        look = partial(self._vectors.nearest, scope, embedding, limit)
        return await _in_time(NEAREST_TIMEOUT_S, "vector index", self._seekers, look)

    async def keep_indexes(self) -> None:
        """Have every index follow the store, and make lists where it is due, until cancelled."""
        async with asyncio.TaskGroup() as jobs:
            jobs.create_task(self._keep_vectors())
            jobs.create_task(self._keep_words())

    async def _keep_words(self) -> None:
        self._unread |= set(await _on(self._speller, self._store.tenants))
        merged: Future[None] | None = None
        while True:
            self._reading, self._unread = self._unread, set()
            self._written.clear()
            for tenant in self._reading:
                if not await _on(self._speller, partial(self._terms.follow, tenant)):
                    self._say_unread({tenant})
                self._tell_changed({tenant})
            self._reading = set()
            if merged is None or merged.done():
                if merged is not None:
                    merged.result()
                merged = self._merger.submit(self._terms.merge_due)
            await asyncio.sleep(COMMIT_EVERY_S)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK_EVERY_S):
                    await self._written.wait()

    async def _write(self, work: Callable[[], T], tell: Callable[[T], None]) -> T:
        """What the writer makes of it. `tell` hears that on the event loop before anybody else, and even when whoever
        asked for it has left meanwhile: what is written counts all the same."""
        loop = asyncio.get_running_loop()

        def written() -> T:
            done = work()
            loop.call_soon_threadsafe(tell, done)
            return done

        return await _on(self._writer, written)

    def _say_put(self, entries: Sequence[Entry]) -> None:
        self._tell_changed({entry.document.tenant for entry in entries})
        self._behind |= {(entry.document.tenant, entry.embedding.space) for entry in entries}
        self._changed.set()
        self._say_unread({entry.document.tenant for entry in entries})

    def _say_deleted(self, tenant: str, spaces: Set[str]) -> None:
        self._tell_changed({tenant})
        self._behind |= {(tenant, space) for space in spaces}
        self._changed.set()
        self._say_unread({tenant})

    def _tell_changed(self, tenants: Set[str]) -> None:
        for tenant in tenants:
            self._tell(tenant)

    def _say_unread(self, tenants: Set[str]) -> None:
        self._unread |= tenants
        self._written.set()

    async def _keep_vectors(self) -> None:
        self._behind |= set(await _on(self._keeper, self._store.spaces))
        rebuilt: Future[None] | None = None
        while True:
            behind, self._behind = self._behind, set()
            self._changed.clear()
            for tenant, space in behind:
                if await _on(self._keeper, partial(self._vectors.follow, tenant, space)):
                    self._tell_changed({tenant})
                else:
                    self._behind.add((tenant, space))
            if rebuilt is None or rebuilt.done():
                if rebuilt is not None:
                    rebuilt.result()
                rebuilt = self._rebuilder.submit(self._vectors.rebuild_due)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(AGAIN_S if self._behind else LOOK_EVERY_S):
                    await self._changed.wait()

    async def close(self) -> None:
        """End what is under way and close the store."""
        self._vectors.stop()
        self._terms.stop()
        followers = (self._keeper, self._rebuilder, self._speller, self._merger)
        for pool in (self._writer, *followers, self._readers, self._narrowers, self._seekers, self._matchers):
            await asyncio.to_thread(pool.shutdown, cancel_futures=True)
        self._store.close()

    def _rebuild(self, tenant: str, whole: bool) -> None:
        with self._asking:  # who asks from now on may have written what this one does not see
            del self._asked[tenant, whole]
        for space in self._store.newest_by_space(tenant):
            self._vectors.rebuild(tenant, space, whole)

    def _matching(self, scope: Scope, query: Query, limit: int) -> Matching:
        """What is deleted stays in an index until that has followed: in place of it, more is asked for."""
        wanted, thrift = limit, max(1, min(MOST_THRIFT, self._matching_now // self._matching_at_once))
        while True:
            found = self._terms.matching(scope, query, wanted, thrift)
            if scope.tenant not in self._unread and scope.tenant not in self._reading:
                return Matching(found, thrift == 1)
            there = self._store.existing(scope.tenant, found)
            if len(there) >= limit or len(found) < wanted:
                return Matching([id for id in found if id in there][:limit], thrift == 1)
            wanted *= 4


class Catalogue:
    """The shelves as the Shelf of what is known of recordings."""

    def __init__(self, shelves: Shelves) -> None:
        self._shelves = shelves

    async def put(self, entries: Sequence[Known]) -> None:
        """See Shelf."""
        await self._shelves.note(entries)


async def _on(pool: ThreadPoolExecutor, work: Callable[[], T]) -> T:
    return await asyncio.get_running_loop().run_in_executor(pool, work)


async def _in_time(timeout_s: float, what: str, pool: ThreadPoolExecutor, work: Callable[[], T]) -> T:
    """DependencyUnavailable, naming `what`, when it takes longer than so many seconds. Work that had begun goes on."""
    try:
        async with asyncio.timeout(timeout_s):
            return await _on(pool, work)
    except TimeoutError:
        raise DependencyUnavailable(what) from None
