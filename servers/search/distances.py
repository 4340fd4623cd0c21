"""Distances from one vector to many, in numkong's kernels. They hold no lock of Python's while they count."""

import numkong
import numpy as np
import numpy.typing as npt

from servers.search.documents import Vector
from servers.search.indexing import Codes, Halves

Distances = npt.NDArray[np.uint32]


def squared(code: Codes, codes: Codes) -> Distances:
    """The squares of the distances from `code` [dimensions] to `codes` [n, dimensions], exact."""
    found = np.empty(len(codes), np.uint32)
    if len(codes):
        squared_into(code[None], codes, found[None])
    return found


def squared_into(code: Codes, codes: Codes, found: Distances) -> None:
    """As `squared`, from `code` [1, dimensions], written to `found` [1, n]; n must not be 0."""
    numkong.cdist(code, codes, "sqeuclidean", out=found)


def inner(vector: Vector, vectors: Halves) -> npt.NDArray[np.float64]:
    """The inner products of `vector`, rounded to half precision, with `vectors` [n, dimensions]."""
    if not len(vectors):
        return np.empty(0, np.float64)
    return np.asarray(numkong.cdist(vector.astype(np.float16)[None], vectors, "dot"), np.float64).reshape(-1)
