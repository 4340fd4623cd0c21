"""What `make status` shows: each part with its process, its ports, its health in words, and where its log is."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import Any

from rich.markup import escape
from rich.table import Table

from mesh import starts
from mesh.health import Health, State
from mesh.lifecycle import Mesh, read_selection
from mesh.parts import Part
from mesh.supervision import Process, SupervisorAway

STOPPED = Process("", "STOPPED", 0, 0, "")
_WORDS = {
    "RUNNING": "running",
    "STARTING": "starting",
    "BACKOFF": "crashing",
    "STOPPING": "stopping",
    "STOPPED": "stopped",
    "EXITED": "ended",
    "FATAL": "given up",
}


@dataclass(frozen=True)
class Row:
    """One part."""

    part: str
    does: str
    state: str
    pid: int
    """0 when it does not run."""
    ports: dict[str, int]
    uptime_s: int
    restarts: int
    well: bool
    health: str
    log: str


@dataclass(frozen=True)
class Status:
    """The whole mesh."""

    endpoint: str
    home: str
    up: bool
    """Whether its supervisor runs."""
    well: bool
    """Whether every part that was asked for is well."""
    parts: list[Row]

    def as_json(self) -> dict[str, Any]:
        """For scripts."""
        return asdict(self)


def look(mesh: Mesh) -> Status:
    """Asks the supervisor and every part, all at once: two seconds at most, three with a slow supervisor."""
    try:
        processes, up = mesh.supervisor.processes(), True
    except SupervisorAway:
        processes, up = {}, False
    selected = read_selection(mesh.home) or {part.name for part in mesh.parts}
    with ThreadPoolExecutor(len(mesh.parts)) as pool:
        rows = list(pool.map(lambda part: _row(mesh, part, processes.get(part.name, STOPPED)), mesh.parts))
    well = up and all(row.well for row in rows if row.part in selected)
    return Status(f"http://{mesh.ports.address('edge')}", str(mesh.home.root), up, well, rows)


def _row(mesh: Mesh, part: Part, process: Process) -> Row:
    health = part.check() if process.running else Health(State.SILENT, process.words if process.name else "")
    start = starts.read(mesh.home, part.name)
    return Row(
        part=part.name,
        does=part.does,
        state=_WORDS.get(process.state, process.state.lower()),
        pid=process.pid,
        ports={name: getattr(mesh.ports, name) for name in part.ports},
        uptime_s=process.uptime_s,
        restarts=max(0, start.count - 1) if start and process.name else 0,
        well=health.well and process.running,
        health=health.words,
        log=str(mesh.log(part.name)),
    )


def table(status: Status, width: int) -> Table:
    """For people. A terminal of less than 120 columns is spared the log's path, which follows from the part's name."""
    headings = ["", "part", "state", "pid", "ports", "up", "restarts", "health", "log"]
    shown = headings if width >= 120 else headings[:-1]
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in shown:
        table.add_column(heading, no_wrap=heading in ("part", "state", "pid", "up"), overflow="fold")
    for row in status.parts:
        mark = "[green]✓[/]" if row.well else ("[dim]-[/]" if row.state == "stopped" else "[red]✗[/]")
        ports = " ".join(str(port) for port in row.ports.values())
        pid = str(row.pid) if row.pid else ""
        restarts = str(row.restarts) if row.restarts else ""
        log = row.log.removeprefix(status.home + "/")
        cells = [mark, row.part, row.state, pid, ports, duration(row.uptime_s), restarts, escape(row.health), log]
        table.add_row(*cells[: len(shown)])
    return table


def duration(seconds: int) -> str:
    """`3 s`, `4 min`, `5 h`, `6 d`; empty for nothing."""
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min"), (1, "s")):
        if seconds >= size:
            return f"{seconds // size} {unit}"
    return ""
