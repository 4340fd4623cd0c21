"""Files that come as one stream of pieces."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import ExitStack
from pathlib import Path

from servers.common.errors import AudioTooLarge, ConfigOutOfOrder, FieldInvalid, StreamIdle
from servers.ingestion.deposits import Deposits
from servers.ingestion.files import Announced, Deposited, Owner, verify
from servers.ingestion.places import Places
from servers.ingestion.spool import Spool

CHUNK_BYTES = 1 << 20
"""The largest piece."""
STEP_BYTES = 16 << 20
"""For a file of unknown size room is sought so many bytes at a time."""
SLOWEST_BYTES_PER_S = 64 << 10
"""A client that is slower over all than the largest file may take at this pace holds its place for too long."""


class StreamedUploads:
    """Takes one file after the other, or several at a time."""

    def __init__(self, deposits: Deposits, places: Places, folder: Path, limit_bytes: int, idle_s: float) -> None:
        self._deposits = deposits
        self._places = places
        self._folder = folder
        self._limit = limit_bytes
        self._idle_s = idle_s

    async def take(self, owner: Owner, messages: AsyncIterator[Announced | bytes]) -> Deposited:
        """Take what is announced first and follows then. See `Deposits.make` for what else it raises.

        ConfigOutOfOrder when it is not announced first, or is twice; AudioTooLarge for a file or a piece above its
        limit; StreamIdle when nothing comes for too long, or all of it too slowly; Overloaded when there is no place or
        no room.
        """
        with ExitStack() as held:
            held.enter_context(self._places.place(owner.tenant))
            announced = await self._next(messages)
            if not isinstance(announced, Announced):
                raise ConfigOutOfOrder("the first message must be `file`")
            held.enter_context(self._places.room(announced.size_bytes))
            spool = held.enter_context(Spool(self._folder, self._limit))
            await self._fill_in_time(spool, announced, messages)
            deposited, _ = await self._deposits.make(owner, announced, spool)
            return deposited

    async def _fill_in_time(
        self, spool: Spool, announced: Announced, messages: AsyncIterator[Announced | bytes]
    ) -> None:
        limit_s = self._idle_s + self._limit / SLOWEST_BYTES_PER_S
        try:
            async with asyncio.timeout(limit_s):
                await self._fill(spool, announced, messages)
        except TimeoutError:
            raise StreamIdle("the file comes too slowly", limit_seconds=f"{limit_s:g}") from None

    async def _fill(self, spool: Spool, announced: Announced, messages: AsyncIterator[Announced | bytes]) -> None:
        promised = 0
        with ExitStack() as step:
            while (message := await self._next(messages)) is not None:
                if isinstance(message, Announced):
                    raise ConfigOutOfOrder("`file` came twice")
                if not message:
                    raise FieldInvalid("chunk", "is empty")
                if len(message) > CHUNK_BYTES:
                    raise AudioTooLarge(f"a piece has more than {CHUNK_BYTES} bytes", limit_bytes=str(CHUNK_BYTES))
                if not announced.size_bytes and spool.size_bytes + len(message) > promised:
                    step.close()  # what was promised before is written by now
                    step.enter_context(self._places.room(STEP_BYTES))
                    promised = spool.size_bytes + STEP_BYTES
                await spool.add(message)
                if announced.size_bytes and spool.size_bytes > announced.size_bytes:
                    verify(announced, spool.content)
        if not spool.size_bytes:
            raise FieldInvalid("chunk", "is required: the file is empty")

    async def _next(self, messages: AsyncIterator[Announced | bytes]) -> Announced | bytes | None:
        """None at the end."""
        try:
            async with asyncio.timeout(self._idle_s):
                return await anext(messages, None)
        except TimeoutError:
            raise StreamIdle("nothing came for too long", limit_seconds=f"{self._idle_s:g}") from None
