"""The sweep: files and uploads that nobody refers to are removed once they are old enough."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import structlog
from opentelemetry import metrics

from servers.common.stored import ObjectMissing
from servers.ingestion import states
from servers.ingestion.claims import Claims
from servers.ingestion.deposits import Deposits
from servers.ingestion.files import AUDIO, INCOMING, STATES, incoming_key, state_key
from servers.ingestion.inputs import Registry, Store

log = structlog.get_logger(__name__)

SWEPT = metrics.get_meter("ai2text").create_counter(
    "ai2text.ingestion.swept", description="What the sweep removed, by kind: audio, upload, incoming, claim."
)
AT_ONCE = 1000
"""So many entries of a listing are held, and asked for."""
FIRST_AFTER_S = 60.0
FEW = 10
"""So many files that no recording has are removed without a doubt. Where there are more, and they are most of what a
tenant has, it is likelier that metadata has lost its rows, or is another's, than that so many deletions went wrong."""


class Sweep:
    """Looks through the store of all tenants."""

    def __init__(
        self, store: Store, registry: Registry, deposits: Deposits, claims: Claims, age_s: float, interval_s: float
    ) -> None:
        self._store = store
        self._claims = claims
        self._registry = registry
        self._deposits = deposits
        self._age = timedelta(seconds=age_s)
        self._interval_s = interval_s

    async def run(self) -> None:
        """Sweep now and then, for ever."""
        await asyncio.sleep(min(FIRST_AFTER_S, self._interval_s))
        while True:
            await self.sweep()
            await asyncio.sleep(self._interval_s)

    async def sweep(self) -> Counter[str]:
        """Once; what was removed, by kind. What fails is logged and left to the next sweep."""
        removed = Counter(upload=0, incoming=0, audio=0)
        before = datetime.now(UTC) - self._age
        async for tenant in self._tenants(STATES):
            with _going_on(tenant=tenant):
                await self._uploads(tenant, before, removed)
        with _going_on():
            await self._incoming(before, removed)
        with _going_on():
            if lapsed := await self._claims.forget_lapsed():
                removed["claim"] = lapsed
        async for tenant in self._tenants(AUDIO):
            with _going_on(tenant=tenant):
                await self._audio(tenant, before, removed)
        for kind, count in removed.items():
            SWEPT.add(count, {"kind": kind})
        if removed.total():
            log.info("swept", **removed)
        return removed

    async def _tenants(self, prefix: str) -> AsyncIterator[str]:
        async for folder in self._store.folders(prefix):
            yield folder.removeprefix(prefix).rstrip("/")

    async def _uploads(self, tenant: str, before: datetime, removed: Counter[str]) -> None:
        """Uploads that were begun long ago: what is done is forgotten, what is not is given up."""
        async for keys in self._old(f"{STATES}{tenant}/", before):
            for key in keys:
                with _going_on(key=key):
                    removed["upload"] += await self._forget(tenant, key)

    async def _forget(self, tenant: str, key: str) -> bool:
        """Whether it was still there."""
        incoming = incoming_key(tenant, key.removeprefix(f"{STATES}{tenant}/").removesuffix(".json"))
        try:
            state = states.read(await self._store.read(key))
        except ObjectMissing:
            return False  # another server was faster
        await self._store.abort_multipart(incoming, state.multipart_id)
        await self._store.delete(incoming)
        await self._store.delete(key)
        return True

    async def _incoming(self, before: datetime, removed: Counter[str]) -> None:
        """What has come in for an upload of which nothing is written."""
        for upload in await self._store.unfinished(INCOMING):
            with _going_on(key=upload.key):
                if upload.initiated < before and not await self._is_awaited(upload.key):
                    await self._store.abort_multipart(upload.key, upload.multipart_id)
                    removed["incoming"] += 1
        async for keys in self._old(INCOMING, before):
            for key in keys:
                with _going_on(key=key):
                    if not await self._is_awaited(key):
                        await self._store.delete(key)
                        removed["incoming"] += 1

    async def _is_awaited(self, key: str) -> bool:
        tenant, _, name = key.removeprefix(INCOMING).partition("/")
        return await self._store.head(state_key(tenant, name)) is not None

    async def _audio(self, tenant: str, before: datetime, removed: Counter[str]) -> None:
        """Files that no recording has, unless they are too many."""
        async for keys in self._old(f"{AUDIO}{tenant}/", before):  # by digest: some are as good as all
            used = await self._registry.used(tenant, keys)
            orphans = [key for key in keys if key not in used]
            if len(orphans) > max(FEW, len(keys) // 2):
                log.error("the sweep leaves files alone", tenant=tenant, files=len(keys), orphans=len(orphans))
                continue
            for key in orphans:
                with _going_on(key=key):
                    if await self._is_still_old(key, before):
                        removed["audio"] += await self._deposits.release(tenant, key)

    async def _is_still_old(self, key: str, before: datetime) -> bool:
        """Whether the same bytes have not come again since the store was asked."""
        there = await self._store.head(key)
        return there is not None and there.modified < before

    async def _old(self, prefix: str, before: datetime) -> AsyncIterator[list[str]]:
        """The keys of what is old, AT_ONCE at a time."""
        keys: list[str] = []
        async for entry in self._store.entries(prefix):
            if entry.modified < before:
                keys.append(entry.key)
            if len(keys) == AT_ONCE:
                yield keys
                keys = []
        if keys:
            yield keys


@contextmanager
def _going_on(**about: str) -> Iterator[None]:
    """One that fails does not keep the sweep from the others."""
    try:
        yield
    except Exception:
        log.exception("the sweep leaves something out", **about)
