"""The network of Silero VAD in compiled loops, with the weights of its ONNX file, in a third of ONNX Runtime's time.

For each window of sound: its spectrum at four moments, the size of each of 129 frequencies; four convolutions, which
make one moment of four; a cell of an LSTM, which remembers; one number out of that.
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import onnx
from numpy.typing import NDArray

from servers.asr.endpointing import WINDOW
from servers.common.compiled import summing

Floats = NDArray[np.float32]

CONTEXT = 64
"""Samples of the window before that the network sees again."""
MEMORY = 128
"""Numbers of each of its two states."""
_FREQUENCIES = 129
_SPAN, _STEP = 256, 128
"""Samples of a moment's spectrum, and from one moment to the next."""
_MOMENTS = 4
_NOTHING, _ONE = np.float32(0), np.float32(1)


class Convolution(NamedTuple):
    """Over three moments at a time: a row of weights for each output, [outputs, 3 x inputs]."""

    weights: Floats
    bias: Floats


class Weights(NamedTuple):
    """All that is multiplied."""

    spectrum: Floats
    """[2 x frequencies, span]: cosines, then sines."""
    convolutions: tuple[Convolution, Convolution, Convolution, Convolution]
    cell: Floats
    """[4 x memory, what came and what was remembered]: input, output, forget, and what is new."""
    cell_bias: Floats
    voice: Floats
    voice_bias: np.float32


def load(path: Path) -> Weights:
    """The weights in Silero's file; KeyError or ValueError when it holds another network."""
    graph = onnx.load(path).graph
    found = {each.name: onnx.numpy_helper.to_array(each) for each in graph.initializer}
    (lstm,) = (node for node in graph.node if node.op_type == "LSTM")
    inputs, memory, bias = (found[name][0] for name in lstm.input[1:4])
    return Weights(
        spectrum=_whole(found["encoder.feature_extractor.forward_basis_buffer"][:, 0]),
        convolutions=(_convolution(found, 0), _convolution(found, 1), _convolution(found, 2), _convolution(found, 3)),
        cell=_whole(np.concatenate([inputs, memory], axis=1)),
        cell_bias=_whole(bias[: bias.size // 2] + bias[bias.size // 2 :]),
        voice=_whole(found["decoder.conv1d.weight"].reshape(-1)),
        voice_bias=np.float32(found["decoder.conv1d.bias"][0]),
    )


def _convolution(found: dict[str, Floats], place: int) -> Convolution:
    weights = found[f"encoder.conv_layers.{place}.weight"]
    by_moment = weights.transpose(0, 2, 1).reshape(len(weights), -1)
    return Convolution(_whole(by_moment), _whole(found[f"encoder.conv_layers.{place}.bias"]))


def _whole(values: Floats) -> Floats:
    return np.ascontiguousarray(values, np.float32)


@summing
def _product(one: Floats, other: Floats) -> np.float32:
    total = _NOTHING
    for at in range(one.size):
        total += one[at] * other[at]
    return total


@summing
def _convolve(given: Floats, by: Convolution, stride: int, out: Floats) -> None:
    """`given` [moments and one more at each end, inputs] into `out` [moments, outputs], what is below 0 as 0."""
    flat, inputs = given.reshape(-1), given.shape[1]
    for place in range(by.bias.size):
        weights, bias = by.weights[place], by.bias[place]
        for moment in range(out.shape[0]):
            begin = moment * stride * inputs
            value = _product(weights, flat[begin : begin + weights.size]) + bias
            out[moment, place] = value if value > _NOTHING else _NOTHING


@summing
def _sigmoid(value: np.float32) -> np.float32:
    return np.float32(_ONE / (_ONE + np.exp(-value)))


@summing
def _window(weights: Weights, heard: Floats, hidden: Floats, cell: Floats) -> np.float32:
    """The probability of voice of `heard` [CONTEXT + WINDOW]; `hidden` and `cell`, what is remembered, are changed."""
    sound = np.empty(_STEP * (_MOMENTS + 1), np.float32)
    sound[: heard.size] = heard
    for at in range(heard.size, sound.size):  # behind its end it is heard backwards
        sound[at] = heard[2 * heard.size - 2 - at]
    sizes = np.zeros((_MOMENTS + 2, _FREQUENCIES), np.float32)
    for frequency in range(_FREQUENCIES):
        for moment in range(_MOMENTS):
            own = sound[moment * _STEP : moment * _STEP + _SPAN]
            real = _product(weights.spectrum[frequency], own)
            imaginary = _product(weights.spectrum[_FREQUENCIES + frequency], own)
            sizes[moment + 1, frequency] = np.sqrt(real * real + imaginary * imaginary)
    first, second, third, fourth = weights.convolutions
    four = np.zeros((_MOMENTS + 2, first.bias.size), np.float32)
    _convolve(sizes, first, 1, four[1 : _MOMENTS + 1])
    two = np.zeros((_MOMENTS // 2 + 2, second.bias.size), np.float32)
    _convolve(four, second, 2, two[1 : _MOMENTS // 2 + 1])
    one = np.zeros((3, third.bias.size), np.float32)
    _convolve(two, third, 2, one[1:2])
    last = np.empty((1, fourth.bias.size), np.float32)
    _convolve(one, fourth, 1, last)
    known = np.concatenate((last[0], hidden))
    gates = np.empty(weights.cell_bias.size, np.float32)
    for place in range(gates.size):
        gates[place] = _product(weights.cell[place], known) + weights.cell_bias[place]
    total = weights.voice_bias
    for at in range(MEMORY):
        taken, shown, kept = gates[at], gates[MEMORY + at], gates[2 * MEMORY + at]
        cell[at] = _sigmoid(kept) * cell[at] + _sigmoid(taken) * np.tanh(gates[3 * MEMORY + at])
        hidden[at] = _sigmoid(shown) * np.tanh(cell[at])
        total += weights.voice[at] * (hidden[at] if hidden[at] > _NOTHING else _NOTHING)
    return _sigmoid(total)


@summing
def probabilities(weights: Weights, heard: Floats, hidden: Floats, cell: Floats) -> Floats:
    """The probability of voice of each window in `heard`, which begins with the CONTEXT of the first; the states
    [MEMORY] are changed."""
    count = (heard.size - CONTEXT) // WINDOW
    found = np.empty(count, np.float32)
    for place in range(count):
        found[place] = _window(weights, heard[place * WINDOW : (place + 1) * WINDOW + CONTEXT], hidden, cell)
    return found
