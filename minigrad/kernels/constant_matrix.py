"""Products with a small matrix known beforehand, on tuples of vectors.

Rows that differ in signs only, as the powers of p and -p do, are computed together: the sum and the
difference of two half sums. Of columns that do, the sum and the difference are taken first.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir

from minigrad.kernels.simd import (
    ARRAY,
    VectorType,
    broadcast,
    fused,
    number_as,
    packed,
    primitive,
    types,
    unpacked,
)

__all__ = ["linear_map"]

Terms = list[tuple[float, ir.Value]]


def linear_map(matrix: np.ndarray) -> Callable[..., Any]:
    """The primitive `product(x, v)` = matrix @ v, v being as many vectors of x's dtype as the
    matrix has columns."""
    rows, columns = matrix.shape

    def product(x: np.ndarray, v: tuple[np.ndarray, ...]) -> tuple[np.ndarray, ...]:
        """matrix @ v"""
        return tuple((matrix @ np.stack(v)).astype(x.dtype))

    def vectors_of(x: Any, v: Any) -> Any:
        return types.UniTuple(VectorType(x.dtype), rows) if v.count == columns else None

    @primitive(product, vectors_of, ARRAY, types.UniTuple)
    def _(builder: Any, kinds: Any, values: Any) -> ir.Value:
        at = _Arithmetic(builder, VectorType(kinds[0].dtype))
        return packed(builder, at.kind, _product(at, matrix, unpacked(builder, values[1])))

    return product


class _Arithmetic:
    """Of vectors, with numbers known beforehand."""

    def __init__(self, builder: Any, kind: VectorType) -> None:
        self.builder, self.kind = builder, kind

    def sum_of(self, terms: Terms) -> ir.Value | None:
        """Σ number * v, by multiply-adds onto a term that needs no product, if there is one."""
        total = None
        for number, v in sorted(terms, key=lambda term: term[0] != 1):
            total = v if total is None and number == 1 else self._scaled(number, v, total)
        return total

    def _scaled(self, number: float, v: ir.Value, more: ir.Value | None) -> ir.Value:
        if number == 1:
            return self.builder.fadd(v, more)
        constant = ir.Constant(ir.DoubleType(), number)
        value = number_as(self.builder, self.kind, types.float64, constant)
        filled = broadcast(self.builder, self.kind, value)
        if more is None:
            return self.builder.fmul(filled, v)
        return fused(self.builder, self.kind, filled, v, more)

    def both(self, a: ir.Value | None, b: ir.Value | None) -> tuple[ir.Value, ir.Value]:
        """a + b and a - b, at least one of which is there."""
        if b is None:
            return a, a
        if a is None:
            return b, self.builder.fneg(b)
        return self.builder.fadd(a, b), self.builder.fsub(a, b)


def _product(at: _Arithmetic, matrix: np.ndarray, v: list[ir.Value]) -> list[ir.Value]:
    columns = _twins(matrix.T)
    terms: list[Terms] = [[] for _ in matrix]
    for first, second in columns:
        column, other = matrix[:, first], matrix[:, second]
        parts = (v[first],) if first == second else at.both(v[first], v[second])
        for row in np.flatnonzero(column):
            terms[row].append((column[row], parts[int(column[row] != other[row])]))
    # Rows of which one takes a sum and the other the difference have no halves in common.
    alike = len(columns) == len(v)
    found: list[Any] = [None] * len(matrix)
    for first, second in _twins(matrix) if alike else [(i, i) for i in range(len(matrix))]:
        if first == second:
            found[first] = at.sum_of(terms[first])
            continue
        halves: tuple[Terms, Terms] = ([], [])
        for mine, its in zip(terms[first], terms[second], strict=True):
            halves[int(mine[0] != its[0])].append(mine)
        found[first], found[second] = at.both(*[at.sum_of(half) for half in halves])
    return found


def _twins(rows: np.ndarray) -> list[tuple[int, int]]:
    """Each row with a later one that is the same but for signs, or else with itself."""
    left, pairs = list(range(len(rows))), []
    while left:
        first = left.pop(0)
        alike = [i for i in left if np.array_equal(np.abs(rows[i]), np.abs(rows[first]))]
        pairs.append((first, alike[0] if alike else first))
        if alike:
            left.remove(alike[0])
    return pairs
