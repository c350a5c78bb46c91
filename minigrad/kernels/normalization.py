"""Batch normalization and its gradient: one pass for the sums, one for the result.

Arrays are (N, C, ...); results are channels-last in memory. Inputs that are not are copied. Both
passes, and the few numbers a channel between them, are one kernel. In the second a thread goes back
over what it read in the first, the last first: that is in its caches yet.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import numpy as np

from minigrad import threads
from minigrad.kernels import buffers
from minigrad.kernels.channel_loops import (
    add_products,
    add_shifted,
    bounds,
    put_affine,
    put_affine_of_two,
)
from minigrad.kernels.channels import SPAN, affine, cross_sums, layout_of
from minigrad.kernels.jit import inner, kernel, prange
from minigrad.kernels.streaming import streams
from minigrad.kernels.window import channels_first, channels_last

__all__ = ["batch_norm", "batch_norm_backward", "channel_affine", "channel_sums", "examples"]

Three = tuple[np.ndarray, np.ndarray, np.ndarray]


def batch_norm(x: np.ndarray, weight: np.ndarray, bias: np.ndarray, eps: float) -> Three:
    """weight (x - mean) / sqrt(variance + eps) + bias for each channel of x (N, C, ...), not
    empty; and the mean and the biased variance, both (C,).

    Sums are of x minus the channel's first value: (that - mean)² is at most n times the variance,
    so what the difference of these sums loses is far below float32's precision.
    """
    rows, C, dtype = channels_last(x), x.shape[1], x.dtype
    layout = layout_of(x.size, C, x.itemsize)
    out, mean, variance = buffers.empty(rows.shape, dtype), np.empty(C, dtype), np.empty(C, dtype)
    _normalize(
        rows.reshape(-1), np.ascontiguousarray(weight), np.ascontiguousarray(bias), float(eps),
        out.reshape(-1), mean, variance, buffers.empty((layout.blocks, 2, layout.row), np.float64),
        streams(out), layout.rows, layout.tail, layout.jobs, threads.get_num_threads(),
    )  # fmt: skip
    return channels_first(out), mean, variance


def batch_norm_backward(
    grad: np.ndarray,
    x: np.ndarray,
    weight: np.ndarray,
    mean: np.ndarray,
    variance: np.ndarray,
    eps: float,
) -> Three:
    """The gradients of `batch_norm` by x, weight and bias, given that of its first result."""
    grads, rows, C, dtype = channels_last(grad), channels_last(x), x.shape[1], x.dtype
    layout = layout_of(x.size, C, x.itemsize)
    out = buffers.empty(rows.shape, dtype)
    by_weight, by_bias = np.empty(C, dtype), np.empty(C, dtype)
    _normalize_backward(
        grads.reshape(-1), rows.reshape(-1), np.ascontiguousarray(weight),
        np.ascontiguousarray(mean), np.ascontiguousarray(variance), float(eps),
        out.reshape(-1), by_weight, by_bias,
        buffers.empty((layout.blocks, 2, layout.row), np.float64),
        streams(out), layout.rows, layout.tail, layout.jobs, threads.get_num_threads(),
    )  # fmt: skip
    return channels_first(out), by_weight, by_bias


def channel_affine(x: np.ndarray, scale: np.ndarray, shift: np.ndarray) -> np.ndarray:
    """x scale + shift, with a scale and a shift (C,) for each channel of x (N, C, ...)."""
    return channels_first(affine(channels_last(x), np.zeros_like(scale), scale, shift))


def channel_sums(grad: np.ndarray, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Σ grad x and Σ grad, both (C,), over all axes but the channels of (N, C, ...)."""
    center = np.zeros(x.shape[1], x.dtype)
    total, product = cross_sums(channels_last(grad), channels_last(x), center)
    return product.astype(x.dtype), total.astype(x.dtype)


