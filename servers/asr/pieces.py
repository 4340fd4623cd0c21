"""The pieces of one session, which come in calls of their own, put in order for one reader."""

import asyncio
from collections import deque
from typing import Generic, TypeVar

from servers.asr.changes import Changes
from servers.common.errors import Ai2TextError, Overloaded, SequenceGap

MAX_QUEUED = 32
"""Pieces that may wait for the reader."""
MAX_QUEUED_BYTES = 4 * 1024 * 1024
"""What they may weigh together; one alone may weigh more."""
MAX_AHEAD = 32
"""How far ahead of the next piece one may come."""
MAX_CALLS = 2 * MAX_AHEAD
"""Calls that may wait at once: those that come early, and those that repeat them."""

T = TypeVar("T")


class Pieces(Generic[T]):
    """A bounded queue into which pieces are put in the order of their numbers: an async iterator for the one reader.

    A piece waits `patience_s` for those before it, and for room.
    """

    def __init__(self, patience_s: float) -> None:
        self._patience_s = patience_s
        self._queue: deque[tuple[T, int]] = deque()
        self._bytes = 0
        self._calls = 0
        self._refusal: Ai2TextError | None = None
        self._changes = Changes()
        self.next_sequence = 0
        """The number of the next piece: all before it have their place."""

    async def put(self, sequence: int, piece: T, weight: int) -> None:
        """Give a piece of `weight` bytes its place; one that has it already is dropped.

        SequenceGap when those before it do not come, Overloaded when there is no room, or what `close` was given.
        """
        if sequence > self.next_sequence + MAX_AHEAD:
            raise self._gap(sequence)
        if self._calls >= MAX_CALLS:
            raise Overloaded(f"{MAX_CALLS} calls of this session wait already")
        self._calls += 1
        try:
            async with asyncio.timeout(self._patience_s):
                await self._changes.until(lambda: self._decided(sequence, weight))
        except TimeoutError:
            raise self._gap(sequence) if self._has_room(weight) else _full() from None
        finally:
            self._calls -= 1
        if sequence == self.next_sequence:
            self._enter(piece, weight)

    def close(self, refusal: Ai2TextError) -> None:
        """Take no piece any more: what comes is refused with this error. The reader ends after what is there."""
        self._refusal = refusal
        self._changes.tell()

    def clear(self) -> None:
        """Drop what nobody will read."""
        self._queue.clear()
        self._bytes = 0

    def __aiter__(self) -> "Pieces[T]":
        return self

    async def __anext__(self) -> T:
        await self._changes.until(lambda: self._queue or self._refusal)
        if not self._queue:
            raise StopAsyncIteration
        piece, weight = self._queue.popleft()
        self._bytes -= weight
        self._changes.tell()
        return piece

    def _decided(self, sequence: int, weight: int) -> bool:
        """Whether a piece need not wait any longer."""
        if sequence < self.next_sequence:
            return True
        if self._refusal is not None:
            raise self._refusal.with_traceback(None)
        return sequence == self.next_sequence and self._has_room(weight)

    def _has_room(self, weight: int) -> bool:
        return not self._queue or (len(self._queue) < MAX_QUEUED and self._bytes + weight <= MAX_QUEUED_BYTES)

    def _enter(self, piece: T, weight: int) -> None:
        self._queue.append((piece, weight))
        self._bytes += weight
        self.next_sequence += 1
        self._changes.tell()

    def _gap(self, sequence: int) -> SequenceGap:
        message = f"piece {sequence} came without those before it; the next one is {self.next_sequence}"
        return SequenceGap(message, next_sequence=str(self.next_sequence))


def _full() -> Overloaded:
    return Overloaded("the session has more audio than it can transcribe at the moment; send this piece again")
