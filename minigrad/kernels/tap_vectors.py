"""Vectors of tap numbers beside vectors of elements, and choices lane by lane: for max pooling.

In the way of `simd`: a NumPy function that says what is done, and the instructions it becomes. A
vector of numbers has as many lanes as the vector of elements it goes with, whatever its dtype.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir

from minigrad.kernels.simd import (
    ARRAY,
    INTEGER,
    VectorType,
    cgutils,
    first_lanes,
    intrinsic,
    models,
    primitive,
    register_model,
    types,
)

__all__ = ["beats", "choose", "equals", "load_numbers", "numbered", "renumber", "store_numbers"]


class NumbersType(types.Type):
    """As many integers of a dtype as a vector of elements has lanes."""

    def __init__(self, dtype: Any, lanes: int) -> None:
        self.dtype, self.lanes = dtype, lanes
        super().__init__(name=f"numbers({dtype} x {lanes})")

    @property
    def llvm(self) -> ir.VectorType:
        return ir.VectorType(ir.IntType(self.dtype.bitwidth), self.lanes)


class MaskType(types.Type):
    """A truth value for each lane."""

    def __init__(self, lanes: int) -> None:
        self.lanes = lanes
        super().__init__(name=f"mask({lanes})")

    @property
    def llvm(self) -> ir.VectorType:
        return ir.VectorType(ir.IntType(1), self.lanes)


@register_model(NumbersType)
@register_model(MaskType)
class LanesModel(models.PrimitiveModel):
    """An LLVM vector."""

    def __init__(self, manager: Any, kind: Any) -> None:
        super().__init__(manager, kind, kind.llvm)


def _splat(builder: Any, kind: ir.VectorType, number: ir.Value) -> ir.Value:
    """A number of 64 bits, cut to the element, in all lanes."""
    if kind.element.width < 64:
        number = builder.trunc(number, kind.element)
    undefined = ir.Constant(kind, ir.Undefined)
    first = builder.insert_element(undefined, number, ir.Constant(ir.IntType(32), 0))
    zeros = ir.Constant(ir.VectorType(ir.IntType(32), kind.count), None)
    return builder.shuffle_vector(first, undefined, zeros)


def beats(a: np.ndarray, best: np.ndarray) -> np.ndarray:
    """Where a > best, or a is NaN."""
    return (a > best) | (a != a)


@primitive(beats, lambda a, best: MaskType(a.lanes), VectorType, VectorType)
def _(builder: Any, kinds: Any, values: Any) -> ir.Value:
    a, best = values
    larger, nan = builder.fcmp_ordered(">", a, best), builder.fcmp_unordered("uno", a, a)
    return builder.or_(larger, nan)


def choose(mask: np.ndarray, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """a where the mask holds, else b."""
    return np.where(mask, a, b)


@primitive(choose, lambda mask, a, b: a, MaskType, VectorType, VectorType)
def _(builder: Any, kinds: Any, values: Any) -> ir.Value:
    return builder.select(*values)


def renumber(mask: np.ndarray, number: int, numbers: np.ndarray) -> np.ndarray:
    """The number where the mask holds, else what was there."""
    return np.where(mask, np.asarray(number, numbers.dtype), numbers)


@primitive(renumber, lambda mask, number, numbers: numbers, MaskType, INTEGER, NumbersType)
def _(builder: Any, kinds: Any, values: Any) -> ir.Value:
    mask, number, numbers = values
    return builder.select(mask, _splat(builder, kinds[2].llvm, number), numbers)


def numbered(x: np.ndarray, number: int, like: np.ndarray) -> np.ndarray:
    """The number, of x's dtype, in each lane that `like` has."""
    return np.full(len(like), number, x.dtype)


@primitive(
    numbered,
    lambda x, number, like: NumbersType(x.dtype, like.lanes),
    ARRAY,
    INTEGER,
    VectorType,
)
def _(builder: Any, kinds: Any, values: Any) -> ir.Value:
    return _splat(builder, NumbersType(kinds[0].dtype, kinds[2].lanes).llvm, values[1])


def equals(numbers: np.ndarray, number: int) -> np.ndarray:
    """Where the numbers are this one."""
    return numbers == number


@primitive(equals, lambda numbers, number: MaskType(numbers.lanes), NumbersType, INTEGER)
def _(builder: Any, kinds: Any, values: Any) -> ir.Value:
    return builder.icmp_signed("==", values[0], _splat(builder, kinds[0].llvm, values[1]))


def load_numbers(x: np.ndarray, i: int, count: int, like: np.ndarray) -> np.ndarray:
    """x[i : i + count] as far as `like` has lanes, zeros in the lanes from `count` on."""
    numbers = np.zeros(len(like), x.dtype)
    count = min(count, len(like))
    numbers[:count] = x[i : i + count]
    return numbers


@primitive(
    load_numbers,
    lambda x, i, count, like: NumbersType(x.dtype, like.lanes),
    ARRAY,
    INTEGER,
    INTEGER,
    VectorType,
)
def _(builder: Any, kinds: Any, values: Any) -> ir.Value:
    kind, vector = NumbersType(kinds[0].dtype, kinds[3].lanes), kinds[3]
    pointer, i, count, _like = values
    where = builder.bitcast(builder.gep(pointer, [i]), kind.llvm.as_pointer())
    bits = kind.dtype.bitwidth
    align = ir.Constant(ir.IntType(32), bits // 8)
    name = f"llvm.masked.load.v{kind.lanes}i{bits}.p0"
    result = cgutils.alloca_once(builder, kind.llvm)
    with builder.if_else(_fills(builder, kind, count)) as (whole, part):
        with whole:
            loaded = builder.load(where)
            loaded.align = bits // 8
            builder.store(loaded, result)
        with part:
            zeros = ir.Constant(kind.llvm, None)
            arguments = [where, align, first_lanes(builder, vector, count), zeros]
            builder.store(intrinsic(builder, name, kind.llvm, arguments), result)
    return builder.load(result)


def store_numbers(x: np.ndarray, i: int, numbers: np.ndarray, count: int) -> None:
    """x[i : i + count] = the first `count` lanes of the numbers."""
    count = min(count, len(numbers))
    x[i : i + count] = numbers[:count]


@primitive(store_numbers, lambda *_: types.void, ARRAY, INTEGER, NumbersType, INTEGER)
def _(builder: Any, kinds: Any, values: Any) -> None:
    kind, (pointer, i, numbers, count) = kinds[2], values
    where = builder.bitcast(builder.gep(pointer, [i]), kind.llvm.as_pointer())
    bits = kind.dtype.bitwidth
    align = ir.Constant(ir.IntType(32), bits // 8)
    name = f"llvm.masked.store.v{kind.lanes}i{bits}.p0"
    with builder.if_else(_fills(builder, kind, count)) as (whole, part):
        with whole:
            builder.store(numbers, where).align = bits // 8
        with part:
            arguments = [numbers, where, align, first_lanes(builder, kind, count)]
            intrinsic(builder, name, ir.VoidType(), arguments)


def _fills(builder: Any, kind: NumbersType, count: ir.Value) -> ir.Value:
    """Whether all lanes are meant: a store of some, by a mask, takes several times as long."""
    return builder.icmp_signed(">=", count, ir.Constant(count.type, kind.lanes))
