"""What is missing or unwell, in words, with what to do about it. `ai2text doctor` and `make up` ask here."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from enum import Enum
from pathlib import Path
from typing import Any

import psutil
from llvmlite import binding
from rich.markup import escape
from rich.table import Table

from mesh import processes, status, wheels
from mesh.edge import DESCRIPTOR
from mesh.home import Home
from mesh.keys import Keys
from mesh.lifecycle import Mesh, last_lines, read_selection
from mesh.model_repository import is_on_gpu
from mesh.postgres import PostgresUnusable, check_reachable
from mesh.triton import Installation, path_faults

GIB = 1 << 30
DISK_WANTED = 5 * GIB
MEMORY_WANTED = 4 * GIB
SHARED_MEMORY_WANTED = GIB // 4
LOG_LINES = 200
INSTRUCTIONS = "AI2TEXT_WHISPER_INSTRUCTIONS"
"""See triton_models/compiled/vectors.py, which has loops for these."""
KNOWN_INSTRUCTIONS = ("avx512vnni", "avx2")
BACKEND = "AI2TEXT_EMBEDDER_BACKEND"
"""See triton_models/embedder/1/encoder.py."""
EMBEDDER = "AI2TEXT_EMBEDDER_MODEL"
MODELS = {"AI2TEXT_WHISPER_MODEL": "whisper-base", EMBEDDER: "multilingual-e5-small"}


class Verdict(Enum):
    """How bad it is."""

    OK = "ok"
    WARNING = "warning"  # it works, or may work, but not as it should
    MISSING = "missing"  # the mesh cannot work like this


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at."""

    what: str
    verdict: Verdict
    words: str
    mend: str = ""
    """What to do; empty when nothing has to be done."""

    def as_json(self) -> dict[str, Any]:
        """For scripts."""
        return asdict(self) | {"verdict": self.verdict.value}


def examine(mesh: Mesh) -> list[Finding]:
    """Everything: the machine, what is installed, the models, and each part of the mesh."""
    return [*before_start(mesh.home), *_node(), *_running(mesh)]


def before_start(home: Home) -> list[Finding]:
    """What has to be there before the mesh can start; takes well under a second."""
    looks: list[Callable[[Home], Iterator[Finding]]] = [
        _python,
        _room,
        _programs,
        _triton,
        _instructions,
        _backend,
        _postgres,
        _contract,
        _models,
        _keys,
    ]
    return [finding for look in looks for finding in look(home)]


def _python(_: Home) -> Iterator[Finding]:
    version = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info[:2] == (3, 11):
        yield Finding("python", Verdict.OK, version)
    else:
        yield Finding(
            "python", Verdict.MISSING, f"{version} runs this; it has to be 3.11", "PYTHON=python3.11 make setup"
        )


def _room(home: Home) -> Iterator[Finding]:
    existing = next(folder for folder in (home.root, *home.root.parents) if folder.exists())
    if not os.access(existing, os.W_OK):
        yield Finding(
            "home", Verdict.MISSING, f"{existing} is not yours to write to", "set AI2TEXT_HOME to another folder"
        )
    yield _amount("disk", shutil.disk_usage(existing).free, DISK_WANTED, f"free at {existing}", "make room")
    yield _amount("memory", psutil.virtual_memory().available, MEMORY_WANTED, "free", "stop other programs")
    if Path("/dev/shm").is_dir():
        free = shutil.disk_usage("/dev/shm").free
        yield _amount(
            "shared memory", free, SHARED_MEMORY_WANTED, "free in /dev/shm", "enlarge /dev/shm (docker: --shm-size)"
        )
    else:
        yield Finding(
            "shared memory", Verdict.MISSING, "there is no /dev/shm, which Triton needs", "mount a tmpfs there"
        )


def _amount(what: str, free: int, wanted: int, where: str, mend: str) -> Finding:
    words = f"{free / GIB:.1f} GiB {where}"
    if free >= wanted:
        return Finding(what, Verdict.OK, words)
    return Finding(what, Verdict.WARNING, f"only {words}, {wanted / GIB:.2g} are wanted", mend)


def _programs(_: Home) -> Iterator[Finding]:
    missing = [wheel for wheel, path in wheels.programs().items() if not path.exists()]
    if missing:
        yield Finding("programs", Verdict.MISSING, f"not installed: {', '.join(missing)}", "make setup")
    else:
        yield Finding(
            "programs", Verdict.OK, "Envoy, NATS, PostgreSQL, Valkey, dbmate and the supervisor are installed"
        )


def _triton(home: Home) -> Iterator[Finding]:
    faults = [*Installation.from_env().missing(), *path_faults(home)]
    for fault in faults:
        words, _colon, mend = fault.partition(": ")
        yield Finding("triton", Verdict.MISSING, words, mend)
    if not faults:
        yield Finding("triton", Verdict.OK, "Triton and libpython3.11 are installed")


def _instructions(_: Home) -> Iterator[Finding]:
    features = binding.get_host_cpu_features()
    yield from _choice("instructions", INSTRUCTIONS, [*filter(features.get, KNOWN_INSTRUCTIONS), "none"])


