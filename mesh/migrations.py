"""The database's schema, brought up to date by dbmate before the metadata server starts."""

import os
import subprocess
from pathlib import Path

from mesh.home import REPOSITORY
from mesh.wheels import BIN

MIGRATIONS = REPOSITORY / "servers" / "metadata" / "migrations"
DATABASE_WAIT_S = 60


class MigrationFailed(Exception):
    """dbmate could not bring the schema up to date; its own words are in the log."""


def apply(dsn: str, folder: Path = MIGRATIONS) -> None:
    """Waits for the database and runs what it has not seen yet, as the owner of the schema.

    Raises MigrationFailed when a migration fails or the database stays away for a minute.
    """
    if not any(folder.glob("*.sql")):
        print(f"there are no migrations in {folder}", flush=True)
        return
    command = [str(BIN / "dbmate"), "--migrations-dir", str(folder), "--no-dump-schema"]
    waiting = ["--wait", "--wait-timeout", f"{DATABASE_WAIT_S}s"]
    env = os.environ | {"DATABASE_URL": f"{dsn}?sslmode=disable"}
    done = subprocess.run([*command, *waiting, "up"], env=env, check=False, timeout=10 * DATABASE_WAIT_S)
    if done.returncode != 0:
        raise MigrationFailed(f"dbmate ended with status {done.returncode}")
