"""Several vectors at once, as a tuple: loaded from here and there in memory, and stored there.

In the way of `simd`: a NumPy function that says what is done, and the instructions it becomes.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
from llvmlite import ir

from minigrad.kernels.simd import (
    ARRAY,
    INTEGER,
    VectorType,
    address,
    load,
    nothing,
    packed,
    primitive,
    read,
    store,
    types,
    write,
)

__all__ = ["load_at", "loads", "store_each"]


def _vectors(count: int) -> Callable[..., Any]:
    """The type of a primitive's result: so many vectors of its first argument."""
    return lambda x, *_: types.UniTuple(VectorType(x.dtype), count)


def _read_all(builder: Any, x: Any, pointer: ir.Value, places: list[ir.Value]) -> ir.Value:
    """The vectors that begin at these places of an array, as a tuple."""
    kind = VectorType(x.dtype)
    where = [address(builder, kind, pointer, place) for place in places]
    return packed(builder, kind, [read(builder, kind, place) for place in where])


@cache
def loads(count: int) -> Callable[..., Any]:
    """The primitive that loads so many vectors, `step` elements apart, as a tuple."""

    def load_each(x: np.ndarray, i: int, step: int) -> tuple[np.ndarray, ...]:
        """load(x, i), load(x, i + step), ..."""
        return tuple([load(x, i + j * step) for j in range(count)])

    @primitive(load_each, _vectors(count), ARRAY, INTEGER, INTEGER)
    def _(builder: Any, kinds: Any, values: Any) -> ir.Value:
        pointer, i, step = values
        places = [i]
        for _ in range(count - 1):
            places.append(builder.add(places[-1], step))
        return _read_all(builder, kinds[0], pointer, places)

    return load_each


@cache
def load_at(count: int) -> Callable[..., Any]:
    """The primitive that loads so many vectors from places, each i elements on, as a tuple."""

    def load_places(x: np.ndarray, i: int, places: np.ndarray) -> tuple[np.ndarray, ...]:
        """load(x, i + places[0]), load(x, i + places[1]), ..."""
        return tuple([load(x, i + place) for place in places[:count]])

    @primitive(load_places, _vectors(count), ARRAY, INTEGER, ARRAY)
    def _(builder: Any, kinds: Any, values: Any) -> ir.Value:
        pointer, i, table = values
        rows = [builder.gep(table, [ir.Constant(ir.IntType(64), j)]) for j in range(count)]
        places = [builder.add(i, builder.load(row)) for row in rows]
        return _read_all(builder, kinds[0], pointer, places)

    return load_places


def store_each(x: np.ndarray, i: int, step: int, vectors: tuple[np.ndarray, ...]) -> None:
    """store(x, i, the first), store(x, i + step, the second), ..."""
    for j, vector in enumerate(vectors):
        store(x, i + j * step, vector)


@primitive(store_each, nothing, ARRAY, INTEGER, INTEGER, types.UniTuple)
def _(builder: Any, kinds: Any, values: Any) -> None:
    kind, (pointer, i, step, vectors) = kinds[3].dtype, values
    for j in range(kinds[3].count):
        place = address(builder, kind, pointer, i)
        write(builder, kind, builder.extract_value(vectors, j), place)
        i = builder.add(i, step)
