"""Sums over, and affine functions of, the channels of channels-last memory: one pass each.

What batch normalization is made of, and its second derivative calls. Memory is read as rows of a
whole number of pixels and of cache lines, so that vectors run across the channels even if there is
only one; the tables of numbers by channel repeat along a row. Sums are of blocks that depend on the
shape alone, each added up in float64, then over the blocks in order: no number of threads changes a
bit.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from minigrad.kernels import buffers
from minigrad.kernels.channel_loops import add_products, add_up, bounds, put_affine
from minigrad.kernels.jit import kernel, prange
from minigrad.kernels.streaming import LINE, streams

__all__ = ["SPAN", "Layout", "affine", "cross_sums", "layout_of", "sums"]

# Elements of a row that one job spans: the sums and tables of so many stay in the first cache.
SPAN = 1024
# Rows of few channels are joined until they have so many: an inner loop worth entering.
SHORTEST = 256
# Elements of a job: enough to be worth handing to a thread.
JOB = 1 << 16
# Blocks of rows at most: adding up their sums is no work beside a pass over memory.
MOST_BLOCKS = 64


class Layout(NamedTuple):
    """How flat memory of `channels` channels is cut."""

    channels: int
    row: int  # elements: a multiple of the channels and of a cache line
    rows: int  # whole rows
    tail: int  # elements of the last, incomplete row
    blocks: int  # of rows, alike but for one row, and the last with the incomplete one
    jobs: int  # spans of all blocks


@lru_cache(maxsize=1024)
def layout_of(size: int, channels: int, itemsize: int) -> Layout:
    """The layout of `size` elements, a multiple of `channels`."""
    line = LINE // itemsize
    row = channels * (line // math.gcd(channels, line))
    row *= max(1, SHORTEST // row)
    rows, tail = divmod(size, row)
    wanted = rows * min(row, SPAN) // JOB
    # A power of two, that two, four or more threads get equally many.
    blocks = max(1, min(rows, MOST_BLOCKS, 1 << wanted.bit_length()))
    return Layout(channels, row, rows, tail, blocks, blocks * -(-row // SPAN))


def sums(x: np.ndarray, channels: int) -> np.ndarray:
    """Σ x of each channel (C,), float64; x (..., C) contiguous."""
    layout = layout_of(x.size, channels, x.itemsize)
    by_block = buffers.empty((layout.blocks, 1, layout.row), np.float64)
    _sums(x.reshape(-1), by_block, layout.rows, layout.tail, layout.jobs)
    return _by_channel(by_block, layout)[0]


def cross_sums(grad: np.ndarray, x: np.ndarray, center: np.ndarray) -> np.ndarray:
    """Σ grad and Σ grad (x - center) of each channel (2, C), float64; both (..., C) contiguous."""
    layout = layout_of(x.size, len(center), x.itemsize)
    by_block = buffers.empty((layout.blocks, 2, layout.row), np.float64)
    table = np.tile(center, layout.row // layout.channels)
    cut = layout.rows, layout.tail, layout.jobs
    _cross_sums(grad.reshape(-1), x.reshape(-1), table, by_block, *cut)
    return _by_channel(by_block, layout)


def affine(x: np.ndarray, center: np.ndarray, scale: np.ndarray, shift: np.ndarray) -> np.ndarray:
    """(x - center) * scale + shift; x (..., C) contiguous, the others (C,)."""
    layout = layout_of(x.size, len(center), x.itemsize)
    out = buffers.empty(x.shape, x.dtype)
    tables = np.tile(np.stack([center, scale, shift]), layout.row // layout.channels)
    cut = layout.rows, layout.tail, layout.blocks, layout.jobs
    _affine(x.reshape(-1), tables.astype(x.dtype, copy=False), out.reshape(-1), streams(out), *cut)
    return out


def _by_channel(sums: np.ndarray, layout: Layout) -> np.ndarray:
    """(blocks, sums, row) -> (sums, C)"""
    return sums.sum(axis=0).reshape(sums.shape[1], -1, layout.channels).sum(axis=1)


@kernel(light=True)
def _sums(x: np.ndarray, sums: np.ndarray, rows: int, tail: int, jobs: int) -> None:
    blocks, _, row = sums.shape
    for job in prange(jobs):
        where = bounds(job, row, rows, tail, blocks, SPAN)
        add_up(x, sums[job * blocks // jobs, 0], row, where)


@kernel(light=True)
def _cross_sums(
    grad: np.ndarray,
    x: np.ndarray,
    center: np.ndarray,
    sums: np.ndarray,
    rows: int,
    tail: int,
    jobs: int,
) -> None:
    blocks, _, row = sums.shape
    for job in prange(jobs):
        where = bounds(job, row, rows, tail, blocks, SPAN)
        add_products(grad, x, center, sums[job * blocks // jobs], where)


@kernel(light=True)
def _affine(
    x: np.ndarray,
    tables: np.ndarray,
    out: np.ndarray,
    streamed: bool,
    rows: int,
    tail: int,
    blocks: int,
    jobs: int,
) -> None:
    row = tables.shape[1]
    for job in prange(jobs):
        put_affine(x, tables, out, streamed, bounds(job, row, rows, tail, blocks, SPAN))
