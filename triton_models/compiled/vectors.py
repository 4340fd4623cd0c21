"""Sums of products, eight or sixteen at a time: the innermost loops, of which LLVM is told what instructions they are.

Integers are multiplied by AVX-512 VNNI, of which one instruction adds four products of eight bits to each of sixteen
sums, or by AVX2: two products of sixteen bits for each of eight sums, after the weights were given so many bits.
"""

import os
from collections.abc import Container
from typing import Any, NamedTuple

import numpy as np
from llvmlite import binding, ir
from numba.core import cgutils, types
from numba.extending import intrinsic


class Instructions(NamedTuple):
    """What a processor multiplies with."""

    feature: str
    """As LLVM calls it."""
    lanes: int
    """Numbers of 32 bits in a vector."""
    values: type[np.generic]
    """What is multiplied with weights, as many of them as 32 bits have room for."""
    most: int
    """The largest of these, of both signs; sums of 2,048 products stay below 2^31."""
    nothing: int
    """Which of these stands for 0."""


VNNI = Instructions("avx512vnni", 16, np.uint8, 127, 128)
AVX2 = Instructions("avx2", 8, np.int16, 4095, 0)
CHOICE = "AI2TEXT_WHISPER_INSTRUCTIONS"
NONE = "none"


def choose(features: Container[str]) -> Instructions | None:
    """Of what a processor has, what the environment names in `CHOICE`, or else the best. None: there is nothing, or
    `none` is named; loops would run, but others' programs are faster then. ValueError for what it does not have."""
    there = [each for each in (VNNI, AVX2) if each.feature in features and "fma" in features]
    named = os.environ.get(CHOICE)
    if not named:
        return there[0] if there else None
    if named == NONE:
        return None
    for each in there:
        if each.feature == named:
            return each
    names = ", ".join([*(each.feature for each in there), NONE])
    raise ValueError(f"{CHOICE}={named}: this processor has {names}")


CHOSEN = choose({name for name, there in binding.get_host_cpu_features().items() if there})
INSTRUCTIONS = CHOSEN or AVX2
LANES = INSTRUCTIONS.lanes
GROUP = 4 // np.dtype(INSTRUCTIONS.values).itemsize
"""Values in 32 bits."""
OUTPUTS = 2 * LANES
"""Two vectors of sums: those that a row of integers is multiplied for at a time."""
BROAD = 4
"""Vectors of numbers with a fraction that are read at a time where there are so many."""
AHEAD = 4096
"""Bytes between the weights that are multiplied and those that memory is asked for, with AVX2: processors that have no
more ask by themselves for less than the next page, and wait at its beginning."""


def supported() -> bool:
    """Whether this processor has instructions for which there are loops."""
    return CHOSEN is not None


def _times(vectors: int, tile: int, number: Any, read: Any, added: Any) -> Any:
    """An intrinsic that adds up, for each of some rows, products of its values with vectors.

    It is given how many rows there are; where the vectors lie, and how far apart (bytes); where the first row's values
    lie, how far the next row's, and how many times 32 bits there are; where the sums go, and how far the next row's.
    `tile` rows are multiplied at a time with `vectors` that are `read` into registers; a row's next 32 bits are
    everywhere in a vector of their `number`s when they are multiplied and `added`.
    """

    def built(context: Any, builder: Any, _: Any, given: Any) -> Any:
        rows, *others = given
        whole = builder.udiv(rows, _SIZE(tile))
        with cgutils.for_range(builder, whole) as each:
            _tile(builder, tile, builder.mul(each.index, _SIZE(tile)), vectors, number, read, added, others)
        first = builder.mul(whole, _SIZE(tile))
        for left in range(1, tile):
            with builder.if_then(builder.icmp_unsigned("==", builder.sub(rows, first), _SIZE(left))):
                _tile(builder, left, first, vectors, number, read, added, others)
        return context.get_dummy_value()

    def times(typing: Any, a: Any, b: Any, c: Any, d: Any, e: Any, f: Any, g: Any, h: Any) -> Any:
        return types.void(*[types.intp] * 8), built

    return intrinsic(times)


def _tile(builder: Any, rows: int, first: Any, vectors: int, number: Any, read: Any, added: Any, given: Any) -> None:
    """Writes the loop for so many rows, from the row `first` on; `given` as in `_times`. Sums stay in registers."""
    where, step, values, apart, count, sums, sums_apart = given
    lanes = ir.VectorType(number, LANES)
    zero = ir.Constant(lanes, None)
    before, loop, behind = builder.block, builder.append_basic_block(), builder.append_basic_block()
    own_rows = [builder.add(first, _SIZE(row)) for row in range(rows)]
    own_values = [builder.add(values, builder.mul(apart, row)) for row in own_rows]
    builder.branch(loop)
    builder.position_at_end(loop)
    turn = builder.phi(_SIZE)
    turn.add_incoming(_SIZE(0), before)
    totals = [[builder.phi(lanes) for _ in range(vectors)] for _ in range(rows)]
    start = builder.add(where, builder.mul(turn, step))
    those = [read(builder, start, place) for place in range(vectors)]
    for own, start in zip(totals, own_values, strict=True):
        one = loaded(builder, builder.add(start, builder.shl(turn, _SIZE(2))), number)
        value = everywhere(builder, one, LANES)
        for total, vector in zip(own, those, strict=True):
            total.add_incoming(zero, before)
            total.add_incoming(added(builder, total, value, vector), loop)
    following = builder.add(turn, _SIZE(1))
    turn.add_incoming(following, loop)
    builder.cbranch(builder.icmp_signed("<", following, count), loop, behind)
    builder.position_at_end(behind)
    for row, own in zip(own_rows, totals, strict=True):
        for place, total in enumerate(own):
            offset = builder.add(builder.mul(sums_apart, row), _SIZE(4 * LANES * place))
            into = builder.inttoptr(builder.add(sums, offset), lanes.as_pointer())
            builder.store(total.incomings[1][0], into, align=1)


