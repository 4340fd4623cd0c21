"""Loops over millions of numbers, compiled by numba when they are first called, and kept beside their source.

What is compiled holds no lock of Python's while it runs.
"""

from collections.abc import Callable
from typing import TypeVar, cast

import numba

Loop = TypeVar("Loop", bound=Callable[..., object])


def compiled(loop: Loop) -> Loop:
    """The same, compiled."""
    return cast(Loop, numba.njit(nogil=True, cache=True)(loop))
