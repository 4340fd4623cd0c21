"""Files that come in parts, straight into the object store; any server may go on with what another began."""

import asyncio
from contextlib import ExitStack, aclosing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import structlog

from servers.common.errors import Ai2TextError, AlreadyExists, DependencyUnavailable, UploadIncomplete, UploadNotFound
from servers.common.retries import Retries
from servers.common.stored import ObjectMissing
from servers.ingestion import states
from servers.ingestion.deposits import Deposits
from servers.ingestion.files import Announced, Deposited, Owner, incoming_key, state_key, upload_id
from servers.ingestion.inputs import Addresses, Store
from servers.ingestion.locks import Locks
from servers.ingestion.places import Places
from servers.ingestion.spool import Spool
from servers.ingestion.states import State

log = structlog.get_logger(__name__)

EXPIRY = timedelta(hours=1)
"""How long an address is good."""
READ_S, SLOWEST_BYTES_PER_S = 60.0, 1 << 20
"""A whole that takes longer than so many seconds, and its size at this pace, to be read through is left for another
call, whatever came of it: else a store that sends a little now and then would hold its place for ever."""
TOLD_MISSING = 100
"""How many of the missing parts an error names."""


@dataclass(frozen=True, slots=True)
class Part:
    """A part that is awaited."""

    number: int
    offset_bytes: int
    size_bytes: int
    url: str


@dataclass(frozen=True, slots=True)
class Plan:
    """What to send where."""

    upload_id: str
    missing: tuple[Part, ...]
    part_count: int
    expire_time: datetime


