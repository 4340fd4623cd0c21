"""The sound of a live session that may have to be sent again: a bounded memory between its source and its streams."""

import asyncio

KEPT_MS = 120_000
"""How much of what was sent, and as much again of what was not, is kept. A server settles sound long before that."""
UNSETTLED_MS = 60_000
"""How much sound that can wait may be under way: buffers on the way to a server hold many minutes of it."""
LONGEST_UNREAD_MS = 1_800_000
"""How much of a microphone is kept at most while nothing can be sent: 58 MB."""


class Tape:
    """PCM since the source began. Positions are bytes, whole milliseconds; what lies before `start` is gone.

    One task records while another reads. What was sent is kept until it is settled, and unsent sound until it is sent.
    """

    def __init__(
        self,
        bytes_per_ms: int,
        keep_ms: int = KEPT_MS,
        unsettled_ms: int | None = None,
        unread_ms: int | None = None,
    ) -> None:
        """`unsettled_ms`: how much `let_settle` lets be unsettled; None sets no bound.

        `unread_ms`: for a source that cannot be held back, as a microphone: so much of it is kept beside `keep_ms` of
        what was read, and of what is more the oldest goes. None holds the source back.
        """
        self.bytes_per_ms = bytes_per_ms
        self.start = 0
        self.is_over = False
        """The source has ended: nothing is recorded any more."""
        self._keep = keep_ms * bytes_per_ms
        self._most_unsettled = None if unsettled_ms is None else unsettled_ms * bytes_per_ms
        self._most = None if unread_ms is None else (keep_ms + unread_ms) * bytes_per_ms
        self._bytes = bytearray()
        self._read_to = 0
        self._grown = asyncio.Event()
        self._read = asyncio.Event()
        self._forgot = asyncio.Event()

    @property
    def end(self) -> int:
        """Up to where it is recorded."""
        return self.start + len(self._bytes)

    async def record(self, chunk: bytes) -> None:
        """Adds to the end. Waits while so much is unread that a source that can be held back has to be."""
        while self._most is None and self.end - self._read_to >= self._keep:
            self._read.clear()
            await self._read.wait()
        self._bytes += chunk
        if self._most is not None:
            self.forget_before(self.end - self._most)
        self._grown.set()

    def finish(self) -> None:
        """Nothing follows."""
        self.is_over = True
        self._grown.set()

    async def read(self, position: int, most: int) -> bytes:
        """At most `most` bytes from `position` on, which is not before `start`; waits until there are any, and is empty
        at the end of all.

        The reader has sent what lies before `position`. Of that too much is not kept for ever, settled or not.
        """
        self._read_to = position
        self._read.set()
        self.forget_before(position - self._keep)
        while position >= self.end and not self.is_over:
            self._grown.clear()
            await self._grown.wait()
        return bytes(self._bytes[position - self.start : position - self.start + most])

    def forget_before(self, position: int) -> None:
        """What lies before `position` will not be asked for again."""
        gone = min(position, self.end) // self.bytes_per_ms * self.bytes_per_ms - self.start
        if gone > 0:
            del self._bytes[:gone]
            self.start += gone
            self._forgot.set()

    async def let_settle(self, position: int) -> None:
        """Waits while too much of what lies before `position` is not forgotten."""
        while self._most_unsettled is not None and position - self.start >= self._most_unsettled:
            self._forgot.clear()
            await self._forgot.wait()
