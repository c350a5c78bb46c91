"""Ops that move values without computing: reshape, permute_dims, expand, concat, astype, clone.

Where NumPy can, the result is a view; since recorded values never change, nobody can tell.
`unbroadcast` is the one place where broadcasting is undone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from minigrad.errors import ArgumentError, AxisError, DtypeError, ShapeError
from minigrad.op import Call, Cost, Op, bytes_moved
from minigrad.spec import (
    FLOATING,
    Shape,
    Spec,
    as_dtype,
    as_integer,
    as_shape,
    broadcast_shapes,
    common_dtype,
    normalize_axis,
    size_of,
)
from minigrad.tensor import Array, Operand, Tensor, apply, as_tensor

__all__ = [
    "astype",
    "broadcast_to",
    "clone",
    "concat",
    "expand",
    "flatten",
    "matrix_transpose",
    "permute_dims",
    "reshape",
]


class Movement(Op):
    """An op that does no arithmetic."""

    def cost(self, inputs: Sequence[Spec], outputs: Sequence[Spec]) -> Cost:
        return Cost(0, 0, bytes_moved(inputs, outputs))


@dataclass(frozen=True)
class Reshape(Movement):
    """The elements of x in row-major order, in another shape. The gradient is reshaped back."""

    name: ClassVar[str] = "reshape"
    shape: Shape

    def infer(self, x: Spec) -> Spec:
        shape = self.shape
        if shape.count(-1) == 1:
            known = -size_of(shape)
            if known and x.size % known == 0:
                shape = tuple([x.size // known if n == -1 else n for n in shape])
        if min(shape, default=0) < 0 or size_of(shape) != x.size:
            raise ShapeError(
                f"reshape: an array of shape {x.shape} ({x.size} elements) cannot take the shape "
                f"{self.shape}"
            )
        return Spec.of(shape, x.dtype)

    def forward(self, x: Array) -> Array:
        return x.reshape(self.shape)

    def backward(self, call: Call, cotangent: Tensor) -> Tensor:
        return reshape(cotangent, call.input_specs[0].shape)


def reshape(x: Operand, shape: int | Sequence[int]) -> Tensor:
    """x with its elements, in row-major order, in `shape`; one length may be -1, to be found."""
    lengths = shape if isinstance(shape, (tuple, list)) else (shape,)
    x = as_tensor(x)
    return apply(Reshape(tuple([as_integer("reshape", "shape", n) for n in lengths])), x)


def flatten(x: Operand, start_dim: int = 0, end_dim: int = -1) -> Tensor:
    """x with the axes from `start_dim` to `end_dim`, both included, made one."""
    x = as_tensor(x)
    if x.ndim == 0:
        return reshape(x, (1,))
    start = normalize_axis("flatten", start_dim, x.ndim)
    end = normalize_axis("flatten", end_dim, x.ndim)
    if start > end:
        raise AxisError(f"flatten: start_dim {start_dim} comes after end_dim {end_dim}")
    merged = size_of(x.shape[start : end + 1])
    return reshape(x, (*x.shape[:start], merged, *x.shape[end + 1 :]))


@dataclass(frozen=True)
class PermuteDims(Movement):
    """y with y.shape[i] = x.shape[axes[i]]. The gradient is permuted by the inverse."""

    name: ClassVar[str] = "permute_dims"
    axes: tuple[int, ...]

    def infer(self, x: Spec) -> Spec:
        if sorted(self.axes) != list(range(x.ndim)):
            raise AxisError(
                f"permute_dims: axes {self.axes} are not a permutation of the {x.ndim} axes of an "
                f"array of shape {x.shape}"
            )
        return Spec.of(tuple([x.shape[axis] for axis in self.axes]), x.dtype)

    def forward(self, x: Array) -> Array:
        return x.transpose(self.axes)

    def backward(self, call: Call, cotangent: Tensor) -> Tensor:
        return permute_dims(cotangent, inverse_order(self.axes))


def permute_dims(x: Operand, axes: Sequence[int]) -> Tensor:
    """x with its axes in the order `axes`."""
    x = as_tensor(x)
    if not isinstance(axes, Sequence):
        raise ArgumentError(f"permute_dims: axes takes one integer an axis, got {axes!r}")
    return apply(PermuteDims(tuple([normalize_axis("permute_dims", a, x.ndim) for a in axes])), x)


def inverse_order(axes: Sequence[int]) -> list[int]:
    """The permutation that undoes `axes`."""
    return sorted(range(len(axes)), key=axes.__getitem__)


def matrix_transpose(x: Operand) -> Tensor:
    """x with its last two axes exchanged."""
    x = as_tensor(x)
    if x.ndim < 2:
        raise ShapeError(f"matrix_transpose: takes at least 2 axes, got shape {x.shape}")
    return permute_dims(x, (*range(x.ndim - 2), x.ndim - 1, x.ndim - 2))


@dataclass(frozen=True)
class Expand(Movement):
    """x repeated along new axes in front and axes of length 1. The gradient is summed back."""

    name: ClassVar[str] = "expand"
    shape: Shape

    def infer(self, x: Spec) -> Spec:
        if broadcast_shapes("expand", x.shape, self.shape) != self.shape:
            raise ShapeError(f"expand: shape {x.shape} does not broadcast to {self.shape}")
        return Spec.of(self.shape, x.dtype)

    def forward(self, x: Array) -> Array:
        return np.broadcast_to(x, self.shape)

    def backward(self, call: Call, cotangent: Tensor) -> Tensor:
        return unbroadcast(cotangent, call.input_specs[0].shape)


def expand(x: Operand, shape: int | Sequence[int]) -> Tensor:
    """x broadcast to `shape` (`broadcast_to` in the array API standard)."""
    x = as_tensor(x)
    shape = as_shape("expand", shape)
    return x if x.shape == shape else apply(Expand(shape), x)


broadcast_to = expand


def unbroadcast(gradient: Tensor, shape: Shape) -> Tensor:
    """The gradient of broadcasting: the sum over all axes along which `shape` was repeated."""
    if gradient.shape == shape:
        return gradient
    new = gradient.ndim - len(shape)
    repeated = tuple(
        [i for i, n in enumerate(gradient.shape) if i < new or (shape[i - new] == 1 and n != 1)]
    )
    summed: Tensor = gradient.sum(axis=repeated)
    return summed if summed.shape == shape else reshape(summed, shape)


@dataclass(frozen=True)
class Concat(Movement):
    """The inputs one after the other along `axis`. Each gradient is its part of the cotangent."""

    name: ClassVar[str] = "concat"
    axis: int

    def infer(self, *inputs: Spec) -> Spec:
        first, axis = inputs[0], self.axis
        dtype = common_dtype("concat", *inputs)
        for x in inputs:
            if x.ndim != first.ndim or any(
                x.shape[i] != first.shape[i] for i in range(first.ndim) if i != axis
            ):
                raise ShapeError(
                    f"concat: shapes must be equal except along axis {axis}, got "
                    f"{[x.shape for x in inputs]}"
                )
        length = sum(x.shape[axis] for x in inputs)
        return Spec.of((*first.shape[:axis], length, *first.shape[axis + 1 :]), dtype)

    def forward(self, *inputs: Array) -> Array:
        return np.concatenate(inputs, axis=self.axis)

    def backward(self, call: Call, cotangent: Tensor) -> tuple[Tensor | None, ...]:
        gradients: list[Tensor | None] = []
        start = 0
        for spec, need in zip(call.input_specs, call.needs, strict=True):
            stop = start + spec.shape[self.axis]
            gradients.append(part(cotangent, self.axis, slice(start, stop)) if need else None)
            start = stop
        return tuple(gradients)


def concat(arrays: Sequence[Operand], axis: int | None = 0) -> Tensor:
    """The arrays joined along an existing axis; None flattens them first."""
    inputs = listed("concat", arrays)
    if axis is None:
        inputs, axis = [flatten(x) for x in inputs], 0
    if inputs[0].ndim == 0:
        raise ShapeError("concat: 0-d arrays have no axis to join along")
    return apply(Concat(normalize_axis("concat", axis, inputs[0].ndim)), *inputs)


def listed(op: str, arrays: Any) -> list[Tensor]:
    """At least one array, each as a tensor."""
    if isinstance(arrays, (str, dict)) or not hasattr(arrays, "__iter__"):
        raise ArgumentError(f"{op}: takes a list of arrays, got {arrays!r}")
    if isinstance(arrays, (Tensor, np.ndarray)) and arrays.ndim == 0:
        raise ArgumentError(f"{op}: takes a list of arrays, got one of shape ()")
    tensors = [as_tensor(x) for x in arrays]
    if not tensors:
        raise ShapeError(f"{op}: takes at least one array, got none")
    return tensors


def part(x: Tensor, axis: int, index: Any) -> Tensor:
    """x[:, ..., index, ..., :] with the index at `axis`, counted from the front."""
    return x[(slice(None),) * axis + (index,)]


@dataclass(frozen=True)
class AsType(Movement):
    """x in another dtype. The gradient is converted back; to integers there is none."""

    name: ClassVar[str] = "astype"
    dtype: np.dtype[Any]

    def infer(self, x: Spec) -> Spec:
        return Spec.of(x.shape, self.dtype)

    def forward(self, x: Array) -> Array:
        return x.astype(self.dtype, order="K")

    def backward(self, call: Call, cotangent: Tensor) -> Tensor:
        return astype(cotangent, call.input_specs[0].dtype)


def astype(x: Operand, dtype: Any) -> Tensor:
    """x converted to `dtype`; differentiable between floating-point dtypes."""
    x, dtype = as_tensor(x), as_dtype(dtype)
    return x if x.dtype == dtype else apply(AsType(dtype), x)


class Clone(Movement):
    """y = x, as a value of its own in the record. The gradient passes through."""

    name = "clone"

    def infer(self, x: Spec) -> Spec:
        return x

    def forward(self, x: Array) -> Array:
        return x

    def backward(self, call: Call, cotangent: Tensor) -> Tensor:
        return cotangent


def clone(x: Operand) -> Tensor:
    """x under another name, differentiable. No number is copied: values never change, and
    assigning to a part of the clone gives the clone a new value."""
    return apply(Clone(), as_tensor(x))


def require_integers(op: str, argument: str, x: Tensor) -> None:
    """Raise unless x holds integers: indices or classes."""
    if x.dtype in FLOATING or x.dtype == np.bool_:
        raise DtypeError(f"{op}: {argument} takes integers, got {x.dtype} of shape {x.shape}")
