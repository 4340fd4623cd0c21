"""When to call again, and for how long."""

import asyncio
import random

from clients.cli.problem import Problem
from clients.cli.refusal import Code, Refusal

LONGEST_WAIT_S = 2.0
PATIENT_FOR_S = 6.0
FIRST_WAIT_S = 0.1

PASSING = frozenset({Code.UNAVAILABLE, Code.RESOURCE_EXHAUSTED, Code.DEADLINE_EXCEEDED})
"""What a server, or the edge before it, says when the same call may soon succeed."""
BROKEN = frozenset({Code.INTERNAL, Code.UNKNOWN, Code.CANCELLED})
"""What gRPC makes of a stream that was cut, or that ended while something was being written. Our servers never send
these without a reason."""


class Stalled(Problem):
    """Nothing was heard of the other side for too long."""


def passes(problem: Problem) -> bool:
    """Whether a session that met this may go on over another stream."""
    if isinstance(problem, Refusal):
        return problem.code in PASSING or (problem.code in BROKEN and not problem.details.reason)
    return isinstance(problem, Stalled)


class Patience:
    """The patience of one call: it waits as the server advises, so long in all; a server that is full only if asked."""

    def __init__(self, patient_for_s: float = PATIENT_FOR_S, when_full: bool = False) -> None:
        self._left_s = patient_for_s
        self._passing = {Code.UNAVAILABLE, Code.RESOURCE_EXHAUSTED} if when_full else {Code.UNAVAILABLE}

    async def wait_or_raise(self, refusal: Refusal) -> None:
        """Returns when it is time to call again; raises `refusal` when it is final or patience has run out.

        A token that is wrong is final: only what comes with RetryInfo passes by itself. What gRPC made of a status that
        met a write says nothing: to call again tells.
        """
        advised_s = refusal.details.retry_after_s if refusal.code in self._passing else None
        if refusal.code in BROKEN and not refusal.details.reason:
            advised_s = FIRST_WAIT_S
        if advised_s is None or self._left_s <= 0:
            raise refusal
        wait_s = min(advised_s, LONGEST_WAIT_S) * random.uniform(1.0, 1.2)
        self._left_s -= wait_s
        await asyncio.sleep(wait_s)


class Persistence:
    """The patience of a session: it is resumed again and again, until nothing has moved for `patience_s`.

    A resume alone moves nothing: a stream that breaks as soon as it is resumed is given up as well.
    """

    def __init__(self, patience_s: float) -> None:
        self._patience_s = patience_s
        self._since: float | None = None
        self._tries = 0

    @property
    def is_half_spent(self) -> bool:
        """Whether the obvious has been tried for long enough."""
        return self._waited_s() >= self._patience_s / 2

    def progressed(self) -> None:
        """The session went further than before: patience begins anew."""
        self._since, self._tries = None, 0

    async def pause(self, problem: Problem | None) -> None:
        """Returns when it is time to try: at first nearly at once, then after pauses that grow.

        `problem` is what went wrong last, None when nothing has. Raises Problem when patience is over.
        """
        if self._since is None:
            self._since = asyncio.get_running_loop().time()
        left_s = self._patience_s - self._waited_s()
        if problem is not None and left_s <= 0:
            raise self._given_up(problem)
        await asyncio.sleep(max(0.0, min(self._wait_s(problem), left_s)))
        self._tries += 1

    def _waited_s(self) -> float:
        return 0.0 if self._since is None else asyncio.get_running_loop().time() - self._since

    def _wait_s(self, problem: Problem | None) -> float:
        """The first pause only keeps those apart who lost the same server; RetryInfo is heeded after that."""
        if not self._tries:
            return random.uniform(0, FIRST_WAIT_S)
        advised_s = (problem.details.retry_after_s or 0.0) if isinstance(problem, Refusal) else 0.0
        grown_s: float = FIRST_WAIT_S * 2 ** min(self._tries, 10)
        return max(min(grown_s, LONGEST_WAIT_S) * random.uniform(0.5, 1.0), min(advised_s, LONGEST_WAIT_S))

    def _given_up(self, problem: Problem) -> Problem:
        if not self._tries:
            return problem
        return Problem(
            f"The session could not be resumed within {self._patience_s:g} s. {problem.sentence}", problem.hint
        )
