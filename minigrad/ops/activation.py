"""The activations of the lecture's networks: sigmoid, tanh, relu.

Each reads its own output in the backward pass, so that its input can be freed.
"""

from __future__ import annotations

import numpy as np

from minigrad.op import Call
from minigrad.ops.elementwise import Elementwise, unary, where
from minigrad.tensor import Array, Operand, Tensor


class Sigmoid(Elementwise):
    """y = 1 / (1 + e^-x).  dy/dx = y (1 - y).

    Where e^-x overflows, its inverse is the right answer, 0.
    """

    name = "sigmoid"
    floating_only = True
    reads_outputs = ((0,),)
    flops = 4

    def forward(self, x: Array) -> Array:
        y = np.negative(x, out=np.empty_like(x))
        np.exp(y, out=y)
        y += 1
        return np.reciprocal(y, out=y)

    def vjp(self, call: Call, cotangent: Tensor) -> Tensor:
        (y,) = call.outputs
        return cotangent * (y - y * y)


def sigmoid(x: Operand) -> Tensor:
    """1 / (1 + e^-x), element by element."""
    return unary(Sigmoid(), x)


class Tanh(Elementwise):
    """y = tanh x.  dy/dx = 1 - y²."""

    name = "tanh"
    floating_only = True
    reads_outputs = ((0,),)

    def forward(self, x: Array) -> Array:
        return np.tanh(x)

    def vjp(self, call: Call, cotangent: Tensor) -> Tensor:
        (y,) = call.outputs
        return cotangent * (1 - y * y)


def tanh(x: Operand) -> Tensor:
    """The hyperbolic tangent, element by element."""
    return unary(Tanh(), x)


class ReLU(Elementwise):
    """y = max(x, 0).  dy/dx = 1 where x > 0, else 0 (at 0 a subgradient)."""

    name = "relu"
    floating_only = True
    reads_outputs = ((0,),)

    def forward(self, x: Array) -> Array:
        return np.maximum(x, x.dtype.type(0))

    def vjp(self, call: Call, cotangent: Tensor) -> Tensor:
        return where(call.outputs[0] > 0, cotangent, 0)


def relu(x: Operand) -> Tensor:
    """max(x, 0), element by element; the gradient at 0 is 0."""
    return unary(ReLU(), x)
