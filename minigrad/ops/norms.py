"""Norms of vectors and of matrices, as compositions of other ops.

A norm has a kink at 0, where its gradient is 0, and absolute values have one wherever an element
is 0: the same.
"""

from __future__ import annotations

import math
from typing import Any

from minigrad.errors import ArgumentError, ShapeError
from minigrad.ops.elementwise import abs, sqrt, where
from minigrad.ops.lapack import require_matrices
from minigrad.ops.movement import permute_dims, reshape
from minigrad.ops.rearrange import squeeze
from minigrad.ops.reduction import max, min
from minigrad.ops.spectral import svdvals
from minigrad.spec import (
    Axis,
    normalize_axes,
    normalize_axis,
    reduced_shape,
    require_floating,
)
from minigrad.tensor import Operand, Tensor, as_tensor

__all__ = ["matrix_norm", "norm", "vector_norm"]

Order = int | float | str | None


def vector_norm(
    x: Operand, axis: Axis = None, keepdims: bool = False, ord: int | float = 2
) -> Tensor:
    """(Σ |x|^ord)^(1 / ord) over `axis`: one, several, or (None) all axes as one vector.

    ord = inf is the largest |x| and -inf the smallest (ties share the gradient), 0 counts what is
    not 0 (without a gradient). The gradient at 0 is 0. Takes floating-point arrays.
    """
    x = as_tensor(x)
    require_floating("vector_norm", x.spec)
    if isinstance(ord, bool) or not isinstance(ord, (int, float)) or math.isnan(ord):
        raise ArgumentError(f"vector_norm: ord takes a number, inf or -inf, got {ord!r}")
    how: dict[str, Any] = {
        "axis": normalize_axes("vector_norm", axis, x.ndim),
        "keepdims": bool(keepdims),
    }
    if ord == 0:
        return (x != 0).astype(x.dtype).sum(**how)
    if ord == 2:
        return sqrt((x * x).sum(**how))
    if math.isinf(ord):
        if any(x.shape[a] == 0 for a in how["axis"]):
            raise ShapeError(f"vector_norm: of nothing there is no ord={ord}: shape {x.shape}")
        return max(abs(x), **how) if ord > 0 else min(abs(x), **how)
    if ord == 1:
        return abs(x).sum(**how)
    return _power_norm(abs(x), float(ord), how["axis"], how["keepdims"])


def _power_norm(x: Tensor, p: float, axes: tuple[int, ...], keepdims: bool) -> Tensor:
    """m (Σ (x / m)^p)^(1 / p) for x >= 0 and the m of them that counts most, so that no power
    leaves the range of numbers. What m is does not matter to the sum, so it is a constant."""
    if any(x.shape[a] == 0 for a in axes):
        return (x**p).sum(axis=axes, keepdims=keepdims) ** (1 / p)
    most = (max if p > 0 else min)(x.detach(), axis=axes, keepdims=True)
    # At 0 and infinity the root has no derivative: the value without one.
    edge = (most == 0) | (most == math.inf)
    m = where(edge, 1, most)
    total = (where(edge, 1, x / m) ** p).sum(axis=axes, keepdims=True)
    y = where(edge, most, m * total ** (1 / p))
    return y if keepdims else squeeze(y, axes)


def matrix_norm(x: Operand, ord: int | float | str = "fro", keepdims: bool = False) -> Tensor:
    """A norm of each matrix, (..., m, n) to (...), or to (..., 1, 1) with `keepdims`.

    "fro" is the root of the sum of squares and "nuc" the sum of the singular values; 2 is the
    largest and -2 the smallest singular value, 1 the largest sum of |x| in a column and -1 the
    smallest, inf and -inf the same of the rows. The gradient at 0 is 0, ties share it.
    """
    x = as_tensor(x)
    require_matrices("matrix_norm", x.spec)
    known = ("fro", "nuc", 1, -1, 2, -2, math.inf, -math.inf)
    if isinstance(ord, bool) or not isinstance(ord, (int, float, str)) or ord not in known:
        raise ArgumentError(f"matrix_norm: ord takes one of {known}, got {ord!r}")
    y = _matrix_norm(x, ord)
    return reshape(y, (*y.shape, 1, 1)) if keepdims else y


def _matrix_norm(x: Tensor, ord: int | float | str) -> Tensor:
    if ord == "fro":
        return vector_norm(x, axis=(-2, -1))
    if ord == "nuc":
        return svdvals(x).sum(axis=-1)
    summed = -2 if ord in (1, -1) else -1
    values = svdvals(x) if ord in (2, -2) else abs(x).sum(axis=summed)
    if values.shape[-1] == 0:
        raise ShapeError(f"matrix_norm: of nothing there is no ord={ord}: shape {x.shape}")
    return max(values, axis=-1) if float(ord) > 0 else min(values, axis=-1)


def norm(x: Operand, ord: Order = None, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """`vector_norm` over one axis or `matrix_norm` over two, as in NumPy.

    Without `axis` and `ord`: the root of the sum of all squares. Without `axis`: of a vector or a
    matrix. Without `ord`: the root of the sum of squares over `axis`.
    """
    x = as_tensor(x)
    if ord is None:
        return vector_norm(x, axis, keepdims)
    if axis is None and x.ndim not in (1, 2):
        raise ShapeError(
            f"norm: ord={ord!r} takes a vector or a matrix, or an axis, got shape {x.shape}"
        )
    given = axis if isinstance(axis, (tuple, list)) else range(x.ndim) if axis is None else (axis,)
    if len(given) == 1:
        if isinstance(ord, str):
            raise ArgumentError(f"norm: ord={ord!r} is a norm of matrices, got axis {axis}")
        return vector_norm(x, tuple(given), keepdims, ord)
    if len(given) != 2:
        raise ArgumentError(f"norm: axis takes one axis or two, got {axis!r}")
    rows, columns = (normalize_axis("norm", a, x.ndim) for a in given)
    axes = normalize_axes("norm", (rows, columns), x.ndim)
    others = [a for a in range(x.ndim) if a not in axes]
    y = matrix_norm(permute_dims(x, [*others, rows, columns]), ord)
    return reshape(y, reduced_shape(x.shape, axes, bool(keepdims)))
