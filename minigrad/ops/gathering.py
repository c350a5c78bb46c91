"""Reading and adding at integer positions along one axis, and `x.at[index]`.

All of it is done by the ops of `indexing.py`, with the index built here. What `x.at` returns is
always a new tensor.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minigrad.errors import ShapeError
from minigrad.ops.cumulative import prod
from minigrad.ops.elementwise import operands
from minigrad.ops.indexing import (
    GetItem,
    IndexAdd,
    MaxAt,
    MinAt,
    SetItem,
    fitted,
    indexed_shape,
    normalize_index,
    setitem,
)
from minigrad.ops.movement import flatten, require_integers
from minigrad.spec import Shape, broadcast_shapes, common_dtype, normalize_axis, require_floating
from minigrad.tensor import Operand, Tensor, apply, as_tensor, constant

__all__ = ["scatter_add", "take", "take_along_axis"]


def _read(op: str, x: Tensor, index: Any) -> Tensor:
    template, arrays = normalize_index(op, x, index)
    y: Tensor = apply(GetItem(template), x, *arrays)
    return y


def _sum_at(op: str, x: Tensor, index: Any, value: Tensor) -> Tensor:
    """Zeros of the shape of x, with the values added at the index."""
    template, arrays = normalize_index(op, x, index)
    shape = indexed_shape(op, x.shape, template, [a.spec for a in arrays])
    y: Tensor = apply(IndexAdd(template, x.shape), fitted(op, value, shape), *arrays)
    return y


def _product_at(op: str, x: Tensor, index: Any, value: Tensor) -> Tensor:
    """Ones of the shape of x, multiplied by the values at the index."""
    common_dtype(op, x.spec, value.spec)
    template, arrays = normalize_index(op, x, index)
    shape = indexed_shape(op, x.shape, template, [a.spec for a in arrays])
    value = fitted(op, value, shape)
    ones = constant(np.ones(x.shape, x.dtype))
    numbers = constant(np.arange(x.size).reshape(x.shape))
    places = apply(GetItem(template), numbers, *arrays).numpy().reshape(-1)
    found, row, counts = np.unique(places, return_inverse=True, return_counts=True)
    if len(found) == len(places):
        y: Tensor = apply(SetItem(template), ones, value, *arrays)
        return y
    # One row a place, filled up with ones: (places, most values at one of them).
    order = np.argsort(row, kind="stable")
    column = np.empty_like(row)
    column[order] = np.arange(len(row)) - np.repeat(np.cumsum(counts) - counts, counts)
    table = setitem(np.ones((len(found), counts.max()), x.dtype), (row, column), flatten(value))
    products = prod(table, axis=1).astype(x.dtype)
    return setitem(flatten(ones), found, products).reshape(x.shape)


def take(x: Operand, indices: Operand, axis: int | None = None) -> Tensor:
    """The parts of x at `indices` along `axis`, or (None) the elements of the flat array.

    The axes of `indices` stand in the place of `axis`. Raises IndexingError, DtypeError.
    """
    x, positions = as_tensor(x), as_tensor(indices)
    require_integers("take", "indices", positions)
    if axis is None:
        x, axis = flatten(x), 0
    a = normalize_axis("take", axis, x.ndim)
    return _read("take", x, (slice(None),) * a + (positions,))


def _along(op: str, x: Tensor, indices: Tensor, axis: int) -> tuple[tuple[Any, ...], Shape]:
    """The index of all lines of x along the axis, at `indices`, and the shape it has."""
    require_integers(op, "indices", indices)
    a = normalize_axis(op, axis, x.ndim)
    if indices.ndim != x.ndim:
        raise ShapeError(
            f"{op}: indices need as many axes as x, got shapes {indices.shape} and {x.shape}"
        )
    lines = tuple([1 if i == a else n for i, n in enumerate(x.shape)])
    shape = broadcast_shapes(op, lines, indices.shape)
    if any(n != line for i, (n, line) in enumerate(zip(shape, lines, strict=True)) if i != a):
        raise ShapeError(f"{op}: indices of shape {indices.shape} do not fit x of {x.shape}")
    index: list[Any] = [
        np.arange(n).reshape([n if i == j else 1 for j in range(x.ndim)])
        for i, n in enumerate(x.shape)
    ]
    index[a] = indices
    return tuple(index), shape


def take_along_axis(x: Operand, indices: Operand, axis: int = -1) -> Tensor:
    """y[..., i, ...] = x[..., indices[..., i, ...], ...]: for every line along `axis` elements of
    its own, for example those that `argsort` gives.

    `indices` has as many axes as x; the others than `axis` have its lengths, or 1. Raises
    IndexingError, ShapeError, DtypeError.
    """
    x, positions = as_tensor(x), as_tensor(indices)
    index, _ = _along("take_along_axis", x, positions, axis)
    return _read("take_along_axis", x, index)


def scatter_add(x: Operand, indices: Operand, values: Operand, axis: int = -1) -> Tensor:
    """x with values[..., i, ...] added at [..., indices[..., i, ...], ...] along `axis`.

    A position that occurs twice is added to twice. Shapes as in `take_along_axis`; `values` is
    broadcast. x stays as it was. Raises IndexingError, ShapeError, DtypeError.
    """
    x, values = operands("scatter_add", as_tensor(x), values)
    common_dtype("scatter_add", x.spec, values.spec)
    index, _ = _along("scatter_add", x, as_tensor(indices), axis)
    return x + _sum_at("scatter_add", x, index, values)


class At:
    """`x.at`: `x.at[index].add(v)` and the like give a new tensor, and leave x as it was."""

    def __init__(self, x: Tensor) -> None:
        self._x = x

    def __getitem__(self, index: Any) -> AtIndex:
        return AtIndex(self._x, index)


class AtIndex:
    """The elements of x at an index, basic or advanced, to be replaced in a new tensor."""

    def __init__(self, x: Tensor, index: Any) -> None:
        self._x = x
        self._index = index

    def get(self) -> Tensor:
        """x[index]."""
        return _read("at.get", self._x, self._index)

    def set(self, value: Operand) -> Tensor:
        """x with `value` at the index; where it occurs twice, the last value stands."""
        x, value = operands("at.set", self._x, value)
        return self._write("at.set", SetItem, x, value)

    def add(self, value: Operand) -> Tensor:
        """x with `value` added at the index, twice where it occurs twice."""
        x, value = operands("at.add", self._x, value)
        common_dtype("at.add", x.spec, value.spec)
        return x + _sum_at("at.add", x, self._index, value)

    def subtract(self, value: Operand) -> Tensor:
        """x with `value` subtracted at the index, twice where it occurs twice."""
        x, value = operands("at.subtract", self._x, value)
        common_dtype("at.subtract", x.spec, value.spec)
        return x - _sum_at("at.subtract", x, self._index, value)

    def multiply(self, value: Operand) -> Tensor:
        """x multiplied by `value` at the index, twice where it occurs twice. The gradient is right
        with zeros among the factors too."""
        x, value = operands("at.multiply", self._x, value)
        return x * _product_at("at.multiply", x, self._index, value)

    def divide(self, value: Operand) -> Tensor:
        """x divided by `value` at the index, twice where it occurs twice."""
        x, value = operands("at.divide", self._x, value)
        require_floating("at.divide", x.spec)
        return x / _product_at("at.divide", x, self._index, value)

    def max(self, value: Operand) -> Tensor:
        """x with the larger of itself and `value` at the index; where it occurs twice, with the
        largest. Equal ones share the gradient."""
        x, value = operands("at.max", self._x, value)
        return self._write("at.max", MaxAt, x, value)

    def min(self, value: Operand) -> Tensor:
        """x with the smaller of itself and `value` at the index; where it occurs twice, with the
        smallest. Equal ones share the gradient."""
        x, value = operands("at.min", self._x, value)
        return self._write("at.min", MinAt, x, value)

    def _write(
        self, op: str, kind: type[SetItem | MaxAt | MinAt], x: Tensor, value: Tensor
    ) -> Tensor:
        common_dtype(op, x.spec, value.spec)
        template, arrays = normalize_index(op, x, self._index)
        shape = indexed_shape(op, x.shape, template, [a.spec for a in arrays])
        y: Tensor = apply(kind(template), x, fitted(op, value, shape), *arrays)
        return y


def at(x: Operand) -> At:
    """The places of x: `at(x)[index].add(v)` is x with v added at the index."""
    return At(as_tensor(x))
