"""How busy the speech model is, measured on what it was asked for; and how many sessions that lets in."""

import math
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from servers.common.errors import Overloaded

Clock = Callable[[], float]

NEWEST_WEIGHT = 0.2
"""How much the newest inference counts in an average of waiting."""
UNHURRIED_S = 0.06
"""A queue of so many seconds in front of the model is one that partials must not add to."""
USUAL_S = 0.25
"""What a final took the model where `LoadLimits.session_busy` was measured."""
LEARNING = 0.05
"""How much the newest final counts in the average of what finals take."""
FORGETTING = 30
"""That average is forgotten so many times more slowly than the load: a machine stays slow while nobody speaks, but a
moment in which it was must not keep sessions out for ever."""
HURRIED = 2.0
"""From twice the load at which partials become rarer on, only finals are worth the model's time."""


@dataclass(frozen=True)
class LoadLimits:
    """When a server takes no more sessions."""

    instances: int = 2
    """Threads or processes that the model has, each of which works on one inference or on several together."""
    busy: float = 0.45
    """The share of the model's time that the finals of this server may need; others share it. Partials take what is
    left."""
    wait_s: float = 0.25
    """How long finals may wait for the model on average."""
    session_busy: float = 0.04
    """The share that a session is taken to need until it has been heard; more where the model is slower."""
    unheard_s: float = 15.0
    """How long that is."""


class Load:
    """Averages that forget: what lies `MEMORY_S` back counts for 1/e of what happens now."""

    MEMORY_S = 10.0

    def __init__(self, limits: LoadLimits, clock: Clock = time.monotonic) -> None:
        self._limits = limits
        self._clock = clock
        self._since = self._at = clock()
        self._worked = 0.0
        self._each_s = USUAL_S
        self._wait_s = 0.0
        self._queue_s = 0.0
        self._background_queue_s = 0.0
        self._arrivals: list[float] = []

    def feel(self, waited_s: float, *, background: bool = False) -> None:
        """An inference waited so long in front of the model, or of the instance that is there for the background."""
        self._fade()
        if background:
            self._background_queue_s += NEWEST_WEIGHT * (waited_s - self._background_queue_s)
        else:
            self._queue_s += NEWEST_WEIGHT * (waited_s - self._queue_s)

    @property
    def pressure(self) -> float:
        """What finals need of the model, as a share of what they should: below 1 there is room.

        Several servers share the model and know nothing of each other: the queue in front of it tells each of them.
        """
        return max(self.busy / self._limits.busy, self._queue_s / UNHURRIED_S)

    @property
    def hurried(self) -> bool:
        """Whether there is time for nothing but finals: none to begin one at a pause, a third of which are thrown away,
        and none to refine."""
        return self.pressure > HURRIED

    @property
    def slowdown(self) -> int:
        """How many times rarer partials have to be than they would be on an idle model: 1, 2, 4, 8 or 16."""
        pressure = max(self.pressure, self._background_queue_s / UNHURRIED_S)
        return 1 if pressure < 0.5 else min(16, 2 ** math.ceil(math.log2(2 * pressure)))

    @property
    def at_ease(self) -> bool:
        """Whether there is time for more than what somebody waits for: partials are at most twice as rare as ever."""
        return self.slowdown <= 2

    def note(self, waited_s: float, worked_s: float) -> None:
        """A final, or what may become one, waited and was worked on for so long."""
        self._fade()
        self._worked += worked_s
        self._each_s += LEARNING * (worked_s - self._each_s)
        self._wait_s += NEWEST_WEIGHT * (waited_s - self._wait_s)

    @property
    def busy(self) -> float:
        """The share of the model's time that finals needed lately, 0 to about 1."""
        self._fade()
        window = self.MEMORY_S * (1 - math.exp(-max(self._at - self._since, 1.0) / self.MEMORY_S))
        return self._worked / (window * self._limits.instances)

    @property
    def wait_s(self) -> float:
        """How long finals waited for the model lately, on average; fades when there are none, so that a crowd that has
        gone keeps nobody out."""
        self._fade()
        return self._wait_s

    @property
    def session_busy(self) -> float:
        """The share that a session is taken to need: on a slower machine in proportion to what finals took so far."""
        return self._limits.session_busy * max(1.0, self._each_s / USUAL_S)

    def admit(self) -> float:
        """Count a new session; Overloaded when those that are there leave no room for it. `forget` takes the answer."""
        limits, now = self._limits, self._clock()
        self._arrivals = [arrival for arrival in self._arrivals if now - arrival < limits.unheard_s]
        expected = self.busy + (len(self._arrivals) + 1) * self.session_busy
        if expected > limits.busy or self.wait_s > limits.wait_s:
            figures = {"busy": f"{self.busy:.2f}", "wait_s": f"{self.wait_s:.2f}"}
            raise Overloaded("the speech model has no time left for another session", **figures)
        self._arrivals.append(now)
        return now

    def forget(self, arrival: float) -> None:
        """A session that was admitted has ended: if it was not heard yet, there is room for another."""
        with suppress(ValueError):
            self._arrivals.remove(arrival)

    def _fade(self) -> None:
        now = self._clock()
        share = math.exp((self._at - now) / self.MEMORY_S)
        self._worked *= share
        self._wait_s *= share
        self._queue_s *= share
        self._background_queue_s *= share
        self._each_s = USUAL_S + (self._each_s - USUAL_S) * share ** (1 / FORGETTING)
        self._at = now
