"""Weights as integers of eight bits."""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]


def rounded(weight: Floats, largest: int) -> tuple[NDArray[np.int8], Floats]:
    """A weight [outputs, inputs] as integers from -`largest` to `largest` (at most 127), and what one of them is worth
    in each output."""
    scales = np.abs(weight).max(axis=1) / largest
    scales[scales == 0] = 1
    return np.rint(weight / scales[:, np.newaxis]).astype(np.int8), scales.astype(np.float32)
