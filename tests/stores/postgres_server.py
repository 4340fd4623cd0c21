"""A real Postgres for tests: the mesh's own cluster, roles and migrations, in a folder and on a port of its own."""

import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psycopg

from mesh import migrations, postgres
from tests.free_ports import free_port

START_TIMEOUT_S = 30.0
_OWN_SESSIONS_END = """
    SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = %s AND usename = current_user
"""


@dataclass
class PostgresServer:
    """A server that can be stopped and started again; it keeps its port and its rows."""

    cluster: Path
    port: int
    process: subprocess.Popen[bytes] | None = field(default=None)

    def owner(self, database: str = postgres.DATABASE) -> str:
        """The address of a database for the role that owns the schema."""
        return postgres.dsn(self.port, postgres.OWNER, database)

    def app(self, database: str = postgres.DATABASE) -> str:
        """The address of a database for the role that servers have."""
        return postgres.dsn(self.port, postgres.APP, database)

    def start(self) -> None:
        """Start, and wait until it answers."""
        quick = ["-c", "fsync=off", "-c", "shared_buffers=16MB"]
        self.process = subprocess.Popen(
            [*postgres.command(self.cluster, self.port), *quick],
            user=postgres.system_user(),
            cwd="/",
            stderr=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + START_TIMEOUT_S
        while not self._answers():
            assert self.process.poll() is None, "Postgres ended while it started"
            assert time.monotonic() < deadline, "Postgres did not start in time"
            time.sleep(0.02)

    def stop(self) -> None:
        """End it at once, as a crash would; it recovers at the next start."""
        if self.process is not None:
            self.process.send_signal(signal.SIGQUIT)
            self.process.wait(START_TIMEOUT_S)
            self.process = None

    @contextmanager
    def database(self, name: str) -> Iterator[str]:
        """The owner's address of an empty database of that name, until the end of the block."""
        with psycopg.connect(self.owner(), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")
            try:
                yield self.owner(name)
            finally:
                # Not WITH (FORCE), which may not end the superuser's autovacuum; without it Postgres ends that itself.
                connection.execute(_OWN_SESSIONS_END, [name])
                connection.execute(f"DROP DATABASE {name}")

    def _answers(self) -> bool:
        try:
            psycopg.connect(self.app(), connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True


@contextmanager
def running() -> Iterator[PostgresServer]:
    """A migrated server in a temporary folder, until the end of the block."""
    folder = Path(tempfile.mkdtemp(prefix="ai2text-postgres-"))
    folder.chmod(0o755)
    server = PostgresServer(folder / "cluster", free_port())
    try:
        postgres.prepare(server.cluster)
        server.start()
        migrations.apply(server.owner())
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder)
