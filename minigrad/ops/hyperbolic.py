"""Hyperbolic functions and their inverses; tanh stands with the activations.

The derivatives are those of Abramowitz and Stegun 1964, sections 4.5 and 4.6.
"""

from __future__ import annotations

import numpy as np

from minigrad.op import Call
from minigrad.ops.elementwise import Ufunc, sqrt, unary
from minigrad.tensor import Operand, Tensor

__all__ = ["acosh", "asinh", "atanh", "cosh", "sinh"]


class Sinh(Ufunc):
    """y = sinh x.  dy/dx = cosh x."""

    name = "sinh"
    ufunc = np.sinh

    def vjp(self, call: Call, cotangent: Tensor) -> Tensor:
        return cotangent * cosh(call.inputs[0])


def sinh(x: Operand) -> Tensor:
    """The hyperbolic sine, element by element."""
    return unary(Sinh(), x)


class Cosh(Ufunc):
    """y = cosh x.  dy/dx = sinh x."""

    name = "cosh"
    ufunc = np.cosh

    def vjp(self, call: Call, cotangent: Tensor) -> Tensor:
        return cotangent * sinh(call.inputs[0])


def cosh(x: Operand) -> Tensor:
    """The hyperbolic cosine, element by element."""
    return unary(Cosh(), x)


class Asinh(Ufunc):
    """y = arsinh x.  dy/dx = 1 / sqrt(x² + 1)."""

    name = "asinh"
    ufunc = np.arcsinh

    def vjp(self, call: Call, cotangent: Tensor) -> Tensor:
        (x,) = call.inputs
        return cotangent / sqrt(x * x + 1)


def asinh(x: Operand) -> Tensor:
    """The inverse hyperbolic sine, element by element."""
    return unary(Asinh(), x)


class Acosh(Ufunc):
    """y = arcosh x, at least 0.  dy/dx = 1 / sqrt((x - 1)(x + 1)), infinite at 1.
    NaN for x < 1."""

    name = "acosh"
    ufunc = np.arccosh

    def vjp(self, call: Call, cotangent: Tensor) -> Tensor:
        (x,) = call.inputs
        return cotangent / (sqrt(x - 1) * sqrt(x + 1))


def acosh(x: Operand) -> Tensor:
    """The inverse hyperbolic cosine, element by element; NaN for x < 1."""
    return unary(Acosh(), x)


class Atanh(Ufunc):
    """y = artanh x.  dy/dx = 1 / ((1 - x)(1 + x)), infinite at ±1.  NaN for |x| > 1."""

    name = "atanh"
    ufunc = np.arctanh

    def vjp(self, call: Call, cotangent: Tensor) -> Tensor:
        (x,) = call.inputs
        return cotangent / ((1 - x) * (1 + x))


def atanh(x: Operand) -> Tensor:
    """The inverse hyperbolic tangent, element by element; NaN for |x| > 1."""
    return unary(Atanh(), x)
