"""Winograd's algorithm along one axis: polynomials, by their values at a few points.

A sum over taps is a product of polynomials. At each point a product of values is one product, so
the m + r - 1 coefficients of what m outputs see of r taps cost as many: y = Aᵀ [(G w) ∘ (Bᵀ d)]
(Winograd 1980; Lavin and Gray 2016, "Fast algorithms for convolutional neural networks"). The
points 0, ±1/√2, ±√2, ∞ round a fifth as much as the textbook's 0, ±1, ±2, ∞ (Barabasz et al. 2020,
"Error analysis and improving the accuracy of Winograd convolution").

With a stride of 2, outputs see two taps of every other input, and one of those in between, which is
a product of fewer values: F(4, 2) + F(4, 1), 9 products in place of 12.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

import numpy as np

from minigrad.kernels.bilinear import Products

__all__ = ["FILTERINGS", "Filtering", "Kind", "Matrices", "matrices", "products_of"]

# Besides ∞: those of six points, and of five.
SIX = 0, 0.5**0.5, -(0.5**0.5), 2**0.5, -(2**0.5)
FIVE = 0.5, -0.5, 1.5, -1.5
# Digits to which numbers are kept, so that equal ones are equal.
DIGITS = 14


class Matrices(NamedTuple):
    """y = Aᵀ [(G w) ∘ (B d)] is the correlation of taps w with inputs d."""

    A: np.ndarray  # (points, outputs)
    G: np.ndarray  # (points, taps)
    B: np.ndarray  # (points, points)


def matrices(points: Sequence[float], taps: int) -> Matrices:
    """Those of F(m, r), by the points given, and ∞.

    A row of A or G has the powers of its point, those of ∞ being 0 but for the last; filters are
    divided by the product of the point's distances to the others. A row of B has the coefficients
    of the polynomial that vanishes at the other points, and of the one that vanishes at all.
    """
    outputs = len(points) + 2 - taps
    A, G = (np.zeros((len(points) + 1, count)) for count in (outputs, taps))
    B = np.zeros((len(points) + 1,) * 2)
    for i, point in enumerate(points):
        others = np.array([p for p in points if p != point])
        A[i] = point ** np.arange(outputs)
        G[i] = point ** np.arange(taps) / np.prod(point - others)
        B[i, :-1] = np.poly(others)[::-1]
    A[-1, -1], G[-1, -1] = 1, 1
    B[-1] = np.poly(points)[::-1]
    return Matrices(*[np.round(matrix, DIGITS) for matrix in (A, G, B)])


class Filtering(NamedTuple):
    """An algorithm for tiles of `outputs` outputs along an axis, in matrices of one axis.

    Filters become G w, inputs B d. Product i is that of value i of the filter and value inputs[i]
    of the input; products of the same sums[i] are added. y = Aᵀ of the sums.
    """

    A: np.ndarray  # (sums, outputs)
    G: np.ndarray  # (products, taps)
    B: np.ndarray  # (values of the input, inputs seen)
    inputs: np.ndarray
    sums: np.ndarray
    step: int  # inputs between tiles

    @property
    def outputs(self) -> int:
        return int(self.A.shape[1])

    @property
    def taps(self) -> int:
        return int(self.G.shape[1])

    @property
    def seen(self) -> int:
        return int(self.B.shape[1])


def _of_one_phase(taps: int) -> Filtering:
    A, G, B = matrices(SIX, taps)
    every = np.arange(len(B))
    return Filtering(A, G, B, every, every, A.shape[1])


def _strided() -> Filtering:
    """y[o] = w0 d[2 o] + w2 d[2 o + 2] + w1 d[2 o + 1]: the first two are F(4, 2) of every other
    input; the last is F(4, 1) of the others, at the same points but for ∞, where a single tap has
    no value, and so has the same sums."""
    A, G, B = matrices(FIVE, 2)
    points = len(B)
    both = np.r_[:points, : points - 1]
    even, odd = slice(None, None, 2), slice(1, None, 2)
    taps, inputs = np.zeros((len(both), 3)), np.zeros((len(both), len(both)))
    taps[:points, even], inputs[:points, even] = G, B
    taps[points:, 1], inputs[points:, odd] = G[:-1, 0], B[:-1, :-1]
    return Filtering(A, taps, inputs, np.arange(len(both)), both, 8)


def _strided_back() -> Filtering:
    """The gradient of the input of `_strided`, filters turned: pixels alternate between those that
    one tap reached and those that two did, d[2 o] = w1 y[o], d[2 o + 1] = w0 y[o] + w2 y[o + 1].
    Both are made of the same values of the gradient."""
    A, G, B = matrices(FIVE, 2)
    points = len(B)
    both = np.r_[:points, : points - 1]
    taps, outputs = np.zeros((len(both), 3)), np.zeros((len(both), 8))
    taps[:points, 0::2], outputs[:points, 1::2] = G, A
    taps[points:, 1], outputs[points:, 0::2] = G[:-1, 0], A[:-1]
    return Filtering(outputs, taps, B, both, np.arange(len(both)), 4)


Kind = tuple[int, int, bool]

FILTERINGS: dict[Kind, Filtering] = {
    (3, 1, False): _of_one_phase(3),
    (5, 1, False): _of_one_phase(5),
    (3, 2, False): _strided(),
    (3, 2, True): _strided_back(),
}
"""By the taps of filters, their stride, and whether it is one only for the gradient of the input:
with a stride of 1 that is a convolution of the same kind."""


@cache
def products_of(kind: Kind) -> Products:
    """Those of a tile in two dimensions, in the order of the sums."""
    way = FILTERINGS[kind]
    of_axis = (way.inputs, way.B), (np.arange(len(way.G)), way.G), (way.sums, way.A)
    inputs, filters, sums = (
        np.add.outer(table * len(values), table).reshape(-1) for table, values in of_axis
    )
    return Products.of(inputs, filters, sums)
