"""Bringing the mesh up, taking it down, restarting a part; one of these at a time for each home folder."""

import contextlib
import fcntl
import json
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import psutil
from rich.console import Console
from rich.markup import escape

from mesh import canary, edge, processes, starts
from mesh.health import Health
from mesh.home import Home
from mesh.keys import Keys
from mesh.parts import Part, parts
from mesh.ports import Ports
from mesh.supervision import STOP_TIMEOUT_S, Process, Supervisor, SupervisorAway, launch

LOCK_WAIT_S = 120
POLL_S = 0.5
CRASHES_GIVEN_UP = 8
TAIL_LINES = 15


class MeshError(Exception):
    """The mesh could not be brought to what was asked; the message says why and what to do."""


@dataclass(frozen=True)
class Mesh:
    """One mesh on this machine: its folder, its ports, and the people it talks to."""

    home: Home
    ports: Ports
    console: Console

    @property
    def parts(self) -> list[Part]:
        """All parts, in the order of their start."""
        return parts(self.ports, self.home)

    @property
    def supervisor(self) -> Supervisor:
        """The supervisor, running or not."""
        return Supervisor(self.home, self.ports)

    def part(self, name: str) -> Part:
        """The part called `name`. Raises MeshError, naming those there are, when there is none."""
        found = {part.name: part for part in self.parts}
        if name not in found:
            raise MeshError(f"there is no part called {name!r}; there are {', '.join(found)}")
        return found[name]

    def log(self, name: str) -> Path:
        """Where the log of a part is."""
        return self.home.logs / f"{name}.log"

    def up(self, only: Iterable[str] = (), timeout_s: float = 300) -> None:
        """Starts what does not run yet and returns when all of it is well.

        Raises MeshError when a port is taken, the supervisor does not start, or a part is not well in time.
        """
        self.home.create()
        with self._alone():
            chosen = self._chosen(only)
            if self.supervisor.pid() is None:
                self._start_supervisor(chosen)
            _write_selection(self.home, {part.name for part in chosen} | read_selection(self.home))
            for part in chosen:
                self.supervisor.start(part.name)
            self._await_well(chosen, timeout_s)

    def down(self) -> None:
        """Stops every part in reverse order, then the supervisor; nothing of the mesh remains. The data stays.

        Raises MeshError when a process survives even KILL.
        """
        self.home.create()
        with self._alone():
            began = time.monotonic()
            running = self._shut_down()
            left = processes.end(processes.ours(self.home))
            if left:
                raise MeshError(f"these would not end: {', '.join(str(process.pid) for process in left)}")
            _forget_selection(self.home)
            canary.forget(self.home)
            took = f"stopped in {time.monotonic() - began:.1f} s; its data is in {self.home.root}"
            self.console.print(f"The mesh is {took}." if running else "The mesh was not running.")

    def restart(self, name: str, timeout_s: float = 300) -> None:
        """Stops and starts one part and waits until it is well. Raises MeshError when it is not, or all is down."""
        part = self.part(name)
        self._require_up()  # where nothing has ever run there is not even a place for the lock
        with self._alone():
            self._require_up()
            self.supervisor.stop(name)
            self.supervisor.start(name)
            self._await_well([part], timeout_s)

    def kill(self, name: str, signal: str = "KILL") -> None:
        """Sends a signal to one part, to see it come back. Raises MeshError when the mesh is down."""
        self.part(name)
        self._require_up()
        self.supervisor.signal(name, signal)

    def canary(self, weight: int | None) -> int:
        """The per cent of new calls that the canary of asr gets, after it was set to `weight` unless that is None.

        Raises MeshError when the mesh is down, runtime.EdgeAway when Envoy does not answer.
        """
        self._require_up()
        if weight is not None:
            canary.change(self.home, self.ports, weight)
        return canary.current(self.ports)

    def _require_up(self) -> None:
        if self.supervisor.pid() is None:
            raise MeshError("the mesh is not running: `make up` starts it")

    def _chosen(self, only: Iterable[str]) -> list[Part]:
        names = {self.part(name).name for name in only}
        return [part for part in self.parts if not names or part.name in names or part.name == "watchdog"]

    def _start_supervisor(self, chosen: list[Part]) -> None:
        self._require_same_ports()
        self._clear_orphans()
        wanted = [getattr(self.ports, name) for part in chosen for name in part.ports] + [self.ports.supervisor]
        if taken := processes.holders(wanted):
            lines = "; ".join(map(str, taken))
            raise MeshError(f"{lines}. Stop what holds it, or choose others: export AI2TEXT_PORT_BASE=18080")
        starts.forget(self.home)
        _forget_selection(self.home)
        canary.weight(self.home)  # a useless one is said here, not in Envoy's log
        edge.sampling()
        Keys(self.home.keys).ensure()
        self.ports.remember(self.home)
        launch(self.home, self.ports, self.parts)

    def _require_same_ports(self) -> None:
        """Raises MeshError when the mesh of this home runs, on other ports: its processes are no orphans."""
        before = Ports.recorded(self.home)
        if before is not None and before.base != self.ports.base and Supervisor(self.home, before).pid() is not None:
            raise MeshError(f"the mesh of {self.home.root} runs on port base {before.base}: `make down` first")

    def _clear_orphans(self) -> None:
        orphans = processes.ours(self.home)
        if not orphans:
            return
        self.console.print(f"The supervisor had died: ending {len(orphans)} processes that it left behind.")
        if left := processes.end(orphans):
            raise MeshError(f"these would not end: {', '.join(str(process.pid) for process in left)}")

    def _shut_down(self) -> bool:
        """Whether there was anything to shut down."""
        pid = self.supervisor.pid()
        if pid is None:
            return bool(processes.ours(self.home))
        with self.console.status("stopping"):
            self.supervisor.shutdown()
            with contextlib.suppress(psutil.NoSuchProcess, psutil.TimeoutExpired):
                psutil.Process(pid).wait(STOP_TIMEOUT_S)
        return True

    def _await_well(self, chosen: list[Part], timeout_s: float) -> None:
        began = time.monotonic()
        waiting = {part.name: part for part in chosen}
        width = max(map(len, waiting))
        with self.console.status("starting") as spinner, ThreadPoolExecutor(len(waiting)) as pool:
            while waiting:
                spinner.update(f"waiting for {', '.join(waiting)}")
                looks = dict(zip(waiting, pool.map(lambda part: part.check(), waiting.values()), strict=True))
                running = self.supervisor.processes()
                for name, look in looks.items():
                    if look.well and running[name].running:
                        del waiting[name]
                        self._tell(f"[green]✓[/] {name:<{width}}  {escape(look.words)}", began)
                self._give_up_on(waiting, running, looks, time.monotonic() - began > timeout_s)
                time.sleep(POLL_S if waiting else 0)

    def _give_up_on(
        self, waiting: dict[str, Part], running: dict[str, Process], looks: dict[str, Health], late: bool
    ) -> None:
        for name in waiting:
            start = starts.read(self.home, name)
            crashes = start.count if start and running[name].state == "BACKOFF" else 0
            if late or crashes >= CRASHES_GIVEN_UP:
                why = f"has ended {crashes} times" if crashes else f"is not well: {looks[name].words}"
                tail = "\n".join(f"    {line}" for line in last_lines(self.log(name), TAIL_LINES))
                raise MeshError(f"{name} {why}. The end of {self.log(name)}:\n{tail}")

    def _tell(self, line: str, began: float) -> None:
        self.console.print(f"  {line}  [dim]{time.monotonic() - began:.1f} s[/]", highlight=False)

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        """Waits for another `up`, `down` or `restart` of this mesh to end. Raises MeshError after two minutes."""
        with (self.home.run / "lock").open("w", encoding="utf-8") as file:
            deadline = time.monotonic() + LOCK_WAIT_S
            while True:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if time.monotonic() > deadline:
                        raise MeshError("another `mesh up` or `mesh down` has been at work for two minutes") from None
                    time.sleep(POLL_S)
            yield


def read_selection(home: Home) -> set[str]:
    """The parts that `up` was asked for since the supervisor started; empty when it was not."""
    try:
        return set(json.loads(_selection(home).read_text(encoding="utf-8")))
    except (FileNotFoundError, ValueError):
        return set()


def _write_selection(home: Home, names: set[str]) -> None:
    _selection(home).write_text(json.dumps(sorted(names)), encoding="utf-8")


def _forget_selection(home: Home) -> None:
    _selection(home).unlink(missing_ok=True)


def _selection(home: Home) -> Path:
    return home.run / "selected.json"


def last_lines(path: Path, count: int, window: int = 64 << 10) -> list[str]:
    """The last lines of a log, without reading all of it; empty when there is none."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - window))
            lines = file.read().decode(errors="replace").splitlines()
            return lines[max(0, len(lines) - count) :]
    except FileNotFoundError:
        return []


__all__ = ["Mesh", "MeshError", "SupervisorAway", "last_lines", "read_selection"]