class PartedUploads:
    """All uploads in parts."""

    def __init__(
        self,
        store: Store,
        addresses: Addresses,
        deposits: Deposits,
        places: Places,
        locks: Locks,
        folder: Path,
        limit_bytes: int,
    ) -> None:
        self._store = store
        self._addresses = addresses
        self._deposits = deposits
        self._places = places
        self._locks = locks
        self._folder = folder
        self._limit = limit_bytes
        self._retries = Retries("objects")

    async def create(self, owner: Owner, announced: Announced) -> Plan:
        """Begin an upload, or go on with it. AlreadyExists when the request has announced another file before."""
        name = upload_id(owner.tenant, announced.request_id)
        key = incoming_key(owner.tenant, name)
        async with self._locks.holding(key):
            state = await self._found(owner, name) or await self._begun(owner, name, announced)
            if state.announced != announced:
                raise AlreadyExists("the request_id has announced another file before")
            if state.registration is not None:
                return self._plan(name, state, ())
            try:
                missing = _missing(state, await self._sizes(key, state))
            except ObjectMissing:
                if await self._store.head(key) is not None:  # joined already, and not yet verified
                    return self._plan(name, state, ())
                now = await self._found(owner, name)
                if now is not None and now.registration is not None:  # another server has completed it meanwhile
                    return self._plan(name, now, ())
                state = await self._anew(owner, name, state)
                missing = list(range(1, state.part_count + 1))
            return self._plan(name, state, [await self._awaited(key, state, number) for number in missing])

    async def complete(self, owner: Owner, name: str) -> Deposited:
        """Join the parts, and make a recording of the file; see `Deposits.make` for what it raises.

        UploadNotFound when there is no such upload of this tenant; UploadIncomplete while parts are missing.
        """
        key = incoming_key(owner.tenant, name)
        async with self._locks.holding(key):
            state = await self._found(owner, name)
            if state is None:
                raise _unknown(name)
            if state.registration is not None:
                return await self._again(owner, name, state)
            with ExitStack() as held:
                held.enter_context(self._places.place(owner.tenant))
                held.enter_context(self._places.room(state.announced.size_bytes))
                spool = held.enter_context(Spool(self._folder, self._limit))
                try:
                    await self._join(key, state)
                    return await self._deposit(owner, name, state, spool)
                except ObjectMissing:
                    log.info("upload completed twice", upload=name)
            state = await self._found(owner, name)
            if state is None or state.registration is None:
                raise _unknown(name)
            return await self._again(owner, name, state)

    async def _found(self, owner: Owner, name: str) -> State | None:
        try:
            return states.read(await self._store.read(state_key(owner.tenant, name)))
        except ObjectMissing:
            return None

    async def _begun(self, owner: Owner, name: str, announced: Announced) -> State:
        """A new upload; or the one that another server began at the same time."""
        key = incoming_key(owner.tenant, name)
        multipart_id = await self._store.create_multipart(key)
        state = State(announced, states.part_bytes(announced.size_bytes), multipart_id)
        if await self._store.write(state_key(owner.tenant, name), state.written(), new=True):
            return state
        log.info("upload begun twice", upload=name)
        other = await self._found(owner, name)
        if other is None or other.multipart_id != multipart_id:
            await self._store.abort_multipart(key, multipart_id)
        return other or await self._begun(owner, name, announced)

    async def _anew(self, owner: Owner, name: str, state: State) -> State:
        """The store has forgotten the parts: they are awaited again."""
        state = state.with_multipart(await self._store.create_multipart(incoming_key(owner.tenant, name)))
        await self._store.write(state_key(owner.tenant, name), state.written())
        return state

    async def _sizes(self, key: str, state: State) -> dict[int, int]:
        return {part.number: part.size_bytes for part in await self._store.parts(key, state.multipart_id)}

    async def _awaited(self, key: str, state: State, number: int) -> Part:
        size = state.size_of(number)
        url = await self._addresses.part(key, state.multipart_id, number, size, int(EXPIRY.total_seconds()))
        return Part(number, state.offset_of(number), size, url)

    def _plan(self, name: str, state: State, missing: list[Part] | tuple[()]) -> Plan:
        return Plan(name, tuple(missing), state.part_count, datetime.now(UTC) + EXPIRY)

    async def _join(self, key: str, state: State) -> None:
        """Make the parts one object, unless they are. UploadIncomplete when some are missing.

        ObjectMissing when there are neither: another server has completed the upload, or it has expired.
        """
        try:
            there = await self._store.parts(key, state.multipart_id)
            if missing := _missing(state, {part.number: part.size_bytes for part in there}):
                told = ",".join(map(str, missing[:TOLD_MISSING]))
                raise UploadIncomplete(f"{len(missing)} of {state.part_count} parts are missing", missing_parts=told)
            wanted = [part for part in there if part.number <= state.part_count]
            await self._store.complete_multipart(key, state.multipart_id, wanted)
        except ObjectMissing:
            if await self._store.head(key) is None:
                raise

    async def _deposit(self, owner: Owner, name: str, state: State, spool: Spool) -> Deposited:
        """Read the whole through, and keep it. Of a file that is refused nothing stays.

        ObjectMissing when another server has removed the whole meanwhile.
        """
        key = incoming_key(owner.tenant, name)
        try:
            await self._read_through(key, state.announced.size_bytes, spool)
            deposited, registration = await self._deposits.make(owner, state.announced, spool)
        except Ai2TextError as error:
            if error.retry_after_s is None:
                await self._store.delete(key)
                await self._store.delete(state_key(owner.tenant, name))
            raise
        await self._store.write(state_key(owner.tenant, name), state.completed(registration).written())
        await self._store.delete(key)
        return deposited

    async def _read_through(self, key: str, size_bytes: int, spool: Spool) -> None:
        """Read the whole, more than once if need be. DependencyUnavailable when that takes too long."""
        try:
            async with asyncio.timeout(READ_S + size_bytes / SLOWEST_BYTES_PER_S):
                await self._retries.call("read_through", lambda: self._fetch(key, spool))
        except TimeoutError as error:
            log.warning("a whole is read too slowly", key=key, size_bytes=size_bytes)
            raise DependencyUnavailable("objects") from error

    async def _fetch(self, key: str, spool: Spool) -> None:
        spool.clear()
        async with aclosing(self._store.chunks(key)) as chunks:
            async for chunk in chunks:
                await spool.add(chunk)

    async def _again(self, owner: Owner, name: str, state: State) -> Deposited:
        """What the first call answered. AlreadyExists when the recording was deleted since; UploadNotFound when only
        its file is gone, so that it can be sent again."""
        assert state.registration is not None
        deposited = await self._deposits.repeat(owner, state.registration)
        if deposited is None:
            await self._store.delete(state_key(owner.tenant, name))
            raise _unknown(name)
        await self._store.delete(incoming_key(owner.tenant, name))  # if the first call was cut off before it did
        return deposited


def _missing(state: State, sizes: dict[int, int]) -> list[int]:
    """The parts that are not there, or not whole."""
    return [number for number in range(1, state.part_count + 1) if sizes.get(number) != state.size_of(number)]


def _unknown(name: str) -> UploadNotFound:
    return UploadNotFound("there is no such upload, or it has expired", upload_id=name)
