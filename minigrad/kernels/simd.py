"""Vectors as values of compiled code: `load(x, i)` is x[i : i + lanes] in one register.

Each primitive is a Python function that says in NumPy what it does, which is what runs when
Numba is switched off, and below it the LLVM instructions that it becomes. Arrays are flat and
contiguous, indices count elements, and nothing is checked: a kernel's caller does that.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir

from minigrad.kernels.launch import numba

# isort: split

from numba.core import cgutils
from numba.core.typing.templates import AbstractTemplate, infer_global
from numba.core.typing.templates import signature as typing_signature
from numba.extending import lower_builtin, models, register_model

from minigrad.kernels.target import target

types = numba.types

__all__ = [
    "VectorType",
    "bend",
    "fill",
    "fma",
    "lanes",
    "larger",
    "load",
    "load_some",
    "quotient",
    "store",
    "store_some",
    "take",
]


class VectorType(types.Type):
    """One register full of elements of a dtype, or the `narrow`-th part of one."""

    def __init__(self, dtype: Any, narrow: int = 1) -> None:
        self.dtype = dtype
        self.lanes = target.lanes(dtype.bitwidth // 8) // narrow
        super().__init__(name=f"vector({dtype} x {self.lanes})")

    @property
    def llvm(self) -> ir.VectorType:
        return ir.VectorType(element(self.dtype), self.lanes)


@register_model(VectorType)
class VectorModel(models.PrimitiveModel):
    """A vector is an LLVM vector."""

    def __init__(self, manager: Any, kind: VectorType) -> None:
        super().__init__(manager, kind, kind.llvm)


def element(dtype: Any) -> ir.Type:
    """The LLVM type of a number."""
    return ir.DoubleType() if dtype == types.float64 else ir.FloatType()


def primitive(
    function: Callable[..., Any], result: Callable[..., Any], *signature: Any
) -> Callable[[Callable[..., ir.Value]], Callable[..., ir.Value]]:
    """Decorator: `codegen(builder, kinds, values)` is what `function` compiles to.

    `result` maps the types of the arguments to the type of the result; `signature` are the types,
    or families of types, that the arguments must have.
    """

    class Typing(AbstractTemplate):
        key = function

        def generic(self, arguments: Any, keywords: Any) -> Any:
            if keywords or len(arguments) != len(signature):
                return None
            if not all(isinstance(a, s) for a, s in zip(arguments, signature, strict=True)):
                return None
            return typing_signature(result(*arguments), *arguments)

    infer_global(function, types.Function(Typing))

    def register(codegen: Callable[..., ir.Value]) -> Callable[..., ir.Value]:
        @lower_builtin(function, *signature)
        def _(context: Any, builder: Any, sig: Any, args: Any) -> ir.Value:
            values = [
                _value(context, builder, kind, value)
                for kind, value in zip(sig.args, args, strict=True)
            ]
            made = codegen(builder, sig.args, values)
            return context.get_dummy_value() if made is None else made

        return codegen

    return register


def _value(context: Any, builder: Any, kind: Any, value: ir.Value) -> ir.Value:
    """An array as the address of its data, an integer with 64 bits, all else as it is."""
    if isinstance(kind, types.Array):
        return context.make_array(kind)(context, builder, value).data
    if isinstance(kind, types.Integer):
        return context.cast(builder, value, kind, types.int64)
    return value


ARRAY, INTEGER, FLOAT = types.Array, types.Integer, types.Float


def vector_of(x: Any, *_: Any) -> VectorType:
    """The type of what is loaded from an array."""
    return VectorType(x.dtype)


def nothing(*_: Any) -> Any:
    """The type of what is only stored."""
    return types.void


def lanes(x: np.ndarray) -> int:
    """How many elements of x a vector holds."""
    return target.lanes(x.dtype.itemsize)


@primitive(lanes, lambda x: types.intp, ARRAY)
def _(builder: Any, kinds: Any, values: Any) -> ir.Value:
    return ir.Constant(ir.IntType(64), VectorType(kinds[0].dtype).lanes)


def address(builder: Any, kind: VectorType, pointer: ir.Value, index: ir.Value) -> ir.Value:
    """Where a vector begins at an element of an array."""
    return builder.bitcast(builder.gep(pointer, [index]), kind.llvm.as_pointer())


def broadcast(builder: Any, kind: VectorType, number: ir.Value) -> ir.Value:
    """A number in all lanes."""
    undefined = ir.Constant(kind.llvm, ir.Undefined)
    first = builder.insert_element(undefined, number, ir.Constant(ir.IntType(32), 0))
    zeros = ir.Constant(ir.VectorType(ir.IntType(32), kind.lanes), None)
    return builder.shuffle_vector(first, undefined, zeros)


def number_as(builder: Any, kind: VectorType, given: Any, number: ir.Value) -> ir.Value:
    """A number of another type as an element of a vector."""
    if isinstance(given, INTEGER):
        return builder.sitofp(number, kind.llvm.element)
    if given.bitwidth > kind.dtype.bitwidth:
        return builder.fptrunc(number, kind.llvm.element)
    if given.bitwidth < kind.dtype.bitwidth:
        return builder.fpext(number, kind.llvm.element)
    return number


def first_lanes(builder: Any, kind: VectorType, count: ir.Value) -> ir.Value:
    """A mask of the lanes below `count`, which may be negative or larger than there are lanes."""
    wide = ir.VectorType(ir.IntType(64), kind.lanes)
    numbers = ir.Constant(wide, [ir.Constant(ir.IntType(64), i) for i in range(kind.lanes)])
    undefined = ir.Constant(wide, ir.Undefined)
    first = builder.insert_element(undefined, count, ir.Constant(ir.IntType(32), 0))
    zeros = ir.Constant(ir.VectorType(ir.IntType(32), kind.lanes), None)
    return builder.icmp_signed("<", numbers, builder.shuffle_vector(first, undefined, zeros))


def intrinsic(builder: Any, name: str, result: ir.Type, arguments: list[ir.Value]) -> ir.Value:
    """A call of one of LLVM's own functions."""
    kind = ir.FunctionType(result, [a.type for a in arguments])
    return builder.call(cgutils.get_or_insert_function(builder.module, kind, name), arguments)


