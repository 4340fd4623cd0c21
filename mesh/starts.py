"""Who was started when: one small file a part, written by the process that becomes the part.

It counts restarts, and it tells, after the supervisor was killed, which processes on the machine are ours: a process
id alone may have been given to a stranger, a process id with its start time may not. That time is counted from the
machine's own start: a clock that is set would make another process of each.
"""

import contextlib
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

from mesh.home import Home

_PROCESSES = Path("/proc")
_BOOT = _PROCESSES / "sys" / "kernel" / "random" / "boot_id"
_STARTTIME = 19
"""Its place among the fields of `stat` behind the process's name; in proc(5), which counts from 1, it is field 22."""


@dataclass(frozen=True)
class Start:
    """The latest start of a part."""

    pid: int
    boot: str
    """The kernel's name for the time since the machine started, a new one each time."""
    ticks: int
    """When the process began, in the kernel's clock ticks since then."""
    count: int
    """How often the part has been started since `make up`."""

    def process(self) -> psutil.Process | None:
        """The process, if it still is that one."""
        try:
            process = psutil.Process(self.pid)
            return process if (_boot(), _ticks(self.pid)) == (self.boot, self.ticks) else None
        except (FileNotFoundError, ProcessLookupError, psutil.NoSuchProcess):
            return None

    def children(self) -> list[str]:
        """The command lines of the processes that it has started and that run."""
        process = self.process()
        if process is None:
            return []
        with contextlib.suppress(psutil.NoSuchProcess):
            return [command for child in process.children() if (command := _command_line(child))]
        return []


def _command_line(process: psutil.Process) -> str:
    """Empty for one that has ended, whether its parent has noticed or not."""
    try:
        return " ".join(process.cmdline())
    except (psutil.NoSuchProcess, psutil.ZombieProcess):
        return ""


def _boot() -> str:
    """Empty where the kernel does not tell, as in some sandboxes."""
    with contextlib.suppress(FileNotFoundError):
        return _BOOT.read_text(encoding="ascii").strip()
    return ""


def _ticks(pid: int) -> int:
    """Of the process with that id. Raises FileNotFoundError, or ProcessLookupError when it ends meanwhile."""
    _, _, behind_name = (_PROCESSES / str(pid) / "stat").read_bytes().rpartition(b")")  # which may have spaces in it
    return int(behind_name.split()[_STARTTIME])


def note(home: Home, name: str) -> None:
    """Writes down that this process is now the part called `name`."""
    before, pid = read(home, name), os.getpid()
    start = Start(pid, _boot(), _ticks(pid), before.count + 1 if before else 1)
    path = _path(home, name)
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(".new")
    draft.write_text(json.dumps(asdict(start)), encoding="utf-8")
    draft.replace(path)


def read(home: Home, name: str) -> Start | None:
    """The latest start of a part; None when there was none, or its file is damaged."""
    try:
        return Start(**json.loads(_path(home, name).read_text(encoding="utf-8")))
    except (FileNotFoundError, ValueError, TypeError):
        return None


def read_all(home: Home) -> dict[str, Start]:
    """The latest start of each part that was started."""
    found = {path.stem: read(home, path.stem) for path in (home.run / "starts").glob("*.json")}
    return {name: start for name, start in found.items() if start}


def forget(home: Home) -> None:
    """Counting begins anew."""
    for path in (home.run / "starts").glob("*.json"):
        path.unlink(missing_ok=True)


def _path(home: Home, name: str) -> Path:
    return home.run / "starts" / f"{name}.json"
