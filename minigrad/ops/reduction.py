"""Ops that reduce axes: sum, mean, max, min, argmax, argmin."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from minigrad.errors import ArgumentError, ShapeError
from minigrad.kernels import sums
from minigrad.op import Call, Cost, Op, bytes_moved
from minigrad.spec import (
    Axis,
    Shape,
    Spec,
    int64,
    normalize_axes,
    reduced_shape,
    require_floating,
    size_of,
    uint64,
)
from minigrad.tensor import Array, Operand, Tensor, apply, as_tensor

__all__ = ["amax", "amin", "argmax", "argmin", "max", "mean", "min", "sum"]


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


def reduce(op: type[Reduction], x: Operand, axis: Axis, keepdims: bool) -> Tensor:
    """Apply a reduction over `axis`: one, several, or (None) all axes."""
    x = as_tensor(x)
    y: Tensor = apply(op(normalize_axes(op.name, axis, x.ndim), bool(keepdims)), x)
    return y


def widened(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """The dtype that sums and products are taken in: integers in 64 bits, booleans count."""
    if dtype.kind in "bi":
        return int64
    return uint64 if dtype.kind == "u" else dtype


class Sum(Reduction):
    """y = Σ x over the axes.  dy/dx = 1. Integers add up in 64 bits, booleans count."""

    name = "sum"

    def infer(self, x: Spec) -> Spec:
        return Spec.of(super().infer(x).shape, widened(x.dtype))

    def forward(self, x: Array) -> Array:
        # NumPy adds integers in 64 bits of their own accord.
        return sums.total(x, self.axes, self.keepdims)

    def backward(self, call: Call, cotangent: Tensor) -> Tensor:
        return self.spread(cotangent, call)


def sum(x: Operand, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The sum over `axis`: one, several, or (None) all axes."""
    return reduce(Sum, x, axis, keepdims)


class Mean(Reduction):
    """y = (1 / n) Σ x over the n elements along the axes.  dy/dx = 1 / n."""

    name = "mean"

    def infer(self, x: Spec) -> Spec:
        require_floating("mean", x)
        return super().infer(x)

    def forward(self, x: Array) -> Array:
        total = sums.total(x, self.axes, self.keepdims)
        return np.divide(total, self._count(x.shape), dtype=x.dtype)

    def backward(self, call: Call, cotangent: Tensor) -> Tensor:
        return self.spread(cotangent / self._count(call.input_specs[0].shape), call)

    def _count(self, shape: Shape) -> int:
        return size_of([shape[axis] for axis in self.axes])


def mean(x: Operand, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The mean over `axis`: one, several, or (None) all axes. NaN where there is nothing."""
    return reduce(Mean, x, axis, keepdims)


class Extremum(Reduction):
    """y = the largest or the smallest x over the axes; `function` finds it.

    dy/dx = 1 / m at the m elements equal to y, else 0: ties share the gradient equally (a
    subgradient, as PyTorch's amax and amin). NaN wins.
    """

    function: ClassVar[Any]
    reads_inputs = ((0,),)
    reads_outputs = ((0,),)

    def infer(self, x: Spec) -> Spec:
        if any(x.shape[axis] == 0 for axis in self.axes):
            raise ShapeError(f"{self.name}: of nothing there is no {self.name}: shape {x.shape}")
        return super().infer(x)

    def forward(self, x: Array) -> Array:
        return np.asarray(self.function(x, axis=self.axes, keepdims=self.keepdims))

    def backward(self, call: Call, cotangent: Tensor) -> Tensor:
        (x,), (y,) = call.inputs, call.outputs
        chosen = (x == self.spread(y, call)).astype(x.dtype)
        ties = chosen.sum(axis=self.axes, keepdims=True)
        return self.spread(cotangent, call) * chosen / ties


class Max(Extremum):
    """y = max x over the axes.  dy/dx = 1 / m at the m elements equal to y, else 0."""

    name = "max"
    function = staticmethod(np.max)


class Min(Extremum):
    """y = min x over the axes.  dy/dx = 1 / m at the m elements equal to y, else 0."""

    name = "min"
    function = staticmethod(np.min)


def max(x: Operand, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The maximum over `axis`: one, several, or (None) all axes. Ties share the gradient."""
    return reduce(Max, x, axis, keepdims)


def min(x: Operand, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The minimum over `axis`: one, several, or (None) all axes. Ties share the gradient."""
    return reduce(Min, x, axis, keepdims)


amax, amin = max, min


@dataclass(frozen=True)
class ArgExtremum(Op):
    """The index of the first extremum along an axis, or (None) of the flat array."""

    differentiable: ClassVar[bool] = False
    function: ClassVar[Any]
    axis: int | None
    keepdims: bool

    def infer(self, x: Spec) -> Spec:
        axes = normalize_axes(self.name, self.axis, x.ndim)
        if any(x.shape[axis] == 0 for axis in axes):
            raise ShapeError(f"{self.name}: of nothing there is no extremum: shape {x.shape}")
        return Spec.of(reduced_shape(x.shape, axes, self.keepdims), int64)

    def forward(self, x: Array) -> Array:
        return np.asarray(self.function(x, axis=self.axis, keepdims=self.keepdims), int64)

    def cost(self, inputs: Sequence[Spec], outputs: Sequence[Spec]) -> Cost:
        return Cost(0, inputs[0].size, bytes_moved(inputs, outputs))


class ArgMax(ArgExtremum):
    """The index of the first largest element."""

    name = "argmax"
    function = staticmethod(np.argmax)


class ArgMin(ArgExtremum):
    """The index of the first smallest element."""

    name = "argmin"
    function = staticmethod(np.argmin)


def _arg(op: type[ArgExtremum], x: Operand, axis: int | None, keepdims: bool) -> Tensor:
    if isinstance(axis, (tuple, list)):
        raise ArgumentError(f"{op.name}: axis takes one integer or None, got {axis!r}")
    y: Tensor = apply(op(axis, bool(keepdims)), as_tensor(x))
    return y


def argmax(x: Operand, axis: int | None = None, keepdims: bool = False) -> Tensor:
    """The index of the first largest element along `axis`; NaN counts as largest."""
    return _arg(ArgMax, x, axis, keepdims)


def argmin(x: Operand, axis: int | None = None, keepdims: bool = False) -> Tensor:
    """The index of the first smallest element along `axis`; NaN counts as smallest."""
    return _arg(ArgMin, x, axis, keepdims)
