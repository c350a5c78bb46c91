"""Parts of matrices: diagonal and its inverse, tril, triu, trace.

All act on each matrix of a stack, that is on the two last axes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from minigrad.errors import AxisError, ShapeError
from minigrad.op import Call
from minigrad.ops.movement import Movement, permute_dims
from minigrad.spec import Shape, Spec, as_integer, normalize_axis
from minigrad.tensor import Array, Operand, Tensor, apply, as_tensor

__all__ = ["diag", "diagonal", "trace", "tril", "triu"]


def _require_matrix(op: str, shape: Shape) -> None:
    if len(shape) < 2:
        raise ShapeError(f"{op}: takes matrices, of at least 2 axes, got shape {shape}")


def _diagonal_length(m: int, n: int, offset: int) -> int:
    return max(0, min(m, n - offset) if offset >= 0 else min(m + offset, n))


@dataclass(frozen=True)
class Diagonal(Movement):
    """y[..., i] = x[..., i, i + offset] (i - offset and i for a negative offset). The gradient
    is the cotangent on that diagonal of a matrix of zeros."""

    name: ClassVar[str] = "diagonal"
    offset: int

    def infer(self, x: Spec) -> Spec:
        _require_matrix("diagonal", x.shape)
        *batch, m, n = x.shape
        return Spec.of((*batch, _diagonal_length(m, n, self.offset)), x.dtype)

    def forward(self, x: Array) -> Array:
        return np.diagonal(x, self.offset, -2, -1)

    def backward(self, call: Call, cotangent: Tensor) -> Tensor:
        m, n = call.input_specs[0].plane
        gradient: Tensor = apply(DiagonalEmbed(self.offset, m, n), cotangent)
        return gradient


@dataclass(frozen=True)
class DiagonalEmbed(Movement):
    """y = zeros (..., m, n) with x on the diagonal at `offset`. The gradient is that diagonal of
    the cotangent."""

    name: ClassVar[str] = "diagonal_embed"
    offset: int
    m: int
    n: int

    def infer(self, x: Spec) -> Spec:
        length = _diagonal_length(self.m, self.n, self.offset)
        if x.ndim == 0 or x.shape[-1] != length:
            raise ShapeError(
                f"diagonal_embed: the diagonal at {self.offset} of a matrix {(self.m, self.n)} "
                f"takes {length} elements, got shape {x.shape}"
            )
        return Spec.of((*x.shape[:-1], self.m, self.n), x.dtype)

    def forward(self, x: Array) -> Array:
        y = np.zeros((*x.shape[:-1], self.m, self.n), x.dtype)
        i = np.arange(x.shape[-1])
        y[..., i + max(0, -self.offset), i + max(0, self.offset)] = x
        return y

    def backward(self, call: Call, cotangent: Tensor) -> Tensor:
        return diagonal(cotangent, self.offset)


def diagonal(x: Operand, offset: int = 0, axis1: int = -2, axis2: int = -1) -> Tensor:
    """The diagonal of each matrix: x[..., i, i + offset], (..., m, n) to (..., k).

    The matrices lie in the axes `axis1` (rows) and `axis2` (columns), the last two by default, as
    in the array API standard. A diagonal outside of the matrix is empty. Raises ShapeError below
    2 axes, AxisError.
    """
    x = _matrices_last("diagonal", as_tensor(x), axis1, axis2)
    return apply(Diagonal(as_integer("diagonal", "offset", offset)), x)


def _matrices_last(op: str, x: Tensor, axis1: int, axis2: int) -> Tensor:
    """x with the rows' axis and the columns' axis at the end."""
    _require_matrix(op, x.shape)
    rows, columns = (normalize_axis(op, axis, x.ndim) for axis in (axis1, axis2))
    if rows == columns:
        raise AxisError(f"{op}: axis1 {axis1} and axis2 {axis2} are the same axis")
    if (rows, columns) == (x.ndim - 2, x.ndim - 1):
        return x
    others = [axis for axis in range(x.ndim) if axis not in (rows, columns)]
    return permute_dims(x, [*others, rows, columns])


def diag(x: Operand, k: int = 0) -> Tensor:
    """Of a matrix, its k-th diagonal; of a vector, the square matrix that has it there.

    As in NumPy. Raises ShapeError for other than 1 or 2 axes.
    """
    x, offset = as_tensor(x), as_integer("diag", "k", k)
    if x.ndim not in (1, 2):
        raise ShapeError(f"diag: takes a vector or a matrix, got shape {x.shape}")
    return diagonal(x, offset) if x.ndim == 2 else on_diagonal(x, offset)


def on_diagonal(x: Tensor, offset: int = 0) -> Tensor:
    """Square matrices with the vectors x (..., k) on their diagonals."""
    n = x.shape[-1] + abs(offset)
    y: Tensor = apply(DiagonalEmbed(offset, n, n), x)
    return y


def trace(x: Operand, offset: int = 0, axis1: int = -2, axis2: int = -1) -> Tensor:
    """The sum of the diagonal of each matrix, (..., m, n) to (...); the arguments are those of
    `diagonal`. Integers add up in 64 bits."""
    x = _matrices_last("trace", as_tensor(x), axis1, axis2)
    return diagonal(x, as_integer("trace", "offset", offset)).sum(axis=-1)


@dataclass(frozen=True)
class Triangle(Movement):
    """Zeros on one side of the k-th diagonal."""

    k: int

    def infer(self, x: Spec) -> Spec:
        _require_matrix(self.name, x.shape)
        return x


class Tril(Triangle):
    """y[..., i, j] = x[..., i, j] where j <= i + k, else 0. The gradient keeps the same part."""

    name = "tril"

    def forward(self, x: Array) -> Array:
        return np.tril(x, self.k)

    def backward(self, call: Call, cotangent: Tensor) -> Tensor:
        return tril(cotangent, self.k)


class Triu(Triangle):
    """y[..., i, j] = x[..., i, j] where j >= i + k, else 0. The gradient keeps the same part."""

    name = "triu"

    def forward(self, x: Array) -> Array:
        return np.triu(x, self.k)

    def backward(self, call: Call, cotangent: Tensor) -> Tensor:
        return triu(cotangent, self.k)


def tril(x: Operand, k: int = 0) -> Tensor:
    """The lower triangle of each matrix: zeros above the k-th diagonal."""
    y: Tensor = apply(Tril(as_integer("tril", "k", k)), as_tensor(x))
    return y


def triu(x: Operand, k: int = 0) -> Tensor:
    """The upper triangle of each matrix: zeros below the k-th diagonal."""
    y: Tensor = apply(Triu(as_integer("triu", "k", k)), as_tensor(x))
    return y
