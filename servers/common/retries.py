"""Repeats of calls to something that may be away for a moment: few, spread out, and within a budget."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from opentelemetry import metrics

from servers.common import backoff
from servers.common.errors import Ai2TextError

T = TypeVar("T")

_METER = metrics.get_meter("ai2text")
RETRIED = _METER.create_counter(
    "ai2text.retries.calls",
    description="Calls that failed at first, by dependency, operation and outcome: succeeded after all, or failed.",
)


class RetryBudget:
    """So many repeats at once, so many a second over time: a dependency that is down is not hammered by all callers.

    Each repeat takes one token; the bucket holds `most` and is filled with `per_second`.
    """

    def __init__(self, most: float = 50, per_second: float = 10, clock: Callable[[], float] = time.monotonic) -> None:
        self._most = most
        self._per_second = per_second
        self._clock = clock
        self._tokens = most
        self._filled_at = clock()

    def take(self) -> bool:
        """Whether one more repeat may be made; if so it is counted."""
        now = self._clock()
        self._tokens = min(self._most, self._tokens + (now - self._filled_at) * self._per_second)
        self._filled_at = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True


class Retries:
    """How calls to one dependency are repeated."""

    def __init__(
        self,
        dependency: str,
        tries: int = 5,
        first_s: float = 0.1,
        longest_s: float = 2.0,
        budget: RetryBudget | None = None,
    ) -> None:
        self._dependency = dependency
        self._tries = tries
        self._first_s = first_s
        self._longest_s = longest_s
        self._budget = budget or RetryBudget()

    async def call(self, operation: str, attempt: Callable[[], Awaitable[T]]) -> T:
        """What `attempt` returns, tried again while it raises an error that a retry may help; then that error."""
        waits = backoff.delays(self._first_s, self._longest_s)
        for tried in range(1, self._tries + 1):
            try:
                result = await attempt()
            except Ai2TextError as error:
                if error.retry_after_s is None:
                    raise
                if tried == self._tries or not self._budget.take():
                    self._count(operation, "failed")
                    raise
                await asyncio.sleep(next(waits))
            else:
                if tried > 1:
                    self._count(operation, "succeeded")
                return result
        raise AssertionError("the last try returns or raises")

    def _count(self, operation: str, outcome: str) -> None:
        RETRIED.add(1, {"dependency": self._dependency, "operation": operation, "outcome": outcome})
