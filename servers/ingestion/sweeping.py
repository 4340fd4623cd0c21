"""The sweep: files and uploads that nobody refers to are removed once they are old enough."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import structlog
from opentelemetry import metrics

from servers.common.stored import ObjectInfo, ObjectMissing
from servers.ingestion import states
from servers.ingestion.deposits import Deposits
from servers.ingestion.files import AUDIO, INCOMING, STATES, incoming_key, state_key
from servers.ingestion.inputs import Registry, Store

log = structlog.get_logger(__name__)

SWEPT = metrics.get_meter("ai2text").create_counter(
    "ai2text.ingestion.swept", description="What the sweep removed, by kind: audio, upload, incoming."
)
ASKED_AT_ONCE = 1000
FIRST_AFTER_S = 60.0


class Sweep:
    """Looks through the store of all tenants."""

    def __init__(self, store: Store, registry: Registry, deposits: Deposits, age_s: float, interval_s: float) -> None:
        self._store = store
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
        """Once; what was removed, by kind."""
        removed = Counter(upload=0, incoming=0, audio=0)
        before = datetime.now(UTC) - self._age
        async for tenant in self._tenants(STATES):
            removed["upload"] += await self._uploads(tenant, before)
        removed["incoming"] += await self._incoming(before)
        async for tenant in self._tenants(AUDIO):
            removed["audio"] += await self._audio(tenant, before)
        for kind, count in removed.items():
            SWEPT.add(count, {"kind": kind})
        if removed.total():
            log.info("swept", **removed)
        return removed

    async def _tenants(self, prefix: str) -> AsyncIterator[str]:
        async for folder in self._store.folders(prefix):
            yield folder.removeprefix(prefix).rstrip("/")

    async def _uploads(self, tenant: str, before: datetime) -> int:
        """Uploads that were begun long ago: what is done is forgotten, what is not is given up."""
        old = [entry.key for entry in await self._old(f"{STATES}{tenant}/", before)]
        for key in old:
            name = key.removeprefix(f"{STATES}{tenant}/").removesuffix(".json")
            incoming = incoming_key(tenant, name)
            try:
                state = states.read(await self._store.read(key))
            except ObjectMissing:
                continue  # another server was faster
            await self._store.abort_multipart(incoming, state.multipart_id)
            await self._store.delete(incoming)
            await self._store.delete(key)
        return len(old)

    async def _incoming(self, before: datetime) -> int:
        """What has come in for an upload of which nothing is written."""
        count = 0
        for upload in await self._store.unfinished(INCOMING):
            if upload.initiated < before and not await self._is_awaited(upload.key):
                await self._store.abort_multipart(upload.key, upload.multipart_id)
                count += 1
        for entry in await self._old(INCOMING, before):
            if not await self._is_awaited(entry.key):
                await self._store.delete(entry.key)
                count += 1
        return count

    async def _is_awaited(self, key: str) -> bool:
        tenant, _, name = key.removeprefix(INCOMING).partition("/")
        return await self._store.head(state_key(tenant, name)) is not None

    async def _audio(self, tenant: str, before: datetime) -> int:
        """Files that no recording has."""
        old = [entry.key for entry in await self._old(f"{AUDIO}{tenant}/", before)]
        count = 0
        for start in range(0, len(old), ASKED_AT_ONCE):
            asked = old[start : start + ASKED_AT_ONCE]
            used = await self._registry.used(tenant, asked)
            for key in asked:
                if key not in used and await self._is_still_old(key, before):
                    count += await self._deposits.release(tenant, key)
        return count

    async def _is_still_old(self, key: str, before: datetime) -> bool:
        """Whether the same bytes have not come again since the store was asked."""
        there = await self._store.head(key)
        return there is not None and there.modified < before

    async def _old(self, prefix: str, before: datetime) -> list[ObjectInfo]:
        return [entry async for entry in self._store.entries(prefix) if entry.modified < before]
