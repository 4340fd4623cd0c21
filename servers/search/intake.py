"""Takes in what comes, several in one transaction."""

import asyncio
import contextlib
from collections.abc import Sequence
from typing import Generic, Protocol, TypeVar

from servers.common.errors import Ai2TextError

T = TypeVar("T")
Taken = TypeVar("Taken", contravariant=True)


PACE_S = 0.1
"""From the beginning of a transaction of several entries to that of the next. Each waits for the disk and has every
index follow, and that costs as much for one entry as for ten."""

ALONE_PACE_S = 0.02
"""From one of a single entry to the next: who puts one after the other, each when the last is stored, waits for this
only."""


class Shelf(Protocol[Taken]):
    """Where what comes is kept, such as documents."""

    async def put(self, entries: Sequence[Taken]) -> None:
        """Store all entries so that not even a power cut loses them; they are found soon; each replaces its like."""
        ...


class Intake(Generic[T]):
    """One writer. While a transaction is under way, and in the moment after, those who come wait, and go together into
    the next. What comes after a longer while goes at once, and so does half of what one may hold."""

    def __init__(
        self,
        shelf: Shelf[T],
        most_waiting: int = 256,
        most_at_once: int = 64,
        pace_s: float = PACE_S,
        alone_pace_s: float = ALONE_PACE_S,
    ) -> None:
        self._shelf = shelf
        self._pace_s = pace_s
        self._alone_pace_s = alone_pace_s
        self._waiting: asyncio.Queue[tuple[T, asyncio.Future[None]]] = asyncio.Queue(most_waiting)
        self._most_at_once = most_at_once
        self._plenty = asyncio.Event()

    async def add(self, entry: T) -> None:
        """Returns when the entry is stored, to be found soon; raises what the shelf raised for the transaction."""
        stored: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        await self._waiting.put((entry, stored))
        if self._enough:
            self._plenty.set()
        await stored

    async def run(self) -> None:
        """Store what comes until cancelled. What fails is told to those who wait for it."""
        loop = asyncio.get_running_loop()
        due = loop.time()
        while True:
            batch = [await self._waiting.get()]
            try:
                await self._company(due)
                began = loop.time()
                while len(batch) < self._most_at_once and not self._waiting.empty():
                    batch.append(self._waiting.get_nowait())
                due = began + (self._pace_s if len(batch) > 1 else self._alone_pace_s)
                await self._shelf.put([entry for entry, _ in batch])
            except Ai2TextError as error:
                _tell(batch, error)
            except BaseException as error:
                _tell(batch, error)
                raise
            else:
                _tell(batch, None)

    async def _company(self, due: float) -> None:
        """Have more come beside the one that is in hand, until `due` or there is enough."""
        self._plenty.clear()
        if not self._enough:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout_at(due):
                    await self._plenty.wait()

    @property
    def _enough(self) -> bool:
        """Whether so many wait that nobody is to wait for more."""
        return 2 * (self._waiting.qsize() + 1) >= self._most_at_once


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
