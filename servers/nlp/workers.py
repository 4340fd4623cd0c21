"""Threads for texts: few at a time, a bounded number waits, none for longer than is allowed."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import TypeVar

from servers.common.errors import Overloaded

T = TypeVar("T")


class Workers:
    """Runs what takes time away from the event loop. Use it as a context manager."""

    def __init__(self, at_once: int, most_waiting: int, timeout_s: float) -> None:
        self._threads = ThreadPoolExecutor(at_once, thread_name_prefix="refiner")
        self._most = at_once + most_waiting
        self._timeout_s = timeout_s
        self.taken = 0
        """How many texts are worked on or wait."""

    def __enter__(self) -> "Workers":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._threads.shutdown(wait=True, cancel_futures=True)

    async def run(self, work: Callable[[], T]) -> T:
        """What `work` returns. Overloaded when too many wait, or when it was not done in time, its wait included.

        A caller that goes away takes its turn in the queue with it; a thread that has begun ends what it does, and its
        place is taken until then.
        """
        if self.taken >= self._most:
            raise Overloaded("too many texts wait to be refined")
        self.taken += 1
        task = self._threads.submit(work)
        loop = asyncio.get_running_loop()
        task.add_done_callback(lambda _: loop.call_soon_threadsafe(self._give_back))
        try:
            return await asyncio.wait_for(asyncio.wrap_future(task), self._timeout_s)
        except TimeoutError:
            raise Overloaded("the text could not be refined in time") from None

    def _give_back(self) -> None:
        self.taken -= 1
