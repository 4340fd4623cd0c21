"""When each token was said, from the attention of some of the decoder's heads to the audio.

The way there is that of OpenAI's `timing.py`: what each head attends to is compared between the tokens, smoothed, and a
path is laid through the mean by dynamic time warping (Sakoe and Chiba, 1978).
"""

import numpy as np
from numpy.typing import NDArray

MEDIAN_WIDTH = 7

Floats = NDArray[np.float32]


def path(attention: Floats) -> list[tuple[int, int]]:
    """Pairs of a token and a position of the encoder, both from 0, in order; `attention` is [heads, tokens, positions],
    its rows sums of 1."""
    spread = attention.std(axis=1, keepdims=True)
    compared = (attention - attention.mean(axis=1, keepdims=True)) / np.maximum(spread, 1e-10)
    return warped(-_smoothed(compared).mean(axis=0))


def _smoothed(rows: Floats) -> Floats:
    """A running median over the last axis, which is mirrored at its ends."""
    half = MEDIAN_WIDTH // 2
    if rows.shape[-1] <= half:
        return rows
    padded = np.pad(rows, ((0, 0), (0, 0), (half, half)), mode="reflect")
    windows = np.lib.stride_tricks.sliding_window_view(padded, MEDIAN_WIDTH, axis=-1)
    return np.asarray(np.partition(windows, half, axis=-1)[..., half], np.float32)


def warped(costs: Floats) -> list[tuple[int, int]]:
    """The cheapest path through `costs` [rows, columns], from corner to corner; each step goes one on in either or
    both."""
    rows, columns = costs.shape
    total = np.full((rows + 1, columns + 1), np.inf)
    came = np.zeros((rows + 1, columns + 1), np.int8)
    total[0, 0] = 0
    for diagonal in range(2, rows + columns + 1):
        down = np.arange(max(1, diagonal - columns), min(rows, diagonal - 1) + 1)
        across = diagonal - down
        ways = np.stack([total[down - 1, across - 1], total[down - 1, across], total[down, across - 1]])
        best = ways.argmin(axis=0)
        total[down, across] = costs[down - 1, across - 1] + ways[best, np.arange(down.size)]
        came[down, across] = best
    return _walked_back(came)


def _walked_back(came: NDArray[np.int8]) -> list[tuple[int, int]]:
    row, column = came.shape[0] - 1, came.shape[1] - 1
    steps: list[tuple[int, int]] = []
    while row > 0 and column > 0:
        steps.append((row - 1, column - 1))
        way = came[row, column]
        row, column = row - (way != 2), column - (way != 1)
    return steps[::-1]
