"""How long the stages of a search take."""

import time

STAGES = ("filter", "embed", "words", "vectors", "documents", "rerank", "snippets")


class Watch:
    """Of one search. Stages may overlap; what a stage takes again is added."""

    def __init__(self) -> None:
        self._began = time.perf_counter_ns()
        self._took_ns = dict.fromkeys(STAGES, 0)

    def stage(self, name: str) -> "Stage":
        """Measures a block as part of the stage, however it ends."""
        return Stage(self._took_ns, name)

    def add(self, name: str, took_us: int) -> None:
        """Count what was measured elsewhere."""
        self._took_ns[name] += took_us * 1000

    def took_us(self) -> dict[str, int]:
        """Microseconds by stage, and `total` since the beginning."""
        stages = self._took_ns | {"total": time.perf_counter_ns() - self._began}
        return {name: took // 1000 for name, took in stages.items()}


class Stage:
    """One block. A class, since a generator takes five times as long, and a search has ten of them."""

    __slots__ = ("_began", "_name", "_took_ns")

    def __init__(self, took_ns: dict[str, int], name: str) -> None:
        self._took_ns = took_ns
        self._name = name

    def __enter__(self) -> None:
        self._began = time.perf_counter_ns()

    def __exit__(self, *_: object) -> None:
        self._took_ns[self._name] += time.perf_counter_ns() - self._began
