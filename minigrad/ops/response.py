"""Local response normalization: every channel divided by the size of its neighbours."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from minigrad import kernels
from minigrad.errors import ArgumentError, ShapeError
from minigrad.op import Call, Cost, Op, bytes_moved
from minigrad.ops.movement import concat
from minigrad.ops.number import as_number
from minigrad.spec import Spec, as_integer, common_dtype, require_floating
from minigrad.tensor import Array, Operand, Tensor, apply, as_tensor, constant


@dataclass(frozen=True)
class Response(Op):
    """An op of a window of `size` channels around each: `size // 2` before, the rest after."""

    size: int
    alpha: float
    beta: float
    k: float

    def cost(self, inputs: Sequence[Spec], outputs: Sequence[Spec]) -> Cost:
        flops = (2 * self.size + 8) * outputs[0].size
        return Cost(0, flops, bytes_moved(inputs, outputs))

    @property
    def numbers(self) -> tuple[int, float, float, float]:
        return self.size, self.alpha, self.beta, self.k


class LocalResponseNorm(Response):
    """y = x D^-β with D = k + α / n Σ x² over the window of n channels around each (Krizhevsky et
    al. 2012, section 3.3, whose α is α / n here).

    With g = dL/dy and R the sum over the windows that a channel is in:
    dL/dx = g D^-β - (2 α β / n) x R(g x D^(-β - 1)).
    """

    name = "local_response_norm"
    reads_inputs = ((0,),)

    def infer(self, x: Spec) -> Spec:
        require_floating(self.name, x)
        if x.ndim < 3:
            raise ShapeError(
                f"{self.name}: takes an input (N, C, ...) of 3 axes or more, got {x.shape}"
            )
        return x

    def forward(self, x: Array) -> Array:
        if not x.size:
            return x.copy()
        return kernels.response.local_response_norm(x, *self.numbers)

    def backward(self, call: Call, cotangent: Tensor) -> Tensor:
        op = LocalResponseNormBackward(*self.numbers)
        gradient: Tensor = apply(op, cotangent, call.inputs[0])
        return gradient


class LocalResponseNormBackward(Response):
    """dL/dx = g p - c x R(v) of `local_response_norm`, where p = D^-β, q = D^(-β - 1), v = g x q
    and c = 2 α β / n; W is the sum over a channel's window, R over the windows that it is in.

    For the cotangent h, w = W(h x) and e = c (β + 1) w g x q / D - β h g q, the derivative by D:
    by g: h p - c x q w,  by x: (2 α / n) x R(e) - c (h R(v) + g q w).
    """

    name = "local_response_norm_backward"
    reads_inputs = ((0, 1), (0, 1))

    def infer(self, grad: Spec, x: Spec) -> Spec:
        require_floating(self.name, grad, x)
        common_dtype(self.name, grad, x)
        if grad != x:
            raise ShapeError(f"{self.name}: takes two arrays of one shape, got {grad} and {x}")
        return x

    def forward(self, grad: Array, x: Array) -> Array:
        if not x.size:
            return x.copy()
        return kernels.response.local_response_norm_backward(grad, x, *self.numbers)

    def backward(self, call: Call, h: Tensor) -> tuple[Tensor | None, ...]:
        g, x = call.inputs
        beta, factor = self.beta, self.alpha / self.size
        slope = 2 * beta * factor
        before, after = self.size // 2, (self.size - 1) // 2
        base = self.k + factor * _window_sum(x * x, before, after)
        p = base**-beta
        q = p / base
        w = _window_sum(h * x, before, after)
        by_g = by_x = None
        if call.needs[0]:
            by_g = h * p - slope * x * q * w
        if call.needs[1]:
            by_base = g * q * (slope * (beta + 1) * w * x / base - beta * h)
            direct = h * _window_sum(g * x * q, after, before) + g * q * w
            by_x = 2 * factor * x * _window_sum(by_base, after, before) - slope * direct
        return by_g, by_x


def _window_sum(x: Tensor, before: int, after: int) -> Tensor:
    """The sum over so many channels before each and after it, zeros beyond the ends."""
    channels = x.shape[1]
    sides = [
        constant(np.zeros((x.shape[0], side, *x.shape[2:]), x.dtype)) for side in (before, after)
    ]
    padded = concat([sides[0], x, sides[1]], axis=1)
    total: Tensor = padded[:, :channels]
    for start in range(1, before + after + 1):
        total = total + padded[:, start : start + channels]
    return total


def local_response_norm(
    input: Operand, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0
) -> Tensor:
    """x / (k + alpha / size · Σ x²)^beta, the sum over the `size` channels around each of
    (N, C, ...), zeros beyond the first and the last (Krizhevsky et al. 2012, section 3.3, whose
    alpha is alpha / size here, as PyTorch's). Raises ShapeError, ArgumentError, DtypeError."""
    op = "local_response_norm"
    width = as_integer(op, "size", size)
    if width < 1:
        raise ArgumentError(f"{op}: size takes a number of channels from 1, got {size}")
    given = (("alpha", alpha), ("beta", beta), ("k", k))
    numbers = [as_number(op, name, value) for name, value in given]
    y: Tensor = apply(LocalResponseNorm(width, *numbers), as_tensor(input))
    return y