def _backend(home: Home) -> Iterator[Finding]:
    folder = home.models / os.environ.get(EMBEDDER, MODELS[EMBEDDER])
    features = binding.get_host_cpu_features()
    on_cpu = not is_on_gpu("embedder", os.environ)
    can = {
        "compiled": on_cpu and (folder / "compiled").is_dir() and features.get("avx2") and features.get("fma"),
        "onnx": on_cpu and (folder / "onnx" / "model.onnx").is_file(),
        "torch": True,
    }
    yield from _choice("embedder", BACKEND, [*filter(can.get, can)])


def _choice(what: str, variable: str, there: Sequence[str]) -> Iterator[Finding]:
    """What a variable names, if anything, must be one of those that there are here."""
    if not (named := os.environ.get(variable)):
        return
    if named in there:
        yield Finding(what, Verdict.OK, f"{variable} is {named}")
    else:
        words = f"{variable} is {named}; here there are {', '.join(there)}"
        yield Finding(what, Verdict.MISSING, words, f"set {variable} to one of them, or to nothing")


def _postgres(home: Home) -> Iterator[Finding]:
    try:
        check_reachable(home.postgres)
    except PostgresUnusable as error:
        yield Finding("postgres", Verdict.MISSING, str(error), "run the mesh as an ordinary user")


def _contract(_: Home) -> Iterator[Finding]:
    if not DESCRIPTOR.exists():
        yield Finding("contract", Verdict.MISSING, f"there is no {DESCRIPTOR.name} in gen/", "make gen")


def _models(home: Home) -> Iterator[Finding]:
    for variable, default in MODELS.items():
        folder = home.models / os.environ.get(variable, default)
        if folder.is_dir() and any(folder.iterdir()):
            yield Finding("model", Verdict.OK, f"{folder.name} is in {folder.parent}")
        else:
            yield Finding("model", Verdict.MISSING, f"{folder} is not there", f"make models, or set {variable}")


def _keys(home: Home) -> Iterator[Finding]:
    if Keys(home.keys).exist():
        yield Finding("keys", Verdict.OK, "there is a key to sign development tokens with")
    else:
        yield Finding(
            "keys", Verdict.WARNING, "there is no key yet to sign development tokens with", "make up makes one"
        )


def _node() -> Iterator[Finding]:
    node = shutil.which("node")
    if node is None:
        yield Finding(
            "node", Verdict.WARNING, "there is no Node; only the TypeScript client needs it", "install Node 20"
        )
        return
    version = subprocess.run(
        [node, "--version"], capture_output=True, text=True, timeout=10, check=False
    ).stdout.strip()
    recent = version.removeprefix("v").split(".")[0].isdigit() and int(version.removeprefix("v").split(".")[0]) >= 20
    if recent:
        yield Finding("node", Verdict.OK, version)
    else:
        yield Finding(
            "node",
            Verdict.WARNING,
            f"{version} is older than 20; only the TypeScript client needs it",
            "install Node 20",
        )


def _running(mesh: Mesh) -> Iterator[Finding]:
    seen = status.look(mesh)
    if not seen.up:
        yield from _ports(mesh)
        yield Finding("mesh", Verdict.WARNING, "it is not running", "make up")
        return
    asked_for = read_selection(mesh.home)
    for row in [row for row in seen.parts if not asked_for or row.part in asked_for]:
        words = f"{row.state}: {row.health}" if row.health else row.state
        if row.well:
            yield Finding(row.part, Verdict.OK, words)
        else:
            yield Finding(row.part, Verdict.MISSING, words, f"make logs PART={row.part}")
        yield from _complaints(mesh, row.part)


def _ports(mesh: Mesh) -> Iterator[Finding]:
    wanted = [getattr(mesh.ports, name) for part in mesh.parts for name in part.ports] + [mesh.ports.supervisor]
    taken = processes.holders(wanted)
    for holder in taken:
        yield Finding("port", Verdict.MISSING, str(holder), "stop it, or set AI2TEXT_PORT_BASE")
    if not taken:
        yield Finding("ports", Verdict.OK, f"{min(wanted)} to {max(wanted)} are free")


def _complaints(mesh: Mesh, name: str) -> Iterator[Finding]:
    errors = [line for line in last_lines(mesh.log(name), LOG_LINES) if is_error(line)]
    if errors:
        words = f"its log has {len(errors)} errors in its last {LOG_LINES} lines; the latest: {errors[-1][:200]}"
        yield Finding(name, Verdict.WARNING, words, f"make logs PART={name}")


def is_error(line: str) -> bool:
    """Ours log JSON with a level; Envoy, NATS, Triton and PostgreSQL each have a mark of their own."""
    if line.startswith("{"):
        try:
            return str(json.loads(line).get("level", "")).lower() in ("error", "critical")
        except ValueError:
            return False
    return any(mark in line for mark in ("[error]", "[critical]", "[ERR]", "[FTL]", " ERROR ", "FATAL:", "PANIC:"))


def table(findings: list[Finding]) -> Table:
    """For people: what is ill first needs no search, each with what to do below it."""
    marks = {Verdict.OK: "[green]✓[/]", Verdict.WARNING: "[yellow]![/]", Verdict.MISSING: "[red]✗[/]"}
    table = Table(box=None, pad_edge=False, show_header=False)
    for found in findings:
        mend = f"\n[dim]→ {escape(found.mend)}[/]" if found.mend else ""
        table.add_row(marks[found.verdict], found.what, escape(found.words) + mend)
    return table
