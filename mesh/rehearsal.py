"""Rehearses the migrations on a throw-away Postgres that is full: `make rehearse-migrations`.

Each migration is printed as it will run. Those after the first ones go up, down and up again over a million segments;
in the end all go down, the newest first, and up once more. A migration fails when it cannot be taken back, when the way
back leaves another schema or other rows than there were, or when on its way up it keeps others from a table for longer
than servers wait.
"""

import argparse
import json
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import psycopg
from rich.console import Console
from rich.table import Table

from mesh import locks, migrations, population, postgres, schema
from mesh.home import REPOSITORY
from mesh.locks import Held
from mesh.migrations import Migration, MigrationFailed
from mesh.ports import HOST

SEGMENTS = 1_000_000
FILLED_AFTER = "20261124000100_outbox"
"""The migration after which the tables are filled: those up to it make the first tables."""

LONGEST_LOCK_S = 3.0
"""How long a server waits for a lock before it answers that Postgres is away."""

REPORT = REPOSITORY / "build" / "bench" / "migrations.json"

STOP_SECONDS = 60
_ENDINGS = (signal.SIGTERM, signal.SIGHUP)


class RehearsalFailed(Exception):
    """A migration must not run like this; the message says which and why."""


@dataclass(frozen=True)
class Step:
    """One run of a migration."""

    migration: str
    direction: str
    """`up` or `down`."""
    rows: int
    """In all tables, before."""
    seconds: float
    locks: tuple[Held, ...]
    """Of tables that were there before, the longest first."""


class Rehearsal:
    """The migrations of a folder over one database, which is empty at first."""

    def __init__(self, dsn: str, folder: Path, segments: int, show: Callable[[str], None]) -> None:
        self._dsn = dsn
        self._folder = folder
        self._segments = segments
        self._show = show
        self._steps: list[Step] = []

    def run(self) -> list[Step]:
        """Every step, in order. Raises RehearsalFailed, MigrationFailed."""
        every = migrations.read(self._folder)
        with tempfile.TemporaryDirectory(prefix="ai2text-migrations-") as path:
            known = Path(path)
            for migration in every:
                self._plan(migration)
                shutil.copy(migration.path, known)
                if migration.name <= FILLED_AFTER:
                    self._step(migration, "up", known)
                    if migration.name == FILLED_AFTER:
                        self._fill()
                else:
                    self._there_and_back(migration, known)
            self._down_and_up(every, known)
        return self._steps

    def _plan(self, migration: Migration) -> None:
        self._show(f"\n== {migration.name}\n-- up\n{migration.up}\n-- down\n{migration.down}")

    def _fill(self) -> None:
        began = time.monotonic()
        population.fill(self._dsn, self._segments)
        self._show(f"\n{self._segments} segments were written in {time.monotonic() - began:.1f} s")

    def _there_and_back(self, migration: Migration, known: Path) -> None:
        """Up, down and up again, over what is stored."""
        before, rows = schema.snapshot(self._dsn), population.count(self._dsn)
        self._step(migration, "up", known)
        above = schema.snapshot(self._dsn)
        self._step(migration, "down", known)
        _same(migration, "the way back leaves another schema", before, schema.snapshot(self._dsn))
        if population.count(self._dsn) != rows:
            raise RehearsalFailed(f"{migration.name}: the way there and back changes the number of rows")
        self._step(migration, "up", known)
        _same(migration, "the second way up ends elsewhere", above, schema.snapshot(self._dsn))

    def _down_and_up(self, every: list[Migration], known: Path) -> None:
        """All of them down, with what is stored, and up again."""
        above = schema.snapshot(self._dsn)
        for migration in reversed(every):
            self._step(migration, "down", known)
            (known / migration.path.name).unlink()
        _same(every[0], "something is left when all are taken back", set(), schema.snapshot(self._dsn))
        for migration in every:
            shutil.copy(migration.path, known)
            self._step(migration, "up", known)
        _same(every[-1], "the second way up ends elsewhere", above, schema.snapshot(self._dsn))

    def _step(self, migration: Migration, direction: str, known: Path) -> None:
        rows = sum(population.count(self._dsn).values())
        with locks.watched(self._dsn) as watch:
            began = time.monotonic()
            (migrations.apply if direction == "up" else migrations.roll_back)(self._dsn, known)
            took = time.monotonic() - began
        step = Step(migration.name, direction, rows, took, tuple(watch.held))
        self._steps.append(step)
        if direction == "up" and step.locks and step.locks[0].seconds > LONGEST_LOCK_S:
            longest = step.locks[0]
            raise RehearsalFailed(
                f"{step.migration} keeps {longest.keeps_off} off {longest.table} for {longest.seconds:.1f} s; "
                f"servers wait for {LONGEST_LOCK_S:.0f} s"
            )


