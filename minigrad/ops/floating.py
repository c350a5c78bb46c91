"""The sign of numbers and what is special to floating-point ones: infinities, NaN, neighbours."""

from __future__ import annotations

import numpy as np

from minigrad.op import Call
from minigrad.ops.arithmetic import binary
from minigrad.ops.comparison import Comparison
from minigrad.ops.elementwise import Gradients, Numeric, Ufunc, nothing_of, unary, where
from minigrad.tensor import Operand, Tensor

__all__ = ["copysign", "isfinite", "isinf", "isnan", "nextafter", "sign", "signbit"]


class Sign(Numeric):
    """y = -1 for x < 0, 0 at 0, 1 for x > 0, NaN for NaN.  dy/dx = 0."""

    name = "sign"
    ufunc = np.sign

    def vjp(self, call: Call, cotangent: Tensor) -> Tensor:
        return nothing_of(cotangent)


def sign(x: Operand) -> Tensor:
    """-1, 0 or 1, element by element; the gradient is 0, at 0 too."""
    return unary(Sign(), x)


class CopySign(Ufunc):
    """z = |x| with the sign of y.  dz/dx = z / x, which is 1 or -1, taken as 0 at x = 0;
    dz/dy = 0."""

    name = "copysign"
    ufunc = np.copysign
    reads_inputs = ((0,), ())
    reads_outputs = ((0,), ())

    def vjp(self, call: Call, cotangent: Tensor) -> Gradients:
        by_x = None
        if call.needs[0]:
            x, z = call.inputs[0], call.outputs[0]
            kept = (x > 0) & (z > 0) | (x < 0) & (z < 0)
            turned = (x > 0) & (z < 0) | (x < 0) & (z > 0)
            by_x = where(kept, cotangent, where(turned, -cotangent, 0))
        return by_x, nothing_of(cotangent) if call.needs[1] else None


def copysign(x1: Operand, x2: Operand) -> Tensor:
    """|x1| with the sign of x2 (also of -0), the inputs broadcast; the gradient at x1 = 0 is 0."""
    return binary(CopySign(), x1, x2)


class NextAfter(Ufunc):
    """z = the floating-point number next to x on the way to y (IEEE 754, nextAfter). It has no
    derivative."""

    name = "nextafter"
    ufunc = np.nextafter
    differentiable = False


def nextafter(x1: Operand, x2: Operand) -> Tensor:
    """The floating-point number next to x1 on the way to x2, the inputs broadcast; no gradient."""
    return binary(NextAfter(), x1, x2)


class SignBit(Comparison):
    """y = whether the sign bit of x is set: for x < 0, for -0 and for NaN of that sign."""

    name = "signbit"
    ufunc = np.signbit
    floating_only = True


def signbit(x: Operand) -> Tensor:
    """Whether the sign bit of a floating-point number is set, element by element."""
    return unary(SignBit(), x)


class IsFinite(Comparison):
    """y = x is neither infinite nor NaN."""

    name = "isfinite"
    ufunc = np.isfinite


def isfinite(x: Operand) -> Tensor:
    """Whether x is neither infinite nor NaN, element by element."""
    return unary(IsFinite(), x)


class IsInf(Comparison):
    """y = x is ∞ or -∞."""

    name = "isinf"
    ufunc = np.isinf


def isinf(x: Operand) -> Tensor:
    """Whether x is ∞ or -∞, element by element."""
    return unary(IsInf(), x)


class IsNan(Comparison):
    """y = x is NaN."""

    name = "isnan"
    ufunc = np.isnan


def isnan(x: Operand) -> Tensor:
    """Whether x is NaN, element by element."""
    return unary(IsNan(), x)