def packed(builder: Any, kind: VectorType, vectors: list[ir.Value]) -> ir.Value:
    """Vectors as one value, a tuple or a tile of them."""
    value = ir.Constant(ir.ArrayType(kind.llvm, len(vectors)), ir.Undefined)
    for i, vector in enumerate(vectors):
        value = builder.insert_value(value, vector, i)
    return value


def unpacked(builder: Any, value: ir.Value) -> list[ir.Value]:
    """The vectors of such a value."""
    return [builder.extract_value(value, i) for i in range(value.type.count)]


def suffix(kind: VectorType) -> str:
    """How LLVM's names of functions end for this type, as v16f32."""
    return f"v{kind.lanes}f{kind.dtype.bitwidth}"


def fused(builder: Any, kind: VectorType, a: ir.Value, b: ir.Value, c: ir.Value) -> ir.Value:
    """a * b + c, rounded once."""
    return intrinsic(builder, f"llvm.fma.{suffix(kind)}", kind.llvm, [a, b, c])


def read(builder: Any, kind: VectorType, pointer: ir.Value) -> ir.Value:
    """A vector from memory, aligned as its elements are."""
    loaded = builder.load(pointer)
    loaded.align = kind.dtype.bitwidth // 8
    return loaded


def write(builder: Any, kind: VectorType, value: ir.Value, pointer: ir.Value) -> None:
    """A vector to memory, aligned as its elements are."""
    builder.store(value, pointer).align = kind.dtype.bitwidth // 8