def _same(migration: Migration, otherwise: str, before: set[str], after: set[str]) -> None:
    if before != after:
        different = "; ".join(sorted(before ^ after)[:5])
        raise RehearsalFailed(f"{migration.name}: {otherwise}: {different}")


@contextmanager
def throwaway() -> Iterator[str]:
    """The owner's address of an empty database on a Postgres of its own, gone at the end of the block."""
    folder = Path(tempfile.mkdtemp(prefix="ai2text-rehearsal-"))
    folder.chmod(0o755)
    cluster, port = folder / "cluster", _free_port()
    try:
        postgres.prepare(cluster)
        command, user = postgres.command(cluster, port), postgres.system_user()
        with (folder / "log").open("wb") as log:
            server = subprocess.Popen(command, user=user, cwd="/", stdout=log, stderr=log)
        try:
            _wait_for(postgres.dsn(port, postgres.OWNER), server)
            yield postgres.dsn(port, postgres.OWNER)
        finally:
            _stop(server)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _stop(server: "subprocess.Popen[bytes]") -> None:
    server.send_signal(signal.SIGINT)  # at SIGTERM it waits until the last client has gone
    try:
        server.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()


@contextmanager
def ending_in_order() -> Iterator[None]:
    """Within the block SIGTERM and SIGHUP raise SystemExit, so that what was started is stopped; `nohup` still holds.

    It is raised once: another signal disturbs nobody who is stopping something.
    """
    before = {each: handler for each in _ENDINGS if (handler := signal.getsignal(each)) is not signal.SIG_IGN}

    def leave(number: int, _: object) -> None:
        for each in before:
            signal.signal(each, signal.SIG_IGN)
        sys.exit(128 + number)

    for each in before:
        signal.signal(each, leave)
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def _wait_for(dsn: str, server: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + 60
    while server.poll() is None and time.monotonic() < deadline:
        try:
            psycopg.connect(dsn, connect_timeout=2).close()
        except psycopg.OperationalError:
            time.sleep(0.05)
            continue
        return
    raise RehearsalFailed("the throw-away Postgres did not start")


def table(steps: list[Step]) -> Table:
    """The steps for people."""
    shown = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for name in ("migration", "way"):
        shown.add_column(name, no_wrap=True)
    for name in ("rows", "took"):
        shown.add_column(name, justify="right", no_wrap=True)
    shown.add_column("locked against writes", no_wrap=True)
    for step in steps:
        kept = {held.table: f"{held.table} {held.seconds * 1000:.0f} ms" for held in reversed(step.locks)}
        who = ", ".join(kept.values()) or "-"
        shown.add_row(step.migration, step.direction, str(step.rows), f"{step.seconds:.2f} s", who)
    return shown


def main() -> int:
    """Rehearse, print, and write the figures; 1 when a migration must not run."""
    parser = argparse.ArgumentParser(description="Rehearse the migrations on a throw-away Postgres that is full.")
    parser.add_argument("--segments", type=int, default=SEGMENTS, help="How many segments it holds.")
    arguments = parser.parse_args()
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 160)

    def show(text: str) -> None:
        console.print(text, markup=False, soft_wrap=True)

    try:
        with ending_in_order(), throwaway() as dsn:
            steps = Rehearsal(dsn, migrations.MIGRATIONS, arguments.segments, show).run()
    except (RehearsalFailed, MigrationFailed) as error:
        show(f"\nfailed: {error}")
        return 1
    console.print()
    console.print(table(steps))
    REPORT.parent.mkdir(parents=True, exist_ok=True)
    REPORT.write_text(json.dumps({"segments": arguments.segments, "steps": [asdict(step) for step in steps]}, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
