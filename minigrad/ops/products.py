"""Products of arrays that are short compositions: tensordot, inner, vecdot, outer, kron, cross."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from minigrad.errors import ArgumentError, AxisError, ShapeError
from minigrad.ops.indexing import getitem
from minigrad.ops.linear import matmul
from minigrad.ops.movement import permute_dims, reshape
from minigrad.spec import (
    as_integer,
    broadcast_shapes,
    common_dtype,
    normalize_axis,
    require_floating,
    size_of,
)
from minigrad.tensor import Operand, Tensor, as_tensor

__all__ = ["cross", "inner", "kron", "outer", "tensordot", "vecdot"]


def tensordot(x1: Operand, x2: Operand, axes: int | Sequence[Any] = 2) -> Tensor:
    """The sum of products over axes of x1 and as many of x2, as one matrix product.

    `axes` is a pair of lists, of the axes of x1 and those of x2 that meet, or an integer n: the
    last n of x1 and the first n of x2. The result has the other axes of x1, then those of x2.
    Takes floating-point arrays. Raises ShapeError where lengths differ, AxisError.
    """
    a, b = as_tensor(x1), as_tensor(x2)
    require_floating("tensordot", a.spec, b.spec)
    common_dtype("tensordot", a.spec, b.spec)
    left, right = _contracted_axes(axes, a.ndim, b.ndim)
    if [a.shape[i] for i in left] != [b.shape[i] for i in right]:
        raise ShapeError(
            f"tensordot: axes {left} of shape {a.shape} and axes {right} of shape {b.shape} "
            "must be equally long"
        )
    rows = [i for i in range(a.ndim) if i not in left]
    columns = [i for i in range(b.ndim) if i not in right]
    between = size_of([a.shape[i] for i in left])
    row_shape, column_shape = [a.shape[i] for i in rows], [b.shape[i] for i in columns]
    c = matmul(
        reshape(permute_dims(a, [*rows, *left]), (size_of(row_shape), between)),
        reshape(permute_dims(b, [*right, *columns]), (between, size_of(column_shape))),
    )
    return reshape(c, [*row_shape, *column_shape])


def _contracted_axes(axes: Any, ndim1: int, ndim2: int) -> tuple[list[int], list[int]]:
    """The axes of both operands that are summed over, counted from the front."""
    if not isinstance(axes, (tuple, list)):
        n = as_integer("tensordot", "axes", axes)
        if not 0 <= n <= min(ndim1, ndim2):
            raise AxisError(f"tensordot: axes {n} for arrays of {ndim1} and {ndim2} axes")
        return list(range(ndim1 - n, ndim1)), list(range(n))
    if len(axes) != 2:
        raise ArgumentError(f"tensordot: axes takes an integer or a pair of lists, got {axes!r}")
    left, right = (
        [normalize_axis("tensordot", axis, ndim) for axis in _listed(given)]
        for given, ndim in zip(axes, (ndim1, ndim2), strict=True)
    )
    if len(left) != len(right) or len(set(left)) < len(left) or len(set(right)) < len(right):
        raise AxisError(f"tensordot: axes {axes} must be two lists as long, with no axis twice")
    return left, right


def _listed(axes: Any) -> Sequence[Any]:
    return axes if isinstance(axes, (tuple, list)) else (axes,)


def inner(x1: Operand, x2: Operand) -> Tensor:
    """The sum of products over the last axes, as in NumPy: (..., k) and (___, k) to (..., ___).

    A 0-d operand multiplies. Raises ShapeError where the last axes differ.
    """
    a, b = as_tensor(x1), as_tensor(x2)
    if a.ndim == 0 or b.ndim == 0:
        return a * b
    if a.shape[-1] != b.shape[-1]:
        raise ShapeError(
            f"inner: the last axes of shapes {a.shape} and {b.shape} must be equally long"
        )
    return tensordot(a, b, axes=([-1], [-1]))


def vecdot(x1: Operand, x2: Operand, axis: int = -1) -> Tensor:
    """Σ x1 x2 over `axis`, the other axes broadcast (array API standard).

    Integers add up in 64 bits. Raises ShapeError where the two have not the same length along
    `axis`, which is counted after broadcasting.
    """
    a, b = as_tensor(x1), as_tensor(x2)
    if a.ndim == 0 or b.ndim == 0:
        raise ShapeError(f"vecdot: takes at least 1 axis, got shapes {a.shape} and {b.shape}")
    common_dtype("vecdot", a.spec, b.spec)
    ndim = max(a.ndim, b.ndim)
    from_behind = normalize_axis("vecdot", axis, ndim) - ndim
    _require_axis("vecdot", a, b, from_behind)
    return (a * b).sum(axis=from_behind)


def _require_axis(op: str, a: Tensor, b: Tensor, axis: int) -> None:
    """Raise unless both have `axis`, counted from behind, at the same length, and broadcast."""
    if -axis > min(a.ndim, b.ndim):
        raise AxisError(f"{op}: axis {axis} is not in both shapes {a.shape} and {b.shape}")
    if a.shape[axis] != b.shape[axis]:
        raise ShapeError(
            f"{op}: shapes {a.shape} and {b.shape} must be equally long along axis {axis}"
        )
    broadcast_shapes(op, a.shape, b.shape)


def outer(x1: Operand, x2: Operand) -> Tensor:
    """y[i, j] = x1[i] x2[j] of two vectors. Raises ShapeError for other than 1 axis."""
    a, b = as_tensor(x1), as_tensor(x2)
    if a.ndim != 1 or b.ndim != 1:
        raise ShapeError(f"outer: takes two vectors, got shapes {a.shape} and {b.shape}")
    common_dtype("outer", a.spec, b.spec)
    return reshape(a, (a.size, 1)) * reshape(b, (1, b.size))


def kron(x1: Operand, x2: Operand) -> Tensor:
    """The Kronecker product, as in NumPy: along every axis, each element of x1 times all of x2.

    The shorter shape is filled with ones in front; the lengths multiply.
    """
    a, b = as_tensor(x1), as_tensor(x2)
    common_dtype("kron", a.spec, b.spec)
    ndim = max(a.ndim, b.ndim)
    m, n = ((1,) * (ndim - x.ndim) + x.shape for x in (a, b))
    spread = [(rows, 1) for rows in m], [(1, rows) for rows in n]
    left, right = ([length for pair in pairs for length in pair] for pairs in spread)
    return reshape(reshape(a, left) * reshape(b, right), [i * j for i, j in zip(m, n, strict=True)])


def cross(x1: Operand, x2: Operand, axis: int = -1) -> Tensor:
    """The cross product of vectors of length 3 along `axis`; the other axes broadcast.

    `axis` is counted after broadcasting. Raises ShapeError for another length.
    """
    a, b = as_tensor(x1), as_tensor(x2)
    common_dtype("cross", a.spec, b.spec)
    ndim = max(a.ndim, b.ndim)
    from_behind = normalize_axis("cross", axis, ndim) - ndim
    _require_axis("cross", a, b, from_behind)
    if a.shape[from_behind] != 3:
        raise ShapeError(
            f"cross: takes vectors of length 3, got shapes {a.shape} and {b.shape} along axis "
            f"{axis}"
        )

    def rotated(x: Tensor, order: list[int]) -> Tensor:
        return getitem(x, (..., order, *[slice(None)] * (-from_behind - 1)))

    following, preceding = [1, 2, 0], [2, 0, 1]
    return rotated(a, following) * rotated(b, preceding) - rotated(a, preceding) * rotated(
        b, following
    )
