"""How many speakers are served well: rounds of N, and a search for the largest."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from bench import measures
from bench.budget import Budget
from bench.load import RAMP_S, REST_S, Generator, Round
from bench.measures import Figures
from bench.voices import Voice

LIMIT_MS = 500.0
"""Of the 95th percentile, from the end of speech to the final."""
OVERHEAD_S = 6.0 + REST_S
"""What a round takes beside its window and the arrivals."""
HEAVY_STREAMS = 10
TOLERANCE = 0.15
"""The search ends when the largest that holds and the least that does not are this near."""


def holds(figures: Figures) -> bool:
    """Whether all were served, and soon enough."""
    return figures.all_served and figures.latency.p95 < LIMIT_MS


def duration(streams: int, seconds: float) -> float:
    """How long a round takes in all."""
    return seconds + streams * RAMP_S + OVERHEAD_S


@dataclass
class Capacity:
    """Rounds on one mesh with one set of weights."""

    generator: Generator
    voices: Sequence[Voice]
    seed: int
    told: Callable[[Figures], None]
    """Called after each round."""
    rounds: dict[int, Round] = field(default_factory=dict)
    figures: dict[int, Figures] = field(default_factory=dict)

    def measure(self, streams: int, seconds: float) -> Figures:
        """One round, after a rest where it, or one before it, is heavy."""
        if self.figures and max(*self.figures, streams) >= HEAVY_STREAMS:
            time.sleep(REST_S)
        self.generator.await_admission()
        round_ = self.generator.round(self.voices, streams, seconds, self.seed)
        self.rounds[streams], self.figures[streams] = round_, measures.figures(round_)
        self.told(self.figures[streams])
        return self.figures[streams]

    @property
    def largest(self) -> int:
        """The most speakers that hold with no smaller number that does not; 0 when not even one does."""
        return max((streams for streams in self.figures if streams < self._least_failing), default=0)

    def search(self, seconds: float, budget: Budget) -> int | None:
        """Narrow down `largest` by rounds of `seconds`; returns it, or None when the budget ends the search first."""
        while (wanted := self.next_try()) is not None:
            if not budget.allows(duration(wanted, seconds), f"a round of {wanted} speakers in the search"):
                return None
            self.measure(wanted, seconds)
        return self.largest

    def next_try(self) -> int | None:
        """The number of speakers to try next; None when the answer is near enough."""
        least, largest = self._least_failing, self.largest
        if least == float("inf"):
            return max(1, 2 * largest)
        admitted = [figures.admitted for figures in self.figures.values() if not figures.all_served]
        least = min(least, max(largest, *admitted) + 1) if admitted else least  # more would be refused again
        middle = (int(least) + largest) // 2
        return middle if least - largest > max(1.0, TOLERANCE * largest) else None

    @property
    def _least_failing(self) -> float:
        return min((streams for streams, figures in self.figures.items() if not holds(figures)), default=float("inf"))
