"""Takes in what comes, several in one transaction."""

import asyncio
from collections.abc import Sequence
from typing import Generic, Protocol, TypeVar

from servers.common.errors import Ai2TextError

T = TypeVar("T")
Taken = TypeVar("Taken", contravariant=True)


PACE_S = 0.02
"""From the beginning of one transaction to that of the next, unless there is enough for a full one: each waits for the
disk, and has every index follow. What comes alone goes at once."""


class Shelf(Protocol[Taken]):
    """Where what comes is kept, such as documents."""

    async def put(self, entries: Sequence[Taken]) -> None:
        """Store all entries so that not even a power cut loses them; they are found soon; each replaces its like."""
        ...


class Intake(Generic[T]):
    """One writer. While a transaction is under way, and in the moment after, those who come wait, and go together into
    the next."""

    def __init__(
        self, shelf: Shelf[T], most_waiting: int = 256, most_at_once: int = 64, pace_s: float = PACE_S
    ) -> None:
        self._shelf = shelf
        self._pace_s = pace_s
        self._waiting: asyncio.Queue[tuple[T, asyncio.Future[None]]] = asyncio.Queue(most_waiting)
        self._most_at_once = most_at_once

    async def add(self, entry: T) -> None:
        """Returns when the entry is stored, to be found soon; raises what the shelf raised for the transaction."""
        stored: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        await self._waiting.put((entry, stored))
        await stored

    async def run(self) -> None:
        """Store what comes until cancelled. What fails is told to those who wait for it."""
        loop = asyncio.get_running_loop()
        due = loop.time()
        while True:
            batch = [await self._waiting.get()]
            try:
                if len(batch) + self._waiting.qsize() < self._most_at_once:
                    await asyncio.sleep(max(0.0, due - loop.time()))
                due = loop.time() + self._pace_s
                while len(batch) < self._most_at_once and not self._waiting.empty():
                    batch.append(self._waiting.get_nowait())
                await self._shelf.put([entry for entry, _ in batch])
            except Ai2TextError as error:
                _tell(batch, error)
            except BaseException as error:
                _tell(batch, error)
                raise
            else:
                _tell(batch, None)


def _tell(batch: Sequence[tuple[T, asyncio.Future[None]]], error: BaseException | None) -> None:
    for _, stored in batch:
        if stored.done():
            continue
        if isinstance(error, Exception):
            stored.set_exception(error)
        elif error:
            stored.cancel()
        else:
            stored.set_result(None)
