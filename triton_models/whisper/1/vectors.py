"""Sums of products, sixteen at a time: the innermost loops, of which LLVM is told what instructions they are.

Integers of eight bits are multiplied by AVX-512 VNNI: one instruction adds four products to each of sixteen sums.
"""

from typing import Any

from llvmlite import binding, ir
from numba.core import types
from numba.extending import intrinsic

from compiled import compiled

LANES = 16
"""Numbers of 32 bits in a vector."""
OUTPUTS = 2 * LANES
"""Two vectors of sums: those that a row of integers is multiplied for at a time."""
TILE = 4
"""Rows that are multiplied with the same vectors at a time: their sums stay in registers."""
BROAD = 4
"""Vectors of numbers with a fraction that are read at a time where there are so many."""
PRODUCTS = "llvm.x86.avx512.vpdpbusd.512"
FEATURE = "avx512vnni"


def supported() -> bool:
    """Whether this processor has the instructions."""
    return bool(binding.get_host_cpu_features().get(FEATURE))


def _times(rows: int, vectors: int, number: Any, added: Any) -> Any:
    """An intrinsic that adds up, for each of some rows, products of its values with vectors of 16 lanes.

    It is given where the vectors lie, how far apart (bytes), where the first row's values lie, how far the next row's,
    how many there are, where the sums go and how far the next row's. What stays in registers are the sums.
    """
    size, lanes = ir.IntType(64), ir.VectorType(number, LANES)
    nothing, zero = ir.Constant(lanes, ir.Undefined), ir.Constant(lanes, None)

    def built(context: Any, builder: Any, _: Any, given: Any) -> Any:
        where, step, values, apart, count, sums, sums_apart = given
        before, loop, behind = builder.block, builder.append_basic_block(), builder.append_basic_block()

        def at(start: Any, offset: Any, kind: Any) -> Any:
            return builder.inttoptr(builder.add(start, offset), kind.as_pointer())

        builder.branch(loop)
        builder.position_at_end(loop)
        turn = builder.phi(size)
        turn.add_incoming(size(0), before)
        totals = [[builder.phi(lanes) for _ in range(vectors)] for _ in range(rows)]
        first = builder.mul(turn, step)
        offsets = [builder.add(first, size(64 * place)) for place in range(vectors)]
        read = [builder.load(at(where, offset, lanes), align=1) for offset in offsets]
        for row, own in enumerate(totals):
            offset = builder.add(builder.mul(apart, size(row)), builder.shl(turn, size(2)))
            one = builder.load(at(values, offset, number), align=1)
            value = builder.insert_element(nothing, one, ir.IntType(32)(0))
            value = builder.shuffle_vector(value, nothing, ir.Constant(ir.VectorType(ir.IntType(32), LANES), None))
            for total, vector in zip(own, read, strict=True):
                total.add_incoming(zero, before)
                total.add_incoming(added(builder, total, value, vector), loop)
        following = builder.add(turn, size(1))
        turn.add_incoming(following, loop)
        builder.cbranch(builder.icmp_signed("<", following, count), loop, behind)
        builder.position_at_end(behind)
        for row, own in enumerate(totals):
            for place, total in enumerate(own):
                offset = builder.add(builder.mul(sums_apart, size(row)), size(64 * place))
                builder.store(total.incomings[1][0], at(sums, offset, lanes), align=1)
        return context.get_dummy_value()

    def of_seven(typing: Any, a: Any, b: Any, c: Any, d: Any, e: Any, f: Any, g: Any) -> Any:
        return types.void(*[types.intp] * 7), built

    return intrinsic(of_seven)


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


as_float: Any = intrinsic(_as_float)
_INTEGER, _FLOAT = ir.IntType(32), ir.FloatType()
_integers_1, _integers_2, _integers_3, _integers_4 = (
    _times(rows + 1, 2, _INTEGER, _four_products) for rows in range(4)
)
_narrow_1, _narrow_2, _narrow_3, _narrow_4 = (_times(rows + 1, 1, _FLOAT, _product) for rows in range(4))
_broad_1, _broad_2, _broad_3, _broad_4 = (_times(rows + 1, BROAD, _FLOAT, _product) for rows in range(4))


@compiled
def integers(rows: int, where: int, step: int, values: int, apart: int, count: int, sums: int, sums_apart: int) -> None:
    """`_times` of any number of rows, in integers: four values each, from 0 to 255, and OUTPUTS times four weights."""
    for first in range(0, rows, TILE):
        left, those, into = rows - first, values + first * apart, sums + first * sums_apart
        if left >= 4:
            _integers_4(where, step, those, apart, count, into, sums_apart)
        elif left == 3:
            _integers_3(where, step, those, apart, count, into, sums_apart)
        elif left == 2:
            _integers_2(where, step, those, apart, count, into, sums_apart)
        else:
            _integers_1(where, step, those, apart, count, into, sums_apart)


@compiled
def narrow(rows: int, where: int, step: int, values: int, apart: int, count: int, sums: int, sums_apart: int) -> None:
    """`_times` of any number of rows and one vector."""
    for first in range(0, rows, TILE):
        left, those, into = rows - first, values + first * apart, sums + first * sums_apart
        if left >= 4:
            _narrow_4(where, step, those, apart, count, into, sums_apart)
        elif left == 3:
            _narrow_3(where, step, those, apart, count, into, sums_apart)
        elif left == 2:
            _narrow_2(where, step, those, apart, count, into, sums_apart)
        else:
            _narrow_1(where, step, those, apart, count, into, sums_apart)


@compiled
def broad(rows: int, where: int, step: int, values: int, apart: int, count: int, sums: int, sums_apart: int) -> None:
    """`_times` of any number of rows and BROAD vectors."""
    for first in range(0, rows, TILE):
        left, those, into = rows - first, values + first * apart, sums + first * sums_apart
        if left >= 4:
            _broad_4(where, step, those, apart, count, into, sums_apart)
        elif left == 3:
            _broad_3(where, step, those, apart, count, into, sums_apart)
        elif left == 2:
            _broad_2(where, step, those, apart, count, into, sums_apart)
        else:
            _broad_1(where, step, those, apart, count, into, sums_apart)
