"""How values are spread."""

import math
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Spread:
    """Percentiles by nearest rank, so that each is a value that was seen; NaN of nothing."""

    count: int
    p50: float
    p95: float
    p99: float

    @classmethod
    def of(cls, values: Iterable[float]) -> "Spread":
        """The spread of `values`, in any order."""
        ordered = sorted(values)
        return cls(len(ordered), *(_ranked(ordered, share) for share in (0.5, 0.95, 0.99)))

    def __bool__(self) -> bool:
        return self.count > 0


def percentile(values: Iterable[float], share: float) -> float:
    """The least of the values that is no less than `share` of them; NaN of nothing."""
    return _ranked(sorted(values), share)


def _ranked(ordered: list[float], share: float) -> float:
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)] if ordered else math.nan
