"""How long the stages of a search take."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

STAGES = ("filter", "embed", "words", "vectors", "documents", "rerank", "snippets")


class Watch:
    """Of one search. Stages may overlap; what a stage takes again is added."""

    def __init__(self) -> None:
        self._began = time.perf_counter_ns()
        self._took_ns = dict.fromkeys(STAGES, 0)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Measure the block as part of the stage, however it ends."""
        began = time.perf_counter_ns()
        try:
            yield
        finally:
            self._took_ns[name] += time.perf_counter_ns() - began

    def add(self, name: str, took_us: int) -> None:
        """Count what was measured elsewhere."""
        self._took_ns[name] += took_us * 1000

    def took_us(self) -> dict[str, int]:
        """Microseconds by stage, and `total` since the beginning."""
        stages = self._took_ns | {"total": time.perf_counter_ns() - self._began}
        return {name: took // 1000 for name, took in stages.items()}
