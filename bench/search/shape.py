"""How vectors lie to each other: whether drawn ones are as hard to search as real ones.

Two things make nearest neighbours hard to find: how many directions they may lie in (the intrinsic dimension, as seen
from one point), and how little nearer the nearest are than the next. Both are told for a matrix of unit vectors.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Matrix = npt.NDArray[np.float32]
Cosines = npt.NDArray[np.float32]
"""Shape [n, k]: of each vector to its k nearest, nearest first."""

NEIGHBOURS = 50
_SHARE = 0.9
_LEAST_SQUARE = 1e-9


@dataclass(frozen=True)
class Shape:
    """What is compared; percentiles are the 5th, 50th and 95th."""

    first: tuple[float, float, float]
    """Cosines to the nearest."""

    tenth: tuple[float, float, float]
    dimension: float
    """By the ten nearest."""

    two_nn: float


def shape(asked: Matrix, among: Matrix) -> Shape:
    """The shape of `among` as seen from `asked`; of itself when both are the same object."""
    near = cosines(asked, among, NEIGHBOURS)
    return Shape(_spread(near[:, 0]), _spread(near[:, 9]), dimension(near[:, :10]), two_nn(near[:, :2]))


def cosines(asked: Matrix, among: Matrix, count: int) -> Cosines:
    """The `count` largest cosines of each of `asked`; a vector is no neighbour of itself."""
    all_of_them = asked @ among.T
    if asked is among:
        np.fill_diagonal(all_of_them, -2)
    largest = np.partition(all_of_them, -count, axis=1)[:, -count:]
    return np.asarray(-np.sort(-largest, axis=1), np.float32)


def dimension(near: Cosines) -> float:
    """Intrinsic dimension by maximum likelihood (Levina and Bickel, 2004), its inverses averaged as MacKay and
    Ghahramani (2005) mend it."""
    far = _distances(near)
    return float(1 / np.log(far[:, -1:] / far[:, :-1]).mean())


def two_nn(near: Cosines) -> float:
    """Intrinsic dimension by the two nearest alone (Facco et al., 2017), without the tenth that lies farthest out."""
    far = _distances(near)
    ratios = np.sort(far[:, 1] / far[:, 0])
    share = np.arange(1, len(ratios) + 1) / len(ratios)
    kept = int(_SHARE * len(ratios))
    x, y = np.log(ratios[:kept]), -np.log(1 - share[:kept])
    return float((x @ y) / (x @ x))


def _spread(values: Cosines) -> tuple[float, float, float]:
    low, middle, high = np.percentile(values, (5, 50, 95)).tolist()
    return low, middle, high


def _distances(near: Cosines) -> npt.NDArray[np.float64]:
    return np.sqrt(np.maximum(2 - 2 * near.astype(np.float64), _LEAST_SQUARE))
