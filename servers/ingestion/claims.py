"""Who is about to keep or to remove an object, written into the store: so that servers agree that never hear of each
other.

An upload whose bytes are there already does not send them again, and the removal of what no recording has removes them.
If both looked before either acted, a recording would be registered whose object is gone. So each does this:

1. It writes a claim of its own beside the object's others, and then lists them all.
2. An upload that sees the claim of a removal waits until that is withdrawn, or gives up as OVERLOADED. A removal that
   sees the claim of an upload leaves the object alone: if no recording comes of it, the sweep finds it.
3. Only now does the upload look for the object, store it if it must, and register its recording; only now does the
   removal ask whether a recording has the object, and remove it if none has.
4. It withdraws its claim.

Why a recording that is registered never lacks its object: what was written is listed by whoever lists afterwards (S3
promises this, and so does one filer of SeaweedFS). Of an upload and a removal that both go on to step 3, one has listed
after the other had written. Were that the removal, it saw no claim of the upload, so the upload was through: its
recording is registered, and the removal finds it so. Were it the upload, it saw no claim of the removal any more, so
the removal was through: the upload looks for the object after it was removed, and stores it. Either way no removal lies
between the look for the object and the registration, and after the registration every removal finds the recording.

A claim is withdrawn only when nothing that its owner has asked for can happen any more. A call that was broken off may
still be carried out, so its claim stays, as that of a server that died does. It lapses by its age: an owner gives up
after the limit of its kind, and its claim counts for long enough beyond it that neither a late call nor a clock that is
some minutes wrong matters. Until then a crashed upload keeps its object from being removed, and a crashed removal lets
nobody upload these bytes; the sweep removes what has lapsed.
"""

import asyncio
import uuid
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum

import structlog

from servers.common.errors import Ai2TextError, DependencyUnavailable, Overloaded
from servers.common.stored import ObjectInfo
from servers.ingestion.files import CLAIMS, claims_prefix
from servers.ingestion.inputs import Store

log = structlog.get_logger(__name__)

WAITS_S = (0.1, 0.2, 0.4, 0.8, 1.6, 3.2)
"""How long an upload waits for a removal, between one look and the next."""


class Kind(Enum):
    """What for an object is claimed."""

    KEEP = "keep"
    REMOVE = "remove"

    @property
    def limit(self) -> timedelta:
        """After so long its owner gives up; the largest file is stored several times in less than that."""
        return timedelta(hours=6) if self is Kind.KEEP else timedelta(seconds=30)

    @property
    def lapse(self) -> timedelta:
        """When it is older, it is that of a server that died, or does not know what became of its call."""
        return timedelta(hours=12) if self is Kind.KEEP else timedelta(minutes=5)


@dataclass
class Claim:
    """One, while its owner has it."""

    key: str
    settled: bool = True
    """Whether nothing that was asked for under it can happen any more, unless it has been answered."""

    @contextmanager
    def asking(self) -> Iterator[None]:
        """The block asks for what may come to pass although no answer comes."""
        self.settled = False
        try:
            yield
        except Ai2TextError as error:
            self.settled = error.retry_after_s is None  # then it was refused
            raise
        self.settled = True


class Claims:
    """Those of one store."""

    def __init__(self, store: Store, waits_s: Sequence[float] = WAITS_S) -> None:
        self._store = store
        self._waits_s = waits_s

    @asynccontextmanager
    async def keeping(self, key: str) -> AsyncIterator[Claim]:
        """In the block no other server removes the object. Overloaded while one does, DependencyUnavailable."""
        async with self._claimed(key, Kind.KEEP) as claim:
            for wait_s in (*self._waits_s, None):
                if not await self._stand(key, Kind.REMOVE):
                    break
                if wait_s is None:
                    raise Overloaded("a file with these bytes is just being removed")
                await asyncio.sleep(wait_s)
            yield claim

    @asynccontextmanager
    async def removing(self, key: str) -> AsyncIterator[Claim | None]:
        """In the block no other server registers a recording that relies on the object, unless the claim is None: then
        one may be about to. DependencyUnavailable."""
        async with self._claimed(key, Kind.REMOVE) as claim:
            yield None if await self._stand(key, Kind.KEEP) else claim

    async def forget_lapsed(self) -> int:
        """Remove those that count no more; how many there were."""
        lapsed = [entry.key async for entry in self._store.entries(CLAIMS) if _has_lapsed(entry)]
        for key in lapsed:
            await self._store.delete(key)
        return len(lapsed)

    @asynccontextmanager
    async def _claimed(self, key: str, kind: Kind) -> AsyncIterator[Claim]:
        claim = Claim(f"{claims_prefix(key)}{kind.value}-{uuid.uuid4().hex}")
        try:
            async with asyncio.timeout(kind.limit.total_seconds()):
                await self._store.write(claim.key, kind.value.encode())
                try:
                    yield claim
                finally:
                    if claim.settled:
                        await asyncio.shield(self._withdraw(claim))
        except TimeoutError as error:
            raise DependencyUnavailable("objects") from error

    async def _withdraw(self, claim: Claim) -> None:
        try:
            await self._store.delete(claim.key)
        except Ai2TextError as error:
            log.warning("a claim stays until it lapses", key=claim.key, error=str(error))

    async def _stand(self, key: str, kind: Kind) -> bool:
        """Whether anybody claims the object for that."""
        prefix = f"{claims_prefix(key)}{kind.value}-"
        return any([not _has_lapsed(entry) async for entry in self._store.entries(prefix)])


def _has_lapsed(entry: ObjectInfo) -> bool:
    kind = Kind(entry.key.rsplit("-", 2)[1])
    return datetime.now(UTC) - entry.modified > kind.lapse
