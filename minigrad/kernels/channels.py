"""Sums over, and affine functions of, the channels of channels-last memory: one pass each.

What batch normalization and its gradient are made of. Memory is read as rows of a whole number of
pixels and of cache lines, so that vectors run across the channels even if there is only one; the
tables of numbers by channel repeat along a row. Sums are of blocks that depend on the shape alone,
each added up in float64, then over the blocks in order: no number of threads changes a bit.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from minigrad.kernels import buffers
from minigrad.kernels.jit import inner, kernel, prange
from minigrad.kernels.simd import fma, lanes, load
from minigrad.kernels.streaming import LINE, drain, part, put, streams

__all__ = ["affine", "affine_of_two", "cross_sums", "shifted_sums", "sums"]

# Elements of a row that one block spans: the sums and tables of so many stay in the first cache.
SPAN = 512
# Rows of few channels are joined until they have so many: an inner loop worth entering.
SHORTEST = 256
# Elements of a block: enough to be worth handing to a thread.
BLOCK = 1 << 16


class Layout(NamedTuple):
    """How flat memory of `channels` channels is cut."""

    channels: int
    row: int  # elements: a multiple of the channels and of a cache line
    rows: int  # whole rows
    tail: int  # elements of the last, incomplete row
    down: int  # rows of a block
    blocks: tuple[int, int]  # along the rows, across them


@lru_cache(maxsize=1024)
def layout_of(size: int, channels: int, itemsize: int) -> Layout:
    """The layout of `size` elements, a multiple of `channels`."""
    line = LINE // itemsize
    row = channels * (line // math.gcd(channels, line))
    row *= max(1, SHORTEST // row)
    rows, tail = divmod(size, row)
    down = max(1, BLOCK // min(row, SPAN))
    return Layout(channels, row, rows, tail, down, (max(1, -(-rows // down)), -(-row // SPAN)))


def sums(x: np.ndarray, channels: int) -> np.ndarray:
    """Σ x of each channel (C,), float64; x (..., C) contiguous."""
    layout = layout_of(x.size, channels, x.itemsize)
    by_block = np.zeros((layout.blocks[0], 1, layout.row))
    _sums(x.reshape(-1), by_block, *_cut(layout))
    return _by_channel(by_block, layout)[0]


def shifted_sums(x: np.ndarray, shift: np.ndarray) -> np.ndarray:
    """Σ (x - shift) and Σ (x - shift)² of each channel (2, C), float64; x (..., C) contiguous.

    With a shift that is one of the values, (shift - mean)² is at most n times the variance, so
    what the difference of these sums loses is far below float32's precision.
    """
    layout = layout_of(x.size, len(shift), x.itemsize)
    sums = np.zeros((layout.blocks[0], 2, layout.row))
    _shifted_sums(x.reshape(-1), _along(shift, layout), sums, *_cut(layout))
    return _by_channel(sums, layout)


def cross_sums(grad: np.ndarray, x: np.ndarray, center: np.ndarray) -> np.ndarray:
    """Σ grad and Σ grad (x - center) of each channel (2, C), float64; both (..., C) contiguous."""
    layout = layout_of(x.size, len(center), x.itemsize)
    sums = np.zeros((layout.blocks[0], 2, layout.row))
    table = _along(center, layout)
    _cross_sums(grad.reshape(-1), x.reshape(-1), table, sums, *_cut(layout))
    return _by_channel(sums, layout)


def affine(x: np.ndarray, center: np.ndarray, scale: np.ndarray, shift: np.ndarray) -> np.ndarray:
    """(x - center) * scale + shift; x (..., C) contiguous, the others (C,)."""
    layout = layout_of(x.size, len(center), x.itemsize)
    out = buffers.empty(x.shape, x.dtype)
    tables = [_along(table.astype(x.dtype, copy=False), layout) for table in (center, scale, shift)]
    _affine(x.reshape(-1), *tables, out.reshape(-1), streams(out), *_cut(layout))
    return out


def affine_of_two(
    grad: np.ndarray,
    x: np.ndarray,
    center: np.ndarray,
    by_grad: np.ndarray,
    by_x: np.ndarray,
    shift: np.ndarray,
) -> np.ndarray:
    """grad * by_grad + (x - center) * by_x + shift; grad, x (..., C) contiguous, all else (C,)."""
    layout = layout_of(x.size, len(center), x.itemsize)
    out = buffers.empty(x.shape, x.dtype)
    given = center, by_grad, by_x, shift
    tables = [_along(table.astype(x.dtype, copy=False), layout) for table in given]
    flat = grad.reshape(-1), x.reshape(-1)
    _affine_of_two(*flat, *tables, out.reshape(-1), streams(out), *_cut(layout))
    return out


def _along(table: np.ndarray, layout: Layout) -> np.ndarray:
    """(C,) -> (row,), repeated."""
    return np.tile(table, layout.row // layout.channels)


def _by_channel(sums: np.ndarray, layout: Layout) -> np.ndarray:
    """(blocks, sums, row) -> (sums, C)"""
    return sums.sum(axis=0).reshape(sums.shape[1], -1, layout.channels).sum(axis=1)


def _cut(layout: Layout) -> tuple[int, int, int, int]:
    return layout.rows, layout.tail, layout.down, layout.blocks[1]


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


@kernel(light=True)
def _sums(x: np.ndarray, sums: np.ndarray, rows: int, tail: int, down: int, across: int) -> None:
    row = sums.shape[2]
    for job in prange(sums.shape[0] * across):
        block, c = job // across, job % across * SPAN
        stop = min(row, c + SPAN)
        total = sums[block, 0, c:stop]
        start, end = block * down, min(rows, (block + 1) * down)
        # Four rows far apart: as four streams of whole pages they are fetched ahead of time.
        quarter = (end - start) // 4
        for r in range(start, start + quarter):
            _add(x, total, r * row + c, quarter * row)
        for r in range(start + 4 * quarter, end):
            _add(x, total, r * row + c, 0)
        count = min(stop, tail) - c
        if end == rows and count > 0:
            _add(x, total[:count], rows * row + c, 0)


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


@kernel(light=True)
def _shifted_sums(
    x: np.ndarray, shift: np.ndarray, sums: np.ndarray, rows: int, tail: int, down: int, across: int
) -> None:
    row = len(shift)
    for job in prange(sums.shape[0] * across):
        block, c = job // across, job % across * SPAN
        stop = min(row, c + SPAN)
        near, total, squares = shift[c:stop], sums[block, 0, c:stop], sums[block, 1, c:stop]
        start, end = block * down, min(rows, (block + 1) * down)
        # Four rows far apart: as four streams of whole pages they are fetched ahead of time.
        quarter = (end - start) // 4
        for r in range(start, start + quarter):
            _add_shifted(x, near, total, squares, r * row + c, quarter * row)
        for r in range(start + 4 * quarter, end):
            _add_shifted(x, near, total, squares, r * row + c, 0)
        count = min(stop, tail) - c
        if end == rows and count > 0:
            _add_shifted(x, near[:count], total, squares, rows * row + c, 0)


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


@kernel(light=True)
def _cross_sums(
    grad: np.ndarray,
    x: np.ndarray,
    center: np.ndarray,
    sums: np.ndarray,
    rows: int,
    tail: int,
    down: int,
    across: int,
) -> None:
    row = len(center)
    for job in prange(sums.shape[0] * across):
        block, c = job // across, job % across * SPAN
        stop = min(row, c + SPAN)
        near, total, products = center[c:stop], sums[block, 0, c:stop], sums[block, 1, c:stop]
        start, end = block * down, min(rows, (block + 1) * down)
        # Four rows far apart: as four streams of whole pages they are fetched ahead of time.
        quarter = (end - start) // 4
        for r in range(start, start + quarter):
            _add_products(grad, x, near, total, products, r * row + c, quarter * row)
        for r in range(start + 4 * quarter, end):
            _add_products(grad, x, near, total, products, r * row + c, 0)
        count = min(stop, tail) - c
        if end == rows and count > 0:
            _add_products(grad, x, near[:count], total, products, rows * row + c, 0)


@kernel(light=True)
def _affine(
    x: np.ndarray,
    center: np.ndarray,
    scale: np.ndarray,
    shift: np.ndarray,
    out: np.ndarray,
    streamed: bool,
    rows: int,
    tail: int,
    down: int,
    across: int,
) -> None:
    row, step = len(center), lanes(x)
    jobs = (rows + down) // down * across
    for job in prange(jobs):
        # What the sums read last is in the caches yet: begin there.
        block, span = (jobs - 1 - job) // across, (jobs - 1 - job) % across
        for r in range(block * down, min(rows + 1, (block + 1) * down)):
            limit = row if r < rows else tail
            for c in range(span * SPAN, min(limit, (span + 1) * SPAN), step):
                i, count = r * row + c, limit - c
                d = part(x, i, count) - load(center, c)
                put(out, i, fma(d, load(scale, c), load(shift, c)), count, streamed)
        drain(out)


@kernel(light=True)
def _affine_of_two(
    grad: np.ndarray,
    x: np.ndarray,
    center: np.ndarray,
    by_grad: np.ndarray,
    by_x: np.ndarray,
    shift: np.ndarray,
    out: np.ndarray,
    streamed: bool,
    rows: int,
    tail: int,
    down: int,
    across: int,
) -> None:
    row, step = len(center), lanes(x)
    jobs = (rows + down) // down * across
    for job in prange(jobs):
        # What the sums read last is in the caches yet: begin there.
        block, span = (jobs - 1 - job) // across, (jobs - 1 - job) % across
        for r in range(block * down, min(rows + 1, (block + 1) * down)):
            limit = row if r < rows else tail
            for c in range(span * SPAN, min(limit, (span + 1) * SPAN), step):
                i, count = r * row + c, limit - c
                d = part(x, i, count) - load(center, c)
                y = fma(d, load(by_x, c), load(shift, c))
                y = fma(part(grad, i, count), load(by_grad, c), y)
                put(out, i, y, count, streamed)
        drain(out)
