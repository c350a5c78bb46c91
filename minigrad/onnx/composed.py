"""How ops are written that ONNX has no operator for, but several that together are the op."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from minigrad.onnx.model import Site
from minigrad.spec import FLOATING, bool_, int32, int64, uint32, uint64

Outputs = str | tuple[str | None, ...]


def signbit(site: Site) -> str:
    return _is_negative(site, site.inputs[0])


def _is_negative(site: Site, x: str) -> str:
    """Of -0 too, whose inverse is -∞."""
    zero, one = site.number(0), site.number(1)
    if site.dtype not in FLOATING:
        return str(site.add("Less", x, zero))
    inverse = site.add("Less", site.add("Div", one, x), zero)
    at_zero = site.add("And", site.add("Equal", x, zero), inverse)
    return str(site.add("Or", site.add("Less", x, zero), at_zero))


def copysign(site: Site) -> str:
    x, y = site.inputs
    size = site.add("Abs", x)
    return str(site.add("Where", _is_negative(site, y), site.add("Neg", size), size))


def atan2(site: Site) -> str:
    """atan(y / x), ± π/2 where x is 0, and where x is negative half a turn on."""
    y, x = site.inputs
    zero, flat = site.number(0), site.add("Equal", x, site.number(0))
    quotient = site.add("Div", y, site.add("Where", flat, site.number(1), x))
    upright = site.add("Mul", site.add("Sign", y), site.number(math.pi / 2))
    angle = site.add("Where", flat, upright, site.add("Atan", quotient))
    stands = site.add("And", flat, site.add("Not", site.add("Equal", y, zero)))
    behind = site.add("And", _is_negative(site, x), site.add("Not", stands))
    half = site.add("Where", _is_negative(site, y), site.number(-math.pi), site.number(math.pi))
    return str(site.add("Add", angle, site.add("Where", behind, half, zero)))


def sinc(site: Site) -> str:
    (x,) = site.inputs
    at_zero, one = site.add("Equal", x, site.number(0)), site.number(1)
    turned = site.add("Mul", site.add("Where", at_zero, one, x), site.number(math.pi))
    return str(site.add("Where", at_zero, one, site.add("Div", site.add("Sin", turned), turned)))


def floor_divide(site: Site) -> str:
    """ONNX divides integers towards 0, and by 0 not at all."""
    x, y = site.inputs
    if site.dtype in FLOATING:
        return str(site.add("Floor", site.add("Div", x, y)))
    zero = site.number(0)
    by_zero = site.add("Equal", y, zero)
    divisor = site.add("Where", by_zero, site.number(1), y)
    whole = site.add("Div", x, divisor)
    if site.dtype.kind == "i":
        rest = site.add("Sub", x, site.add("Mul", whole, divisor))
        exact = site.add("Equal", rest, zero)
        alike = site.add("Equal", site.add("Less", rest, zero), site.add("Less", divisor, zero))
        lower = site.add("Sub", whole, site.number(1))
        whole = site.add("Where", site.add("Or", exact, alike), whole, lower)
    return str(site.add("Where", by_zero, zero, whole))


def shift(site: Site) -> str:
    """ONNX moves the bits of unsigned integers; a negative number goes right as its complement."""
    x, count = site.inputs
    kind = site.dtype
    wide = uint64 if kind.itemsize == 8 else uint32
    how = "LEFT" if site.op.name == "bitwise_left_shift" else "RIGHT"
    complement = how == "RIGHT" and kind.kind == "i"
    negative = site.add("Less", x, site.number(0)) if complement else ""
    x = site.add("Where", negative, site.add("BitwiseNot", x), x) if complement else x
    moved = site.add("BitShift", site.cast(x, wide), site.cast(count, wide), direction=how)
    y = site.cast(moved, kind)
    return str(site.add("Where", negative, site.add("BitwiseNot", y), y)) if complement else y


def cumulative_prod(site: Site) -> str:
    """Element i is the product of a row of which all behind i is 1."""
    axis, shape = site.op.axis, site.shapes[0]
    length = shape[axis]
    site.static(length)
    x = site.cast(site.inputs[0], site.out_dtype)
    rows = site.add("Unsqueeze", x, site.integers([axis]))
    ends = (length, length, *[1] * (len(shape) - axis - 1))
    until = site.model.constant(np.tri(length, dtype=bool).reshape(ends))
    kept = site.add("Where", until, rows, site.number(1, site.out_dtype))
    return str(site.add("ReduceProd", kept, site.integers([axis + 1]), keepdims=0))


def diagonal(site: Site) -> str:
    """The elements at their places in the flat matrices."""
    *batch, m, n = site.shapes[0]
    site.static(m, n)
    (length,) = site.out_shape[-1:]
    offset = site.op.offset
    rows = np.arange(length) + max(0, -offset)
    places = site.model.constant((rows * n + rows + offset).astype(np.int64))
    flat = site.reshape(site.inputs[0], (*batch, m * n))
    return str(site.add("Gather", flat, places, axis=-1))


def diagonal_embed(site: Site) -> str:
    """Zeros, and on the diagonal of the flat matrices the elements."""
    *batch, m, n = site.out_shape
    site.static(m, n)
    offset = site.op.offset
    places, on = np.zeros((m, n), np.int64), np.eye(m, n, k=offset, dtype=bool)
    places[on] = np.arange(int(on.sum()))
    flat = site.add("Gather", site.inputs[0], site.model.constant(places.reshape(-1)), axis=-1)
    kept = site.add("Where", site.model.constant(on.reshape(-1)), flat, site.number(0))
    return site.reshape(kept, (*batch, m, n))


def _compared(site: Site, kind: str, row: str, values: str) -> str:
    """How many elements of a row stand in this relation to each value."""
    if site.dtype == bool_:
        row, values = site.cast(row, int32), site.cast(values, int32)
    column = site.add("Unsqueeze", values, site.integers([-1]))
    found = site.cast(site.add(kind, row, column), int64)
    return str(site.add("ReduceSum", found, site.integers([-1]), keepdims=0))


def isin(site: Site) -> str:
    x, values = site.inputs
    return site.cast(_compared(site, "Equal", site.reshape(values, (-1,)), x), bool_)


def searchsorted(site: Site) -> str:
    row, values = site.inputs
    kind = {"left": "Less", "right": "LessOrEqual"}[site.op.side]
    return _compared(site, kind, row, values)


def slogdet(site: Site) -> Outputs:
    value = site.add("Det", *site.inputs)
    return site.add("Sign", value), site.add("Log", site.add("Abs", value))


def averaged(site: Site, axis: int, size: int, out: int, x: str) -> str:
    """The means of `out` windows that cover an axis, by a product with their shares."""
    share = np.zeros((size, out), site.dtype)
    for o in range(out):
        start, stop = o * size // out, -((o + 1) * size // -out)
        share[start:stop, o] = 1 / (stop - start)
    order = list(range(len(site.out_shape)))
    order[axis], order[-1] = order[-1], order[axis]
    last = site.add("Transpose", x, perm=order)
    product = site.add("MatMul", last, site.model.constant(share))
    return str(site.add("Transpose", product, perm=order))


def largest(site: Site, axis: int, size: int, out: int, x: str) -> str:
    """The maxima of `out` windows that cover an axis, each of a slice."""
    parts = []
    for o in range(out):
        start, stop = o * size // out, -((o + 1) * size // -out)
        cut = site.add("Slice", x, *[site.integers([n]) for n in (start, stop, axis)])
        parts.append(site.add("ReduceMax", cut, site.integers([axis]), keepdims=1))
    return str(site.add("Concat", *parts, axis=axis))


def uneven(site: Site, by_axis: Callable[[Site, int, int, int, str], str]) -> str:
    """An adaptive pooling whose windows have several lengths, one axis after the other."""
    axes, (x,) = site.op.axes, site.inputs
    before = len(site.out_shape) - axes
    lengths = zip(site.shapes[0][before:], site.out_shape[before:], strict=True)
    for axis, (size, out) in enumerate(lengths, start=before):
        x = by_axis(site, axis, size, out, x) if size != out else x
    return x


RULES: dict[str, Callable[[Site], Any]] = {
    "atan2": atan2,
    "bitwise_left_shift": shift,
    "bitwise_right_shift": shift,
    "copysign": copysign,
    "cumulative_prod": cumulative_prod,
    "diagonal": diagonal,
    "diagonal_embed": diagonal_embed,
    "floor_divide": floor_divide,
    "isin": isin,
    "searchsorted": searchsorted,
    "signbit": signbit,
    "sinc": sinc,
    "slogdet": slogdet,
}
