"""Counters for what happens often: to count is to add one to a number, and attributes are made when somebody looks."""

from collections import Counter
from collections.abc import Iterable, Sequence

from opentelemetry.metrics import CallbackOptions, Meter, Observation


class Tally:
    """A counter of a meter, by the values of `names`. Counts from one thread."""

    def __init__(self, meter: Meter, name: str, description: str, names: Sequence[str]) -> None:
        self._names = names
        self._counts = Counter[tuple[str, ...]]()
        self._create(meter, name, description)

    def count(self, *values: str) -> None:
        """One more with these values, in the order of the names."""
        self._counts[values] += 1

    def _create(self, meter: Meter, name: str, description: str) -> None:
        meter.create_observable_counter(name, [self._observed], description=description)

    def _observed(self, _: CallbackOptions) -> Iterable[Observation]:
        return [
            Observation(count, dict(zip(self._names, values, strict=True)))
            for values, count in list(self._counts.items())
        ]


class Level(Tally):
    """The same of what also becomes less."""

    def lower(self, *values: str) -> None:
        """One less with these values."""
        self._counts[values] -= 1

    def _create(self, meter: Meter, name: str, description: str) -> None:
        meter.create_observable_up_down_counter(name, [self._observed], description=description)
