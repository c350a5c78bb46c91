"""Winograd's algorithm along one axis: polynomials, by their values at six points.

A sum over taps is a product of polynomials. At each point a product of values is one product, so
the m + r - 1 = 6 coefficients of what m outputs see of r taps cost six: y = Aᵀ [(G w) ∘ (Bᵀ d)]
(Winograd 1980; Lavin and Gray 2016, "Fast algorithms for convolutional neural networks"). The
points 0, ±1/√2, ±√2, ∞ round a fifth as much as the textbook's 0, ±1, ±2, ∞ (Barabasz et al. 2020,
"Error analysis and improving the accuracy of Winograd convolution").
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from llvmlite import ir

from minigrad.kernels.jit import inner
from minigrad.kernels.simd import (
    ARRAY,
    VectorType,
    broadcast,
    fill,
    fma,
    fused,
    number_as,
    packed,
    primitive,
    types,
    unpacked,
)

__all__ = ["PRODUCTS", "TILE", "B", "Values", "powers", "to_points", "values"]

TILE = 6
PRODUCTS = TILE * TILE

# The points are 0, ±P, ±Q, ∞, and 1/N what filters are divided by: the product of a point's
# distances to the others.
P, Q = 0.5**0.5, 2**0.5
PP, QQ = 0.5, 2.0
SUM, PRODUCT = PP + QQ, PP * QQ
N0, NP, NQ = 1 / PRODUCT, 1 / (2 * PP * (PP - QQ)), 1 / (2 * QQ * (QQ - PP))

# v = Bᵀ d, the coefficients of the polynomials that vanish at all points but one.
B = np.array(
    [[PRODUCT, 0, -SUM, 0, 1, 0]]
    + [[0, -p * other, -other, p, 1, 0] for p, other in ((P, QQ), (-P, QQ), (Q, PP), (-Q, PP))]
    + [[0, PRODUCT, 0, -SUM, 0, 1]]
).T  # fmt: skip


def powers(count: int, divided: bool) -> np.ndarray:
    """(6, count): a row has the powers of its point, those of ∞ being 0 but for the last; for
    filters divided by N. This is A for outputs, G for taps."""
    scales = (N0, NP, NP, NQ, NQ) if divided else (1, 1, 1, 1, 1)
    rows = [
        [n * p**j for j in range(count)] for n, p in zip(scales, (0, P, -P, Q, -Q), strict=True)
    ]
    return np.array([*rows, [0] * (count - 1) + [1]])


@inner
def to_points(x: np.ndarray, d: Any) -> Any:
    """Bᵀ d of six vectors."""
    d0, d1, d2, d3, d4, d5 = d
    even_p, odd_p = fma(fill(x, -QQ), d2, d4), fill(x, P) * fma(fill(x, -QQ), d1, d3)
    even_q, odd_q = fma(fill(x, -PP), d2, d4), fill(x, Q) * fma(fill(x, -PP), d1, d3)
    first = fma(fill(x, -SUM), d2, fma(fill(x, PRODUCT), d0, d4))
    last = fma(fill(x, -SUM), d3, fma(fill(x, PRODUCT), d1, d5))
    return first, even_p + odd_p, even_p - odd_p, even_q + odd_q, even_q - odd_q, last


class Values(NamedTuple):
    """A product with the matrix of `powers`, and with its transpose, on tuples of vectors."""

    at_points: Callable[..., Any]
    from_points: Callable[..., Any]


@cache
def values(count: int, divided: bool) -> Values:
    """M w and Mᵀ m, M being `powers(count, divided)`.

    The powers of p and -p differ in the signs of the odd ones, so they are computed together.
    """
    matrix = powers(count, divided)
    pairs = tuple([(matrix[i, 0], p, pp) for i, p, pp in ((1, P, PP), (3, Q, QQ))])

    def at_points(x: np.ndarray, w: tuple[np.ndarray, ...]) -> tuple[np.ndarray, ...]:
        """M w of `count` vectors of x's dtype."""
        return tuple((matrix @ np.stack(w)).astype(x.dtype))

    def from_points(x: np.ndarray, m: tuple[np.ndarray, ...]) -> tuple[np.ndarray, ...]:
        """Mᵀ m of six vectors of x's dtype."""
        return tuple((matrix.T @ np.stack(m)).astype(x.dtype))

    def tuple_of(length: int) -> Callable[..., Any]:
        return lambda x, *_: types.UniTuple(VectorType(x.dtype), length)

    @primitive(at_points, tuple_of(TILE), ARRAY, types.UniTuple)
    def _(builder: Any, kinds: Any, arguments: Any) -> ir.Value:
        at = _Arithmetic(builder, VectorType(kinds[0].dtype))
        w = unpacked(builder, arguments[1])
        found = [at.scaled(matrix[0, 0], w[0])]
        for n, p, pp in pairs:
            even = at.scaled(n, at.polynomial(w[0::2], pp))
            odd = at.scaled(n * p, at.polynomial(w[1::2], pp))
            found += [builder.fadd(even, odd), builder.fsub(even, odd)]
        return packed(builder, at.kind, [*found, w[-1]])

    @primitive(from_points, tuple_of(count), ARRAY, types.UniTuple)
    def _(builder: Any, kinds: Any, arguments: Any) -> ir.Value:
        at = _Arithmetic(builder, VectorType(kinds[0].dtype))
        first, *m, last = unpacked(builder, arguments[1])
        sums = builder.fadd(m[0], m[1]), builder.fadd(m[2], m[3])
        differences = builder.fsub(m[0], m[1]), builder.fsub(m[2], m[3])
        found = []
        for j in range(count):
            total = at.scaled(matrix[0, 0], first) if j == 0 else last if j == count - 1 else None
            for i, term in zip((3, 1), reversed(differences if j % 2 else sums), strict=True):
                total = at.scaled(matrix[i, j], term, total)
            found.append(total)
        return packed(builder, at.kind, found)

    return Values(at_points, from_points)


class _Arithmetic:
    """Of vectors, with numbers known beforehand."""

    def __init__(self, builder: Any, kind: VectorType) -> None:
        self.builder, self.kind = builder, kind

    def scaled(self, number: float, v: ir.Value, more: ir.Value | None = None) -> ir.Value:
        """number * v, or number * v + more."""
        if number == 1:
            return v if more is None else self.builder.fadd(v, more)
        value = number_as(
            self.builder, self.kind, types.float64, ir.Constant(ir.DoubleType(), number)
        )
        filled = broadcast(self.builder, self.kind, value)
        if more is None:
            return self.builder.fmul(filled, v)
        return fused(self.builder, self.kind, filled, v, more)

    def polynomial(self, coefficients: list[ir.Value], at: float) -> ir.Value:
        """Σ coefficients[i] * at^i, by Horner's rule."""
        total = coefficients[-1]
        for coefficient in reversed(coefficients[:-1]):
            total = self.scaled(at, total, coefficient)
        return total
