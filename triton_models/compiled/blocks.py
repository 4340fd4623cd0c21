"""Products with weights of four bits, which have a scale for every 32 inputs of an output, by AVX2.

What they are multiplied with gets eight bits, and a scale for every 32 of them, too. One instruction multiplies 32
pairs, a weight without a sign (0 to 15, for -8 to 7) with a value that has one, and adds neighbours in sixteen bits:
eight of such sums, all products of a block, stay below 2^15, so only then they are widened, and get their scales.
"""

from typing import Any, NamedTuple

import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic
from numpy.typing import NDArray

from arithmetic import Floats
from compiled import compiled
from vectors import called, everywhere, loaded

BLOCK = 32
"""Inputs that share a scale."""
OUTPUTS = 8
"""Numbers of 32 bits in a vector."""
GROUP = 4
"""Inputs in 32 bits."""
ZERO = 8
"""Which weight stands for 0."""
ROWS = 6
"""At most so many are multiplied at a time: their sums stay in registers."""
MOST = 127
"""The largest value, of both signs."""

Panels = NDArray[np.uint8]


class Blocks(NamedTuple):
    """Linear layers, one behind the other, with weights in the order in which they are read."""

    panels: Panels
    """[layers, outputs / OUTPUTS, inputs / BLOCK, BLOCK / GROUP, OUTPUTS, GROUP]"""
    scales: Floats
    """What 1 is worth: [layers, outputs / OUTPUTS, inputs / BLOCK, OUTPUTS]."""
    bias: Floats
    """[layers, outputs]"""


