"""Depthwise convolution and its gradients: every channel has a filter of its own.

With one input channel to a filter there is nothing to multiply as matrices. Vectors run over the
channels, which lie side by side in memory, and every product is taken once.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from minigrad.kernels import buffers
from minigrad.kernels.finish import Finish
from minigrad.kernels.jit import inner, kernel, prange
from minigrad.kernels.problem import Problem
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
    store_some,
)

__all__ = ["forward", "input_grad", "suits", "weight_grad"]

# The sum over pixels is taken in so many parts, which are added in order.
PARTS = 16


def suits(problem: Problem) -> bool:
    """Whether every channel has one filter of its own, and there are several."""
    return problem.groups == problem.channels == problem.filters > 1


def forward(problem: Problem, x: np.ndarray, weight: np.ndarray, finish: Finish) -> np.ndarray:
    """x (N, D, H, W, C), weight (C, 1, *taps) -> (N, OD, OH, OW, C)."""
    out = buffers.empty((problem.images, *problem.out, problem.channels), problem.dtype)
    _forward(
        x,
        _by_tap(problem, weight),
        finish.padded_bias(problem.channels, problem.dtype),
        finish.flat_residual(problem.dtype),
        out,
        *_geometry(problem),
        finish.slope,
        finish.most,
    )
    return out


def input_grad(problem: Problem, grad: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """The gradient of x from that of the output."""
    out = buffers.empty((problem.images, *problem.size, problem.channels), problem.dtype)
    _input_grad(grad, _by_tap(problem, weight), out, *_geometry(problem))
    return out


def weight_grad(problem: Problem, x: np.ndarray, grad: np.ndarray) -> np.ndarray:
    """The gradient of the weight (C, 1, *taps)."""
    parts = min(PARTS, problem.images * problem.out[0] * problem.out[1])
    sums = np.empty((parts, problem.taps, problem.channels), problem.dtype)
    _weight_grad(x, grad, sums, *_geometry(problem))
    total = np.add.reduce(sums, axis=0).T
    return np.ascontiguousarray(total).reshape(problem.channels, 1, *problem.kernel)


def _by_tap(problem: Problem, weight: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(weight.reshape(problem.channels, problem.taps).T)


@lru_cache(maxsize=256)
def _geometry(problem: Problem) -> tuple[np.ndarray, ...]:
    """The place of every tap, then stride, padding before and dilation of the three axes."""
    taps = np.stack(np.unravel_index(np.arange(problem.taps), problem.kernel), axis=1)
    rest = problem.stride, problem.before, problem.dilation
    return taps.astype(np.int64), *[np.array(numbers, np.int64) for numbers in rest]


load_four = loads(4)


@inner
def four(
    x: np.ndarray,
    seen: np.ndarray,
    weight: np.ndarray,
    used: np.ndarray,
    count: int,
    c: int,
    totals: Any,
) -> Any:
    """Four vectors of totals from channel c on, each with Σ x[seen] * weight[used] added."""
    t0, t1, t2, t3 = totals
    step = lanes(x)
    for tap in range(count):
        x0, x1, x2, x3 = load_four(x, seen[tap] + c, step)
        w0, w1, w2, w3 = load_four(weight, used[tap] + c, step)
        t0, t1, t2, t3 = fma(x0, w0, t0), fma(x1, w1, t1), fma(x2, w2, t2), fma(x3, w3, t3)
    return t0, t1, t2, t3


@kernel
def _forward(
    x: np.ndarray,
    weight: np.ndarray,
    bias: np.ndarray,
    residual: np.ndarray,
    out: np.ndarray,
    taps: np.ndarray,
    strides: np.ndarray,
    before: np.ndarray,
    dilation: np.ndarray,
    slope: float,
    most: float,
) -> None:
    """out = finish(bias + Σ over taps of x * weight), a channel each.

    x, out: (N, D, H, W, C); weight: (taps, C); taps: (taps, 3), each tap's place in its window.
    """
    N, depth, height, width, C = out.shape
    _, D, H, W, _ = x.shape
    flat, target, filters, step = x.reshape(-1), out.reshape(-1), weight.reshape(-1), lanes(x)
    for job in prange(N * depth * height):
        h, rest = job % height, job // height
        n, d = rest // depth, rest % depth
        seen, used = np.empty(len(taps), np.int64), np.empty(len(taps), np.int64)
        for w in range(width):
            count = 0
            for tap in range(len(taps)):
                i = d * strides[0] - before[0] + taps[tap, 0] * dilation[0]
                j = h * strides[1] - before[1] + taps[tap, 1] * dilation[1]
                k = w * strides[2] - before[2] + taps[tap, 2] * dilation[2]
                if 0 <= i < D and 0 <= j < H and 0 <= k < W:
                    seen[count], used[count] = (((n * D + i) * H + j) * W + k) * C, tap * C
                    count += 1
            place = (job * width + w) * C
            quads = C - C % (4 * step)
            for c in range(0, quads, 4 * step):
                totals = four(flat, seen, filters, used, count, c, load_four(bias, c, step))
                for i in range(4):
                    at = place + c + i * step
                    total = totals[i]
                    if len(residual) > 0:
                        total = total + load(residual, at)
                    store(target, at, bend(total, slope, most))
            for c in range(quads, C - step + 1, step):
                total = load(bias, c)
                for tap in range(count):
                    total = fma(load(flat, seen[tap] + c), load(filters, used[tap] + c), total)
                if len(residual) > 0:
                    total = total + load(residual, place + c)
                store(target, place + c, bend(total, slope, most))
            c = C - C % step
            if c < C:
                total = load_some(bias, c, C - c)
                for tap in range(count):
                    value = load_some(flat, seen[tap] + c, C - c)
                    total = fma(value, load_some(filters, used[tap] + c, C - c), total)
                if len(residual) > 0:
                    total = total + load_some(residual, place + c, C - c)
                store_some(target, place + c, bend(total, slope, most), C - c)


@kernel
def _input_grad(
    grad: np.ndarray,
    weight: np.ndarray,
    out: np.ndarray,
    taps: np.ndarray,
    strides: np.ndarray,
    before: np.ndarray,
    dilation: np.ndarray,
) -> None:
    """The gradient of x: out (N, D, H, W, C) from grad (N, OD, OH, OW, C), weight (taps, C)."""
    N, D, H, W, C = out.shape
    _, depth, height, width, _ = grad.shape
    flat, target, filters, step = grad.reshape(-1), out.reshape(-1), weight.reshape(-1), lanes(out)
    for job in prange(N * D * H):
        h, rest = job % H, job // H
        n, d = rest // D, rest % D
        seen, used = np.empty(len(taps), np.int64), np.empty(len(taps), np.int64)
        for w in range(W):
            count = 0
            for tap in range(len(taps)):
                i = d + before[0] - taps[tap, 0] * dilation[0]
                j = h + before[1] - taps[tap, 1] * dilation[1]
                k = w + before[2] - taps[tap, 2] * dilation[2]
                if i % strides[0] or j % strides[1] or k % strides[2]:
                    continue
                i, j, k = i // strides[0], j // strides[1], k // strides[2]
                if 0 <= i < depth and 0 <= j < height and 0 <= k < width:
                    seen[count] = (((n * depth + i) * height + j) * width + k) * C
                    used[count] = tap * C
                    count += 1
            place = (job * W + w) * C
            quads, zero = C - C % (4 * step), fill(out, 0)
            for c in range(0, quads, 4 * step):
                totals = four(flat, seen, filters, used, count, c, (zero, zero, zero, zero))
                store_each(target, place + c, step, totals)
            for c in range(quads, C - step + 1, step):
                total = fill(out, 0)
                for tap in range(count):
                    total = fma(load(flat, seen[tap] + c), load(filters, used[tap] + c), total)
                store(target, place + c, total)
            c = C - C % step
            if c < C:
                total = fill(out, 0)
                for tap in range(count):
                    value = load_some(flat, seen[tap] + c, C - c)
                    total = fma(value, load_some(filters, used[tap] + c, C - c), total)
                store_some(target, place + c, total, C - c)


@kernel
def _weight_grad(
    x: np.ndarray,
    grad: np.ndarray,
    out: np.ndarray,
    taps: np.ndarray,
    strides: np.ndarray,
    before: np.ndarray,
    dilation: np.ndarray,
) -> None:
    """The gradient of the weight in partial sums: out (parts, taps, C), a range of rows each."""
    N, depth, height, width, C = grad.shape
    _, D, H, W, _ = x.shape
    parts, count, _ = out.shape
    flat, source, target, step = x.reshape(-1), grad.reshape(-1), out.reshape(-1), lanes(x)
    rows = N * depth * height
    for part in prange(parts):
        for i in range(part * count * C, (part + 1) * count * C):
            target[i] = 0
        for row in range(rows * part // parts, rows * (part + 1) // parts):
            h, rest = row % height, row // height
            n, d = rest // depth, rest % depth
            for tap in range(count):
                i = d * strides[0] - before[0] + taps[tap, 0] * dilation[0]
                j = h * strides[1] - before[1] + taps[tap, 1] * dilation[1]
                left = taps[tap, 2] * dilation[2] - before[2]
                if not (0 <= i < D and 0 <= j < H):
                    continue
                first, last = 0, width
                while first < width and first * strides[2] + left < 0:
                    first += 1
                while last > first and (last - 1) * strides[2] + left >= W:
                    last -= 1
                quads = C - C % (4 * step)
                base = ((n * D + i) * H + j) * W
                for c in range(0, quads, 4 * step):
                    place = (part * count + tap) * C + c
                    t0, t1, t2, t3 = load_four(target, place, step)
                    for w in range(first, last):
                        x0, x1, x2, x3 = load_four(
                            flat, (base + w * strides[2] + left) * C + c, step
                        )
                        g0, g1, g2, g3 = load_four(source, (row * width + w) * C + c, step)
                        t0, t1 = fma(x0, g0, t0), fma(x1, g1, t1)
                        t2, t3 = fma(x2, g2, t2), fma(x3, g3, t3)
                    store_each(target, place, step, (t0, t1, t2, t3))
                for c in range(quads, C, step):
                    place = (part * count + tap) * C + c
                    total = load_some(target, place, C - c)
                    for w in range(first, last):
                        value = load_some(flat, (base + w * strides[2] + left) * C + c, C - c)
                        here = load_some(source, (row * width + w) * C + c, C - c)
                        total = fma(value, here, total)
                    store_some(target, place, total, C - c)
