"""Loops over numbers, compiled by numba when they are first called, and kept beside their source.

What is compiled holds no lock of Python's while it runs. It is kept under a name made of all sources here, of the
instructions and of the versions of numba and numpy, of which Triton's environment and that of the tests have their own:
numba itself looks only at the file of a loop, and would go on with what it made of another one. Where nothing can be
written there, it is kept in a cache of the user's. Search has the same (servers/common/compiled.py): what Triton hosts
lies by itself, and imports nothing of the servers.
"""

import os
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterator
from functools import cache
from hashlib import blake2b
from pathlib import Path
from typing import Any, TypeVar, cast

import numba
import numpy as np

from vectors import INSTRUCTIONS

Loop = TypeVar("Loop", bound=Callable[..., Any])

_HERE = Path(__file__).resolve().parent
_KEPT = "loops-"
_FAST = {"nnan", "nsz", "arcp", "contract", "reassoc", "afn"}
"""Sums in any order, so that sixteen numbers are added at a time. There may be infinities."""


def compiled(loop: Loop) -> Loop:
    """The same, compiled, at every start where nothing can be kept. A division by zero raises nothing: where it might,
    loops are not turned into vectors."""
    config = numba.config
    named = config.CACHE_DIR  # type: ignore[attr-defined]  # made when numba is imported, from NUMBA_CACHE_DIR
    place = _place(_HERE, named)
    config.CACHE_DIR = str(place or "")  # type: ignore[attr-defined]
    try:
        return cast(Loop, numba.njit(nogil=True, cache=place is not None, fastmath=_FAST, error_model="numpy")(loop))
    finally:
        config.CACHE_DIR = named  # type: ignore[attr-defined]


@cache
def _place(folder: Path, named: str) -> Path | None:
    """Where what is compiled of these sources is kept; what was of others goes. None: nothing can be written.

    numba would look for another place by itself, but go by a loop's file alone there.
    """
    sources = b"\0".join(path.read_bytes() for path in sorted(folder.glob("*.py")))
    name = f"{_KEPT}{blake2b(sources, digest_size=8).hexdigest()}"
    full = f"{name}-{INSTRUCTIONS.feature}-numba-{numba.__version__}-numpy-{np.__version__}"
    place = next((base / full for base in _bases(folder, named) if _writable(base / full)), None)
    for other in place.parent.glob(f"{_KEPT}*") if place else ():
        if not other.name.startswith(name):
            shutil.rmtree(other, ignore_errors=True)
    return place


def _bases(folder: Path, named: str) -> Iterator[Path]:
    """Where it could be kept, the best first. Where others keep things too, each folder of sources has its own."""
    own = f"ai2text-{blake2b(str(folder.resolve()).encode(), digest_size=8).hexdigest()}"
    if named:
        yield Path(named) / own
    yield folder / "__pycache__"
    caches = Path(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"))
    if caches.is_absolute():
        yield caches / own
    if temporary := _temporary():
        yield temporary / own


def _temporary() -> Path | None:
    """A folder for what is temporary that this user alone can write to, since what is kept there is run later."""
    try:
        folder = Path(tempfile.gettempdir(), f"ai2text-{os.getuid()}")
        folder.mkdir(mode=0o700, exist_ok=True)
        found = folder.lstat()
    except OSError:
        return None
    ours = stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid() and not found.st_mode & 0o077
    return folder if ours else None


def _writable(place: Path) -> bool:
    """Whether it is there, or could be made, and takes files."""
    try:
        place.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=place).close()
    except OSError:
        return False
    return True
