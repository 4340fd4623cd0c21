"""Triton from the nvidia-pytriton wheel: `python -m mesh.triton` becomes the server, as an ordinary user.

The wheel's server needs its own libraries on the library path (without them it hangs and ignores signals) and one
backend folder that holds the Python backend together with the stub of the Python that runs the models.
"""

import contextlib
import ctypes
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from mesh import model_repository
from mesh.home import REPOSITORY, Home
from mesh.ports import HOST, Ports

PYTHON = "3.11"
LIBPYTHON = f"libpython{PYTHON}.so.1.0"
EXIT_SECONDS = 10
SHARED_MEMORY = Path("/dev/shm")
DEFAULT_VENV = REPOSITORY / ".venv-triton"
VERSION_SECONDS = 20
_SPECIAL = re.compile(r"""[\s'"\\$`&|;<>()\[\]{}*?]""")
"""What a shell does not take as it is."""


@dataclass(frozen=True)
class Installation:
    """Where the parts of the wheel lie in one virtual environment."""

    venv: Path

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None) -> "Installation":
        """AI2TEXT_TRITON_VENV, default `.venv-triton` in the repository."""
        env = os.environ if environ is None else environ
        return cls(Path(env.get("AI2TEXT_TRITON_VENV") or DEFAULT_VENV).absolute())

    @property
    def packages(self) -> Path:
        """The environment's site-packages."""
        return self.venv / "lib" / f"python{PYTHON}" / "site-packages"

    @property
    def server(self) -> Path:
        """The folder with Triton's binary, backend and stubs."""
        return self.packages / "pytriton" / "tritonserver"

    @property
    def binary(self) -> Path:
        """The server itself."""
        return self.server / "bin" / "tritonserver"

    @property
    def libraries(self) -> Path:
        """The shared libraries that the binary and the stubs link to."""
        return self.packages / "nvidia_pytriton.libs"

    @property
    def base(self) -> dict[str, str]:
        """What `pyvenv.cfg` says of the interpreter that the environment was made with: `home`, where it lies, ..."""
        lines = (self.venv / "pyvenv.cfg").read_text(encoding="utf-8").splitlines()
        pairs = (line.partition("=") for line in lines)
        return {name.strip(): value.strip() for name, _, value in pairs}

    @property
    def own_libpython(self) -> Path:
        """Where libpython lies when that interpreter brings its own, as pyenv's may. A distribution's does not."""
        return Path(self.base["home"]).parent / "lib" / LIBPYTHON

    @property
    def library_path(self) -> list[str]:
        """The folders in which the server and its stubs look for shared libraries before the system's: CUDA's too, if
        NVIDIA's wheels are there."""
        own = [str(self.own_libpython.parent)] if self.own_libpython.exists() else []
        return [str(self.libraries), *own, *sorted(map(str, self.packages.glob("nvidia/*/lib")))]

    def missing(self) -> list[str]:
        """What keeps Triton from starting, one sentence each; empty when nothing does."""
        if not self.binary.exists():
            return [f"there is no Triton in {self.venv}: run `make setup`"]
        library = str(self.own_libpython) if self.own_libpython.exists() else LIBPYTHON
        try:
            version = _version_of(library)
        except OSError:
            return [f"{LIBPYTHON} is missing: install it with `apt install libpython{PYTHON}`"]
        anew = f"remove {self.venv} and make it with the Python that the library belongs to"
        try:
            own = self._version()
        except (OSError, subprocess.SubprocessError):
            return [f"the Python of {self.venv} does not run: {anew}"]
        if version != own:
            return [f"{LIBPYTHON} is Python {version} but the Python of {self.venv} is {own}: {anew}"]
        return []

    def _version(self) -> str:
        """`3.11.2`, as the environment's Python says: `pyvenv.cfg` has what it was when the environment was made, and
        of `3.11.0rc1` only a part. The patch counts, since the library runs with that Python's standard library.

        Raises OSError or SubprocessError when it does not run.
        """
        asked = [str(self.venv / "bin" / "python"), "-ISc", "import sys; print(sys.version.split()[0])"]
        ran = subprocess.run(asked, capture_output=True, text=True, timeout=VERSION_SECONDS, check=True)
        return ran.stdout.strip()