def write_some(
    builder: Any, kind: VectorType, value: ir.Value, pointer: ir.Value, mask: ir.Value
) -> None:
    """The masked lanes to memory; what lies under the others is not touched."""
    align = ir.Constant(ir.IntType(32), kind.dtype.bitwidth // 8)
    name = f"llvm.masked.store.{suffix(kind)}.p0"
    intrinsic(builder, name, ir.VoidType(), [value, pointer, align, mask])


def read_some(builder: Any, kind: VectorType, pointer: ir.Value, mask: ir.Value) -> ir.Value:
    """The masked lanes from memory and zeros in the others, whose memory is not touched."""
    align = ir.Constant(ir.IntType(32), kind.dtype.bitwidth // 8)
    zeros = ir.Constant(kind.llvm, None)
    name = f"llvm.masked.load.{suffix(kind)}.p0"
    return intrinsic(builder, name, kind.llvm, [pointer, align, mask, zeros])


def load(x: np.ndarray, i: int) -> np.ndarray:
    """x[i : i + lanes]"""
    return x[i : i + lanes(x)].copy()


@primitive(load, vector_of, ARRAY, INTEGER)
def _(builder: Any, kinds: Any, values: Any) -> ir.Value:
    kind = VectorType(kinds[0].dtype)
    return read(builder, kind, address(builder, kind, *values))


def load_some(x: np.ndarray, i: int, count: int) -> np.ndarray:
    """x[i : i + count], zeros in the lanes from `count` on."""
    vector = np.zeros(lanes(x), x.dtype)
    count = max(0, min(count, len(vector)))
    vector[:count] = x[i : i + count]
    return vector


@primitive(load_some, vector_of, ARRAY, INTEGER, INTEGER)
def _(builder: Any, kinds: Any, values: Any) -> ir.Value:
    kind, (pointer, i, count) = VectorType(kinds[0].dtype), values
    mask = first_lanes(builder, kind, count)
    return read_some(builder, kind, address(builder, kind, pointer, i), mask)


def store(x: np.ndarray, i: int, v: np.ndarray) -> None:
    """x[i : i + lanes] = v"""
    x[i : i + lanes(x)] = v


@primitive(store, nothing, ARRAY, INTEGER, VectorType)
def _(builder: Any, kinds: Any, values: Any) -> None:
    kind, (pointer, i, value) = kinds[2], values
    write(builder, kind, value, address(builder, kind, pointer, i))


def store_some(x: np.ndarray, i: int, v: np.ndarray, count: int) -> None:
    """x[i : i + count] = the first `count` lanes of v."""
    count = max(0, min(count, len(v)))
    x[i : i + count] = v[:count]


@primitive(store_some, nothing, ARRAY, INTEGER, VectorType, INTEGER)
def _(builder: Any, kinds: Any, values: Any) -> None:
    kind, (pointer, i, value, count) = kinds[2], values
    mask = first_lanes(builder, kind, count)
    write_some(builder, kind, value, address(builder, kind, pointer, i), mask)


def fill(x: np.ndarray, number: float) -> np.ndarray:
    """A vector of x's dtype with one number in all lanes."""
    return np.full(lanes(x), number, x.dtype)


@primitive(fill, vector_of, ARRAY, types.Number)
def _(builder: Any, kinds: Any, values: Any) -> ir.Value:
    kind = VectorType(kinds[0].dtype)
    return broadcast(builder, kind, number_as(builder, kind, kinds[1], values[1]))


def fma(a: np.ndarray, b: np.ndarray, c: np.ndarray) -> np.ndarray:
    """a * b + c"""
    return a * b + c


@primitive(fma, lambda a, b, c: a, VectorType, VectorType, VectorType)
def _(builder: Any, kinds: Any, values: Any) -> ir.Value:
    return fused(builder, kinds[0], *values)


def larger(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """a where a > b, else b: lane by lane, so b where either is NaN."""
    return np.where(a > b, a, b)


@primitive(larger, lambda a, b: a, VectorType, VectorType)
def _(builder: Any, kinds: Any, values: Any) -> ir.Value:
    return builder.select(builder.fcmp_ordered(">", *values), *values)


def bent(
    builder: Any, kind: VectorType, value: ir.Value, slope: ir.Value, most: ir.Value
) -> ir.Value:
    """`bend` of one vector, slope and most being vectors too."""
    zero = ir.Constant(kind.llvm, None)
    # A slope of 0 times minus infinity would be NaN.
    flat = builder.fcmp_ordered("==", slope, zero)
    below = builder.select(flat, zero, builder.fmul(slope, value))
    value = builder.select(builder.fcmp_ordered("<", value, zero), below, value)
    return builder.select(builder.fcmp_ordered(">", value, most), most, value)


def bend(v: np.ndarray, slope: float, most: float) -> np.ndarray:
    """min(v, most) where v >= 0, else slope * v: ReLU, leaky ReLU, ReLU6. NaN stays NaN."""
    one = v.dtype.type
    below = one(slope) * v if slope else np.zeros_like(v)
    bent = np.where(v < 0, below, v)
    return np.where(bent > one(most), one(most), bent)


@primitive(bend, lambda v, slope, most: v, VectorType, FLOAT, FLOAT)
def _(builder: Any, kinds: Any, values: Any) -> ir.Value:
    kind, (v, *limits) = kinds[0], values
    numbers = [
        broadcast(builder, kind, number_as(builder, kind, given, limit))
        for given, limit in zip(kinds[1:], limits, strict=True)
    ]
    return bent(builder, kind, v, *numbers)


def take(queue: np.ndarray, i: int) -> int:
    """queue[i], which is then one more: of several threads each gets a number of its own."""
    queue[i] += 1
    return int(queue[i]) - 1


@primitive(take, lambda queue, i: types.int64, ARRAY, INTEGER)
def _(builder: Any, kinds: Any, values: Any) -> ir.Value:
    one = ir.Constant(ir.IntType(64), 1)
    return builder.atomic_rmw("add", builder.gep(*values[:1], [values[1]]), one, "monotonic")


def _arithmetic(function: Callable[..., Any], instruction: str) -> None:
    @primitive(function, lambda a, b: a, VectorType, VectorType)
    def _(builder: Any, kinds: Any, values: Any) -> ir.Value:
        # Not marked for contraction: what is to be fused says so with `fma`.
        return getattr(builder, instruction)(*values)


def quotient(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """a / b"""
    return a / b


_arithmetic(operator.add, "fadd")
_arithmetic(operator.sub, "fsub")
_arithmetic(operator.mul, "fmul")
_arithmetic(quotient, "fdiv")
