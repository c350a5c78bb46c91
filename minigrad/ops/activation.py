"""The activations of the lecture's networks: sigmoid, tanh, relu.

Each reads its own output in the backward pass, so that its input can be freed.
"""

from __future__ import annotations

import numpy as np

from minigrad.errors import ShapeError
from minigrad.kernels import buffers, parallel, recycled
from minigrad.op import Call
from minigrad.ops.elementwise import Elementwise, Gradients, Ufunc, unary
from minigrad.spec import Spec
from minigrad.tensor import Array, Operand, Tensor, apply

__all__ = ["relu", "sigmoid", "tanh"]


class Sigmoid(Elementwise):
    """y = 1 / (1 + e^-x).  dy/dx = y (1 - y).

    Where e^-x overflows, its inverse is the right answer, 0.
    """

    name = "sigmoid"
    floating_only = True
    reads_outputs = ((0,),)
    flops = 4

    def forward(self, x: Array) -> Array:
        return parallel.run("sigmoid", _logistic, x)

    def vjp(self, call: Call, cotangent: Tensor) -> Tensor:
        gradient: Tensor = apply(SigmoidBackward(), call.outputs[0], cotangent)
        return gradient


def _logistic(x: Array) -> Array:
    y = np.negative(x, out=buffers.empty_like(x))
    np.exp(y, out=y)
    y += 1
    return np.reciprocal(y, out=y)


def sigmoid(x: Operand) -> Tensor:
    """1 / (1 + e^-x), element by element."""
    return unary(Sigmoid(), x)


class Slope(Elementwise):
    """dL/dx of an activation y = f(x), from y and g = dL/dy: linear in g."""

    floating_only = True
    reads_inputs = ((0, 1), (0,))
    flops = 3

    def infer(self, *inputs: Spec) -> Spec:
        spec = super().infer(*inputs)
        if inputs[0].shape != inputs[1].shape:
            raise ShapeError(
                f"{self.name}: output and cotangent have one shape, got {inputs[0].shape} and "
                f"{inputs[1].shape}"
            )
        return spec

    def forward(self, y: Array, g: Array) -> Array:
        return parallel.run(self.name, self.compute, y, parallel.alike(g, y))

    def compute(self, y: Array, g: Array) -> Array:
        """The same of small arrays."""
        raise TypeError(f"{self.name} does not state it")


class SigmoidBackward(Slope):
    """z = g y (1 - y), dL/dx of y = sigmoid(x), from y and g = dL/dy.

    dz/dy = g (1 - 2 y),  dz/dg = y (1 - y).
    """

    name = "sigmoid_backward"

    def compute(self, y: Array, g: Array) -> Array:
        return g * (y - y * y)

    def vjp(self, call: Call, cotangent: Tensor) -> Gradients:
        (y, g), (need_y, need_g) = call.inputs, call.needs
        by_y = cotangent * g * (1 - 2 * y) if need_y else None
        return by_y, apply(SigmoidBackward(), y, cotangent) if need_g else None


class Tanh(Ufunc):
    """y = tanh x.  dy/dx = 1 - y²."""

    name = "tanh"
    ufunc = np.tanh
    reads_inputs = ()
    reads_outputs = ((0,),)

    def vjp(self, call: Call, cotangent: Tensor) -> Tensor:
        gradient: Tensor = apply(TanhBackward(), call.outputs[0], cotangent)
        return gradient


def tanh(x: Operand) -> Tensor:
    """The hyperbolic tangent, element by element."""
    return unary(Tanh(), x)


class TanhBackward(Slope):
    """z = g (1 - y²), dL/dx of y = tanh x, from y and g = dL/dy.

    dz/dy = -2 g y,  dz/dg = 1 - y².
    """

    name = "tanh_backward"

    def compute(self, y: Array, g: Array) -> Array:
        return g - g * (y * y)

    def vjp(self, call: Call, cotangent: Tensor) -> Gradients:
        (y, g), (need_y, need_g) = call.inputs, call.needs
        by_y = cotangent * g * (-2 * y) if need_y else None
        return by_y, apply(TanhBackward(), y, cotangent) if need_g else None


class ReLU(Elementwise):
    """y = max(x, 0).  dy/dx = 1 where x > 0, else 0 (at 0 a subgradient)."""

    name = "relu"
    floating_only = True
    reads_outputs = ((0,),)

    def forward(self, x: Array) -> Array:
        return parallel.run("relu", lambda x: recycled.call(np.maximum, x, 0), x)

    def vjp(self, call: Call, cotangent: Tensor) -> Tensor:
        gradient: Tensor = apply(ReLUBackward(), call.outputs[0], cotangent)
        return gradient


def relu(x: Operand) -> Tensor:
    """max(x, 0), element by element; the gradient at 0 is 0."""
    return unary(ReLU(), x)


class ReLUBackward(Elementwise):
    """dL/dx of y = relu(x), from y and g = dL/dy: g where y > 0, else 0.

    Linear in g, with the same mask for its own gradient; flat in y.
    """

    name = "relu_backward"
    floating_only = True
    reads_inputs = ((), (0,))

    def forward(self, y: Array, g: Array) -> Array:
        return parallel.run("relu_backward", _masked, y, g)

    def vjp(self, call: Call, cotangent: Tensor) -> tuple[Tensor | None, ...]:
        need_g = call.needs[1]
        return None, apply(ReLUBackward(), call.inputs[0], cotangent) if need_g else None


def _masked(y: Array, g: Array) -> Array:
    return recycled.select(y > 0, g, np.zeros((), g.dtype))
