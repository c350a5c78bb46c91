"""The larger and the smaller of two numbers, and what keeps numbers between bounds.

NaN wins everywhere, as in NumPy.
"""

from __future__ import annotations

import numpy as np

from minigrad.errors import ArgumentError
from minigrad.op import Call
from minigrad.ops.arithmetic import binary
from minigrad.ops.elementwise import Gradients, Numeric, operands, require_numbers, where
from minigrad.ops.floating import isnan
from minigrad.spec import broadcast_shapes, common_dtype
from minigrad.tensor import Operand, Tensor, as_tensor

__all__ = ["clip", "maximum", "minimum"]


def _shared(call: Call, cotangent: Tensor, losing: tuple[Tensor, Tensor]) -> Gradients:
    """The cotangent to whichever of two did not lose, half of it to each where they are equal."""
    x, y = call.inputs
    half = where(x == y, cotangent * 0.5, cotangent)
    return tuple(
        [
            where(lost, 0, half) if need else None
            for lost, need in zip(losing, call.needs, strict=True)
        ]
    )


class Maximum(Numeric):
    """z = the larger of x and y.  dz/dx = 1 where x > y, 1/2 where x = y (ties share the gradient,
    a subgradient), else 0; dz/dy likewise."""

    name = "maximum"
    ufunc = np.maximum
    reads_inputs = ((0, 1), (0, 1))

    def vjp(self, call: Call, cotangent: Tensor) -> Gradients:
        x, y = call.inputs
        return _shared(call, cotangent, (x < y, y < x))


def maximum(x1: Operand, x2: Operand) -> Tensor:
    """The larger of x1 and x2, broadcast; ties share the gradient equally."""
    return binary(Maximum(), x1, x2)


class Minimum(Numeric):
    """z = the smaller of x and y.  dz/dx = 1 where x < y, 1/2 where x = y (ties share the gradient,
    a subgradient), else 0; dz/dy likewise."""

    name = "minimum"
    ufunc = np.minimum
    reads_inputs = ((0, 1), (0, 1))

    def vjp(self, call: Call, cotangent: Tensor) -> Gradients:
        x, y = call.inputs
        return _shared(call, cotangent, (x > y, y > x))


def minimum(x1: Operand, x2: Operand) -> Tensor:
    """The smaller of x1 and x2, broadcast; ties share the gradient equally."""
    return binary(Minimum(), x1, x2)


def clip(x: Operand, min: Operand | None = None, max: Operand | None = None) -> Tensor:
    """x kept between `min` and `max` (None is no bound), all broadcast; `max` where they cross.

    The gradient goes to x inside and on the bounds, as PyTorch's clamp, and to the bound outside.
    Raises ArgumentError without a bound, DtypeError, ShapeError.
    """
    x = as_tensor(x)
    require_numbers("clip", x.spec)
    if min is None and max is None:
        raise ArgumentError("clip: takes a bound: min, max or both, got neither")
    for bound, is_lower in ((min, True), (max, False)):
        if bound is None:
            continue
        x, limit = operands("clip", x, bound)
        common_dtype("clip", x.spec, limit.spec)
        broadcast_shapes("clip", x.shape, limit.shape)
        inside = x >= limit if is_lower else x <= limit
        x = where(inside | isnan(x), x, limit)
    return x
