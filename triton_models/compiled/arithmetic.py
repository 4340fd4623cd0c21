"""What networks are made of, as compiled loops over rows of numbers.

The weights of a linear layer lie in panels of OUTPUTS outputs: [panels, inputs / GROUP, OUTPUTS, GROUP], in the order
in which they are read. What is multiplied with them are integers, too, as INSTRUCTIONS has them.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from compiled import compiled
from vectors import BROAD, GROUP, INSTRUCTIONS, LANES, OUTPUTS, as_float, broad, integers, narrow

Floats = NDArray[np.float32]
Integers = NDArray[np.int32]
Bytes = NDArray[np.int8]


class Linear(NamedTuple):
    """Linear layers: their panels, one layer behind the other; for each output of each what one of its integers is
    worth, what is added, and the sum of its weights times what stands for 0."""

    panels: Bytes
    scale: Floats
    bias: Floats
    sums: Integers


_LOG2_E, _LN_2, _ROOT_HALF = np.float32(1.4426950408889634), np.float32(0.6931471805599453), np.float32(0.5**0.5)
_HALF, _ONE, _LOWEST = np.float32(0.5), np.float32(1), np.float32(-87)
_P2, _P3, _P4, _P5, _P6 = (np.float32(1 / factorial) for factorial in (2, 6, 24, 120, 720))
_E0, _E1, _E2, _E3, _E4, _E5 = map(
    np.float32, (0.3275911, 0.254829592, -0.284496736, 1.421413741, -1.453152027, 1.061405429)
)
_TINY = np.float32(1e-8)
_Values = INSTRUCTIONS.values
_MOST, _UP = np.float32(INSTRUCTIONS.most), np.float32(INSTRUCTIONS.most + 1.5)
_DOWN = np.int32(INSTRUCTIONS.most + 1 - INSTRUCTIONS.nothing)
_WITHOUT_SIGN, _SIGN, _BIAS, _FRACTION = np.int32(0x7FFFFFFF), np.int32(31), np.int32(127), np.int32(23)


@compiled
def exponential(value: np.float32) -> np.float32:
    """e to a power of at most 0, to six digits: a power of two, and a Taylor series on half of one to each side."""
    value = value if value > _LOWEST else _LOWEST
    whole = np.floor(value * _LOG2_E + _HALF)
    rest = value - whole * _LN_2
    series = _ONE + rest * (_ONE + rest * (_P2 + rest * (_P3 + rest * (_P4 + rest * (_P5 + rest * _P6)))))
    return np.float32(series * as_float(np.int32((np.int32(whole) + _BIAS) << _FRACTION)))


@compiled
def largest(values: Floats) -> np.float32:
    """Of a row. Compared as integers, whose order is the same but for the sign: such a loop takes 16 at a time."""
    bits = values.view(np.int32)
    found = np.int32(-_WITHOUT_SIGN)
    for at in range(bits.size):
        value = np.int32(bits[at] ^ ((bits[at] >> _SIGN) & _WITHOUT_SIGN))
        found = value if value > found else found
    return np.float32(as_float(np.int32(found ^ ((found >> _SIGN) & _WITHOUT_SIGN))))


@compiled
def gelu(values: Floats) -> None:
    """The exact GELU of a row, in place. Its error function is Abramowitz and Stegun's 7.1.26, right to 1.5e-7."""
    for at in range(values.size):
        value = values[at]
        size = abs(value)
        z = size * _ROOT_HALF
        t = _ONE / (_ONE + _E0 * z)
        rest = t * (_E1 + t * (_E2 + t * (_E3 + t * (_E4 + t * _E5))))
        values[at] = _HALF * (value + size * (_ONE - rest * exponential(-z * z)))


@compiled
def softmax(values: Floats) -> None:
    """Of a row, in place."""
    most = largest(values)
    total = np.float32(0)
    for at in range(values.size):
        values[at] = exponential(values[at] - most)
        total += values[at]
    share = _ONE / total
    for at in range(values.size):
        values[at] *= share


