"""Verified files: stored once, registered once, whatever fails on the way and however often it is tried.

A recording that is registered never lacks its object, whatever other servers do with it meanwhile and whoever dies on
the way: `servers.ingestion.claims` says how, and why. An object without a recording is what may remain; it is swept.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import structlog

from servers.common.errors import Ai2TextError, ChecksumMismatch, TransferCorrupted
from servers.ingestion.claims import Claim, Claims
from servers.ingestion.files import (
    Announced,
    Content,
    Deposited,
    Media,
    Owner,
    Registration,
    audio_key,
    operation,
    recording_id,
    verify,
    verify_stored,
)
from servers.ingestion.inputs import Prober, Registry, Store
from servers.ingestion.locks import Locks
from servers.ingestion.spool import Spool

log = structlog.get_logger(__name__)

FRESH = timedelta(hours=1)
"""An object that is older is stored anew when its bytes come again: so it is as old as its newest recording to the
store, which may remove what is old."""


class Deposits:
    """What makes a recording of a file. All of one server that touch an object are kept apart by `locks`, those of
    different servers by claims."""

    def __init__(self, store: Store, registry: Registry, prober: Prober, locks: Locks, claims: Claims) -> None:
        self._store = store
        self._registry = registry
        self._prober = prober
        self._locks = locks
        self._claims = claims

    async def make(self, owner: Owner, announced: Announced, spool: Spool) -> tuple[Deposited, Registration]:
        """Verify the file in the spool, store and register it.

        ChecksumMismatch when it is not what was announced, AudioUndecodable when there is no audio in it, AlreadyExists
        when the request has brought something else before: then nothing of it is kept. DependencyUnavailable when the
        store or the registry stays away, Overloaded when the same bytes are just being removed; what is stored by then
        is found again when the file comes again, or swept. TransferCorrupted when the store has other bytes afterwards
        than it was given.
        """
        content = spool.content
        verify(announced, content)
        media = await self._prober.probe(spool.opened)
        registration = _registration(owner, announced, content, media)
        async with (
            self._locks.holding(registration.key),
            self._kept_or_let_go(owner, registration.key),  # when its own claim is withdrawn
            self._claims.keeping(registration.key) as claim,
        ):
            await self._keep(registration, spool)
            with claim.asking():
                recording = await self._registry.create(owner, registration)
            if await self._store.head(registration.key) is None:  # the store itself may remove what is old
                await self._put(registration, spool)
        return Deposited(recording, operation(registration.recording_id)), registration

    async def repeat(self, owner: Owner, registration: Registration) -> Deposited | None:
        """Answer as the first time, when the recording was registered; None when only its file is gone.

        AlreadyExists when the recording was deleted: to send the file again would not bring it back.
        """
        async with self._locks.holding(registration.key), self._kept_or_let_go(owner, registration.key):
            recording = await self._registry.create(owner, registration)
            if await self._store.head(registration.key) is None:
                return None
            return Deposited(recording, operation(registration.recording_id))

    async def release(self, tenant: str, key: str) -> bool:
        """Remove a file unless a recording of the tenant still has it, or may be about to; whether it was removed."""
        async with self._locks.holding(key):
            return await self._release(tenant, key)

    async def _release(self, tenant: str, key: str) -> bool:
        async with self._claims.removing(key) as claim:
            return claim is not None and await self._remove(tenant, key, claim)

    async def _remove(self, tenant: str, key: str, claim: Claim) -> bool:
        if await self._registry.used(tenant, [key]):
            return False
        with claim.asking():
            await self._store.delete(key)
        return True

    @asynccontextmanager
    async def _kept_or_let_go(self, owner: Owner, key: str) -> AsyncIterator[None]:
        """Of a file that the block refuses, or finds damaged, nothing stays; if that cannot be done now, the sweep does
        it."""
        try:
            yield
        except Ai2TextError as error:
            if error.retry_after_s is None or isinstance(error, TransferCorrupted):
                await self._let_go(owner, key)
            raise

    async def _let_go(self, owner: Owner, key: str) -> None:
        try:
            await self._release(owner.tenant, key)
        except Ai2TextError as error:
            log.warning("a refused file waits for the sweep", key=key, error=str(error))

    async def _keep(self, registration: Registration, spool: Spool) -> None:
        there = await self._store.head(registration.key)
        same = there is not None and (there.size_bytes, there.crc32c) in (
            (registration.content.size_bytes, registration.content.crc32c),
            (registration.content.size_bytes, None),
        )
        if there is None or not same or datetime.now(UTC) - there.modified > FRESH:
            await self._put(registration, spool)

    async def _put(self, registration: Registration, spool: Spool) -> None:
        """Store it, and compare what the store says it has with what came."""
        content = registration.content
        await self._store.upload(
            registration.key, spool.opened, content.size_bytes, content.crc32c, {"sha256": content.sha256.hex()}
        )
        there = await self._store.head(registration.key)
        try:
            verify_stored(content, there.size_bytes if there else 0, there.crc32c if there else None)
        except ChecksumMismatch as error:  # no fault of the sender, who may try again
            log.warning("the store has something else", key=registration.key, error=str(error))
            raise TransferCorrupted from error


def _registration(owner: Owner, announced: Announced, content: Content, media: Media) -> Registration:
    return Registration(
        recording_id(owner.tenant, announced.request_id),
        announced.title,
        announced.language_code,
        announced.labels,
        audio_key(owner.tenant, content.sha256),
        content,
        media,
    )
