"""The transforms of Winograd's convolution F(4x4, 3x3), on vectors of channels.

y = Aᵀ [(G w Gᵀ) ∘ (Bᵀ d B)] A for every 4 x 4 tile y of the output and the 6 x 6 tile d of the
input below it, summed over channels between the brackets: 36 matrix products. (Lavin and Gray
2016, "Fast algorithms for convolutional neural networks"; Winograd 1980.) The matrices come from
the points 0, ±1/√2, ±√2, ∞, whose rounding errors are a fifth of those of the textbook's 0, ±1,
±2, ∞ (Barabasz et al. 2020, "Error analysis and improving the accuracy of Winograd convolution").
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minigrad.kernels.jit import inner
from minigrad.kernels.packing import load_square
from minigrad.kernels.simd import (
    bend,
    fill,
    fma,
    lanes,
    load,
    load_some,
    loads,
    store,
    store_each,
)
from minigrad.kernels.streaming import put

__all__ = [
    "OUT",
    "PRODUCTS",
    "TAPS",
    "TILE",
    "A",
    "B",
    "G",
    "from_points",
    "grad_tile",
    "input_tile",
    "output_tile",
    "taps_from_points",
    "to_points",
    "weight_rows",
]

OUT, TILE, TAPS = 4, 6, 3
PRODUCTS = TILE * TILE

# The points are 0, ±P, ±Q, ∞, and 1/N what the rows of G are divided by: the product of a point's
# distances to the others.
P, Q = 0.5**0.5, 2**0.5
PP, QQ = 0.5, 2.0
SUM, PRODUCT = PP + QQ, PP * QQ
N0, NP, NQ = 1 / PRODUCT, 1 / (2 * PP * (PP - QQ)), 1 / (2 * QQ * (QQ - PP))

# y = Aᵀ m, one row a point: its powers.
A = np.array(
    [[1, 0, 0, 0]]
    + [[1, p, p**2, p**3] for p in (P, -P, Q, -Q)]
    + [[0, 0, 0, 1]]
)  # fmt: skip
# u = G w, the same powers divided by N.
G = np.array(
    [[N0, 0, 0]]
    + [[n, n * p, n * p**2] for p, n in ((P, NP), (-P, NP), (Q, NQ), (-Q, NQ))]
    + [[0, 0, 1]]
)  # fmt: skip
# v = Bᵀ d, the coefficients of the polynomials that vanish at all points but one.
B = np.array(
    [[PRODUCT, 0, -SUM, 0, 1, 0]]
    + [[0, -p * other, -other, p, 1, 0] for p, other in ((P, QQ), (-P, QQ), (Q, PP), (-Q, PP))]
    + [[0, PRODUCT, 0, -SUM, 0, 1]]
).T  # fmt: skip


load_tile, load_output, load_taps = loads(TILE), loads(OUT), loads(TAPS)


@inner
def to_points(x: np.ndarray, d: Any) -> Any:
    """Bᵀ d of six vectors."""
    d0, d1, d2, d3, d4, d5 = d
    even_p, odd_p = fma(fill(x, -QQ), d2, d4), fill(x, P) * fma(fill(x, -QQ), d1, d3)
    even_q, odd_q = fma(fill(x, -PP), d2, d4), fill(x, Q) * fma(fill(x, -PP), d1, d3)
    first = fma(fill(x, -SUM), d2, fma(fill(x, PRODUCT), d0, d4))
    last = fma(fill(x, -SUM), d3, fma(fill(x, PRODUCT), d1, d5))
    return first, even_p + odd_p, even_p - odd_p, even_q + odd_q, even_q - odd_q, last


@inner
def from_points(x: np.ndarray, m: Any) -> Any:
    """Aᵀ m of six vectors."""
    m0, m1, m2, m3, m4, m5 = m
    even_p, odd_p, even_q, odd_q = m1 + m2, m1 - m2, m3 + m4, m3 - m4
    return (
        m0 + even_p + even_q,
        fma(fill(x, P), odd_p, fill(x, Q) * odd_q),
        fma(fill(x, PP), even_p, fill(x, QQ) * even_q),
        fma(fill(x, P * PP), odd_p, fma(fill(x, Q * QQ), odd_q, m5)),
    )


@inner
def taps_to_points(x: np.ndarray, w: Any) -> Any:
    """G w of three vectors."""
    w0, w1, w2 = w
    even_p, odd_p = fill(x, NP) * fma(fill(x, PP), w2, w0), fill(x, NP * P) * w1
    even_q, odd_q = fill(x, NQ) * fma(fill(x, QQ), w2, w0), fill(x, NQ * Q) * w1
    first = fill(x, N0) * w0
    return first, even_p + odd_p, even_p - odd_p, even_q + odd_q, even_q - odd_q, w2


@inner
def weight_rows(
    weight: np.ndarray,
    sizes: np.ndarray,
    column: int,
    first: int,
    stop: int,
    taps: np.ndarray,
    half: np.ndarray,
    out: np.ndarray,
    place: int,
    plane: int,
    wide: int,
) -> None:
    """out[place + i * plane + (d - first) * wide : + wide] = row i of G w Gᵀ for the filters from
    `column` on, at the depths first <= d < stop.

    sizes: columns in all, how far apart they and the depths lie in `weight`, whether the nine taps
    are turned. `taps` has room for nine vectors and a square.
    """
    columns, column_step, depth_step, turned = sizes[0], sizes[1], sizes[2], sizes[3]
    step = lanes(weight)
    # Turned filters are read from their last tap back.
    begin, back = (TAPS * TAPS - 1, -step) if turned else (0, step)
    for v in range(0, wide, step):
        for depth in range(first, stop):
            source = (column + v) * column_step + depth * depth_step
            for tap in range(0, TAPS * TAPS, step):
                left = TAPS * TAPS - tap
                square = load_square(weight, source + tap, column_step, columns - column - v, left)
                store_each(taps, tap * step, step, square)
            for s in range(TAPS):
                column_of_taps = load_taps(taps, begin * step + s * back, TAPS * back)
                store_each(half, s * step, TAPS * step, taps_to_points(weight, column_of_taps))
            for r in range(TILE):
                row_of_taps = load_taps(half, r * TAPS * step, step)
                target = place + r * TILE * plane + (depth - first) * wide + v
                store_each(out, target, plane, taps_to_points(weight, row_of_taps))


@inner
def input_tile(
    x: np.ndarray,
    sizes: np.ndarray,
    tile: int,
    patch: np.ndarray,
    half: np.ndarray,
    out: np.ndarray,
    place: int,
    plane: int,
    wide: int,
    group: int,
    group_step: int,
) -> None:
    """Row i of Bᵀ d B for the tile of this number, channel c, at place + i * plane + c of `out`,
    `group` channels being together and the groups `group_step` apart.

    sizes: height, width, channels, rows and columns of tiles, padding above and on the left.
    """
    H, W, C = sizes[0], sizes[1], sizes[2]
    n, row, column = tile // sizes[4] // sizes[3], tile // sizes[4] % sizes[3], tile % sizes[4]
    top, left = row * OUT - sizes[5], column * OUT - sizes[6]
    inside = top >= 0 and left >= 0 and top + TILE <= H and left + TILE <= W
    step = lanes(x)
    if inside and wide == C:
        source, at, down, across = x, ((n * H + top) * W + left) * C, W * C, C
    else:
        for h in range(TILE):
            for w in range(TILE):
                target = (h * TILE + w) * wide
                real = 0 <= top + h < H and 0 <= left + w < W
                origin = ((n * H + top + h) * W + left + w) * C if real else 0
                for c in range(0, wide, step):
                    store(patch, target + c, load_some(x, origin + c, C - c if real else 0))
        source, at, down, across = patch, 0, TILE * wide, wide
    for c in range(0, wide, step):
        for w in range(TILE):
            points = to_points(x, load_tile(source, at + w * across + c, down))
            store_each(half, w * step, TILE * step, points)
        for h in range(TILE):
            points = to_points(x, load_tile(half, h * TILE * step, step))
            target = place + c // group * group_step + c % group
            store_each(out, target + h * TILE * plane, plane, points)


@inner
def output_tile(
    sums: np.ndarray,
    place: int,
    plane: int,
    half: np.ndarray,
    bias: np.ndarray,
    residual: np.ndarray,
    out: np.ndarray,
    sizes: np.ndarray,
    tile: int,
    first: int,
    stop: int,
    slope: float,
    most: float,
    streamed: bool,
) -> None:
    """Channels first <= k < stop of the tile of this number of `out` = finish(bias + Aᵀ m A), m
    being the rows of sums at place.

    sizes: height, width, channels, rows and columns of tiles. Streamed, it goes past the caches;
    then the channels must be whole vectors.
    """
    H, W, K = sizes[0], sizes[1], sizes[2]
    n, row, column = tile // sizes[4] // sizes[3], tile // sizes[4] % sizes[3], tile % sizes[4]
    top, left, step = row * OUT, column * OUT, lanes(out)
    rows, columns = min(OUT, H - top), min(OUT, W - left)
    for k in range(first, stop, step):
        for w in range(TILE):
            points = from_points(out, load_tile(sums, place + w * plane + k - first, TILE * plane))
            store_each(half, w * step, TILE * step, points)
        for h in range(rows):
            points = from_points(out, load_tile(half, h * TILE * step, step))
            store_each(half, h * TILE * step, step, points)
            target = ((n * H + top + h) * W + left) * K + k
            for w in range(columns):
                y = load(half, (h * TILE + w) * step) + load(bias, k)
                if len(residual) > 0:
                    y = y + load_some(residual, target + w * K, stop - k)
                y = bend(y, slope, most)
                put(out, target + w * K, y, stop - k, streamed)


@inner
def output_to_points(x: np.ndarray, g: Any) -> Any:
    """A g of four vectors."""
    g0, g1, g2, g3 = g
    even_p, odd_p = fma(fill(x, PP), g2, g0), fill(x, P) * fma(fill(x, PP), g3, g1)
    even_q, odd_q = fma(fill(x, QQ), g2, g0), fill(x, Q) * fma(fill(x, QQ), g3, g1)
    return g0, even_p + odd_p, even_p - odd_p, even_q + odd_q, even_q - odd_q, g3


@inner
def taps_from_points(x: np.ndarray, u: Any) -> Any:
    """Gᵀ u of six vectors."""
    u0, u1, u2, u3, u4, u5 = u
    even_p, odd_p, even_q, odd_q = u1 + u2, u1 - u2, u3 + u4, u3 - u4
    return (
        fma(fill(x, NP), even_p, fma(fill(x, NQ), even_q, fill(x, N0) * u0)),
        fma(fill(x, NP * P), odd_p, fill(x, NQ * Q) * odd_q),
        fma(fill(x, NP * PP), even_p, fma(fill(x, NQ * QQ), even_q, u5)),
    )


@inner
def grad_tile(
    grad: np.ndarray,
    sizes: np.ndarray,
    tile: int,
    patch: np.ndarray,
    half: np.ndarray,
    out: np.ndarray,
    place: int,
    plane: int,
    wide: int,
    group: int,
    group_step: int,
) -> None:
    """Row i of A g Aᵀ for the tile of this number, laid out as those of `input_tile`.

    sizes: height, width, channels, rows and columns of tiles. What a tile reaches beyond the
    gradient is zero.
    """
    H, W, K = sizes[0], sizes[1], sizes[2]
    n, row, column = tile // sizes[4] // sizes[3], tile // sizes[4] % sizes[3], tile % sizes[4]
    top, left, step = row * OUT, column * OUT, lanes(grad)
    if top + OUT <= H and left + OUT <= W and wide == K:
        source, at, down, across = grad, ((n * H + top) * W + left) * K, W * K, K
    else:
        for h in range(OUT):
            for w in range(OUT):
                target = (h * OUT + w) * wide
                real = top + h < H and left + w < W
                origin = ((n * H + top + h) * W + left + w) * K if real else 0
                for k in range(0, wide, step):
                    store(patch, target + k, load_some(grad, origin + k, K - k if real else 0))
        source, at, down, across = patch, 0, OUT * wide, wide
    for k in range(0, wide, step):
        for w in range(OUT):
            points = output_to_points(grad, load_output(source, at + w * across + k, down))
            store_each(half, w * step, OUT * step, points)
        for h in range(TILE):
            points = output_to_points(grad, load_output(half, h * OUT * step, step))
            target = place + k // group * group_step + k % group
            store_each(out, target + h * TILE * plane, plane, points)
