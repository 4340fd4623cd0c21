"""The migrations that tell of every recording that is there: what is told and of whom, and that they leave no gap."""

import shutil
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest
from ai2text.events.v1.recording_events_pb2 import RecordingUpdated
from psycopg.types.json import Jsonb

from mesh import migrations, schema
from tests.stores.postgres_server import PostgresServer

BEFORE, NAME, AFTER = (
    "20261126000000_append_segments",
    "20261126000200_tell_recordings",
    "20261126000300_close_after_telling",
)
CREATED = datetime(2026, 1, 2, 3, 4, 59, 123_456, UTC)
LABELS = {"show": "bản tin " * 20, "empty": "", "z": "1"}


@pytest.fixture
def database(postgres: PostgresServer) -> Iterator[str]:
    """The owner's address of an empty database."""
    with postgres.database("told") as address:
        yield address


def migrated(database: str, folder: Path, until: str) -> None:
    """Run all migrations up to one, it included, from a folder that is filled with them."""
    for migration in migrations.read():
        if migration.name <= until:
            shutil.copy(migration.path, folder)
    migrations.apply(database, folder)


def add(database: str, tenant: str, count: int = 1, **fields: Any) -> list[str]:
    """Recordings as they were kept before; their ids."""
    ids = [str(uuid.uuid4()) for _ in range(count)]
    given = {"title": "Họp", "language_code": "vi", "labels": LABELS, "version": 300} | fields
    with psycopg.connect(database) as connection:
        connection.execute("SELECT set_config('ai2text.tenant', %s, true)", (tenant,))
        connection.execute(
            "INSERT INTO recordings (recording_id, tenant, title, source, language_code, labels, version, create_time)"
            " SELECT id, %s, %s, 'live', %s, %s, %s, %s FROM unnest(%s::uuid[]) AS id",
            (tenant, given["title"], given["language_code"], Jsonb(given["labels"]), given["version"], CREATED, ids),
        )
    return ids


def outbox(database: str) -> list[tuple[str, str, str, str, bytes]]:
    with psycopg.connect(database) as connection:
        connection.execute("SELECT set_config('ai2text.tenant', '', true)")
        query = "SELECT tenant, event_id::text, subject, ordering_key, payload FROM outbox ORDER BY sequence"
        return connection.execute(query).fetchall()


def test_each_recording_is_told_of_once_as_the_server_would(database: str, tmp_path: Path) -> None:
    migrated(database, tmp_path, BEFORE)
    (one,) = add(database, "acme")
    (other,) = add(database, "beta", title="x" * 150, language_code="", labels={}, version=1)
    before = schema.snapshot(database)
    migrated(database, tmp_path, AFTER)
    assert schema.snapshot(database) == before
    found = {key: (tenant, event_id, subject, payload) for tenant, event_id, subject, key, payload in outbox(database)}
    assert found.keys() == {one, other}
    tenant, event_id, subject, payload = found[one]
    message = RecordingUpdated.FromString(payload)
    assert (tenant, subject) == ("acme", "recording.updated")
    assert abs(message.event_time.ToDatetime(UTC) - datetime.now(UTC)).total_seconds() < 60
    message.ClearField("event_time")
    expected = RecordingUpdated(
        event_id=event_id, tenant="acme", recording_id=one, version=300, title="Họp", language_code="vi", labels=LABELS
    )
    expected.create_time.FromDatetime(CREATED)
    assert message == expected
    plain = RecordingUpdated.FromString(found[other][3])
    assert (found[other][0], plain.tenant, plain.title, plain.version) == ("beta", "beta", "x" * 150, 1)
    assert (plain.language_code, dict(plain.labels)) == ("", {})


def test_many_are_told_of_in_steps_and_none_twice_or_never(database: str, tmp_path: Path) -> None:
    migrated(database, tmp_path, BEFORE)
    ids = add(database, "acme", 10_000, labels={}) + add(database, "beta", 2_345)
    migrated(database, tmp_path, AFTER)
    assert sorted(key for *_, key, _ in outbox(database)) == sorted(ids)


def test_what_an_earlier_start_told_is_told_again_under_the_same_id(database: str, tmp_path: Path) -> None:
    migrated(database, tmp_path, BEFORE)
    ids = add(database, "acme", 2)
    migrated(database, tmp_path, NAME)
    with psycopg.connect(database) as connection:  # told, and not noted
        connection.execute("DELETE FROM schema_migrations WHERE version = %s", [NAME.partition("_")[0]])
    migrated(database, tmp_path, AFTER)
    found = [(event_id, key) for _, event_id, _, key, _ in outbox(database)]
    assert len(found) == 4
    assert {key for _, key in found} == set(ids)
    assert len(set(found)) == 2


def test_the_way_back_takes_back_what_is_not_told_yet(database: str, tmp_path: Path) -> None:
    migrated(database, tmp_path, BEFORE)
    before = schema.snapshot(database)
    add(database, "acme", 3)
    migrated(database, tmp_path, AFTER)
    for _ in range(3):
        migrations.roll_back(database, tmp_path)
    assert outbox(database) == []
    assert schema.snapshot(database) == before


def test_nobody_but_the_owner_sees_more_meanwhile(database: str, postgres: PostgresServer, tmp_path: Path) -> None:
    migrated(database, tmp_path, NAME)
    add(database, "acme")
    with psycopg.connect(postgres.app("told")) as connection:
        connection.execute("SELECT set_config('ai2text.tenant', 'beta', true)")
        assert connection.execute("SELECT count(*) FROM recordings").fetchone() == (0,)
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute(
                "INSERT INTO outbox (tenant, event_id, subject, ordering_key, payload, traceparent)"
                " VALUES ('acme', gen_random_uuid(), 's', 'k', '', '')"
            )
