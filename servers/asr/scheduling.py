"""One queue to the model: finals, speculations, partials of long utterances, partials, refinements; few in flight.

The model batches what is in flight. Triton's own priority levels stall its batching, so priorities live here.
"""

import asyncio
import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from enum import IntEnum

from servers.asr.load import Load
from servers.asr.recognition import Hypothesis, Recognizer, Request
from servers.common import backoff
from servers.common.errors import DependencyUnavailable


class Urgency(IntEnum):
    """What is asked for; the lower goes first."""

    FINAL = 0
    """The utterance has ended: somebody waits for its text."""
    SPECULATION = 1
    """The speaker paused: the text is wanted if that was the end."""
    SETTLING = 2
    """The speaker goes on, and has for long: a partial that leaves the final less to do."""
    PARTIAL = 3
    """The speaker goes on."""
    REFINEMENT = 4
    """The text is there, and might be better."""

    @property
    def is_background(self) -> bool:
        """Whether nobody waits for it."""
        return self >= Urgency.SETTLING


class Errand:
    """One request, from its wish to its hypothesis. It may become more urgent while it waits."""

    def __init__(self, urgency: Urgency, make: Callable[[], Request | None]) -> None:
        """`make` is called when the turn has come, so that a partial hears the newest audio; None: no longer wanted."""
        self.urgency = urgency
        self.make = make


@dataclass(frozen=True)
class Lanes:
    """How many inferences may be in flight at once."""

    final: int = 4
    """A final goes out while fewer than so many finals and speculations are in flight."""
    speculation: int = 2
    """A speculation, while fewer than so many of both are in flight: all that are there slow each other."""
    background: int = 1
    """Partials and refinements at the same time. They go to an instance of their own, which only takes the time that
    the others leave."""

    @classmethod
    def of(cls, instances: int, in_flight: int) -> "Lanes":
        """The lanes of a model with so many instances, which may hold so many inferences."""
        return cls(max(in_flight, instances), max(in_flight // 2, instances))


class Scheduler:
    """Lets the most urgent errands go to the recognizer first, and as many at once as there are lanes.

    Finals and speculations that fail because the model is away are tried again for up to `retry_s` seconds: a restart
    of Triton takes several. Partials and refinements are not.
    """

    def __init__(self, recognizer: Recognizer, lanes: Lanes, load: Load, retry_s: float) -> None:
        self.load = load
        self._recognizer = recognizer
        self._lanes = lanes
        self._retry_s = retry_s
        self._order = itertools.count()
        self._waiting: list[tuple[int, Errand, asyncio.Future[Urgency]]] = []
        self._in_flight = dict.fromkeys(Urgency, 0)

    async def check(self) -> None:
        """Raise DependencyUnavailable when the model is not ready."""
        await self._recognizer.check()

    async def run(self, errand: Errand) -> Hypothesis | None:
        """Wait for a turn and transcribe; None when the errand was no longer wanted.

        Nothing is refused: each session has few errands, and the number of sessions is bounded.
        """
        loop = asyncio.get_running_loop()
        asked = loop.time()
        for delay in backoff.delays(first_s=0.25, longest_s=2.0):
            queued = loop.time()
            with self._lane(await self._turn(errand)):
                request = errand.make()
                if request is None:
                    return None
                sent = loop.time()
                try:
                    hypothesis = await self._recognizer.recognize(request)
                    self._note(errand, hypothesis, queued, sent)
                    return replace(hypothesis, queue_s=max(0.0, loop.time() - hypothesis.inference_s - asked))
                except DependencyUnavailable:
                    if errand.urgency.is_background or loop.time() - asked + delay > self._retry_s:
                        raise
            await asyncio.sleep(delay)
        raise AssertionError("the delays are endless")

    def hasten(self, errand: Errand) -> None:
        """A speculation has become a final."""
        errand.urgency = Urgency.FINAL
        self._dispatch()

    def _note(self, errand: Errand, hypothesis: Hypothesis, queued: float, sent: float) -> None:
        """Tell the load how long the errand waited for others, here and at the model, in front of it or beside what it
        worked on at the same time. What it waited before, while the model was away, is no load: it must keep nobody
        out once the model is back."""
        alone = asyncio.get_running_loop().time() - hypothesis.worked_s
        self.load.feel(max(0.0, alone - sent), background=errand.urgency.is_background)
        if not errand.urgency.is_background:
            self.load.note(max(0.0, alone - queued), hypothesis.worked_s)

    async def _turn(self, errand: Errand) -> Urgency:
        """Wait; the urgency that it had when its turn came, and under which it is in flight."""
        turn: asyncio.Future[Urgency] = asyncio.get_running_loop().create_future()
        self._waiting.append((next(self._order), errand, turn))
        self._dispatch()
        try:
            return await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._leave(turn.result())
            else:
                self._waiting = [entry for entry in self._waiting if entry[2] is not turn]
            raise

    def _dispatch(self) -> None:
        """Give a turn to all that may go, the most urgent first, then the oldest."""
        self._waiting.sort(key=lambda entry: (entry[1].urgency, entry[0]))
        for entry in list(self._waiting):
            _, errand, turn = entry
            if turn.cancelled():  # who waited has given up, and has not come round to saying so
                self._waiting.remove(entry)
            elif self._may_go(errand.urgency):
                self._waiting.remove(entry)
                self._in_flight[errand.urgency] += 1
                turn.set_result(errand.urgency)

    def _may_go(self, urgency: Urgency) -> bool:
        if urgency.is_background:
            return sum(self._in_flight[each] for each in Urgency if each.is_background) < self._lanes.background
        wanted = self._in_flight[Urgency.FINAL] + self._in_flight[Urgency.SPECULATION]
        return wanted < (self._lanes.final if urgency is Urgency.FINAL else self._lanes.speculation)

    @contextmanager
    def _lane(self, urgency: Urgency) -> Iterator[None]:
        try:
            yield
        finally:
            self._leave(urgency)

    def _leave(self, urgency: Urgency) -> None:
        self._in_flight[urgency] -= 1
        self._dispatch()
