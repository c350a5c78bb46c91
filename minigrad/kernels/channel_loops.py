"""The inner loops over channels: sums down a block of rows, and affine functions along rows.

Memory is cut as `channels.Layout` says: into rows, and these into blocks and spans. A loop's job is
one span of one block; the tables of numbers by channel repeat along a row. What is added up goes
into float64 for every four elements at least.
"""

from __future__ import annotations

import numpy as np

from minigrad.kernels.jit import inner
from minigrad.kernels.simd import fma, lanes, load
from minigrad.kernels.streaming import drain, part, put

__all__ = [
    *("add_products", "add_shifted", "add_up"),
    *("bounds", "put_affine", "put_affine_of_two"),
]

Bounds = tuple[int, int, int, int, int, int]


@inner
def bounds(job: int, row: int, rows: int, tail: int, blocks: int, span: int) -> Bounds:
    """Of a job: its rows from and to, its columns from and to, how many of these the incomplete
    last row has, and where that row begins."""
    across = (row + span - 1) // span
    block, first = job // across, job % across * span
    last = min(row, first + span)
    start, end = block * rows // blocks, (block + 1) * rows // blocks
    left = min(last, tail) - first if end == rows else 0
    return start, end, first, last, max(0, left), rows * row


@inner
def _add(x: np.ndarray, sums: np.ndarray, first: int, step: int) -> None:
    """Add a row's elements in, or those of four rows that are `step` apart."""
    one = x[first:]
    if step == 0:
        for c in range(len(sums)):
            sums[c] += np.float64(one[c])
        return
    two, three, four = x[first + step :], x[first + 2 * step :], x[first + 3 * step :]
    for c in range(len(sums)):
        sums[c] += np.float64((one[c] + two[c]) + (three[c] + four[c]))


@inner
def add_up(x: np.ndarray, sums: np.ndarray, row: int, job: Bounds) -> None:
    """Σ x of a job's columns."""
    start, end, c, stop, left, last = job
    total = sums[c:stop]
    total[:] = 0
    # Four rows far apart: as four streams of whole pages they are fetched ahead of time.
    quarter = (end - start) // 4
    for r in range(start, start + quarter):
        _add(x, total, r * row + c, quarter * row)
    for r in range(start + 4 * quarter, end):
        _add(x, total, r * row + c, 0)
    if left:
        _add(x, total[:left], last + c, 0)


@inner
def _add_shifted(
    x: np.ndarray, shift: np.ndarray, sums: np.ndarray, squares: np.ndarray, first: int, step: int
) -> None:
    """Add a row's elements in, or those of four rows that are `step` apart."""
    one = x[first:]
    if step == 0:
        for c in range(len(shift)):
            d = np.float64(one[c] - shift[c])
            sums[c] += d
            squares[c] += d * d
        return
    two, three, four = x[first + step :], x[first + 2 * step :], x[first + 3 * step :]
    for c in range(len(shift)):
        d1, d2 = np.float64(one[c] - shift[c]), np.float64(two[c] - shift[c])
        d3, d4 = np.float64(three[c] - shift[c]), np.float64(four[c] - shift[c])
        sums[c] += (d1 + d2) + (d3 + d4)
        squares[c] += (d1 * d1 + d2 * d2) + (d3 * d3 + d4 * d4)


@inner
def add_shifted(x: np.ndarray, shift: np.ndarray, sums: np.ndarray, job: Bounds) -> None:
    """Σ (x - shift) and Σ (x - shift)² of a job's columns, into sums (2, row)."""
    start, end, c, stop, left, last = job
    row = len(shift)
    near, total, squares = shift[c:stop], sums[0, c:stop], sums[1, c:stop]
    total[:] = 0
    squares[:] = 0
    quarter = (end - start) // 4
    for r in range(start, start + quarter):
        _add_shifted(x, near, total, squares, r * row + c, quarter * row)
    for r in range(start + 4 * quarter, end):
        _add_shifted(x, near, total, squares, r * row + c, 0)
    if left:
        _add_shifted(x, near[:left], total, squares, last + c, 0)


