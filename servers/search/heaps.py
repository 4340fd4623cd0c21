"""Keeps the largest of many values, in a heap of their number whose smallest is on top (Williams, 1964)."""

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from servers.common.compiled import compiled

Value: TypeAlias = float | np.float32 | np.int64


@compiled
def offer(values: npt.NDArray[Any], items: npt.NDArray[np.int64], size: int, value: Value, item: int | np.int64) -> int:
    """Take in an item with its value: while there is room, or in place of that on top. How many there are then."""
    if size < len(values):
        place = size
        size += 1
        while place > 0 and values[(place - 1) >> 1] > value:
            above = (place - 1) >> 1
            values[place], items[place] = values[above], items[above]
            place = above
    else:
        place = 0
        while True:
            below = 2 * place + 1
            if below >= size:
                break
            if below + 1 < size and values[below + 1] < values[below]:
                below += 1
            if values[below] >= value:
                break
            values[place], items[place] = values[below], items[below]
            place = below
    values[place], items[place] = value, item
    return size