@kernel(light=True)
def _normalize(
    x: np.ndarray,
    weight: np.ndarray,
    bias: np.ndarray,
    eps: float,
    out: np.ndarray,
    mean: np.ndarray,
    variance: np.ndarray,
    sums: np.ndarray,
    streamed: bool,
    rows: int,
    tail: int,
    jobs: int,
    parts: int,
) -> None:
    # x, out: flat (..., C); weight, bias, mean, variance: (C,); sums: (blocks, 2, row), to be used
    blocks, _, row = sums.shape
    C = len(weight)
    tables = np.empty((3, row), x.dtype)
    for c in range(C):
        tables[0, c] = x[c] if np.isfinite(x[c]) else 0
    _repeat(tables[:1], C)
    for p in prange(parts):
        for job in range(p * jobs // parts, (p + 1) * jobs // parts):
            where = bounds(job, row, rows, tail, blocks, SPAN)
            add_shifted(x, tables[0], sums[job * blocks // jobs], where)
    _add_blocks(sums, C)
    _moments(sums[0], len(x) // C, tables[0], mean, variance)
    _scale(sums[0], weight, bias, eps, mean, tables)
    _repeat(tables, C)
    for p in prange(parts):
        start, stop = p * jobs // parts, (p + 1) * jobs // parts
        for k in range(start, stop):
            where = bounds(start + stop - 1 - k, row, rows, tail, blocks, SPAN)
            put_affine(x, tables, out, streamed, where)


@inner
def _repeat(tables: np.ndarray, channels: int) -> None:
    """What the first pixel of each row has, to all of its pixels."""
    for table in tables:
        for i in range(channels, len(table)):
            table[i] = table[i - channels]


@inner
def _add_blocks(sums: np.ndarray, channels: int) -> None:
    """(blocks, 2, row) into sums[0, :, :channels]: over the blocks, then over a row's pixels."""
    for block in range(1, len(sums)):
        for k in range(2):
            total, more = sums[0, k], sums[block, k]
            for i in range(len(total)):
                total[i] += more[i]
    for k in range(2):
        total = sums[0, k]
        for first in range(channels, len(total), channels):
            more = total[first:]
            for c in range(channels):
                total[c] += more[c]


@inner
def _moments(
    sums: np.ndarray, count: int, shift: np.ndarray, mean: np.ndarray, variance: np.ndarray
) -> None:
    """The mean and the variance of sums of shifted values, in float64 in the place of the sums."""
    for c in range(len(mean)):
        offset, square = sums[0, c] / count, sums[1, c] / count
        spread = square - offset * offset
        sums[0, c] = shift[c] + offset
        sums[1, c] = 0.0 if spread < 0 else spread  # NaN stays
    for c in range(len(mean)):
        mean[c], variance[c] = sums[0, c], sums[1, c]


@inner
def _scale(
    moments: np.ndarray,
    weight: np.ndarray,
    bias: np.ndarray,
    eps: float,
    center: np.ndarray,
    tables: np.ndarray,
) -> None:
    """The tables of center, scale and shift. The mean is in two parts: what the first, rounded,
    leaves over of it goes into the shift."""
    for c in range(len(weight)):
        scale = weight[c] / np.sqrt(moments[1, c] + eps)
        rest = moments[0, c] - center[c]
        rest = rest if np.isfinite(moments[0, c]) else 0.0
        tables[0, c], tables[1, c], tables[2, c] = center[c], scale, bias[c] - rest * scale


@kernel(light=True)
def _normalize_backward(
    grad: np.ndarray,
    x: np.ndarray,
    weight: np.ndarray,
    mean: np.ndarray,
    variance: np.ndarray,
    eps: float,
    out: np.ndarray,
    by_weight: np.ndarray,
    by_bias: np.ndarray,
    sums: np.ndarray,
    streamed: bool,
    rows: int,
    tail: int,
    jobs: int,
    parts: int,
) -> None:
    # grad, x, out: flat (..., C); the numbers by channel: (C,); sums: (blocks, 2, row), to be used
    blocks, _, row = sums.shape
    C = len(weight)
    tables = np.empty((4, row), x.dtype)
    for c in range(C):
        tables[0, c] = mean[c]
    _repeat(tables[:1], C)
    for p in prange(parts):
        for job in range(p * jobs // parts, (p + 1) * jobs // parts):
            where = bounds(job, row, rows, tail, blocks, SPAN)
            add_products(grad, x, tables[0], sums[job * blocks // jobs], where)
    _add_blocks(sums, C)
    count = len(x) // C
    for c in range(C):
        total, product = sums[0, 0, c], sums[0, 1, c]
        r = 1 / np.sqrt(np.float64(variance[c]) + eps)
        a = weight[c] * r
        by_weight[c], by_bias[c] = r * product, total
        tables[1, c], tables[2, c] = a, -a * r * r * product / count
        tables[3, c] = -a * total / count
    _repeat(tables[1:], C)
    for p in prange(parts):
        start, stop = p * jobs // parts, (p + 1) * jobs // parts
        for k in range(start, stop):
            where = bounds(start + stop - 1 - k, row, rows, tail, blocks, SPAN)
            put_affine_of_two(grad, x, tables, out, streamed, where)


def examples(dtype: np.dtype) -> Iterator[Callable[[], object]]:
    """A call for each kernel here and in `channels`, that `sums` reaches apart."""
    x, one = np.zeros((1, 1, 1), dtype), np.ones(1, dtype)
    yield partial(batch_norm, x, one, one, 1e-5)
    yield partial(batch_norm_backward, x, x, one, one, one, 1e-5)
    yield partial(channel_affine, x, one, one)
    yield partial(channel_sums, x, x)