def blocks(weight: Panels, scale: Floats, bias: Floats) -> Blocks:
    """Layers of weights [layers, outputs, inputs] from 0 to 15, their scales [layers, outputs, inputs / BLOCK], and
    what is added."""
    layers, outputs, inputs = weight.shape
    parted = weight.reshape(layers, outputs // OUTPUTS, OUTPUTS, inputs // BLOCK, BLOCK // GROUP, GROUP)
    scales = scale.reshape(layers, outputs // OUTPUTS, OUTPUTS, inputs // BLOCK)
    return Blocks(
        np.ascontiguousarray(parted.transpose(0, 1, 3, 4, 2, 5)),
        np.ascontiguousarray(scales.transpose(0, 1, 3, 2), np.float32),
        np.ascontiguousarray(bias, np.float32),
    )


@compiled
def block_product(given: Floats, linear: Blocks, layer: int, out: Floats) -> None:
    """`given` [rows, inputs] times a linear layer into `out` [rows, outputs]."""
    rows, inputs = given.shape
    count = inputs // BLOCK
    values, worth = np.empty((rows, inputs), np.int8), np.empty((rows, count, 2), np.float32)
    _rounded(given.ctypes.data, values.ctypes.data, worth.ctypes.data, rows * count)
    bias = linear.bias[layer]
    for panel in range(linear.panels.shape[1]):
        first = 4 * OUTPUTS * panel
        _products(
            rows, linear.panels[layer, panel].ctypes.data, linear.scales[layer, panel].ctypes.data, count,
            values.ctypes.data, worth.ctypes.data, bias.ctypes.data + first, out.ctypes.data + first, 4 * out.shape[1],
        )  # fmt: skip


_BYTE, _SHORT, _INTEGER, _FLOAT, _SIZE = ir.IntType(8), ir.IntType(16), ir.IntType(32), ir.FloatType(), ir.IntType(64)
_BYTES, _SHORTS = ir.VectorType(_BYTE, GROUP * OUTPUTS), ir.VectorType(_SHORT, 2 * OUTPUTS)
_INTEGERS, _FLOATS = ir.VectorType(_INTEGER, OUTPUTS), ir.VectorType(_FLOAT, OUTPUTS)


@intrinsic
def _rounded(typing: Any, given: Any, values: Any, worth: Any, count: Any) -> Any:
    """Blocks of numbers as integers; for each what 1 is worth, and what `ZERO` times all of them is, with its sign
    changed. All but `count`, of blocks, are addresses."""

    def built(context: Any, builder: Any, _: Any, arguments: Any) -> Any:
        given, values, worth, count = arguments
        floats, integers = ir.VectorType(_FLOAT, BLOCK), ir.VectorType(_INTEGER, BLOCK)
        bytes_, tiny = ir.VectorType(_BYTE, BLOCK), _FLOAT(1e-8)
        with cgutils.for_range(builder, count) as each:
            numbers = loaded(builder, builder.add(given, builder.mul(each.index, _SIZE(4 * BLOCK))), floats)
            sizes = called(builder, f"llvm.fabs.v{BLOCK}f32", floats, numbers)
            size = called(builder, f"llvm.vector.reduce.fmax.v{BLOCK}f32", _FLOAT, sizes, fastmath=("nnan", "nsz"))
            size = builder.select(builder.fcmp_ordered(">", size, tiny), size, tiny)
            factor = everywhere(builder, builder.fdiv(_FLOAT(MOST), size), BLOCK)
            whole = called(builder, f"llvm.nearbyint.v{BLOCK}f32", floats, builder.fmul(numbers, factor))
            rounded = builder.fptosi(whole, integers)
            total = called(builder, f"llvm.vector.reduce.add.v{BLOCK}i32", _INTEGER, rounded)
            place = builder.add(values, builder.mul(each.index, _SIZE(BLOCK)))
            _store(builder, builder.trunc(rounded, bytes_), place)
            one = builder.fmul(size, _FLOAT(1 / MOST))
            nothing = builder.fmul(builder.fmul(builder.sitofp(total, _FLOAT), _FLOAT(-ZERO)), one)
            place = builder.add(worth, builder.mul(each.index, _SIZE(8)))
            _store(builder, one, place)
            _store(builder, nothing, builder.add(place, _SIZE(4)))
        return context.get_dummy_value()

    return types.void(*[types.intp] * 4), built


@intrinsic
def _products(
    typing: Any, rows: Any, weights: Any, scales: Any, count: Any, values: Any, worth: Any, bias: Any, out: Any,
    apart: Any,
) -> Any:  # fmt: skip
    """A panel's sums of products for each row, into `out`, where the next row's lie `apart` bytes behind. All but the
    numbers of rows and blocks are addresses; the rows are divided into tiles of like height."""

    def built(context: Any, builder: Any, _: Any, arguments: Any) -> Any:
        rows, *given = arguments
        tiles = builder.udiv(builder.add(rows, _SIZE(ROWS - 1)), _SIZE(ROWS))
        with builder.if_then(builder.icmp_unsigned(">", rows, _SIZE(0))):
            low, higher = builder.udiv(rows, tiles), builder.urem(rows, tiles)
            with cgutils.for_range(builder, tiles) as each:
                is_higher = builder.icmp_unsigned("<", each.index, higher)
                first = builder.add(builder.mul(each.index, low), builder.select(is_higher, each.index, higher))
                height = builder.add(low, builder.zext(is_higher, _SIZE))
                for known in range(1, ROWS + 1):
                    with builder.if_then(builder.icmp_unsigned("==", height, _SIZE(known))):
                        _tile(builder, [builder.add(first, _SIZE(row)) for row in range(known)], given)
        return context.get_dummy_value()

    return types.void(*[types.intp] * 9), built


def _tile(builder: Any, rows: list[Any], given: Any) -> None:
    """Writes the loop over blocks for so many rows."""
    weights, scales, count, values, worth, bias, out, apart = given
    inputs = builder.mul(count, _SIZE(BLOCK))
    own_values = [builder.add(values, builder.mul(inputs, row)) for row in rows]
    own_worth = [builder.add(worth, builder.mul(builder.mul(count, _SIZE(8)), row)) for row in rows]
    start = loaded(builder, bias, _FLOATS)
    before, loop, behind = builder.block, builder.append_basic_block(), builder.append_basic_block()
    builder.branch(loop)
    builder.position_at_end(loop)
    turn = builder.phi(_SIZE)
    turn.add_incoming(_SIZE(0), before)
    totals = [builder.phi(_FLOATS) for _ in rows]
    block = builder.add(weights, builder.mul(turn, _SIZE(BLOCK * OUTPUTS)))
    offset = builder.mul(turn, _SIZE(BLOCK))
    sums = [ir.Constant(_SHORTS, None) for _ in rows]
    for group in range(BLOCK // GROUP):
        those = loaded(builder, builder.add(block, _SIZE(GROUP * OUTPUTS * group)), _BYTES)
        for row, own in enumerate(own_values):
            four = loaded(builder, builder.add(own, builder.add(offset, _SIZE(GROUP * group))), _INTEGER)
            four = builder.bitcast(everywhere(builder, four, OUTPUTS), _BYTES)
            pairs = called(builder, "llvm.x86.avx2.pmadd.ub.sw", _SHORTS, those, four)
            sums[row] = builder.add(sums[row], pairs)
    scale = loaded(builder, builder.add(scales, builder.mul(turn, _SIZE(4 * OUTPUTS))), _FLOATS)
    for total, pairs, own in zip(totals, sums, own_worth, strict=True):
        pair = builder.add(own, builder.mul(turn, _SIZE(8)))
        one, nothing = (
            everywhere(builder, loaded(builder, builder.add(pair, _SIZE(at)), _FLOAT), OUTPUTS) for at in (0, 4)
        )
        whole = called(builder, "llvm.x86.avx2.pmadd.wd", _INTEGERS, pairs, ir.Constant(_SHORTS, [1] * 2 * OUTPUTS))
        found = called(builder, "llvm.fma.v8f32", _FLOATS, builder.sitofp(whole, _FLOATS), one, nothing)
        total.add_incoming(start, before)
        total.add_incoming(called(builder, "llvm.fma.v8f32", _FLOATS, found, scale, total), loop)
    following = builder.add(turn, _SIZE(1))
    turn.add_incoming(following, loop)
    builder.cbranch(builder.icmp_unsigned("<", following, count), loop, behind)
    builder.position_at_end(behind)
    for row, total in zip(rows, totals, strict=True):
        _store(builder, total.incomings[1][0], builder.add(out, builder.mul(apart, row)))


def _store(builder: Any, value: Any, place: Any) -> None:
    builder.store(value, builder.inttoptr(place, value.type.as_pointer()), align=1)
