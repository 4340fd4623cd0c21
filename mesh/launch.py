"""Becomes one part: `python -m mesh.launch NAME` notes the start, prepares what the part needs, and executes it.

The supervisor runs this for each part, so that the part keeps the process id that the supervisor knows, and its
environment and preparation come from `mesh/parts.py` alone.
"""

import os
import pwd
import sys

from mesh import starts
from mesh.home import Home
from mesh.objects import ensure_credentials
from mesh.parts import Part, named
from mesh.ports import Ports
from mesh.wheels import BIN


def main(name: str) -> None:
    """Replaces this process by the part."""
    home, ports = Home.from_env(), Ports.from_env()
    home.create()
    ensure_credentials(home.keys)
    part = named(name, ports, home)
    starts.note(home, name)
    if part.prepare:
        part.prepare()
    os.nice(part.niceness)
    if part.user:
        _become(part.user)
    os.execve(part.command[0], part.command, environment(part))


def environment(part: Part) -> dict[str, str]:
    """Ours with what the part is told, our programs first on the path, and output that is never held back."""
    path = f"{BIN}:{os.environ.get('PATH', os.defpath)}"
    return dict(os.environ) | {"PATH": path, "PYTHONUNBUFFERED": "1"} | dict(part.env)


def _become(user: str) -> None:
    entry = pwd.getpwnam(user)
    os.setgroups([])
    os.setgid(entry.pw_gid)
    os.setuid(entry.pw_uid)
    os.chdir("/")


if __name__ == "__main__":
    main(sys.argv[1])
