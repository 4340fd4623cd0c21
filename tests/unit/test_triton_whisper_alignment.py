"""When tokens were said: paths through costs, and through attention that was made to point somewhere."""

from itertools import pairwise

import numpy as np
import pytest

from alignment import path, warped


def cheapest(costs: np.ndarray) -> float:
    """What the cheapest path costs, cell by cell."""
    rows, columns = costs.shape
    total = np.full((rows + 1, columns + 1), np.inf)
    total[0, 0] = 0
    for row in range(rows):
        for column in range(columns):
            before = min(total[row, column], total[row, column + 1], total[row + 1, column])
            total[row + 1, column + 1] = costs[row, column] + before
    return float(total[rows, columns])


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (9, 1), (5, 5), (4, 40), (30, 7)], ids=str)
def test_the_path_goes_from_corner_to_corner_in_single_steps_and_is_the_cheapest(shape: tuple[int, int]) -> None:
    for seed in range(5):
        costs = np.random.default_rng(seed).normal(size=shape).astype(np.float32)
        found = warped(costs)
        assert (found[0], found[-1]) == ((0, 0), (shape[0] - 1, shape[1] - 1))
        steps = {(b[0] - a[0], b[1] - a[1]) for a, b in pairwise(found)}
        assert steps <= {(0, 1), (1, 0), (1, 1)}
        assert sum(costs[cell] for cell in found) == pytest.approx(cheapest(costs), abs=1e-3)


def test_tokens_are_where_the_heads_attend_to() -> None:
    said = [(0, 12), (12, 30), (30, 34), (34, 60)]
    rng = np.random.default_rng(0)
    attention = rng.random((3, len(said), 60), np.float32) * 0.2
    for token, (start, end) in enumerate(said):
        attention[:, token, start:end] += 1
    attention /= attention.sum(axis=2, keepdims=True)
    starts = dict(reversed(path(attention)))
    assert [starts[token] for token in range(len(said))] == pytest.approx([start for start, _ in said], abs=2)


def test_a_clip_shorter_than_the_smoothing_has_a_path() -> None:
    found = path(np.full((2, 3, 2), 0.5, np.float32))
    assert (found[0], found[-1]) == ((0, 0), (2, 1))
