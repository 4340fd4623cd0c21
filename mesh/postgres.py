"""The mesh's PostgreSQL: a cluster in the home folder, TCP on 127.0.0.1 only, two roles and one database.

`ai2text_owner` owns the schema and runs the migrations; `ai2text_app` is what the servers are, without superuser or
BYPASSRLS, so that row-level security holds. Neither needs a password: only this machine can reach the port. The
superuser cannot log in over the network at all.
"""

import os
import pwd
import shutil
import subprocess
from pathlib import Path

import psutil

from mesh import wheels
from mesh.ports import HOST

OWNER = "ai2text_owner"
APP = "ai2text_app"
DATABASE = "ai2text"
INIT_TIMEOUT_S = 120

_BOOTSTRAP = f"""
CREATE ROLE {OWNER} LOGIN CREATEDB NOSUPERUSER NOCREATEROLE NOBYPASSRLS;
CREATE ROLE {APP} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOBYPASSRLS;
CREATE DATABASE {DATABASE} OWNER {OWNER};
"""
_ACCESS = f"""# Written by mesh/postgres.py: the two roles of AI2Text, from this machine.
host all {OWNER},{APP} {HOST}/32 trust
"""
_SETTINGS = {
    "listen_addresses": HOST,
    "unix_socket_directories": "",
    "max_connections": "100",
    "shared_buffers": "128MB",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_line_prefix": "%m [%p] %q%u@%d ",
    "log_min_duration_statement": "500ms",
    "log_parameter_max_length": "0",  # they are what people say
    "log_parameter_max_length_on_error": "0",
}


class PostgresUnusable(Exception):
    """The cluster cannot be made or run here; the message says why."""


def dsn(port: int, role: str, database: str = DATABASE) -> str:
    """The address of a database for one of the two roles."""
    return f"postgresql://{role}@{HOST}:{port}/{database}"


def system_user() -> str | None:
    """Whom PostgreSQL runs as: it refuses to be root, so root lends it `nobody`; anybody else stays himself."""
    return "nobody" if os.geteuid() == 0 else None


def command(cluster: Path, port: int) -> list[str]:
    """The server's argument vector."""
    settings = [word for name, value in _SETTINGS.items() for word in ("-c", f"{name}={value}")]
    return [str(wheels.postgres() / "postgres"), "-D", str(cluster), "-p", str(port), *settings]


def prepare(cluster: Path) -> None:
    """Makes the cluster on the first start; clears what a crash left behind on later ones.

    Raises PostgresUnusable when the folder cannot be reached by the user that PostgreSQL runs as, or initdb fails.
    """
    check_reachable(cluster)
    if not (cluster / "PG_VERSION").exists():
        _create(cluster)
    remove_stale_lock(cluster)


def _create(cluster: Path) -> None:
    """In a folder beside it first, so that a crash half-way leaves nothing that looks like a cluster."""
    draft = cluster.with_name(cluster.name + ".new")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(mode=0o700)
    if user := system_user():
        shutil.chown(draft, user)
    _run("initdb", "-D", str(draft), "-U", "postgres", "--encoding=UTF8", "--locale=C.UTF-8", "--auth=trust")
    _run("postgres", "--single", "-D", str(draft), "postgres", text=_BOOTSTRAP)
    (draft / "pg_hba.conf").write_text(_ACCESS, encoding="utf-8")
    if cluster.exists():
        cluster.rmdir()  # only ever the empty folder that Home.create() made
    draft.rename(cluster)


def _run(program: str, *arguments: str, text: str = "") -> None:
    done = subprocess.run(
        [str(wheels.postgres() / program), *arguments],
        input=text,
        text=True,
        capture_output=True,
        user=system_user(),
        cwd="/",
        env={"PATH": os.defpath, "LC_ALL": "C.UTF-8"},
        timeout=INIT_TIMEOUT_S,
        check=False,
    )
    print(done.stdout + done.stderr, flush=True)
    if done.returncode != 0 or "ERROR:" in done.stderr:
        raise PostgresUnusable(f"{program} failed: {done.stderr.strip()[-500:]}")


def remove_stale_lock(cluster: Path) -> None:
    """PostgreSQL trusts postmaster.pid when any process has that number; a reused number would keep it down."""
    lock = cluster / "postmaster.pid"
    if not lock.exists():
        return
    first = lock.read_text(encoding="utf-8").split("\n", 1)[0]
    if not first.isdigit() or not _is_postgres(int(first)):
        print(f"removing a stale {lock.name}", flush=True)
        lock.unlink()


def _is_postgres(pid: int) -> bool:
    try:
        return psutil.Process(pid).name() == "postgres"
    except psutil.NoSuchProcess:
        return False


def check_reachable(cluster: Path) -> None:
    """Raises PostgresUnusable when the user that PostgreSQL runs as may not enter the folders that it needs."""
    user = system_user()
    if user is None:
        return
    closed = [
        folder
        for path in (cluster, wheels.postgres())
        for folder in path.parents
        if folder.exists() and not folder.stat().st_mode & 0o001
    ]
    if closed:
        raise PostgresUnusable(
            f"PostgreSQL does not run as root, and the user {user!r} ({pwd.getpwnam(user).pw_uid}) may not enter "
            f"{closed[-1]}: run the mesh as an ordinary user, or from a folder that others may enter"
        )
