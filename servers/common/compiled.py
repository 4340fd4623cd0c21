"""Loops over millions of numbers, compiled by numba when they are first called, and kept beside their source.

What is compiled holds no lock of Python's while it runs. It is kept under a name made of all sources of its folder
and of this one: numba itself looks only at the file of a loop, and would go on with what it made of another one that is
called in it, or made in another way.
"""

import shutil
from collections.abc import Callable
from functools import cache
from hashlib import blake2b
from pathlib import Path
from typing import Any, TypeVar, cast

import numba

Loop = TypeVar("Loop", bound=Callable[..., object])

_KEPT = "loops-"
_IN_ANY_ORDER = {"nnan", "nsz", "arcp", "contract", "reassoc", "afn"}


def compiled(loop: Loop) -> Loop:
    """The same, compiled."""
    return _kept(loop)


def summing(loop: Loop) -> Loop:
    """The same for a loop that adds up numbers with a fraction: in any order, so that several are added at a time. A
    division by zero raises nothing: where it might, loops are not turned into vectors."""
    return _kept(loop, fastmath=_IN_ANY_ORDER, error_model="numpy")


def _kept(loop: Loop, **how: Any) -> Loop:
    config = numba.config
    named = config.CACHE_DIR  # type: ignore[attr-defined]  # made when numba is imported, from NUMBA_CACHE_DIR
    config.CACHE_DIR = named or str(_place(Path(loop.__code__.co_filename).parent))  # type: ignore[attr-defined]
    try:
        return cast(Loop, numba.njit(nogil=True, cache=True, **how)(loop))
    finally:
        config.CACHE_DIR = named  # type: ignore[attr-defined]


@cache
def _place(folder: Path) -> Path:
    """Where what is compiled of these sources is kept; what was of others goes."""
    sources = b"\0".join(path.read_bytes() for path in (Path(__file__), *sorted(folder.glob("*.py"))))
    place = folder / "__pycache__" / f"{_KEPT}{blake2b(sources, digest_size=8).hexdigest()}"
    for other in place.parent.glob(f"{_KEPT}*"):
        if other != place:
            shutil.rmtree(other, ignore_errors=True)
    return place