def _version_of(library: str) -> str:
    """`3.11.2`, as libpython itself says. Raises OSError when it cannot be loaded."""
    get_version = ctypes.CDLL(library).Py_GetVersion
    get_version.restype = ctypes.c_char_p
    return bytes(get_version()).split()[0].decode()


def path_faults(home: Home) -> list[str]:
    """What keeps Triton from loading models in `home`, one sentence; empty when nothing does.

    Its Python backend starts each model by `bash -c "exec STUB MODEL_PATH ..."` without quotes, and both lie there.
    """
    if not (special := _SPECIAL.search(str(home.triton))):
        return []
    return [
        f"the shell that Triton starts models with would misread the path of the home, which has {special[0]!r} in it:"
        f" set AI2TEXT_HOME to a folder without such marks, not to {home.root}"
    ]


def shared_memory_prefix(home: Home) -> str:
    """The prefix of this mesh's regions in /dev/shm, so that one mesh never removes another's."""
    return f"ai2text_{re.sub(r'[^A-Za-z0-9]+', '_', str(home.root)).strip('_')}_shm"


def remove_leaked_memory(prefix: str, folder: Path = SHARED_MEMORY) -> list[str]:
    """Removes regions that a killed server left behind; call it only while none with this prefix runs."""
    leaked = sorted(folder.glob(f"{prefix}*"))
    for region in leaked:
        region.unlink(missing_ok=True)
    return [region.name for region in leaked]


def end_orphans(stub: Path) -> list[int]:
    """Kills the model processes that outlived a killed server: each holds a model in memory for good.

    Call it only while no server that uses `stub` runs. Returns the ids of the processes.
    """
    orphans = [int(process.name) for process in Path("/proc").glob("[0-9]*") if _program_of(process) == str(stub)]
    for orphan in orphans:
        with contextlib.suppress(ProcessLookupError):
            os.kill(orphan, signal.SIGKILL)
    return orphans


def _program_of(process: Path) -> str:
    """The program's path, also when its file has been replaced since; "" when it is not ours to know."""
    try:
        return os.readlink(process / "exe").removesuffix(" (deleted)")
    except OSError:
        return ""


def assemble_backends(installation: Installation, folder: Path) -> Path:
    """A backend directory under `folder` with the Python backend and the stub of our Python beside it.

    Files are copied, not linked: the backend looks for the stub next to its own library. Returns the stub's path.
    """
    backend = folder / "backends" / "python"
    shutil.copytree(
        installation.server / "backends" / "python", backend, dirs_exist_ok=True, copy_function=_replace_file
    )
    stub = installation.server / "python_backend_stubs" / PYTHON / "triton_python_backend_stub"
    _replace_file(str(stub), str(backend / stub.name))
    return backend / stub.name


def _replace_file(source: str, target: str) -> None:
    """Copies in one step, which also works while `target` is being executed."""
    shutil.copy2(source, f"{target}.new")
    Path(f"{target}.new").replace(target)


def command(installation: Installation, home: Home, ports: Ports) -> list[str]:
    """The server's argument vector: all on 127.0.0.1, metrics on, every request traced to the mesh's collector."""
    return [
        str(installation.binary),
        f"--model-repository={home.triton / 'models'}",
        f"--backend-directory={home.triton / 'backends'}",
        "--disable-auto-complete-config",  # the configurations are complete; completing them loads each model twice
        f"--backend-config=python,shm-region-prefix-name={shared_memory_prefix(home)}",
        f"--http-address={HOST}",
        f"--http-port={ports.triton_http}",
        "--http-thread-count=2",
        f"--grpc-address={HOST}",
        f"--grpc-port={ports.triton_grpc}",
        f"--metrics-address={HOST}",
        f"--metrics-port={ports.triton_metrics}",
        "--allow-gpu-metrics=false",
        f"--exit-timeout-secs={EXIT_SECONDS}",
        "--trace-config=mode=opentelemetry",
        "--trace-config=level=TIMESTAMPS",
        "--trace-config=rate=1",
        f"--trace-config=opentelemetry,url=http://{HOST}:{ports.otlp_http}/v1/traces",
        "--trace-config=opentelemetry,resource=service.name=triton",
    ]


