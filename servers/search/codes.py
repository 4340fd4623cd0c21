"""Vectors in one byte a dimension: what is left when the mean is taken away, in steps of one size.

Vectors of a language model lie in a narrow cone, so their mean is most of each; without it the steps can be fine.
Distances between codes rank as inner products of the unit vectors do.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from servers.search.clustering import Matrix
from servers.search.indexing import Codes

MOST = 127
COVERED = 0.9995
"""The share of all parts that are not cut off at MOST steps."""


@dataclass(frozen=True, slots=True)
class Codec:
    """Fixed for the life of an index: codes of two codecs cannot be compared."""

    mean: Matrix
    """Shape [dimensions]."""

    scale: float
    """Steps for a length of 1."""

    @classmethod
    def fitting(cls, sample: Matrix) -> "Codec":
        """One that suits vectors like these; there must be one at least."""
        mean = sample.mean(axis=0, dtype=np.float32)
        reach = float(np.quantile(np.abs(sample - mean), COVERED))
        return cls(mean, MOST / max(reach, 1e-6))

    def encoded(self, vectors: Matrix) -> Codes:
        """The codes of vectors, shape [..., dimensions]."""
        steps = np.rint((vectors - self.mean) * np.float32(self.scale))
        codes: Codes = np.clip(steps, -MOST, MOST).astype(np.int8)
        return codes

    def inner(self, distances: npt.NDArray[np.int64]) -> Matrix:
        """About the inner products of unit vectors whose codes have these squared distances."""
        return np.float32(1) - distances.astype(np.float32) / np.float32(2 * self.scale**2)
