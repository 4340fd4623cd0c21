"""The clock of a live stream: when each piece of sound is due, and when it was sent."""

import asyncio
import bisect
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator

from clients.cli.pcm import BYTES_PER_MS

Clock = Callable[[], float]
"""Seconds, monotonic."""


async def paced(
    chunks: Iterator[bytes], speed: float | None, stop: asyncio.Event, bytes_per_ms: int = BYTES_PER_MS
) -> AsyncIterator[bytes]:
    """The chunks, each at the moment when its last sample would have been spoken, until `stop` is set.

    Moments count from the first request, so a late chunk does not delay those after it. `speed` 2 is twice as fast as
    speech; None does not wait at all: for a microphone, which waits by itself, and for files nobody listens to.
    """
    clock = asyncio.get_running_loop().time
    began, sent_ms = clock(), 0.0
    while not stop.is_set():
        chunk = await asyncio.to_thread(next, chunks, None)
        if chunk is None:
            return
        sent_ms += len(chunk) / bytes_per_ms
        if speed is not None:
            await _until(began + sent_ms / 1000 / speed, stop, clock)
        if not stop.is_set():
            yield chunk


async def _until(moment: float, stop: asyncio.Event, clock: Clock) -> None:
    delay = moment - clock()
    if delay > 0:
        try:
            await asyncio.wait_for(stop.wait(), delay)
        except TimeoutError:
            return


class SentLog:
    """When each position of the audio was there to be sent.

    It remembers the last REMEMBERED chunks, far more than an utterance.
    """

    REMEMBERED = 3000

    def __init__(self, bytes_per_ms: int = BYTES_PER_MS) -> None:
        self._bytes_per_ms = bytes_per_ms
        self._ends_ms: deque[float] = deque(maxlen=self.REMEMBERED)
        self._times_s: deque[float] = deque(maxlen=self.REMEMBERED)

    def note(self, length_bytes: int, now_s: float) -> None:
        """The next `length_bytes` of PCM were there to be sent at `now_s`."""
        end_ms = self._ends_ms[-1] if self._ends_ms else 0.0
        self._ends_ms.append(end_ms + length_bytes / self._bytes_per_ms)
        self._times_s.append(now_s)

    def latency_ms(self, position_ms: int, now_s: float) -> int | None:
        """Milliseconds from the sending of the audio at `position_ms` until `now_s`; None before anything was sent.

        A position after the end counts as the end: a server may round up.
        """
        if not self._ends_ms:
            return None
        index = min(bisect.bisect_left(self._ends_ms, position_ms), len(self._ends_ms) - 1)
        return round((now_s - self._times_s[index]) * 1000)
