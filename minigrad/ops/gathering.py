"""Reading and adding at integer positions along one axis, and `x.at[index]`.

All of it is `GetItem`, `IndexAdd` and `SetItem` with the index built here.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minigrad.errors import IndexingError, ShapeError
from minigrad.ops.elementwise import operands
from minigrad.ops.indexing import (
    GetItem,
    IndexAdd,
    SetItem,
    fitted,
    indexed_shape,
    normalize_index,
)
from minigrad.ops.movement import flatten, require_integers
from minigrad.spec import Shape, broadcast_shapes, common_dtype, normalize_axis
from minigrad.tensor import Operand, Tensor, apply, as_tensor


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
        return self._write("at.set", x, value)

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
        """x multiplied by `value` at the index. Raises IndexingError if a place occurs twice."""
        x, value = operands("at.multiply", self._x, value)
        return self._write("at.multiply", x, self._unique("at.multiply") * value)

    def divide(self, value: Operand) -> Tensor:
        """x divided by `value` at the index. Raises IndexingError if a place occurs twice."""
        x, value = operands("at.divide", self._x, value)
        return self._write("at.divide", x, self._unique("at.divide") / value)

    def _write(self, op: str, x: Tensor, value: Tensor) -> Tensor:
        common_dtype(op, x.spec, value.spec)
        template, arrays = normalize_index(op, x, self._index)
        shape = indexed_shape(op, x.shape, template, [a.spec for a in arrays])
        y: Tensor = apply(SetItem(template), x, fitted(op, value, shape), *arrays)
        return y

    def _unique(self, op: str) -> Tensor:
        """x[index], if the index names no place twice."""
        x = self._x
        places = _read(op, as_tensor(np.arange(x.size).reshape(x.shape)), self._index).numpy()
        if len(np.unique(places)) != places.size:
            raise IndexingError(f"{op}: the index names a place twice, which has no one result")
        return _read(op, x, self._index)


def at(x: Operand) -> At:
    """The places of x: `at(x)[index].add(v)` is x with v added at the index."""
    return At(as_tensor(x))
