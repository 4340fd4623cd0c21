"""Loops over numbers, compiled by numba when they are first called, and kept beside their source.

What is compiled holds no lock of Python's while it runs. It is kept under a name made of all sources here, of the
instructions and of the versions of numba and numpy, of which Triton's environment and that of the tests have their own:
numba itself looks only at the file of a loop, and would go on with what it made of another one. Search has the same
(servers/common/compiled.py): what Triton hosts lies by itself, and imports nothing of the servers.
"""

import shutil
from collections.abc import Callable
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


def _place() -> Path:
    """Where what is compiled of these sources is kept; what was of others goes."""
    sources = b"\0".join(path.read_bytes() for path in sorted(_HERE.glob("*.py")))
    name = f"{_KEPT}{blake2b(sources, digest_size=8).hexdigest()}"
    place = _HERE / "__pycache__" / f"{name}-{INSTRUCTIONS.feature}-numba-{numba.__version__}-numpy-{np.__version__}"
    for other in place.parent.glob(f"{_KEPT}*"):
        if not other.name.startswith(name):
            shutil.rmtree(other, ignore_errors=True)
    return place


def compiled(loop: Loop) -> Loop:
    """The same, compiled. A division by zero raises nothing: where it might, loops are not turned into vectors."""
    return cast(Loop, numba.njit(nogil=True, cache=True, fastmath=_FAST, error_model="numpy")(loop))


if not numba.config.CACHE_DIR:  # type: ignore[attr-defined]  # made when numba is imported, from NUMBA_CACHE_DIR
    numba.config.CACHE_DIR = str(_place())  # type: ignore[attr-defined]