def everywhere(builder: Any, value: Any, lanes: int) -> Any:
    """A vector of one number only."""
    nothing = ir.Constant(ir.VectorType(value.type, lanes), ir.Undefined)
    alone = builder.insert_element(nothing, value, _INTEGER(0))
    return builder.shuffle_vector(alone, nothing, ir.Constant(ir.VectorType(_INTEGER, lanes), None))


def loaded(builder: Any, place: Any, kind: Any) -> Any:
    """What lies at an address."""
    return builder.load(builder.inttoptr(place, kind.as_pointer()), align=1)


def _read(kind: Any) -> Any:
    """Reads the vectors of such 32 bits that lie behind `start`."""

    def read(builder: Any, start: Any, place: int) -> Any:
        return loaded(builder, builder.add(start, _SIZE(4 * LANES * place)), ir.VectorType(kind, LANES))

    return read


def _read_wider(builder: Any, start: Any, place: int) -> Any:
    """Two weights of eight bits for each lane, which get sixteen. Those further on are called for by now."""
    if place == 0:
        _prefetch(builder, builder.add(start, _SIZE(AHEAD)))
    weights = loaded(builder, builder.add(start, _SIZE(2 * LANES * place)), ir.VectorType(ir.IntType(8), 2 * LANES))
    return builder.sext(weights, _PAIRS)


def _prefetch(builder: Any, place: Any) -> None:
    """For one use: it takes no room in the caches that others need."""
    byte, flag = ir.IntType(8).as_pointer(), ir.IntType(32)
    kind = ir.FunctionType(ir.VoidType(), [byte, flag, flag, flag])
    name = "llvm.prefetch.p0i8"
    known = builder.module.globals.get(name) or ir.Function(builder.module, kind, name)
    reading, once, data = flag(0), flag(0), flag(1)
    builder.call(known, [builder.inttoptr(place, byte), reading, once, data])


def _four_products(builder: Any, total: Any, four: Any, weights: Any) -> Any:
    """In each lane, four products of eight bits are added."""
    return called(builder, "llvm.x86.avx512.vpdpbusd.512", total.type, total, four, weights)


def _two_products(builder: Any, total: Any, two: Any, weights: Any) -> Any:
    """In each lane, two products of sixteen bits are added."""
    products = called(builder, "llvm.x86.avx2.pmadd.wd", total.type, builder.bitcast(two, _PAIRS), weights)
    return builder.add(total, products)


def _product(builder: Any, total: Any, value: Any, vector: Any) -> Any:
    return called(builder, f"llvm.fma.v{LANES}f32", total.type, value, vector, total)


def called(builder: Any, name: str, kind: Any, *given: Any, fastmath: tuple[str, ...] = ()) -> Any:
    """What one of LLVM's own functions makes of what it is given."""
    types_given = [each.type for each in given]
    known = builder.module.globals.get(name)
    function = known or ir.Function(builder.module, ir.FunctionType(kind, types_given), name)
    return builder.call(function, given, fastmath=fastmath)


def _as_float(typing: Any, bits: Any) -> Any:
    """The number with a fraction that 32 bits are."""

    def built(context: Any, builder: Any, _: Any, given: Any) -> Any:
        return builder.bitcast(given[0], _FLOAT)

    return types.float32(types.int32), built


_INTEGER, _FLOAT, _SIZE = ir.IntType(32), ir.FloatType(), ir.IntType(64)
_PAIRS = ir.VectorType(ir.IntType(16), 2 * LANES)
as_float: Any = intrinsic(_as_float)
integers = (
    _times(2, 4, _INTEGER, _read(_INTEGER), _four_products)
    if INSTRUCTIONS is VNNI
    else _times(2, 4, _INTEGER, _read_wider, _two_products)
)
"""With OUTPUTS times GROUP weights; values are GROUP integers each."""
narrow = _times(1, 4, _FLOAT, _read(_FLOAT), _product)
"""With one vector."""
broad = _times(BROAD, 4 if INSTRUCTIONS is VNNI else 2, _FLOAT, _read(_FLOAT), _product)
"""With BROAD vectors; AVX2 has sixteen registers, half as many."""
