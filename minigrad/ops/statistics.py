"""Reductions that describe the values along axes: var, std, logsumexp, any, all, count_nonzero."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from minigrad.errors import ArgumentError, ShapeError
from minigrad.op import Call, Cost, bytes_moved
from minigrad.ops.elementwise import sqrt, where
from minigrad.ops.movement import astype
from minigrad.ops.reduction import Reduction, mean, reduce, sum
from minigrad.spec import Axis, Spec, bool_, normalize_axes, require_floating, size_of
from minigrad.tensor import Array, Operand, Tensor, as_tensor

__all__ = ["all", "any", "count_nonzero", "logsumexp", "std", "var"]


def _variance(op: str, x: Tensor, axis: Axis, correction: float, keepdims: bool) -> Tensor:
    if isinstance(correction, bool) or not isinstance(correction, (int, float)):
        raise ArgumentError(f"{op}: correction takes a number, got {correction!r}")
    if not -(2**53) <= correction <= 2**53:
        raise ArgumentError(f"{op}: correction takes a count of elements, got {correction!r}")
    require_floating(op, x.spec)
    axes = normalize_axes(op, axis, x.ndim)
    count = size_of([x.shape[a] for a in axes])
    centered = x - mean(x, axes, keepdims=True)
    return sum(centered * centered, axes, bool(keepdims)) / max(count - correction, 0)


def var(x: Operand, axis: Axis = None, correction: float = 0, keepdims: bool = False) -> Tensor:
    """The variance (1 / (n - correction)) Σ (x - mean)^2 over `axis`: one, several, or all axes.

    `correction=1` is the unbiased estimate. NaN or infinity where n does not exceed it. Raises
    DtypeError, AxisError, ArgumentError.
    """
    return _variance("var", as_tensor(x), axis, correction, keepdims)


def std(x: Operand, axis: Axis = None, correction: float = 0, keepdims: bool = False) -> Tensor:
    """The square root of `var`; the gradient where it is 0 is 0."""
    return sqrt(_variance("std", as_tensor(x), axis, correction, keepdims))


class LogSumExp(Reduction):
    """y = ln Σ e^x over the axes, computed with the maximum taken out so that nothing overflows.
    dy/dx = e^(x - y), the softmax; 0 where every x is -inf."""

    name = "logsumexp"
    reads_inputs = ((0,),)
    reads_outputs = ((0,),)

    def infer(self, x: Spec) -> Spec:
        require_floating("logsumexp", x)
        if 0 in [x.shape[axis] for axis in self.axes]:
            raise ShapeError(f"logsumexp: of nothing there is no maximum: shape {x.shape}")
        return super().infer(x)

    def forward(self, x: Array) -> Array:
        largest = np.max(x, axis=self.axes, keepdims=True)
        largest = np.where(np.isfinite(largest), largest, x.dtype.type(0))
        total = np.log(np.sum(np.exp(x - largest), axis=self.axes, keepdims=True)) + largest
        return total if self.keepdims else np.asarray(total.squeeze(self.axes))

    def backward(self, call: Call, cotangent: Tensor) -> Tensor:
        (x,), (y,) = call.inputs, call.outputs
        finite = where(y == -math.inf, 0, y)
        return self.spread(cotangent, call) * (x - self.spread(finite, call)).exp()

    def cost(self, inputs: Sequence[Spec], outputs: Sequence[Spec]) -> Cost:
        return Cost(0, 4 * inputs[0].size, bytes_moved(inputs, outputs))


def logsumexp(x: Operand, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """ln Σ e^x over `axis`: one, several, or (None) all axes. Raises ShapeError for nothing."""
    return reduce(LogSumExp, x, axis, keepdims)


class Truth(Reduction):
    """A question on the truth values of x over the axes: piecewise constant, no gradient."""

    differentiable = False
    function: ClassVar[Any]

    def infer(self, x: Spec) -> Spec:
        return Spec.of(super().infer(x).shape, bool_)

    def forward(self, x: Array) -> Array:
        return np.asarray(self.function(x, axis=self.axes, keepdims=self.keepdims))


class AnyTrue(Truth):
    """y = whether one x over the axes is not 0. NaN is not 0."""

    name = "any"
    function = staticmethod(np.any)


class AllTrue(Truth):
    """y = whether no x over the axes is 0. NaN is not 0."""

    name = "all"
    function = staticmethod(np.all)


def any(x: Operand, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """Whether an element over `axis` (one, several, or all axes) is true; false of nothing."""
    return reduce(AnyTrue, x, axis, keepdims)


def all(x: Operand, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """Whether all elements over `axis` (one, several, or all axes) are true; true of nothing."""
    return reduce(AllTrue, x, axis, keepdims)


def count_nonzero(x: Operand, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """How many elements over `axis` (one, several, or all axes) are not 0, in int64."""
    x = as_tensor(x)
    axes = normalize_axes("count_nonzero", axis, x.ndim)
    return sum(astype(x, bool_).detach(), axes, bool(keepdims))