@inner
def _add_products(
    grad: np.ndarray,
    x: np.ndarray,
    center: np.ndarray,
    sums: np.ndarray,
    products: np.ndarray,
    first: int,
    step: int,
) -> None:
    """Add a row's elements in, or those of four rows that are `step` apart."""
    g1, x1 = grad[first:], x[first:]
    if step == 0:
        for c in range(len(center)):
            sums[c] += np.float64(g1[c])
            products[c] += np.float64(g1[c] * (x1[c] - center[c]))
        return
    g2, g3, g4 = grad[first + step :], grad[first + 2 * step :], grad[first + 3 * step :]
    x2, x3, x4 = x[first + step :], x[first + 2 * step :], x[first + 3 * step :]
    for c in range(len(center)):
        m = center[c]
        p1, p2 = g1[c] * (x1[c] - m), g2[c] * (x2[c] - m)
        p3, p4 = g3[c] * (x3[c] - m), g4[c] * (x4[c] - m)
        sums[c] += np.float64((g1[c] + g2[c]) + (g3[c] + g4[c]))
        products[c] += np.float64((p1 + p2) + (p3 + p4))


@inner
def add_products(
    grad: np.ndarray, x: np.ndarray, center: np.ndarray, sums: np.ndarray, job: Bounds
) -> None:
    """Σ grad and Σ grad (x - center) of a job's columns, into sums (2, row)."""
    start, end, c, stop, left, last = job
    row = len(center)
    near, total, products = center[c:stop], sums[0, c:stop], sums[1, c:stop]
    total[:] = 0
    products[:] = 0
    quarter = (end - start) // 4
    for r in range(start, start + quarter):
        _add_products(grad, x, near, total, products, r * row + c, quarter * row)
    for r in range(start + 4 * quarter, end):
        _add_products(grad, x, near, total, products, r * row + c, 0)
    if left:
        _add_products(grad, x, near[:left], total, products, last + c, 0)


@inner
def put_affine(
    x: np.ndarray, tables: np.ndarray, out: np.ndarray, streamed: bool, job: Bounds
) -> None:
    """(x - center) scale + shift of a job, the tables (3, row) being these three."""
    start, end, first, stop, left, last = job
    center, scale, shift = tables[0], tables[1], tables[2]
    row, step = len(center), lanes(x)
    for r in range(start, end):
        for c in range(first, stop, step):
            d = load(x, r * row + c) - load(center, c)
            put(out, r * row + c, fma(d, load(scale, c), load(shift, c)), step, streamed)
    for c in range(first, first + left, step):
        count = first + left - c
        d = part(x, last + c, count) - load(center, c)
        put(out, last + c, fma(d, load(scale, c), load(shift, c)), count, streamed)
    drain(out)


@inner
def put_affine_of_two(
    grad: np.ndarray,
    x: np.ndarray,
    tables: np.ndarray,
    out: np.ndarray,
    streamed: bool,
    job: Bounds,
) -> None:
    """grad a + (x - center) b + shift of a job, the tables (4, row) being center, a, b, shift."""
    start, end, first, stop, left, last = job
    center, by_grad, by_x, shift = tables[0], tables[1], tables[2], tables[3]
    row, step = len(center), lanes(x)
    for r in range(start, end):
        for c in range(first, stop, step):
            d = load(x, r * row + c) - load(center, c)
            y = fma(d, load(by_x, c), load(shift, c))
            y = fma(load(grad, r * row + c), load(by_grad, c), y)
            put(out, r * row + c, y, step, streamed)
    for c in range(first, first + left, step):
        count = first + left - c
        d = part(x, last + c, count) - load(center, c)
        y = fma(d, load(by_x, c), load(shift, c))
        y = fma(part(grad, last + c, count), load(by_grad, c), y)
        put(out, last + c, y, count, streamed)
    drain(out)
