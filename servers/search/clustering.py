"""Gathers vectors around centroids (Lloyd's k-means, on a sample)."""

from collections.abc import Callable, Iterator

import numpy as np
import numpy.typing as npt

Matrix = npt.NDArray[np.float32]
"""Vectors, shape [n, dimensions]."""

Labels = npt.NDArray[np.uint32]

ROUNDS = 6
SAMPLED = 24
"""How many vectors a centroid is drawn from, on average: more make the lists hardly better, and take longer."""

_AT_ONCE = 1 << 24
"""Products of a vector with a centroid that are held at a time: 64 MiB."""

_APART = 1 / 1024
"""The two halves of a list that is split begin so far from its centroid, of their length."""


class Stopped(Exception):
    """Told to stop in the middle of the work."""


def centroids(sample: Matrix, count: int, seed: int = 1, stopped: Callable[[], bool] = lambda: False) -> Matrix:
    """`count` centroids of `sample`, which must have as many vectors; none of them is nearest to nothing by plan: one
    that is takes half of the fullest. Stopped when told so."""
    numbers = np.random.default_rng(seed)
    found: Matrix = sample[numbers.choice(len(sample), count, replace=False)].copy()
    for _ in range(ROUNDS):
        labels = nearest(sample, found, stopped)
        sizes = np.bincount(labels, minlength=count)
        order = np.argsort(labels, kind="stable")
        starts = np.cumsum(sizes) - sizes
        full = sizes > 0
        sums = np.add.reduceat(sample[order], starts[full], axis=0, dtype=np.float32)
        found[full] = sums / sizes[full, None]
        _split(found, sizes, numbers)
    return found


def nearest(vectors: Matrix, centres: Matrix, stopped: Callable[[], bool] = lambda: False) -> Labels:
    """For each vector the number of the centroid with the least Euclidean distance. Stopped when told so."""
    labels = np.empty(len(vectors), np.uint32)
    half_norms = np.einsum("nd,nd->n", centres, centres) / 2
    for start, end in blocks(len(vectors), max(256, _AT_ONCE // max(1, len(centres)))):
        if stopped():
            raise Stopped
        labels[start:end] = np.argmax(vectors[start:end] @ centres.T - half_norms, axis=1)
    return labels


def blocks(count: int, size: int) -> Iterator[tuple[int, int]]:
    """Begin and end of each block of at most `size` out of `count`."""
    return ((start, min(start + size, count)) for start in range(0, count, size))


def _split(found: Matrix, sizes: npt.NDArray[np.int64], numbers: np.random.Generator) -> None:
    """Have each centroid that has none share with the one that has most."""
    for empty in np.flatnonzero(sizes == 0):
        fullest = int(np.argmax(sizes))
        nudge = numbers.choice(np.array([-_APART, _APART], np.float32), found.shape[1])
        found[empty] = found[fullest] * (1 + nudge)
        found[fullest] *= 1 - nudge
        sizes[empty] = sizes[fullest] // 2
        sizes[fullest] -= sizes[empty]
