"""CPU and memory of the mesh's parts while something runs."""

import threading
import time
from dataclasses import dataclass
from types import TracebackType

import psutil

from mesh import starts
from mesh.home import Home

EVERY_S = 1.0
MIB = 1 << 20


@dataclass(frozen=True)
class Snapshot:
    """What had been used at one moment, by part: CPU in seconds since it began, memory in bytes."""

    at: float
    cpu_s: dict[str, float]
    rss: dict[str, int]
    machine_s: float
    """CPU seconds of the whole machine, whoever used them."""

    @classmethod
    def take(cls, home: Home) -> "Snapshot":
        """Now."""
        seen = {name: _of(start) for name, start in starts.read_all(home).items()}
        times = psutil.cpu_times()
        busy = sum(times) - times.idle - times.iowait - times.guest - times.guest_nice  # guests count as users too
        return cls(
            time.monotonic(),
            {name: cpu for name, (cpu, _) in seen.items()},
            {name: rss for name, (_, rss) in seen.items()},
            busy,
        )


@dataclass(frozen=True)
class Usage:
    """What was used from one moment to another."""

    cores: dict[str, float]
    """By part, on average."""
    memory_mib: dict[str, float]
    """By part, the most."""
    busy_cores: float = 0.0
    """Of the whole machine."""

    @classmethod
    def between(cls, first: Snapshot, last: Snapshot, most: dict[str, int]) -> "Usage":
        """`most` is each part's memory at its highest."""
        seconds = max(last.at - first.at, 1e-9)
        cores = {name: (cpu - first.cpu_s.get(name, cpu)) / seconds for name, cpu in last.cpu_s.items()}
        busy = (last.machine_s - first.machine_s) / seconds
        return cls(cores, {name: rss / MIB for name, rss in most.items()}, busy)

    def cores_of(self, prefix: str) -> float:
        """Of all parts whose name begins so."""
        return sum(cores for name, cores in self.cores.items() if name.startswith(prefix))

    def memory_of(self, prefix: str) -> float:
        """Of all parts whose name begins so, in MiB."""
        return sum(memory for name, memory in self.memory_mib.items() if name.startswith(prefix))


class Meter:
    """Looks at the parts once a second within a window, from a thread; `usage` is known when the block is left."""

    def __init__(self, home: Home, window: tuple[float, float]) -> None:
        """`window`: from when to when, as `time.monotonic()` has it. Leaving the block earlier ends it."""
        self.usage = Usage({}, {})
        self._home = home
        self._window = window
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="meter", daemon=True)

    def __enter__(self) -> "Meter":
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        begin, end = self._window
        self._over.wait(max(0.0, begin - time.monotonic()))
        first = last = Snapshot.take(self._home)
        most = dict(first.rss)
        while not self._over.is_set() and last.at < end:
            self._over.wait(max(0.0, min(EVERY_S, end - last.at)))
            last = Snapshot.take(self._home)
            most = {name: max(rss, most.get(name, 0)) for name, rss in last.rss.items()}
        self.usage = Usage.between(first, last, most)


def _of(start: starts.Start) -> tuple[float, int]:
    """CPU seconds and memory of a part and of the processes that it has started; nothing when it has gone."""
    try:
        process = start.process()
        family = [process, *process.children(recursive=True)] if process else []
        times = [member.cpu_times() for member in family]
        return sum(t.user + t.system for t in times), sum(member.memory_info().rss for member in family)
    except psutil.NoSuchProcess:
        return 0.0, 0
