"""The watchdog: one part of the mesh that looks after the others.

The supervisor sees a process end; it does not see one that hangs. The watchdog asks every part the question that
`status` asks, and kills one that has not answered for 20 seconds though it has been up for longer than its patience,
or that is broken for good; the supervisor then starts it anew. To lack something one needs is an answer, and no reason
to be killed.

It looks after the supervisor too: when that was killed, the watchdog runs `mesh up`, which ends what was left behind
and starts everything again, another watchdog included. It tries until that succeeds.
"""

import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from mesh.health import State
from mesh.home import Home
from mesh.lifecycle import read_selection
from mesh.parts import Part, parts
from mesh.ports import Ports
from mesh.supervision import Process, Supervisor, SupervisorAway
from mesh.wheels import BIN

log = logging.getLogger("watchdog")

INTERVAL_S = 2.0
SILENCE_S = 20.0
REVIVAL_WAIT_S, REVIVAL_WAIT_MAX_S = 2.0, 60.0


@dataclass
class Silences:
    """Since when each part has been silent."""

    clock: Callable[[], float] = time.monotonic
    since: dict[str, float] = field(default_factory=dict)

    def hopeless(self, part: Part, process: Process, state: State) -> bool:
        """Whether the part has to be killed. It gets its patience back after each start."""
        if state is State.BROKEN:
            return process.state == "RUNNING"
        if state is not State.SILENT or process.state != "RUNNING" or process.uptime_s < part.patience_s:
            self.since.pop(part.name, None)
            return False
        if self.clock() - self.since.setdefault(part.name, self.clock()) < SILENCE_S:
            return False
        del self.since[part.name]
        return True


def watch(supervisor: Supervisor, watched: list[Part], silences: Silences, pool: ThreadPoolExecutor) -> None:
    """Looks at every part once, and kills those that hang. Raises SupervisorAway."""
    processes = supervisor.processes()
    running = [part for part in watched if processes[part.name].state == "RUNNING"]
    for part, health in zip(running, pool.map(lambda part: part.check(), running), strict=True):
        if silences.hopeless(part, processes[part.name], health.state):
            log.warning("%s does not recover by itself (%s): restarting it", part.name, health.words)
            supervisor.signal(part.name, part.kill_signal)


def orphaned(home: Home) -> bool:
    """Whether the supervisor that started us has gone."""
    try:
        return os.getppid() != int((home.run / "supervisord.pid").read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return True


def revive(home: Home) -> None:
    """Runs `mesh up` for the parts that ran, until that succeeds; `up` spares this process, its parent.

    Our own output led to the supervisor, so it goes to the log itself.
    """
    with (home.logs / "watchdog.log").open("ab") as file:
        os.dup2(file.fileno(), sys.stdout.fileno())
        os.dup2(file.fileno(), sys.stderr.fileno())
    only = ",".join(sorted(read_selection(home)))
    command = [str(BIN / "python"), "-m", "mesh", "up", *(["--only", only] if only else [])]
    log.error("the supervisor has died: starting the mesh again")
    wait_s = REVIVAL_WAIT_S
    while subprocess.run(command, start_new_session=True, check=False).returncode:
        log.error("the mesh does not start: trying again in %.0f s", wait_s)
        time.sleep(wait_s)
        wait_s = min(2 * wait_s, REVIVAL_WAIT_MAX_S)


def main() -> None:
    """Runs until SIGTERM."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    home, ports = Home.from_env(), Ports.from_env()
    watched = [part for part in parts(ports, home) if part.name != "watchdog"]
    silences, supervisor = Silences(), Supervisor(home, ports)
    with ThreadPoolExecutor(len(watched)) as pool:
        while True:
            time.sleep(INTERVAL_S)
            if orphaned(home):
                return revive(home)
            try:
                watch(supervisor, watched, silences, pool)
            except SupervisorAway as error:
                log.warning("%s", error)


if __name__ == "__main__":
    main()
