"""Generations: what searches of a tenant may find has changed between one and the next."""

import time
import uuid
from collections.abc import Callable

QUIET_S = 1.0
"""For so long after a change the next one is to be expected: who speaks goes on speaking."""


class Generations:
    """Of all tenants, as long as this server runs; another run has others. Only the event loop may use it."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._run = uuid.uuid4().hex
        self._clock = clock
        self._newest = dict[str, tuple[int, float]]()
        """The number of each tenant's generation, and when it began."""

    def count_up(self, tenant: str) -> None:
        """Begin the next generation of a tenant."""
        number, _ = self._newest.get(tenant, (0, 0.0))
        self._newest[tenant] = number + 1, self._clock()

    def of(self, tenant: str) -> str | None:
        """Names the generation that a tenant is in; None while it is likely to end soon."""
        number, began = self._newest.get(tenant, (0, -QUIET_S))
        return f"{self._run}-{number}" if number == 0 or self._clock() - began >= QUIET_S else None
