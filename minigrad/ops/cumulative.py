"""Running sums and products along an axis, differences, and the product over axes.

The gradient of a running product is a running product times a linear recurrence, and the gradient
of a linear recurrence is one again: so nothing divides by an element, and zeros do no harm, in
gradients of any order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from minigrad.errors import ArgumentError, DtypeError, ShapeError
from minigrad.op import Call, Cost, Op, bytes_moved
from minigrad.ops.elementwise import operands
from minigrad.ops.movement import (
    clone,
    concat,
    expand,
    inverse_order,
    part,
    permute_dims,
    reshape,
)
from minigrad.ops.reduction import Reduction, reduce, widened
from minigrad.spec import (
    Axis,
    Spec,
    as_integer,
    common_dtype,
    normalize_axis,
    require_floating,
    size_of,
)
from minigrad.tensor import Array, Operand, Tensor, apply, as_tensor, constant

__all__ = ["cumulative_prod", "cumulative_sum", "diff", "prod"]


def _reversed(x: Tensor, axis: int) -> Tensor:
    return part(x, axis, slice(None, None, -1))


def _delayed(x: Tensor, axis: int, first: int) -> Tensor:
    """x moved on by one place along the axis, `first` at its beginning."""
    shape = tuple([min(n, 1) if i == axis else n for i, n in enumerate(x.shape)])
    start = constant(np.full(shape, first, x.dtype))
    return concat([start, part(x, axis, slice(None, -1))], axis)


@dataclass(frozen=True)
class LinearRecurrence(Op):
    """h_0 = b_0, h_i = a_i h_{i-1} + b_i along the axis (a_0 is not used).

    With g the cotangent of h, the adjoint is the recurrence run backwards, λ_i = g_i +
    a_{i+1} λ_{i+1};  db = λ,  da_i = λ_i h_{i-1}.
    """

    name: ClassVar[str] = "linear_recurrence"
    reads_inputs: ClassVar[tuple[tuple[int, ...], ...]] = ((0,), (0,))
    reads_outputs: ClassVar[tuple[tuple[int, ...], ...]] = ((0,), ())
    axis: int

    def infer(self, a: Spec, b: Spec) -> Spec:
        require_floating("linear_recurrence", a, b)
        if a.shape != b.shape:
            raise ShapeError(f"linear_recurrence: shapes differ: {a.shape} and {b.shape}")
        return Spec.of(b.shape, common_dtype("linear_recurrence", a, b))

    def forward(self, a: Array, b: Array) -> Array:
        h = b.copy()
        rows, factors = np.moveaxis(h, self.axis, 0), np.moveaxis(a, self.axis, 0)
        for i in range(1, len(rows)):
            rows[i] += factors[i] * rows[i - 1]
        return h

    def backward(self, call: Call, cotangent: Tensor) -> tuple[Tensor | None, ...]:
        adjoint = _adjoint(call.inputs[0], cotangent, self.axis)
        by_a = None
        if call.needs[0]:
            by_a = adjoint * _delayed(call.outputs[0], self.axis, 0)
        return by_a, adjoint if call.needs[1] else None

    def cost(self, inputs: Sequence[Spec], outputs: Sequence[Spec]) -> Cost:
        size = outputs[0].size
        return Cost(size, 2 * size, bytes_moved(inputs, outputs))


def _adjoint(a: Tensor, cotangent: Tensor, axis: int) -> Tensor:
    """λ with λ_i = cotangent_i + a_{i+1} λ_{i+1}."""
    # The recurrence leaves its first factor unused, here a_0, which comes out last.
    following = concat([part(a, axis, slice(1, None)), part(a, axis, slice(0, 1))], axis)
    backwards = _reversed(following, axis), _reversed(cotangent, axis)
    return _reversed(apply(LinearRecurrence(axis), *backwards), axis)


@dataclass(frozen=True)
class Cumulative(Op):
    """An op that keeps every intermediate result of a reduction along the axis."""

    axis: int

    def infer(self, x: Spec) -> Spec:
        return Spec.of(x.shape, widened(x.dtype))


class CumulativeSum(Cumulative):
    """y_i = Σ_{j≤i} x_j along the axis.  dL/dx_i = Σ_{k≥i} dL/dy_k."""

    name = "cumulative_sum"

    def forward(self, x: Array) -> Array:
        return np.cumsum(x, axis=self.axis)

    def backward(self, call: Call, cotangent: Tensor) -> Tensor:
        return _reversed(apply(self, _reversed(cotangent, self.axis)), self.axis)


class CumulativeProd(Cumulative):
    """y_i = Π_{j≤i} x_j along the axis.

    dL/dx_i = Σ_{k≥i} dL/dy_k Π_{j≤k, j≠i} x_j = y_{i-1} λ_i, where λ_i = dL/dy_i + x_{i+1} λ_{i+1}.
    """

    name = "cumulative_prod"
    reads_inputs = ((0,),)
    reads_outputs = ((0,),)

    def forward(self, x: Array) -> Array:
        return np.cumprod(x, axis=self.axis)

    def backward(self, call: Call, cotangent: Tensor) -> Tensor:
        (x,), (y,) = call.inputs, call.outputs
        return _delayed(y, self.axis, 1) * _adjoint(x, cotangent, self.axis)


def _cumulative(
    op: type[Cumulative], x: Operand, axis: int | None, include_initial: bool, initial: int
) -> Tensor:
    x = as_tensor(x)
    if axis is None and x.ndim != 1:
        raise ArgumentError(f"{op.name}: an array of shape {x.shape} needs an axis")
    axis = normalize_axis(op.name, 0 if axis is None else axis, x.ndim)
    y: Tensor = apply(op(axis), x)
    if not include_initial:
        return y
    shape = tuple([1 if i == axis else n for i, n in enumerate(y.shape)])
    return concat([constant(np.full(shape, initial, y.dtype)), y], axis)


def cumulative_sum(x: Operand, axis: int | None = None, include_initial: bool = False) -> Tensor:
    """The sums of the first elements along `axis`, which one axis alone may leave out.

    With `include_initial` the sum of none, 0, comes first. Integers add up in 64 bits. Raises
    ArgumentError, AxisError.
    """
    return _cumulative(CumulativeSum, x, axis, include_initial, 0)


def cumulative_prod(x: Operand, axis: int | None = None, include_initial: bool = False) -> Tensor:
    """The products of the first elements along `axis`, which one axis alone may leave out.

    With `include_initial` the product of none, 1, comes first. Integers multiply in 64 bits.
    Raises ArgumentError, AxisError.
    """
    return _cumulative(CumulativeProd, x, axis, include_initial, 1)


def diff(
    x: Operand,
    n: int = 1,
    axis: int = -1,
    prepend: Operand | None = None,
    append: Operand | None = None,
) -> Tensor:
    """The differences x[i+1] - x[i] along `axis`, taken `n` times: what undoes a running sum.

    `prepend` and `append` are joined to x before; a number stands for one place of it. The axis
    loses n places. Raises ArgumentError, AxisError, ShapeError, DtypeError.
    """
    x = as_tensor(x)
    a, times = normalize_axis("diff", axis, x.ndim), as_integer("diff", "n", n)
    if times < 0:
        raise ArgumentError(f"diff: n takes an integer from 0, got {n}")
    if x.dtype == np.bool_:
        raise DtypeError("diff: takes numbers, got bool; convert with x.astype('int64')")
    edge = tuple([1 if i == a else length for i, length in enumerate(x.shape)])
    parts = [operands("diff", x, y)[1] for y in (prepend, x, append) if y is not None]
    common_dtype("diff", *[y.spec for y in parts])
    parts = [y if y.ndim else expand(y, edge) for y in parts]
    y = concat(parts, a) if len(parts) > 1 else x
    for _ in range(min(times, y.shape[a])):
        y = part(y, a, slice(1, None)) - part(y, a, slice(0, -1))
    return clone(y) if y is x else y


class Prod(Reduction):
    """y = Π x over the axes.  dy/dx_i = Π_{j≠i} x_j, taken as the product of all before i by that
    of all behind. Integers multiply in 64 bits, booleans count."""

    name = "prod"
    reads_inputs = ((0,),)

    def infer(self, x: Spec) -> Spec:
        return Spec.of(super().infer(x).shape, widened(x.dtype))

    def forward(self, x: Array) -> Array:
        return np.asarray(np.prod(x, axis=self.axes, keepdims=self.keepdims))

    def backward(self, call: Call, cotangent: Tensor) -> Tensor:
        (x,) = call.inputs
        kept = [axis for axis in range(x.ndim) if axis not in self.axes]
        order = [*kept, *self.axes]
        moved = permute_dims(x, order)
        lengths, last = moved.shape[: len(kept)], len(kept)
        rows = reshape(moved, (*lengths, size_of(moved.shape[last:])))
        before = _delayed(cumulative_prod(rows, last), last, 1)
        behind = _delayed(cumulative_prod(_reversed(rows, last), last), last, 1)
        gradient = before * _reversed(behind, last) * reshape(cotangent, (*lengths, 1))
        return permute_dims(reshape(gradient, moved.shape), inverse_order(order))


def prod(x: Operand, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The product over `axis`: one, several, or (None) all axes; its gradient is right with
    zeros among the factors too."""
    return reduce(Prod, x, axis, keepdims)
