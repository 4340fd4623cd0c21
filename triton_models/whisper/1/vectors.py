"""Sums of products, sixteen at a time: the innermost loops, of which LLVM is told what instructions they are.

Integers of eight bits are multiplied by AVX-512 VNNI: one instruction adds four products to each of sixteen sums.
"""

from typing import Any

from llvmlite import binding, ir
from numba.core import cgutils, types
from numba.extending import intrinsic

LANES = 16
"""Numbers of 32 bits in a vector."""
OUTPUTS = 2 * LANES
"""Two vectors of sums: those that a row of integers is multiplied for at a time."""
TILE = 4
"""Rows that are multiplied with the same vectors at a time."""
BROAD = 4
"""Vectors of numbers with a fraction that are read at a time where there are so many."""
PRODUCTS = "llvm.x86.avx512.vpdpbusd.512"
FEATURE = "avx512vnni"


def supported() -> bool:
    """Whether this processor has the instructions."""
    return bool(binding.get_host_cpu_features().get(FEATURE))


def _times(vectors: int, number: Any, added: Any) -> Any:
    """An intrinsic that adds up, for each of some rows, products of its values with vectors of 16 lanes.

    It is given how many rows there are; where the vectors lie, and how far apart (bytes); where the first row's values
    lie, how far the next row's, and how many there are; where the sums go, and how far the next row's.
    """

    def built(context: Any, builder: Any, _: Any, given: Any) -> Any:
        rows, *others = given
        whole = builder.udiv(rows, _SIZE(TILE))
        with cgutils.for_range(builder, whole) as tile:
            _tile(builder, TILE, builder.mul(tile.index, _SIZE(TILE)), vectors, number, added, others)
        first = builder.mul(whole, _SIZE(TILE))
        for left in range(1, TILE):
            with builder.if_then(builder.icmp_unsigned("==", builder.sub(rows, first), _SIZE(left))):
                _tile(builder, left, first, vectors, number, added, others)
        return context.get_dummy_value()

    def times(typing: Any, a: Any, b: Any, c: Any, d: Any, e: Any, f: Any, g: Any, h: Any) -> Any:
        return types.void(*[types.intp] * 8), built

    return intrinsic(times)


def _tile(builder: Any, rows: int, first: Any, vectors: int, number: Any, added: Any, given: Any) -> None:
    """Writes the loop for so many rows, from the row `first` on; `given` as in `_times`. Sums stay in registers."""
    where, step, values, apart, count, sums, sums_apart = given
    lanes = ir.VectorType(number, LANES)
    nothing, zero = ir.Constant(lanes, ir.Undefined), ir.Constant(lanes, None)
    everywhere = ir.Constant(ir.VectorType(ir.IntType(32), LANES), None)
    before, loop, behind = builder.block, builder.append_basic_block(), builder.append_basic_block()

    def at(start: Any, offset: Any, kind: Any) -> Any:
        return builder.inttoptr(builder.add(start, offset), kind.as_pointer())

    own_rows = [builder.add(first, _SIZE(row)) for row in range(rows)]
    own_values = [builder.add(values, builder.mul(apart, row)) for row in own_rows]
    builder.branch(loop)
    builder.position_at_end(loop)
    turn = builder.phi(_SIZE)
    turn.add_incoming(_SIZE(0), before)
    totals = [[builder.phi(lanes) for _ in range(vectors)] for _ in range(rows)]
    offset = builder.mul(turn, step)
    offsets = [builder.add(offset, _SIZE(64 * place)) for place in range(vectors)]
    read = [builder.load(at(where, offset, lanes), align=1) for offset in offsets]
    for own, start in zip(totals, own_values, strict=True):
        one = builder.load(at(start, builder.shl(turn, _SIZE(2)), number), align=1)
        value = builder.insert_element(nothing, one, ir.IntType(32)(0))
        value = builder.shuffle_vector(value, nothing, everywhere)
        for total, vector in zip(own, read, strict=True):
            total.add_incoming(zero, before)
            total.add_incoming(added(builder, total, value, vector), loop)
    following = builder.add(turn, _SIZE(1))
    turn.add_incoming(following, loop)
    builder.cbranch(builder.icmp_signed("<", following, count), loop, behind)
    builder.position_at_end(behind)
    for row, own in zip(own_rows, totals, strict=True):
        for place, total in enumerate(own):
            offset = builder.add(builder.mul(sums_apart, row), _SIZE(64 * place))
            builder.store(total.incomings[1][0], at(sums, offset, lanes), align=1)


def _four_products(builder: Any, total: Any, four: Any, weights: Any) -> Any:
    """In each lane, four products of eight bits are added."""
    return _called(builder, PRODUCTS, _INTEGER, total, four, weights)


def _product(builder: Any, total: Any, value: Any, vector: Any) -> Any:
    return _called(builder, f"llvm.fma.v{LANES}f32", _FLOAT, value, vector, total)


def _called(builder: Any, name: str, number: Any, *given: Any) -> Any:
    lanes, module = ir.VectorType(number, LANES), builder.module
    known = module.globals.get(name) or ir.Function(module, ir.FunctionType(lanes, [lanes] * 3), name)
    return builder.call(known, given)


def _as_float(typing: Any, bits: Any) -> Any:
    """The number with a fraction that 32 bits are."""

    def built(context: Any, builder: Any, _: Any, given: Any) -> Any:
        return builder.bitcast(given[0], _FLOAT)

    return types.float32(types.int32), built


_INTEGER, _FLOAT, _SIZE = ir.IntType(32), ir.FloatType(), ir.IntType(64)
as_float: Any = intrinsic(_as_float)
integers = _times(2, _INTEGER, _four_products)
"""With OUTPUTS times four weights; values are four integers each, from 0 to 255."""
narrow = _times(1, _FLOAT, _product)
"""With one vector."""
broad = _times(BROAD, _FLOAT, _product)
"""With BROAD vectors."""
