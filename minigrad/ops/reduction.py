"""Ops that reduce axes: sum, mean, max, argmax."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from minigrad.errors import ArgumentError, ShapeError
from minigrad.op import Call, Cost, Op, bytes_moved
from minigrad.spec import (
    Axis,
    Spec,
    int64,
    normalize_axes,
    reduced_shape,
    require_floating,
    uint64,
)
from minigrad.tensor import Array, Operand, Tensor, apply, as_tensor


@dataclass(frozen=True)
class Reduction(Op):
    """An op that reduces `axes`, counted from the front and in order."""

    axes: tuple[int, ...]
    keepdims: bool

    def infer(self, x: Spec) -> Spec:
        return Spec.of(reduced_shape(x.shape, self.axes, self.keepdims), x.dtype)

    def spread(self, reduced: Tensor, call: Call) -> Tensor:
        """A value of the output's shape, repeated along the axes that were reduced."""
        (x,) = call.input_specs
        return reduced.reshape(reduced_shape(x.shape, self.axes, True)).expand(x.shape)

    def cost(self, inputs: Sequence[Spec], outputs: Sequence[Spec]) -> Cost:
        return Cost(0, inputs[0].size, bytes_moved(inputs, outputs))


class Sum(Reduction):
    """y = Σ x over the axes.  dy/dx = 1. Integers add up in 64 bits, booleans count."""

    name = "sum"

    def infer(self, x: Spec) -> Spec:
        spec = super().infer(x)
        if x.dtype.kind in "bi":
            return Spec.of(spec.shape, int64)
        return Spec.of(spec.shape, uint64) if x.dtype.kind == "u" else spec

    def forward(self, x: Array) -> Array:
        # NumPy adds integers in 64 bits of their own accord.
        return np.asarray(np.sum(x, axis=self.axes, keepdims=self.keepdims))

    def backward(self, call: Call, cotangent: Tensor) -> Tensor:
        return self.spread(cotangent, call)


def sum(x: Operand, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The sum over `axis`: one, several, or (None) all axes."""
    x = as_tensor(x)
    return apply(Sum(normalize_axes("sum", axis, x.ndim), bool(keepdims)), x)


class Mean(Reduction):
    """y = (1 / n) Σ x over the n elements along the axes.  dy/dx = 1 / n."""

    name = "mean"

    def infer(self, x: Spec) -> Spec:
        require_floating("mean", x)
        return super().infer(x)

    def forward(self, x: Array) -> Array:
        total = np.sum(x, axis=self.axes, keepdims=self.keepdims)
        return np.divide(total, self._count(x.shape), dtype=x.dtype)

    def backward(self, call: Call, cotangent: Tensor) -> Tensor:
        return self.spread(cotangent / self._count(call.input_specs[0].shape), call)

    def _count(self, shape: tuple[int, ...]) -> int:
        count = 1
        for axis in self.axes:
            count *= shape[axis]
        return count


def mean(x: Operand, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The mean over `axis`: one, several, or (None) all axes. NaN where there is nothing."""
    x = as_tensor(x)
    return apply(Mean(normalize_axes("mean", axis, x.ndim), bool(keepdims)), x)


class Max(Reduction):
    """y = max x over the axes.  dy/dx = 1 / m at the m elements equal to y, else 0: ties share
    the gradient equally (a subgradient, as PyTorch's amax). NaN wins."""

    name = "max"
    reads_inputs = ((0,),)
    reads_outputs = ((0,),)

    def infer(self, x: Spec) -> Spec:
        if any(x.shape[axis] == 0 for axis in self.axes):
            raise ShapeError(f"max: of nothing there is no maximum: shape {x.shape}")
        return super().infer(x)

    def forward(self, x: Array) -> Array:
        return np.asarray(np.max(x, axis=self.axes, keepdims=self.keepdims))

    def backward(self, call: Call, cotangent: Tensor) -> Tensor:
        (x,), (y,) = call.inputs, call.outputs
        chosen = (x == self.spread(y, call)).astype(x.dtype)
        ties = chosen.sum(axis=self.axes, keepdims=True)
        return self.spread(cotangent, call) * chosen / ties


def max(x: Operand, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The maximum over `axis`: one, several, or (None) all axes. Ties share the gradient."""
    x = as_tensor(x)
    return apply(Max(normalize_axes("max", axis, x.ndim), bool(keepdims)), x)


@dataclass(frozen=True)
class ArgMax(Op):
    """The index of the first largest element along an axis, or (None) of the flat array."""

    name: ClassVar[str] = "argmax"
    differentiable: ClassVar[bool] = False
    axis: int | None
    keepdims: bool

    def infer(self, x: Spec) -> Spec:
        axes = normalize_axes("argmax", self.axis, x.ndim)
        if any(x.shape[axis] == 0 for axis in axes):
            raise ShapeError(f"argmax: of nothing there is no maximum: shape {x.shape}")
        return Spec.of(reduced_shape(x.shape, axes, self.keepdims), int64)

    def forward(self, x: Array) -> Array:
        return np.asarray(np.argmax(x, axis=self.axis, keepdims=self.keepdims), int64)


def argmax(x: Operand, axis: int | None = None, keepdims: bool = False) -> Tensor:
    """The index of the first largest element along `axis`; NaN counts as largest."""
    if isinstance(axis, (tuple, list)):
        raise ArgumentError(f"argmax: axis takes one integer or None, got {axis!r}")
    return apply(ArgMax(axis, bool(keepdims)), as_tensor(x))
