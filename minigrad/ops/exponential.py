"""Exponentials and logarithms beside exp and log: other bases, near 0 and 1, of sums."""

from __future__ import annotations

import math

import numpy as np

from minigrad.op import Call
from minigrad.ops.activation import sigmoid
from minigrad.ops.arithmetic import binary
from minigrad.ops.elementwise import Gradients, Ufunc, unary, where
from minigrad.ops.floating import isinf
from minigrad.tensor import Operand, Tensor

__all__ = ["exp2", "expm1", "log1p", "log2", "log10", "logaddexp"]


class Exp2(Ufunc):
    """y = 2^x.  dy/dx = y ln 2."""

    name = "exp2"
    ufunc = np.exp2
    reads_inputs = ()
    reads_outputs = ((0,),)

    def vjp(self, call: Call, cotangent: Tensor) -> Tensor:
        return cotangent * call.outputs[0] * math.log(2)


def exp2(x: Operand) -> Tensor:
    """2 to the power x, element by element."""
    return unary(Exp2(), x)


class Expm1(Ufunc):
    """y = e^x - 1, exact near 0.  dy/dx = y + 1."""

    name = "expm1"
    ufunc = np.expm1
    reads_inputs = ()
    reads_outputs = ((0,),)

    def vjp(self, call: Call, cotangent: Tensor) -> Tensor:
        return cotangent * (call.outputs[0] + 1)


def expm1(x: Operand) -> Tensor:
    """e^x - 1, element by element, exact where x is near 0."""
    return unary(Expm1(), x)


class Log1p(Ufunc):
    """y = ln(1 + x), exact near 0.  dy/dx = 1 / (1 + x).  -inf at -1, NaN below."""

    name = "log1p"
    ufunc = np.log1p

    def vjp(self, call: Call, cotangent: Tensor) -> Tensor:
        return cotangent / (1 + call.inputs[0])


def log1p(x: Operand) -> Tensor:
    """ln(1 + x), element by element, exact where x is near 0."""
    return unary(Log1p(), x)


class Log2(Ufunc):
    """y = log₂ x.  dy/dx = 1 / (x ln 2).  -inf at 0, NaN below."""

    name = "log2"
    ufunc = np.log2

    def vjp(self, call: Call, cotangent: Tensor) -> Tensor:
        return cotangent / call.inputs[0] / math.log(2)


def log2(x: Operand) -> Tensor:
    """The logarithm to base 2, element by element."""
    return unary(Log2(), x)


class Log10(Ufunc):
    """y = log₁₀ x.  dy/dx = 1 / (x ln 10).  -inf at 0, NaN below."""

    name = "log10"
    ufunc = np.log10

    def vjp(self, call: Call, cotangent: Tensor) -> Tensor:
        return cotangent / call.inputs[0] / math.log(10)


def log10(x: Operand) -> Tensor:
    """The logarithm to base 10, element by element."""
    return unary(Log10(), x)


class LogAddExp(Ufunc):
    """z = ln(e^x + e^y), without overflow.  dz/dx = σ(x - y), dz/dy = σ(y - x), where σ is the
    sigmoid; 1/2 each where both are the same infinity."""

    name = "logaddexp"
    ufunc = np.logaddexp
    reads_inputs = ((0, 1), (0, 1))
    flops = 5

    def vjp(self, call: Call, cotangent: Tensor) -> Gradients:
        x, y = call.inputs
        need_x, need_y = call.needs
        lead = where((x == y) & isinf(x), 0, x - y)
        return (
            cotangent * sigmoid(lead) if need_x else None,
            cotangent * sigmoid(-lead) if need_y else None,
        )


def logaddexp(x1: Operand, x2: Operand) -> Tensor:
    """ln(e^x1 + e^x2), the inputs broadcast; overflows nowhere."""
    return binary(LogAddExp(), x1, x2)
