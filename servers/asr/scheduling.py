"""One queue to the model: finals before partials, a bounded number in flight.

Triton batches what is in flight. Its own priority levels stall dynamic batching, so priorities live here.
"""

import asyncio
import heapq
import itertools
from collections.abc import Iterator
from contextlib import contextmanager

from servers.asr.recognition import Hypothesis, Recognizer, Request
from servers.common import backoff
from servers.common.errors import DependencyUnavailable, Overloaded


class Scheduler:
    """A Recognizer that lets at most `in_flight` requests go to `recognizer` at once, the most urgent first.

    Finals that fail because the model is away are tried again for up to `retry_s` seconds: a restart of Triton takes
    several. Partials are not: the next one replaces them.
    """

    def __init__(self, recognizer: Recognizer, in_flight: int, max_waiting: int, retry_s: float) -> None:
        self._recognizer = recognizer
        self._free = in_flight
        self._max_waiting = max_waiting
        self._retry_s = retry_s
        self._order = itertools.count()
        self._waiting: list[tuple[bool, int, asyncio.Future[None]]] = []

    async def check(self) -> None:
        """Raise DependencyUnavailable when the model is not ready."""
        await self._recognizer.check()

    async def recognize(self, request: Request) -> Hypothesis:
        """Wait for a turn and transcribe; a partial is Overloaded when too many wait already.

        Finals are never refused: each session has a few at most, and the number of sessions is bounded.
        """
        deadline = asyncio.get_running_loop().time() + self._retry_s
        for delay in backoff.delays(first_s=0.25, longest_s=2.0):
            try:
                await self._turn(request.final)
                with self._release():
                    return await self._recognizer.recognize(request)
            except DependencyUnavailable:
                if not request.final or asyncio.get_running_loop().time() + delay > deadline:
                    raise
                await asyncio.sleep(delay)
        raise AssertionError("the delays are endless")

    async def _turn(self, final: bool) -> None:
        if self._free > 0:
            self._free -= 1
            return
        if not final and len(self._waiting) >= self._max_waiting:
            raise Overloaded("too many partials wait for the speech model")
        turn = asyncio.get_running_loop().create_future()
        heapq.heappush(self._waiting, (not final, next(self._order), turn))
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._pass_on()
            raise

    @contextmanager
    def _release(self) -> Iterator[None]:
        try:
            yield
        finally:
            self._pass_on()

    def _pass_on(self) -> None:
        while self._waiting:
            _, _, turn = heapq.heappop(self._waiting)
            if not turn.done():
                turn.set_result(None)
                return
        self._free += 1