@compiled
def normalised(given: Floats, norm: Floats, epsilon: np.float32, out: Floats) -> None:
    """Each row less its mean, over its standard deviation; `norm` is a factor and what is added; to the variance
    `epsilon` is added."""
    length = np.float32(given.shape[1])
    for row in range(given.shape[0]):
        values, into = given[row], out[row]
        total = np.float32(0)
        for at in range(values.size):
            total += values[at]
        mean = total / length
        total = np.float32(0)
        for at in range(values.size):
            total += (values[at] - mean) * (values[at] - mean)
        factor = _ONE / np.sqrt(total / length + epsilon)
        for at in range(values.size):
            into[at] = (values[at] - mean) * factor * norm[0, at] + norm[1, at]


@compiled
def _rounded(given: Floats, out: NDArray[Any]) -> np.float32:
    """A row as integers; returns what one of them is worth."""
    bits = given.view(np.int32)
    most = np.int32(0)
    for at in range(bits.size):
        value = np.int32(bits[at] & _WITHOUT_SIGN)
        most = value if value > most else most
    size = np.float32(as_float(most))
    size = size if size > _TINY else _TINY
    factor = _MOST / size
    for at in range(given.size):
        out[at] = _Values(np.int32(given[at] * factor + _UP) - _DOWN)
    return np.float32(size / _MOST)


@compiled
def product(given: Floats, linear: Linear, layer: int, out: Floats) -> None:
    """`given` [rows, inputs] times a linear layer into `out` [rows, outputs of all panels]; each row has a scale."""
    rows, inputs = given.shape
    panels, groups = linear.panels.shape[1], linear.panels.shape[2]
    values = np.empty((rows, inputs), _Values)
    steps = np.empty(rows, np.float32)
    for row in range(rows):
        steps[row] = _rounded(given[row], values[row])
    sums = np.empty((rows, OUTPUTS), np.int32)
    step, apart, sums_apart = GROUP * OUTPUTS, 4 // GROUP * inputs, 4 * OUTPUTS
    for panel in range(panels):
        weights = linear.panels[layer, panel].ctypes.data
        integers(rows, weights, step, values.ctypes.data, apart, groups, sums.ctypes.data, sums_apart)
        own = slice(panel * OUTPUTS, (panel + 1) * OUTPUTS)
        scale, bias, nothing = linear.scale[layer, own], linear.bias[layer, own], linear.sums[layer, own]
        for row in range(rows):
            found, to, worth = sums[row], out[row, own], steps[row]
            for lane in range(OUTPUTS):
                to[lane] = np.float32(np.int32(found[lane] - nothing[lane])) * (worth * scale[lane]) + bias[lane]


@compiled
def add(one: Floats, other: Floats) -> None:
    """`other` to `one`, in place."""
    for row in range(one.shape[0]):
        into, values = one[row], other[row]
        for at in range(into.size):
            into[at] += values[at]


@compiled
def attend(
    asked: Floats, own: int, keys: Floats, values: int, values_step: int, bias: Floats, scale: np.float32,
    logits: Floats, out: Floats,
) -> None:  # fmt: skip
    """One head's attention of `asked` [rows, ...] to keys [width of a head, positions], at least LANES of them, and
    values `values_step` bytes apart; its numbers begin at `own` in `asked` and `out`. Its width is some times LANES.
    `logits` are what is attended to."""
    rows, (per_head, positions) = asked.shape[0], keys.shape
    many, apart = LANES * BROAD, 4 * asked.shape[1]
    those, known, into, next_row = asked.ctypes.data + 4 * own, keys.ctypes.data, logits.ctypes.data, 4 * positions
    place = 0
    while place + many <= positions:
        broad(rows, known + 4 * place, next_row, those, apart, per_head, into + 4 * place, next_row)
        place += many
    while place < positions:
        place = min(place, positions - LANES)  # the last vector may begin among those of the one before
        narrow(rows, known + 4 * place, next_row, those, apart, per_head, into + 4 * place, next_row)
        place += LANES
    for row in range(rows):
        found = logits[row]
        for at in range(positions):
            found[at] = found[at] * scale + bias[at]
        softmax(found)
    first, end = 4 * own, 4 * (own + per_head)
    while first < end:
        place, into_row = values + first - 4 * own, out.ctypes.data + first
        if first + 4 * many <= end:
            broad(rows, place, values_step, into, next_row, positions, into_row, 4 * out.shape[1])
            first += 4 * many
        else:
            narrow(rows, place, values_step, into, next_row, positions, into_row, 4 * out.shape[1])
            first += 4 * LANES
