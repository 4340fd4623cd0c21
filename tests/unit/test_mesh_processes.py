"""Which processes are ours, who holds a port, and the logs they leave."""

import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from mesh import processes, starts
from mesh.home import Home
from mesh.lifecycle import last_lines
from mesh.logs import Tail
from mesh.postgres import remove_stale_lock
from mesh.status import duration
from mesh.supervision import MARK

SLEEP = [sys.executable, "-c", "import time; print('up', flush=True); time.sleep(60)"]
STUBBORN = [
    sys.executable,
    "-c",
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(60)",
]


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = Home.from_env({"AI2TEXT_HOME": str(tmp_path)})
    home.create()
    return home


@pytest.fixture
def children() -> Iterator[list[subprocess.Popen[bytes]]]:
    started: list[subprocess.Popen[bytes]] = []
    yield started
    for child in started:
        child.kill()
        child.wait()
        if child.stdout:
            child.stdout.close()


def start(children: list[subprocess.Popen[bytes]], command: list[str], env: dict[str, str]) -> int:
    child = subprocess.Popen(command, env=env, stdout=subprocess.PIPE)
    children.append(child)
    assert child.stdout
    assert child.stdout.readline()
    return child.pid


def test_marked_processes_are_ours(home: Home, children: list[subprocess.Popen[bytes]]) -> None:
    mine = start(children, SLEEP, {MARK: str(home.root)})
    start(children, SLEEP, {MARK: "/another/home"})
    assert [process.pid for process in processes.ours(home)] == [mine]


def test_a_noted_process_is_ours_but_a_reused_id_is_not(home: Home, children: list[subprocess.Popen[bytes]]) -> None:
    pid = start(children, SLEEP, {})
    folder = home.run / "starts"
    folder.mkdir()
    ticks = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[22 - 3])  # field 22, behind the name
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    noted = {"pid": pid, "boot": boot, "ticks": ticks, "count": 1}
    for changed in ({}, {"ticks": ticks - 1}, {"boot": "an earlier one"}):
        (folder / "nats.json").write_text(json.dumps(noted | changed))
        assert [process.pid for process in processes.ours(home)] == ([] if changed else [pid])


def test_a_part_is_the_same_process_after_the_clock_was_set(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    starts.note(home, "triton")
    noted = starts.read_all(home)["triton"]
    monkeypatch.setattr(psutil.Process, "create_time", lambda _: 0.0)  # in seconds of that clock
    assert noted.process() == psutil.Process()


def test_a_part_is_known_where_the_kernel_gives_its_starts_no_names(
    home: Home, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(starts, "_BOOT", tmp_path / "boot_id")
    starts.note(home, "triton")
    assert starts.read_all(home)["triton"].process() == psutil.Process()


def test_a_process_that_has_ended_is_nobody(home: Home) -> None:
    starts.note(home, "nats")
    noted = starts.read_all(home)["nats"]
    with subprocess.Popen(["true"]) as ended:
        pass
    assert replace(noted, pid=ended.pid).process() is None


def test_ending_kills_what_will_not_stop(children: list[subprocess.Popen[bytes]]) -> None:
    pid = start(children, STUBBORN, {})
    assert processes.end([psutil.Process(pid)], wait_s=0.3) == []


def test_starts_are_counted(home: Home) -> None:
    starts.note(home, "asr")
    starts.note(home, "asr")
    noted = starts.read_all(home)["asr"]
    assert noted.count == 2
    assert noted.process() == psutil.Process()
    starts.forget(home)
    assert starts.read(home, "asr") is None


def test_a_damaged_start_counts_for_nothing(home: Home) -> None:
    starts.note(home, "asr")
    (home.run / "starts" / "asr.json").write_text("{")
    assert starts.read(home, "asr") is None


def test_the_holder_of_a_port_is_named() -> None:
    with socket.socket() as taken, socket.socket() as free:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        free.bind(("127.0.0.1", 0))
        port, other = taken.getsockname()[1], free.getsockname()[1]
        free.close()
        [holder] = processes.holders([port, other])
    assert holder.pid == psutil.Process().pid
    assert str(holder).startswith(f"port {port} is taken by process {holder.pid} (")


def test_a_stale_postmaster_lock_is_removed(tmp_path: Path) -> None:
    lock = tmp_path / "postmaster.pid"
    lock.write_text(f"{psutil.Process().pid}\n{tmp_path}\n")  # alive, but no postgres: the number was given anew
    remove_stale_lock(tmp_path)
    assert not lock.exists()
    remove_stale_lock(tmp_path)


def test_no_lines_of_a_log_are_none(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("a\nb\n")
    assert last_lines(tmp_path / "log", 0) == []


def test_the_last_lines_of_a_log(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    assert last_lines(log, 3) == []
    log.write_text("".join(f"line {number}\n" for number in range(1000)))
    assert last_lines(log, 2) == ["line 998", "line 999"]


def test_following_goes_on_after_a_rotation(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    log.write_text("old\n")
    tail = Tail(log)
    with log.open("a") as file:
        file.write("one\ntw")
    assert tail.new_lines() == ["one"]
    with log.open("a") as file:
        file.write("o\n")
    log.rename(tmp_path / "a.log.1")
    log.write_text("three\n")
    assert tail.new_lines() + tail.new_lines() == ["two", "three"]
    tail.close()


@pytest.mark.parametrize(("seconds", "words"), [(0, ""), (59, "59 s"), (61, "1 min"), (7200, "2 h"), (90000, "1 d")])
def test_durations(seconds: int, words: str) -> None:
    assert duration(seconds) == words
