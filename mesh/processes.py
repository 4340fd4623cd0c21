"""The machine's processes: which are ours though no supervisor has them, and who holds a port."""

import contextlib
import os
import signal
import socket
from collections.abc import Iterable
from dataclasses import dataclass

import psutil

from mesh import starts
from mesh.home import Home
from mesh.ports import HOST
from mesh.supervision import MARK

TERM_WAIT_S = 10
KILL_WAIT_S = 5


@dataclass(frozen=True)
class Holder:
    """Who listens on a port that we want."""

    port: int
    pid: int | None
    """None when the process belongs to somebody else, and the kernel will not say."""
    command: str

    def __str__(self) -> str:
        who = f"process {self.pid} ({self.command})" if self.pid else "a process of another user"
        return f"port {self.port} is taken by {who}"


def ours(home: Home) -> list[psutil.Process]:
    """The processes of this mesh that run: those that carry its mark, those that were noted, and their children.

    This process and its ancestors are never among them.
    """
    noted = [process for start in starts.read_all(home).values() if (process := start.process())]
    found = {process.pid: process for process in [*_marked(home), *noted]}
    for process in list(found.values()):
        with contextlib.suppress(psutil.Error):
            found |= {child.pid: child for child in process.children(recursive=True)}
    spared = {os.getpid(), *(ancestor.pid for ancestor in psutil.Process().parents())}
    return [process for pid, process in found.items() if pid not in spared]


def _marked(home: Home) -> Iterable[psutil.Process]:
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.environ().get(MARK) == str(home.root):
                yield process


def end(processes: list[psutil.Process], wait_s: float = TERM_WAIT_S) -> list[psutil.Process]:
    """Asks them to stop, kills those that have not after `wait_s`, and returns any that even so remain."""
    for process in processes:
        with contextlib.suppress(psutil.Error):
            # PostgreSQL takes TERM to mean: when the last client has gone.
            process.send_signal(signal.SIGINT if process.name() == "postgres" else signal.SIGTERM)
            process.resume()
    _, stubborn = psutil.wait_procs(processes, timeout=wait_s)
    for process in stubborn:
        with contextlib.suppress(psutil.Error):
            process.kill()
    _, left = psutil.wait_procs(stubborn, timeout=KILL_WAIT_S)
    return [process for process in left if process.status() != psutil.STATUS_ZOMBIE]


def holders(ports: Iterable[int]) -> list[Holder]:
    """Who holds those of the ports that cannot be listened on."""
    taken = [port for port in ports if not _free(port)]
    if not taken:
        return []
    listening = {
        connection.laddr.port: connection.pid
        for connection in psutil.net_connections(kind="tcp")
        if connection.laddr and connection.status == psutil.CONN_LISTEN
    }
    return [Holder(port, listening.get(port), _command(listening.get(port))) for port in taken]


def _free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def _command(pid: int | None) -> str:
    if pid is None:
        return ""
    try:
        return " ".join(psutil.Process(pid).cmdline())[:120]
    except psutil.Error:
        return "ended meanwhile"
