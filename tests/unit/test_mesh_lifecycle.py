"""A small mesh of its own, with the real supervisor and a real Valkey: up, killed, hung, orphaned, down."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from rich.console import Console

from mesh import processes
from mesh.home import REPOSITORY, Home
from mesh.lifecycle import Mesh, MeshError
from mesh.ports import Ports
from mesh.supervision import Supervisor, SupervisorRefused
from tests.free_ports import free_ports


class Commands:
    """`python -m mesh` for one home."""

    def __init__(self, home: Path, base: int) -> None:
        self.home = Home.from_env({"AI2TEXT_HOME": str(home)})
        self.ports = Ports.from_base(base)
        self._env = os.environ | {"AI2TEXT_HOME": str(home), "AI2TEXT_PORT_BASE": str(base), "COLUMNS": "300"}

    def run(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        command = [sys.executable, "-m", "mesh", *arguments]
        return subprocess.run(
            command, env=self._env, cwd=REPOSITORY, capture_output=True, text=True, timeout=90, check=False
        )

    def said(self) -> str:
        """What the watchdog and the supervisor have written, for who has to find out what went wrong."""
        return "".join(f"\n{log}:\n{log.read_text()[-3000:]}" for log in sorted(self.home.logs.glob("*d*.log")))

    def part(self, name: str) -> dict[str, Any]:
        rows = json.loads(self.run("status", "--json").stdout)["parts"]
        return next(row for row in rows if row["part"] == name)

    def until(self, condition: Callable[[], bool], timeout_s: float = 90) -> None:
        deadline = time.monotonic() + timeout_s
        while not condition():
            assert time.monotonic() < deadline, self.run("status").stdout + self.said()
            time.sleep(0.3)


@pytest.fixture(scope="module")
def mesh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Commands]:
    commands = Commands(tmp_path_factory.mktemp("mesh"), free_ports().edge)
    yield commands
    commands.run("down")
    assert processes.ours(commands.home) == []


def test_up_waits_until_all_is_well_and_may_be_repeated(mesh: Commands) -> None:
    first = mesh.run("up", "--only", "valkey")
    assert first.returncode == 0, first.stderr
    assert "answers PING" in first.stdout
    pid = mesh.part("valkey")["pid"]
    assert mesh.run("up", "--only", "valkey").returncode == 0
    assert mesh.part("valkey")["pid"] == pid


def test_status_tells_ports_log_and_health(mesh: Commands) -> None:
    shown = mesh.run("status")
    assert shown.returncode == 0
    row = mesh.part("valkey")
    assert row["ports"] == {"valkey": mesh.ports.valkey}
    assert (row["well"], row["health"]) == (True, "answers PING")
    assert Path(row["log"]).exists()


def test_the_doctor_misses_no_part_that_nobody_asked_for(mesh: Commands) -> None:
    seen = {found["what"]: found["verdict"] for found in json.loads(mesh.run("doctor", "--json").stdout)}
    assert seen["valkey"] == "ok"
    assert {"nats", "asr-1", "envoy"}.isdisjoint(seen)


def test_a_killed_part_comes_back(mesh: Commands) -> None:
    pid = mesh.part("valkey")["pid"]
    os.kill(pid, signal.SIGKILL)
    mesh.until(lambda: mesh.part("valkey")["well"] and mesh.part("valkey")["pid"] != pid)
    assert mesh.part("valkey")["restarts"] == 1


def test_a_killed_supervisor_comes_back_with_its_parts(mesh: Commands) -> None:
    pid = mesh.part("valkey")["pid"]
    supervisor = int((mesh.home.run / "supervisord.pid").read_text())
    os.kill(supervisor, signal.SIGKILL)
    mesh.until(lambda: mesh.part("valkey")["well"] and mesh.part("valkey")["pid"] != pid)
    assert not psutil.pid_exists(pid)


def test_a_mesh_that_could_not_come_back_is_tried_again(mesh: Commands) -> None:
    log = mesh.home.logs / "watchdog.log"
    before = log.read_text().count("trying again")
    pids = [int((mesh.home.run / "supervisord.pid").read_text()), mesh.part("valkey")["pid"]]
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    psutil.wait_procs([psutil.Process(pid) for pid in pids if psutil.pid_exists(pid)], timeout=5)
    with socket.socket() as taken:  # the watchdog needs a second to begin
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(("127.0.0.1", mesh.ports.valkey))
        taken.listen()
        mesh.until(lambda: log.read_text().count("trying again") > before)
    mesh.until(lambda: mesh.run("status").returncode == 0 and mesh.part("valkey")["well"])
    assert mesh.part("valkey")["pid"] not in pids


def test_where_no_mesh_has_ever_run_there_is_none_to_restart(tmp_path: Path) -> None:
    never = Mesh(Home.from_env({"AI2TEXT_HOME": str(tmp_path / "home")}), Ports.from_base(free_ports().edge), Console())
    with pytest.raises(MeshError, match="the mesh is not running: `make up` starts it"):
        never.restart("asr-1")
    assert not never.home.root.exists()


def test_restart_gives_a_new_process(mesh: Commands) -> None:
    pid = mesh.part("valkey")["pid"]
    assert mesh.run("restart", "valkey").returncode == 0
    assert mesh.part("valkey")["pid"] != pid


def test_an_unknown_part_is_answered_with_those_there_are(mesh: Commands) -> None:
    refused = mesh.run("restart", "vlakey")
    assert refused.returncode == 1
    assert "valkey" in refused.stderr


def test_what_the_supervisor_refuses_is_said(mesh: Commands) -> None:
    refused = mesh.run("kill", "valkey", "--signal", "NONSENSE")
    assert refused.returncode == 1
    assert "the supervisor refuses: BAD_SIGNAL" in refused.stderr
    assert "Traceback" not in refused.stderr
    with pytest.raises(SupervisorRefused, match="make down"):
        Supervisor(mesh.home, mesh.ports).start("newer")


def test_down_leaves_nothing_running(mesh: Commands) -> None:
    assert mesh.run("down").returncode == 0
    assert processes.ours(mesh.home) == []
    assert processes.holders(mesh.ports.names().values()) == []
    shown = mesh.run("status")
    assert shown.returncode == 1
    assert "make up" in shown.stdout
    assert mesh.run("down").returncode == 0


def test_a_taken_port_is_named_with_its_holder(mesh: Commands) -> None:
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(("127.0.0.1", mesh.ports.valkey))
        taken.listen()
        refused = mesh.run("up", "--only", "valkey")
    assert refused.returncode == 1
    assert f"port {mesh.ports.valkey} is taken by process {os.getpid()}" in refused.stderr
