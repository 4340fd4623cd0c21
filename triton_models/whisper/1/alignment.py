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
    shifted = [padded[..., at : at + rows.shape[-1]] for at in range(MEDIAN_WIDTH)]
    for end in range(MEDIAN_WIDTH - 1, half - 1, -1):  # a bubble sort of whole arrays, as far as the middle
        for at in range(end):
            low, high = shifted[at], shifted[at + 1]
            shifted[at], shifted[at + 1] = np.minimum(low, high), np.maximum(low, high)
    return shifted[half]


def warped(costs: Floats) -> list[tuple[int, int]]:
    """The cheapest path through `costs` [rows, columns], from corner to corner; each step goes one on in either or
    both.

    A row at a time: a path enters it from above at some column and goes along it from there, and what it costs to go
    along is a difference of running sums, so that the best entry for each column is a running minimum.
    """
    rows, columns = costs.shape
    total = np.full((rows + 1, columns + 1), np.inf)
    total[0, 0] = 0
    for row, own in enumerate(np.asarray(costs, np.float64), start=1):
        above = total[row - 1]
        along = np.cumsum(own)
        total[row, 1:] = along + np.minimum.accumulate(np.minimum(above[:-1], above[1:]) - (along - own))
    return _walked_back(total)


def _walked_back(total: NDArray[np.float64]) -> list[tuple[int, int]]:
    """The path whose costs so far are `total`, behind a row and a column of nothing. Of ways as cheap as each other it
    is the one along both, else down."""
    costs = total.tolist()
    row, column = len(costs) - 1, len(costs[0]) - 1
    steps: list[tuple[int, int]] = []
    while row > 0 and column > 0:
        steps.append((row - 1, column - 1))
        both, down, across = costs[row - 1][column - 1], costs[row - 1][column], costs[row][column - 1]
        if both <= down and both <= across:
            row, column = row - 1, column - 1
        elif down <= across:
            row -= 1
        else:
            column -= 1
    return steps[::-1]
