"""Migrations on a full database: all of ours can be taken back, and one that cannot is found out."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from mesh import migrations
from mesh.migrations import MigrationFailed
from mesh.rehearsal import Rehearsal, RehearsalFailed, Step
from tests.stores.postgres_server import PostgresServer

SEGMENTS = 4000
ADD = "-- migrate:up\nALTER TABLE segments ADD COLUMN mood text;\n"


@pytest.fixture
def database(postgres: PostgresServer) -> Iterator[str]:
    """The owner's address of an empty database."""
    with postgres.database("rehearsal_of_all") as address:
        yield address


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The first two migrations, to be followed by a third."""
    for migration in migrations.read()[:2]:
        shutil.copy(migration.path, tmp_path)
    return tmp_path


def rehearsed(dsn: str, folder: Path, said: list[str] | None = None) -> list[Step]:
    return Rehearsal(dsn, folder, SEGMENTS, (said if said is not None else []).append).run()


def test_every_migration_goes_up_down_and_up_again_and_says_before_what_it_will_run(database: str) -> None:
    said: list[str] = []
    steps = rehearsed(database, migrations.MIGRATIONS, said)
    plan = "\n".join(said)
    for migration in migrations.read():
        ways = [step.direction for step in steps if step.migration == migration.name]
        assert ways in (["up", "down", "up"], ["up", "down", "up", "down", "up"])
        assert any(step.rows >= SEGMENTS for step in steps if step.migration == migration.name)
        assert migration.up in plan
        assert migration.down in plan
    indexes = [step for step in steps if "_recordings_" in step.migration]
    assert len({step.migration for step in indexes}) == 4
    assert all(step.locks == () for step in indexes), "they are built while writes go on"


@pytest.mark.parametrize(
    ("third", "why"),
    [
        (f"{ADD}-- migrate:down\nSELECT 1;\n", "the way back leaves another schema.*mood"),
        (f"{ADD}-- migrate:down\nALTER TABLE segments DROP COLUMN mood, DROP COLUMN words;\n", "another schema"),
        (f"{ADD}-- migrate:down\nALTER TABLE segments DROP COLUMN temper;\n", "dbmate ended with status"),
        (
            f"{ADD}-- migrate:down\nALTER TABLE segments DROP COLUMN mood; TRUNCATE segments;\n",
            "changes the number of rows",
        ),
        (ADD, "has no statements after"),
        (f"{ADD}-- migrate:down\n", "has no statements after"),
        (
            "-- migrate:up\nLOCK TABLE segments; SELECT pg_sleep(3.2);\n-- migrate:down\nSELECT 1;\n",
            r"keeps reads and writes off segments for \d",
        ),
    ],
)
def test_a_migration_that_must_not_run_is_found_out(database: str, folder: Path, third: str, why: str) -> None:
    (folder / "20270101000000_third.sql").write_text(third)
    with pytest.raises((RehearsalFailed, MigrationFailed), match=why):
        rehearsed(database, folder)


def test_a_lock_is_seen_with_its_table_and_its_time(database: str, folder: Path) -> None:
    held = "LOCK TABLE segments IN SHARE MODE; SELECT pg_sleep(0.3);"
    (folder / "20270101000000_third.sql").write_text(f"-- migrate:up\n{held}\n-- migrate:down\nSELECT 1;\n")
    step = next(step for step in rehearsed(database, folder) if step.migration.endswith("third"))
    (lock,) = step.locks
    assert (lock.table, lock.keeps_off) == ("segments", "writes")
    assert 0.25 < lock.seconds < step.seconds
