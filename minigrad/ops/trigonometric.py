"""Circular functions, their inverses, polar coordinates (atan2, hypot) and sinc.

Angles are in radians. The derivatives are those of Abramowitz and Stegun 1964, section 4.3 and 4.4.
"""

from __future__ import annotations

import math

import numpy as np

from minigrad.op import Call
from minigrad.ops.arithmetic import binary
from minigrad.ops.elementwise import Elementwise, Gradients, Ufunc, sqrt, unary, where
from minigrad.tensor import Array, Operand, Tensor

__all__ = ["acos", "asin", "atan", "atan2", "cos", "hypot", "sin", "sinc", "tan"]


class Sin(Ufunc):
    """y = sin x.  dy/dx = cos x."""

    name = "sin"
    ufunc = np.sin

    def vjp(self, call: Call, cotangent: Tensor) -> Tensor:
        return cotangent * cos(call.inputs[0])


def sin(x: Operand) -> Tensor:
    """The sine, element by element."""
    return unary(Sin(), x)


class Cos(Ufunc):
    """y = cos x.  dy/dx = -sin x."""

    name = "cos"
    ufunc = np.cos

    def vjp(self, call: Call, cotangent: Tensor) -> Tensor:
        return -(cotangent * sin(call.inputs[0]))


def cos(x: Operand) -> Tensor:
    """The cosine, element by element."""
    return unary(Cos(), x)


class Tan(Ufunc):
    """y = tan x.  dy/dx = 1 + y²."""

    name = "tan"
    ufunc = np.tan
    reads_inputs = ()
    reads_outputs = ((0,),)

    def vjp(self, call: Call, cotangent: Tensor) -> Tensor:
        (y,) = call.outputs
        return cotangent * (1 + y * y)


def tan(x: Operand) -> Tensor:
    """The tangent, element by element."""
    return unary(Tan(), x)


class Asin(Ufunc):
    """y = arcsin x, in [-π/2, π/2].  dy/dx = 1 / sqrt((1 - x)(1 + x)), infinite at ±1.
    NaN outside of [-1, 1]."""

    name = "asin"
    ufunc = np.arcsin

    def vjp(self, call: Call, cotangent: Tensor) -> Tensor:
        (x,) = call.inputs
        return cotangent / sqrt((1 - x) * (1 + x))


def asin(x: Operand) -> Tensor:
    """The angle in [-π/2, π/2] whose sine is x, element by element; NaN for |x| > 1."""
    return unary(Asin(), x)


class Acos(Ufunc):
    """y = arccos x, in [0, π].  dy/dx = -1 / sqrt((1 - x)(1 + x)), infinite at ±1.
    NaN outside of [-1, 1]."""

    name = "acos"
    ufunc = np.arccos

    def vjp(self, call: Call, cotangent: Tensor) -> Tensor:
        (x,) = call.inputs
        return -(cotangent / sqrt((1 - x) * (1 + x)))


def acos(x: Operand) -> Tensor:
    """The angle in [0, π] whose cosine is x, element by element; NaN for |x| > 1."""
    return unary(Acos(), x)


class Atan(Ufunc):
    """y = arctan x, in [-π/2, π/2].  dy/dx = 1 / (1 + x²)."""

    name = "atan"
    ufunc = np.arctan

    def vjp(self, call: Call, cotangent: Tensor) -> Tensor:
        (x,) = call.inputs
        return cotangent / (1 + x * x)


def atan(x: Operand) -> Tensor:
    """The angle in [-π/2, π/2] whose tangent is x, element by element."""
    return unary(Atan(), x)


def _over_square(numerator: Tensor, radius: Tensor) -> Tensor:
    """numerator / radius², 0 at the origin; squares nothing, so that nothing overflows."""
    origin = radius == 0
    safe = where(origin, 1, radius)
    return where(origin, 0, numerator / safe / safe)


class Atan2(Ufunc):
    """z = the angle of the point (x, y), in [-π, π].  dz/dy = x / (x² + y²),
    dz/dx = -y / (x² + y²), taken as 0 at the origin."""

    name = "atan2"
    ufunc = np.arctan2
    reads_inputs = ((0, 1), (0, 1))

    def vjp(self, call: Call, cotangent: Tensor) -> Gradients:
        y, x = call.inputs
        need_y, need_x = call.needs
        radius = hypot(x, y)
        return (
            _over_square(cotangent * x, radius) if need_y else None,
            -_over_square(cotangent * y, radius) if need_x else None,
        )


def atan2(x1: Operand, x2: Operand) -> Tensor:
    """The angle in [-π, π] of the point with the ordinate x1 and the abscissa x2, broadcast."""
    return binary(Atan2(), x1, x2)


class Hypot(Ufunc):
    """z = sqrt(x² + y²).  dz/dx = x / z, dz/dy = y / z, taken as 0 at the origin."""

    name = "hypot"
    ufunc = np.hypot
    reads_inputs = ((0,), (1,))
    reads_outputs = ((0,), (0,))
    flops = 4

    def vjp(self, call: Call, cotangent: Tensor) -> Gradients:
        (z,) = call.outputs
        origin = z == 0
        share = where(origin, 0, cotangent / where(origin, 1, z))
        return tuple(
            [share * x if need else None for x, need in zip(call.inputs, call.needs, strict=True)]
        )


def hypot(x1: Operand, x2: Operand) -> Tensor:
    """sqrt(x1² + x2²) without overflow between, the inputs broadcast; the gradient at the origin
    is 0."""
    return binary(Hypot(), x1, x2)


class Sinc(Elementwise):
    """y = sin(π x) / (π x), and 1 at 0.  dy/dx = (cos(π x) - y) / x; for |x| < 0.1, where that
    cancels, by its power series Σ (-1)^k 2k π^2k x^(2k - 1) / (2k + 1)!, k = 1 to 6, whose next
    term is below 1e-16."""

    name = "sinc"
    floating_only = True
    reads_inputs = ((0,),)
    reads_outputs = ((0,),)
    flops = 3

    def forward(self, x: Array) -> Array:
        angle = x * math.pi
        return np.where(x == 0, x.dtype.type(1), np.sin(angle) / angle)

    def vjp(self, call: Call, cotangent: Tensor) -> Tensor:
        (x,), (y,) = call.inputs, call.outputs
        near = (x < 0.1) & (x > -0.1)
        small, large = where(near, x, 0), where(near, 1, x)
        square = small * small
        series = square * 0
        for k in range(6, 0, -1):
            term = (-1) ** k * 2 * k * math.pi ** (2 * k) / math.factorial(2 * k + 1)
            series = series * square + term
        closed = (cos(large * math.pi) - where(near, 0, y)) / large
        return cotangent * where(near, series * small, closed)


def sinc(x: Operand) -> Tensor:
    """sin(π x) / (π x), element by element, and 1 at 0."""
    return unary(Sinc(), x)
