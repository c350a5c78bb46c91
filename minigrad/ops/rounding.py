"""Rounding to whole numbers, and division with a whole quotient.

What rounds is constant between its steps: its gradient is 0, at the steps too (a subgradient).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from minigrad.op import Call
from minigrad.ops.arithmetic import binary
from minigrad.ops.elementwise import Gradients, Numeric, nothing_of, unary
from minigrad.spec import as_integer
from minigrad.tensor import Array, Operand, Tensor

__all__ = ["ceil", "floor", "floor_divide", "remainder", "round", "trunc"]


class Rounding(Numeric):
    """y = x rounded to a whole number by `ufunc`; integers stay as they are.  dy/dx = 0."""

    def forward(self, *inputs: Array) -> Array:
        (x,) = inputs
        return x.copy(order="K") if x.dtype.kind in "iu" else super().forward(x)

    def vjp(self, call: Call, cotangent: Tensor) -> Tensor:
        return nothing_of(cotangent)


class Floor(Rounding):
    """y = the largest whole number not above x.  dy/dx = 0."""

    name = "floor"
    ufunc = np.floor


def floor(x: Operand) -> Tensor:
    """x rounded down, element by element, in the dtype of x; the gradient is 0."""
    return unary(Floor(), x)


class Ceil(Rounding):
    """y = the smallest whole number not below x.  dy/dx = 0."""

    name = "ceil"
    ufunc = np.ceil


def ceil(x: Operand) -> Tensor:
    """x rounded up, element by element, in the dtype of x; the gradient is 0."""
    return unary(Ceil(), x)


@dataclass(frozen=True)
class Round(Rounding):
    """y = the multiple of 10^-decimals nearest to x, the even one of two (IEEE 754).  dy/dx = 0."""

    name: ClassVar[str] = "round"
    ufunc: ClassVar[np.ufunc] = np.rint
    decimals: int = 0

    def forward(self, *inputs: Array) -> Array:
        (x,) = inputs
        if self.decimals == 0 or (self.decimals > 0 and x.dtype.kind in "iu"):
            return super().forward(x)
        return (_round_number if x.dtype.kind == "f" else _round_integer)(x, self.decimals)


def _round_number(x: Array, decimals: int) -> Array:
    with np.errstate(all="ignore"):
        y = np.round(x, decimals)
    # What 10^decimals overflows has no digits so far behind the point, or is none so far before.
    y = np.where(np.isfinite(y), y, x if decimals > 0 else np.copysign(x.dtype.type(0), x))
    return np.where(np.isfinite(x), y, x)


def _round_integer(x: Array, decimals: int) -> Array:
    """By whole numbers alone, since a float does not hold all of 64 bits."""
    unit = 10**-decimals
    if unit > np.iinfo(x.dtype).max:
        return np.zeros_like(x)
    quotient, rest = np.divmod(x, x.dtype.type(unit))
    other = unit - rest
    up = (rest > other) | ((rest == other) & (quotient % 2 == 1))
    return np.asarray((quotient + up) * x.dtype.type(unit), x.dtype)


def round(x: Operand, decimals: int = 0) -> Tensor:
    """x rounded to `decimals` digits behind the point, or (if negative) before it, halves to the
    even neighbour, element by element, in the dtype of x; the gradient is 0.

    As in NumPy, x · 10^decimals is rounded, so what no binary fraction holds may go either way.
    Raises ArgumentError unless `decimals` is an integer.
    """
    digits = as_integer("round", "decimals", decimals)
    return unary(Round(max(-400, min(digits, 400))), x)


class Trunc(Rounding):
    """y = x without its fraction: rounded towards 0.  dy/dx = 0."""

    name = "trunc"
    ufunc = np.trunc


def trunc(x: Operand) -> Tensor:
    """x rounded towards 0, element by element, in the dtype of x; the gradient is 0."""
    return unary(Trunc(), x)


class FloorDivide(Numeric):
    """z = floor(x / y).  dz/dx = dz/dy = 0."""

    name = "floor_divide"
    ufunc = np.floor_divide

    def vjp(self, call: Call, cotangent: Tensor) -> Gradients:
        return tuple([nothing_of(cotangent) if need else None for need in call.needs])


def floor_divide(x1: Operand, x2: Operand) -> Tensor:
    """x1 / x2 rounded down, the inputs broadcast; the gradient is 0. An integer divided by 0 gives
    0, as in NumPy."""
    return binary(FloorDivide(), x1, x2)


class Remainder(Numeric):
    """z = x - y floor(x / y), of the sign of y.  dz/dx = 1, dz/dy = -floor(x / y)."""

    name = "remainder"
    ufunc = np.remainder
    reads_inputs = ((), (0, 1))
    flops = 3

    def vjp(self, call: Call, cotangent: Tensor) -> Gradients:
        need_x, need_y = call.needs
        by_y = None
        if need_y:
            x, y = call.inputs
            by_y = -(cotangent * floor_divide(x, y))
        return cotangent if need_x else None, by_y


def remainder(x1: Operand, x2: Operand) -> Tensor:
    """What is left of x1 divided by x2 with a quotient rounded down, of the sign of x2, the inputs
    broadcast. An integer divided by 0 leaves 0, as in NumPy."""
    return binary(Remainder(), x1, x2)
