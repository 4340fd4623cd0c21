"""The database's schema, brought up to date by dbmate before the metadata server starts."""

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from mesh.home import REPOSITORY
from mesh.wheels import BIN

MIGRATIONS = REPOSITORY / "servers" / "metadata" / "migrations"
DATABASE_WAIT_S = 60

_UP, _DOWN = "-- migrate:up", "-- migrate:down"


class MigrationFailed(Exception):
    """dbmate could not bring the schema up to date, or back; its own words are in the log."""


@dataclass(frozen=True)
class Migration:
    """One step of the schema: a file with the SQL that takes it, and the SQL that takes it back."""

    path: Path
    up: str
    down: str

    @property
    def name(self) -> str:
        """The file's name without its ending."""
        return self.path.stem


def read(folder: Path = MIGRATIONS) -> list[Migration]:
    """The migrations in the order in which they run. Raises MigrationFailed for a file without a way back."""
    return [_read(path) for path in sorted(folder.glob("*.sql"))]


def _read(path: Path) -> Migration:
    _, up_marked, rest = path.read_text(encoding="utf-8").partition(_UP)
    up, down_marked, down = rest.partition(_DOWN)
    if not up_marked or not down_marked or not _statements(down):
        raise MigrationFailed(f"{path.name} has no statements after {_UP!r} and after {_DOWN!r}")
    return Migration(path, _statements(up), _statements(down))


def _statements(section: str) -> str:
    """What follows the options, which end the marker's line."""
    return section.partition("\n")[2].strip()


def apply(dsn: str, folder: Path = MIGRATIONS) -> None:
    """Waits for the database and runs what it has not seen yet, as the owner of the schema.

    Raises MigrationFailed when a migration fails or the database stays away for a minute.
    """
    if not any(folder.glob("*.sql")):
        print(f"there are no migrations in {folder}", flush=True)
        return
    _dbmate(dsn, folder, "--wait", "--wait-timeout", f"{DATABASE_WAIT_S}s", "up")


def roll_back(dsn: str, folder: Path = MIGRATIONS) -> None:
    """Takes the newest migration back, as the owner of the schema. Raises MigrationFailed."""
    _dbmate(dsn, folder, "rollback")


def _dbmate(dsn: str, folder: Path, *arguments: str) -> None:
    command = [str(BIN / "dbmate"), "--migrations-dir", str(folder), "--no-dump-schema", *arguments]
    env = os.environ | {"DATABASE_URL": f"{dsn}?sslmode=disable"}
    done = subprocess.run(command, env=env, check=False, timeout=10 * DATABASE_WAIT_S)
    if done.returncode != 0:
        raise MigrationFailed(f"dbmate ended with status {done.returncode}")
