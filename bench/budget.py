"""The time that a run may take; what does not fit any more is left out, and said."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass
class Budget:
    """So many seconds from now on."""

    seconds: float
    clock: Callable[[], float] = time.monotonic
    left_out: list[str] = field(default_factory=list)
    """What did not fit, in words."""

    def __post_init__(self) -> None:
        self._began = self.clock()

    @property
    def used_s(self) -> float:
        """How long it has taken so far."""
        return self.clock() - self._began

    @property
    def left_s(self) -> float:
        """What is left, never below zero."""
        return max(0.0, self.seconds - self.used_s)

    def allows(self, seconds: float, what: str) -> bool:
        """Whether something fits that takes so long; when not, it is noted as left out."""
        if seconds <= self.left_s:
            return True
        self.left_out.append(f"{what}: it takes {seconds:.0f} s, and {self.left_s:.0f} s were left")
        return False