def environment(installation: Installation, home: Home, environ: Mapping[str, str]) -> dict[str, str]:
    """`environ` with the library path, the environment's Python first, and the models as full paths.

    Whisper is given all its cuts that the models folder has, unless AI2TEXT_WHISPER_CUTS names others or, empty, none;
    so it is with AI2TEXT_WHISPER_ONNX, what ONNX Runtime takes of it. On a GPU it is given no cuts: all words cost
    next to nothing there, and clips of several languages are decoded together.
    """

    def model(variable: str, default: str) -> Path:
        return home.models / environ.get(variable, default)  # an absolute path in the variable stands

    whisper = model("AI2TEXT_WHISPER_MODEL", "whisper-base")
    on_gpu = model_repository.is_on_gpu("whisper", environ)
    cuts = "" if on_gpu else ":".join(sorted(map(str, home.models.glob(f"{whisper.name}-cut-*"))))
    exported = home.models / f"{whisper.name}-onnx"  # as the cuts, wherever the model itself is
    paths = [*installation.library_path, *filter(None, [environ.get("LD_LIBRARY_PATH")])]
    return {
        **{name: value for name, value in environ.items() if name not in ("PYTHONHOME", "PYTHONPATH", "VIRTUAL_ENV")},
        "LD_LIBRARY_PATH": ":".join(paths),
        "PATH": f"{installation.venv / 'bin'}:{environ.get('PATH', os.defpath)}",
        "AI2TEXT_WHISPER_MODEL": str(whisper),
        "AI2TEXT_WHISPER_CUTS": environ.get("AI2TEXT_WHISPER_CUTS", cuts),
        "AI2TEXT_WHISPER_ONNX": environ.get("AI2TEXT_WHISPER_ONNX", str(exported) if exported.is_dir() else ""),
        "AI2TEXT_EMBEDDER_MODEL": str(model("AI2TEXT_EMBEDDER_MODEL", "multilingual-e5-small")),
        # Whisper and the embedder share the cores: threads that spin while they wait slow each other twentyfold.
        "OMP_WAIT_POLICY": "PASSIVE",
        "KMP_BLOCKTIME": "0",
        # numpy's products are small; a second thread for them costs more than it gains.
        "OPENBLAS_NUM_THREADS": "1",
        # Every token reads all weights: in pages of 2 MiB that takes a tenth less time. For kernels that give them on
        # request (`madvise`); others, and C libraries that do not know the name, leave it.
        "GLIBC_TUNABLES": ":".join(filter(None, [environ.get("GLIBC_TUNABLES"), "glibc.malloc.hugetlb=1"])),
        "HF_HUB_OFFLINE": "1",
        "TOKENIZERS_PARALLELISM": "false",
        "PYTHONDONTWRITEBYTECODE": "1",
    }


def main() -> None:
    """Replaces this process by Triton, so that a supervisor sees one. Exits 1 and says why when it cannot."""
    installation, home, ports = Installation.from_env(), Home.from_env(), Ports.from_env()
    if faults := [*installation.missing(), *path_faults(home)]:
        sys.exit("Triton cannot start: " + "; ".join(faults))
    if _answers(ports.triton_grpc):
        sys.exit(f"Triton cannot start: something listens on port {ports.triton_grpc} already")
    home.triton.mkdir(parents=True, exist_ok=True)
    end_orphans(assemble_backends(installation, home.triton))
    remove_leaked_memory(shared_memory_prefix(home))
    variables = environment(installation, home, os.environ)
    try:
        model_repository.assemble(home.triton / "models", variables)
    except ValueError as fault:
        sys.exit(f"Triton cannot start: {fault}")
    argv = command(installation, home, ports)
    os.execve(argv[0], argv, variables)


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex((HOST, port)) == 0


if __name__ == "__main__":
    main()
