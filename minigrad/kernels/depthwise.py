"""Depthwise convolution and its gradients: every channel has a filter of its own.

With one input channel to a filter there is nothing to multiply as matrices. Vectors run over the
channels, which lie side by side in memory, and several pixels of a row are summed side by side.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np

from minigrad.kernels import buffers
from minigrad.kernels.finish import Finish
from minigrad.kernels.jit import inner, kernel, prange
from minigrad.kernels.pixel_vectors import (
    PIXELS,
    SEEN,
    VECTORS,
    add_patches,
    add_taps,
    bend_patch,
    load_patch,
    store_patch,
    sum_taps,
)
from minigrad.kernels.problem import Problem
from minigrad.kernels.simd import lanes

__all__ = ["forward", "input_grad", "suits", "weight_grad"]

# The sum over pixels is taken in so many parts, which are added in order.
PARTS = 16


def suits(problem: Problem) -> bool:
    """Whether every channel has one filter of its own, and there are several."""
    return problem.groups == problem.channels == problem.filters > 1


class _Sight(NamedTuple):
    """What a position sees through a tap, along depth, height and width: position
    (position * times + shifts[tap]) / over of the source, if that is a whole number in it."""

    times: np.ndarray
    shifts: np.ndarray  # (taps, 3)
    over: np.ndarray


@lru_cache(maxsize=256)
def _sight(problem: Problem, back: bool) -> _Sight:
    """From the output onto x, or back from x onto the output."""
    taps = np.stack(np.unravel_index(np.arange(problem.taps), problem.kernel), axis=1)
    shifts = taps * np.array(problem.dilation) - np.array(problem.before)
    stride, one = np.array(problem.stride), np.ones(3, np.int64)
    return _Sight(one, -shifts, stride) if back else _Sight(stride, shifts, one)


def forward(problem: Problem, x: np.ndarray, weight: np.ndarray, finish: Finish) -> np.ndarray:
    """x (N, D, H, W, C), weight (C, 1, *taps) -> (N, OD, OH, OW, C)."""
    out = buffers.empty((problem.images, *problem.out, problem.channels), problem.dtype)
    _correlate(
        x,
        _by_tap(problem, weight),
        finish.padded_bias(problem.channels, problem.dtype),
        finish.flat_residual(problem.dtype),
        out,
        *_sight(problem, False),
        finish.slope,
        finish.most,
    )
    return out


def input_grad(problem: Problem, grad: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """The gradient of x from that of the output."""
    out = buffers.empty((problem.images, *problem.size, problem.channels), problem.dtype)
    finish = Finish()
    _correlate(
        grad,
        _by_tap(problem, weight),
        finish.padded_bias(problem.channels, problem.dtype),
        finish.flat_residual(problem.dtype),
        out,
        *_sight(problem, True),
        finish.slope,
        finish.most,
    )
    return out


def weight_grad(problem: Problem, x: np.ndarray, grad: np.ndarray) -> np.ndarray:
    """The gradient of the weight (C, 1, *taps)."""
    parts = min(PARTS, problem.images * problem.out[0] * problem.out[1])
    sums = np.empty((parts, problem.taps, problem.channels), problem.dtype)
    _weight_grad(x, grad, sums, *_sight(problem, False)[:2])
    total = np.add.reduce(sums, axis=0).T
    return np.ascontiguousarray(total).reshape(problem.channels, 1, *problem.kernel)


def _by_tap(problem: Problem, weight: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(weight.reshape(problem.channels, problem.taps).T)


@inner
def seen_by(
    row: int, depth: int, height: int, phase: int, pixels: int, size: tuple[int, ...],
    times: np.ndarray, shifts: np.ndarray, over: np.ndarray, seen: np.ndarray,
) -> tuple[int, int, int]:  # fmt: skip
    """How many taps see anything from a row, whose `pixels` are phase, phase + over, ... of it, and
    the range of pixels that see through all of these.

    Fills in `seen`, (taps, SEEN), for the source of this size (N, D, H, W, C).
    """
    h, rest = row % height, row // height
    n, d = rest // depth, rest % depth
    _, D, H, W, C = size
    count, first, stop = 0, 0, pixels
    for tap in range(len(shifts)):
        i, j = d * times[0] + shifts[tap, 0], h * times[1] + shifts[tap, 1]
        k = phase * times[2] + shifts[tap, 2]
        if i % over[0] or j % over[1] or k % over[2]:
            continue
        i, j, k = i // over[0], j // over[1], k // over[2]
        if 0 <= i < D and 0 <= j < H:
            seen[count, 0], seen[count, 1] = tap * C, (((n * D + i) * H + j) * W + k) * C
            # Pixel p looks at k + p * times[2]; -(a // b) is -a / b rounded up.
            seen[count, 2], seen[count, 3] = -(k // times[2]), min(pixels, -((k - W) // times[2]))
            first, stop = max(first, seen[count, 2]), min(stop, seen[count, 3])
            count += 1
    return count, first, stop


@kernel
def _correlate(
    x: np.ndarray,
    weight: np.ndarray,
    bias: np.ndarray,
    residual: np.ndarray,
    out: np.ndarray,
    times: np.ndarray,
    shifts: np.ndarray,
    over: np.ndarray,
    slope: float,
    most: float,
) -> None:
    """out = finish(bias + Σ over taps of what they see of x, times weight), a channel each.

    x, out: (N, D, H, W, C), the sizes being different; weight: (taps, C).
    """
    N, depth, height, width, C = out.shape
    flat, target, filters, step = x.reshape(-1), out.reshape(-1), weight.reshape(-1), lanes(x)
    wide, x_step, out_step = VECTORS * step, times[2] * C, over[2] * C
    for row in prange(N * depth * height):
        seen = np.empty((len(shifts), SEEN), np.int64)
        taps = seen.reshape(-1)
        for phase in range(over[2]):
            pixels = (width - phase + over[2] - 1) // over[2]
            count, low, high = seen_by(
                row, depth, height, phase, pixels, x.shape, times, shifts, over, seen
            )
            for first in range(0, pixels, PIXELS):
                place, stop = (row * width + phase + first * over[2]) * C, pixels - first
                for c in range(0, C, wide):
                    left = C - c
                    inside = low <= first and first + PIXELS <= high and left >= wide
                    # All pixels begin with the same bias.
                    totals = load_patch(bias, c, 0, PIXELS, left)
                    if count > 0:
                        totals = add_taps(
                            totals, flat, first * x_step + c, x_step, taps, count,
                            inside, first, left, filters, c,
                        )  # fmt: skip
                    if len(residual) > 0:
                        more = load_patch(residual, place + c, out_step, stop, left)
                        totals = add_patches(totals, more)
                    if slope != 1.0 or most != np.inf:
                        totals = bend_patch(totals, slope, most)
                    store_patch(target, place + c, out_step, totals, stop, left)


@kernel
def _weight_grad(
    x: np.ndarray, grad: np.ndarray, out: np.ndarray, times: np.ndarray, shifts: np.ndarray
) -> None:
    """The gradient of the weight in partial sums: out (parts, taps, C), a range of rows each."""
    N, depth, height, width, C = grad.shape
    parts, taps, _ = out.shape
    flat, source, target, step = x.reshape(-1), grad.reshape(-1), out.reshape(-1), lanes(x)
    rows, x_step, one = N * depth * height, times[2] * C, np.ones(3, np.int64)
    wide = VECTORS * step
    for part in prange(parts):
        seen, sums = np.empty((taps, SEEN), np.int64), part * taps * C
        for i in range(sums, sums + taps * C):
            target[i] = 0
        for row in range(rows * part // parts, rows * (part + 1) // parts):
            count, low, high = seen_by(
                row, depth, height, 0, width, x.shape, times, shifts, one, seen
            )
            # Channels outside: the sums of one vector's taps stay in the first cache.
            for c in range(0, C, wide):
                left = C - c
                for first in range(0, width, PIXELS):
                    inside = low <= first and first + PIXELS <= high and left >= wide
                    place = (row * width + first) * C + c
                    patch = load_patch(source, place, C, width - first, left)
                    if count > 0:
                        sum_taps(
                            patch, flat, first * x_step + c, x_step, seen.reshape(-1), count,
                            inside, first, left, target, sums + c,
                        )  # fmt: skip
