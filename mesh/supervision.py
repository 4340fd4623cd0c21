"""The supervisor (supervisord): its configuration, written from the list of parts, and what we ask it over XML-RPC.

It restarts whatever ends: at once when it had been up for three seconds, a second later each time when it had not; and
it never gives up. It listens on 127.0.0.1 behind a password that only the owner of the home folder can read.
"""

import http.client
import os
import secrets
import subprocess
import time
import xmlrpc.client
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mesh.home import REPOSITORY, Home
from mesh.parts import Part
from mesh.ports import HOST, Ports
from mesh.wheels import BIN

MARK = "AI2TEXT_MESH"
"""An environment variable that every process of a mesh carries; its value is the mesh's home folder."""
CALL_TIMEOUT_S = 60
LOG_BYTES = 20 << 20
LOG_FILES = 3
ENDLESS = 1_000_000_000
STOP_TIMEOUT_S = 150


class SupervisorAway(Exception):
    """The supervisor of this mesh does not run, or does not answer."""


class SupervisorRefused(Exception):
    """The supervisor does not do what it is asked; the message says why."""


@dataclass(frozen=True)
class Process:
    """A part as the supervisor sees it."""

    name: str
    state: str
    """STOPPED, STARTING, RUNNING, BACKOFF, STOPPING, EXITED, FATAL or UNKNOWN."""
    pid: int
    uptime_s: int
    words: str

    @property
    def running(self) -> bool:
        """Whether there is a process that is not about to end."""
        return self.state in ("STARTING", "RUNNING")


def write_config(home: Home, ports: Ports, parts: Iterable[Part]) -> Path:
    """Writes the configuration, readable by its owner only, and returns its path."""
    path = home.run / "supervisord.conf"
    sections = [_daemon(home, ports), *(_program(home, number, part) for number, part in enumerate(parts))]
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write("\n".join(sections))
    return path


def _daemon(home: Home, ports: Ports) -> str:
    return f"""\
[supervisord]
logfile = {_quoted(home.logs / "supervisor.log")}
logfile_maxbytes = {LOG_BYTES}
logfile_backups = {LOG_FILES}
pidfile = {_quoted(home.run / "supervisord.pid")}
childlogdir = {_quoted(home.logs)}
directory = {_quoted(REPOSITORY)}
nocleanup = true
{"user = root" if os.geteuid() == 0 else ""}

[inet_http_server]
port = {HOST}:{ports.supervisor}
username = ai2text
password = {_password(home)}

[rpcinterface:supervisor]
supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface
"""


def _program(home: Home, number: int, part: Part) -> str:
    return f"""\
[program:{part.name}]
command = "{_quoted(BIN / "python")}" -m mesh.launch {part.name}
directory = {_quoted(REPOSITORY)}
priority = {number}
autostart = false
autorestart = true
startsecs = 3
startretries = {ENDLESS}
stopsignal = {part.stop_signal}
stopwaitsecs = {part.stop_wait_s}
stopasgroup = {"false" if part.user else "true"}
killasgroup = true
redirect_stderr = true
stdout_logfile = {_quoted(home.logs / f"{part.name}.log")}
stdout_logfile_maxbytes = {LOG_BYTES}
stdout_logfile_backups = {LOG_FILES}
"""


def _quoted(path: Path) -> str:
    return str(path).replace("%", "%%")


def _password(home: Home) -> str:
    path = home.run / "supervisor.secret"
    if not path.exists():
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(secrets.token_hex(24))
    return path.read_text(encoding="utf-8")


class _Transport(xmlrpc.client.Transport):
    """A connection that does not wait for ever."""

    def make_connection(self, host: Any) -> http.client.HTTPConnection:
        connection = super().make_connection(host)
        connection.timeout = CALL_TIMEOUT_S
        return connection


class Supervisor:
    """The running supervisor of one mesh."""

    def __init__(self, home: Home, ports: Ports) -> None:
        self._home = home
        self._ports = ports

    def _call(self, method: str, *arguments: Any) -> Any:
        """One call. Raises SupervisorAway when nobody answers, xmlrpc.client.Fault when it refuses."""
        if not self._home.run.is_dir():
            raise SupervisorAway(f"no mesh has ever run in {self._home.root}")
        url = f"http://ai2text:{_password(self._home)}@{HOST}:{self._ports.supervisor}/RPC2"
        try:
            with xmlrpc.client.ServerProxy(url, transport=_Transport(), allow_none=True) as proxy:
                return getattr(proxy.supervisor, method)(*arguments)
        except (OSError, http.client.HTTPException, xmlrpc.client.ProtocolError) as error:
            raise SupervisorAway(f"no supervisor answers on port {self._ports.supervisor}: {error}") from error

    def pid(self) -> int | None:
        """The process id of the supervisor; None when it does not answer."""
        try:
            return int(self._call("getPID"))
        except SupervisorAway:
            return None

    def processes(self) -> dict[str, Process]:
        """Every part by its name."""
        return {info["name"]: _process(info) for info in self._call("getAllProcessInfo")}

    def start(self, name: str) -> None:
        """Starts a part unless it has been started. Raises SupervisorRefused, as `stop` and `signal` do."""
        self._tolerating("ALREADY_STARTED", "startProcess", name, False)

    def stop(self, name: str) -> None:
        """Stops a part and waits until it has ended."""
        self._tolerating("NOT_RUNNING", "stopProcess", name, True)

    def signal(self, name: str, signal: str) -> None:
        """Sends a signal such as KILL to a part, unless it does not run."""
        self._tolerating("NOT_RUNNING", "signalProcess", name, signal)

    def shutdown(self) -> None:
        """Stops every part in reverse order, and then the supervisor; returns at once."""
        self._call("shutdown")

    def _tolerating(self, fault: str, method: str, *arguments: Any) -> None:
        try:
            self._call(method, *arguments)
        except xmlrpc.client.Fault as error:
            if fault in error.faultString:
                return
            hint = ": it was started before there was such a part; `make down`, then `make up`"
            why = f"{error.faultString}{hint if 'BAD_NAME' in error.faultString else ''}"
            raise SupervisorRefused(f"the supervisor refuses: {why}") from error


def _process(info: dict[str, Any]) -> Process:
    running = info["statename"] == "RUNNING"
    uptime = max(0, info["now"] - info["start"]) if running else 0
    return Process(info["name"], info["statename"], info["pid"], uptime, info["spawnerr"] or info["description"])


def launch(home: Home, ports: Ports, parts: Iterable[Part]) -> Supervisor:
    """Starts the supervisor, detached from this terminal, with every part stopped.

    Raises SupervisorAway, with its own words, when it does not come up within ten seconds.
    """
    config = write_config(home, ports, parts)
    done = subprocess.run(
        [str(BIN / "supervisord"), "-c", str(config)],
        env=environment(home, ports),
        cwd=REPOSITORY,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    supervisor = Supervisor(home, ports)
    deadline = time.monotonic() + 10
    while done.returncode == 0 and time.monotonic() < deadline:
        if supervisor.pid():
            return supervisor
        time.sleep(0.1)
    raise SupervisorAway(f"the supervisor did not start: {done.stdout}{done.stderr}".strip())


def environment(home: Home, ports: Ports) -> dict[str, str]:
    """Ours, with this mesh spelt out and the mark by which its processes are known."""
    return dict(os.environ) | {
        "AI2TEXT_HOME": str(home.root),
        "AI2TEXT_MODELS": str(home.models),
        "AI2TEXT_PORT_BASE": str(ports.base),
        MARK: str(home.root),
    }
