"""Depthwise convolution and its gradients: every channel has a filter of its own.

With one input channel to a filter there is nothing to multiply as matrices. Vectors run over the
channels, which lie side by side in memory, and a patch of several pixels is summed side by side,
over runs of taps that see neighbouring pixels.
"""

from __future__ import annotations

import math
from functools import cache, lru_cache
from typing import NamedTuple

import numpy as np

from minigrad.kernels import buffers
from minigrad.kernels.finish import Finish
from minigrad.kernels.jit import Kernel, inner, kernel, prange
from minigrad.kernels.pixel_vectors import PIXELS, ROWS
from minigrad.kernels.problem import Problem
from minigrad.kernels.simd import lanes
from minigrad.kernels.streaming import LINE, drain, prefetch, streams
from minigrad.kernels.tap_runs import SEEN, runs_of
from minigrad.kernels.window import Lengths

__all__ = ["WIDTHS", "WINDOW", "forward", "input_grad", "suits", "weight_grad"]

# The sum over pixels is taken in so many parts, which are added in order.
PARTS = 16
# Lengths of a filter's row that its taps are one run of; else every tap is a run of its own.
WIDTHS = 3, 5
# Taps along height and width of a filter all of whose taps are one run: more weights would not stay
# in registers.
WINDOW = 3, 3


def suits(problem: Problem) -> bool:
    """Whether every channel has one filter of its own, and there are several."""
    return problem.groups == problem.channels == problem.filters > 1


class _Sight(NamedTuple):
    """What a position sees through the first tap of a run, along depth, height and width: position
    (position * times + shifts[run]) / over of the source, if that is a whole number in it."""

    run: tuple[int, int]  # its taps along height and width, which see pixels next to each other
    times: np.ndarray
    shifts: np.ndarray  # (runs, 3)
    over: np.ndarray


def _run(problem: Problem, height: int) -> tuple[int, int]:
    """The taps of a run along height and width, for so many rows of pixels."""
    *_, column, row = problem.axes
    if row.kernel not in WIDTHS or row.stride > 1 or row.dilation > 1:
        return 1, 1
    if height >= ROWS and column.stride == column.dilation == 1:
        whole = column.kernel, row.kernel
        return whole if whole == WINDOW else (1, row.kernel)
    return 1, row.kernel


@lru_cache(maxsize=256)
def _sight(problem: Problem, run: tuple[int, int], back: bool) -> _Sight:
    """From the output onto x, or back from x onto the output, the taps in turned order."""
    taps = np.stack(np.unravel_index(np.arange(problem.taps), problem.kernel), axis=1)
    shifts = taps * np.array(problem.dilation) - np.array(problem.before)
    stride, one = np.array(problem.stride), np.ones(3, np.int64)
    if back:
        return _Sight(run, one, np.ascontiguousarray(-shifts[::-1][:: math.prod(run)]), stride)
    return _Sight(run, stride, np.ascontiguousarray(shifts[:: math.prod(run)]), one)


def forward(problem: Problem, x: np.ndarray, weight: np.ndarray, finish: Finish) -> np.ndarray:
    """x (N, D, H, W, C), weight (C, 1, *taps) -> (N, OD, OH, OW, C)."""
    by_channel = weight.reshape(problem.channels, problem.taps)
    sight = _sight(problem, _run(problem, problem.out[1]), False)
    return _correlate(problem, x, by_channel, problem.out, sight, finish)


def input_grad(problem: Problem, grad: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """The gradient of x from that of the output."""
    turned = weight.reshape(problem.channels, problem.taps)[:, ::-1]
    sight = _sight(problem, _run(problem, problem.size[1]), True)
    return _correlate(problem, grad, turned, problem.size, sight, Finish())


def _correlate(
    problem: Problem,
    x: np.ndarray,
    weight: np.ndarray,
    size: Lengths,
    sight: _Sight,
    finish: Finish,
) -> np.ndarray:
    """What positions of this size see of x, times weight (C, taps)."""
    out = buffers.empty((problem.images, *size, problem.channels), problem.dtype)
    whole = problem.channels * problem.dtype.itemsize % LINE == 0
    correlation(*sight.run)(
        x,
        np.ascontiguousarray(weight.T),
        finish.padded_bias(problem.channels, problem.dtype),
        finish.flat_residual(problem.dtype),
        out,
        sight.times,
        sight.shifts,
        sight.over,
        finish.slope,
        finish.most,
        whole and streams(out),
    )
    return out


def weight_grad(problem: Problem, x: np.ndarray, grad: np.ndarray) -> np.ndarray:
    """The gradient of the weight (C, 1, *taps)."""
    parts = min(PARTS, problem.images * math.prod(problem.out[:2]))
    sight = _sight(problem, _run(problem, 1), False)
    sums = np.empty((parts, problem.taps, problem.channels), problem.dtype)
    products(sight.run[1])(x, grad, sums, sight.times, sight.shifts)
    total = np.add.reduce(sums, axis=0).T
    return np.ascontiguousarray(total).reshape(problem.channels, 1, *problem.kernel)


@inner
def seen_by(
    row: int, depth: int, height: int, phase: int, pixels: int, size: tuple[int, ...], tall: int,
    width: int, high: int, times: np.ndarray, shifts: np.ndarray, over: np.ndarray,
    seen: np.ndarray,
) -> tuple[int, int, int]:  # fmt: skip
    """How many runs of `tall` rows of `width` taps see rows of the source, `high` of which lie
    under a patch, from a row and those after it, whose `pixels` are phase, phase + over, ... of
    it, and the range of pixels that see something through all taps of a row.

    Fills in `seen`, (runs, SEEN), for the source of this size (N, D, H, W, C).
    """
    h, rest = row % height, row // height
    n, d = rest // depth, rest % depth
    _, D, H, W, C = size
    count, first, stop = 0, 0, pixels
    for run in range(len(shifts)):
        i, j = d * times[0] + shifts[run, 0], h * times[1] + shifts[run, 1]
        k = phase * times[2] + shifts[run, 2]
        if i % over[0] or j % over[1] or k % over[2]:
            continue
        i, j, k = i // over[0], j // over[1], k // over[2]
        if 0 <= i < D and -high < j < H:
            seen[count, 0] = run * tall * width * C
            seen[count, 1] = (((n * D + i) * H + j) * W + k) * C
            # Pixel p looks at k + p * times[2]; -(a // b) is -a / b rounded up.
            seen[count, 2], seen[count, 3] = -(k // times[2]), -((k - W) // times[2])
            seen[count, 4], seen[count, 5] = -j, H - j
            first, stop = max(first, seen[count, 2]), min(stop, seen[count, 3] - width + 1)
            count += 1
    return count, first, stop


@inner
def fetch_patch(x: np.ndarray, i: int, step: int, pitch: int, rows: int, vectors: int) -> None:
    """Have the patch at x[i] fetched into the second cache, wherever that is."""
    for r in range(rows):
        for j in range(PIXELS):
            for v in range(vectors):
                prefetch(x, i + r * pitch + j * step + v * lanes(x))


@cache
def correlation(tall: int, width: int) -> Kernel:
    """The kernel of the way forward and of the gradient of x, over runs of `tall` rows of `width`
    taps."""
    patch, add_runs, _ = runs_of(tall, width)
    rows, vectors, load, store, add, bend = patch
    high = rows + tall - 1  # rows of the source that a patch sees through a run

    @kernel(name=f"depthwise.correlate_{tall}x{width}")
    def correlate(
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
        streamed: bool,
    ) -> None:
        # x, out: (N, D, H, W, C), the sizes being different; weight: (taps, C)
        N, depth, height, across, C = out.shape
        flat, target, filters = x.reshape(-1), out.reshape(-1), weight.reshape(-1)
        wide, x_step, out_step = vectors * lanes(x), times[2] * C, over[2] * C
        x_pitch, out_pitch, bands = x.shape[3] * C, across * C, (height + rows - 1) // rows
        for band in prange(N * depth * bands):
            seen = np.empty((len(shifts), SEEN), np.int64)
            runs = seen.reshape(-1)
            row = band // bands * height + band % bands * rows
            there = height - band % bands * rows
            for phase in range(over[2]):
                pixels = (across - phase + over[2] - 1) // over[2]
                count, low, end = seen_by(
                    row, depth, height, phase, pixels, x.shape, tall, width, high,
                    times, shifts, over, seen,
                )  # fmt: skip
                # Of what this band sees, the next one sees all but what lies after it.
                ahead = runs[max(0, count - 1) * SEEN + 1] + high * x_pitch
                for first in range(0, pixels, PIXELS):
                    place, stop = (row * across + phase + first * over[2]) * C, pixels - first
                    among = low <= first and first + PIXELS <= end
                    for c in range(0, C, wide):
                        left = C - c
                        if count > 0:
                            fetch_patch(
                                flat, ahead + first * x_step + c, x_step, x_pitch, rows, vectors
                            )
                        # All pixels begin with the same bias.
                        totals = load(bias, c, 0, 0, rows, PIXELS, left)
                        if count > 0:
                            totals = add_runs(
                                totals, flat, first * x_step + c, x_step, runs, count,
                                among and left >= wide, first, left, filters, c, C, x_pitch,
                            )  # fmt: skip
                        if len(residual) > 0:
                            more = load(residual, place + c, out_step, out_pitch, there, stop, left)
                            totals = add(totals, more)
                        if slope != 1.0 or most != np.inf:
                            totals = bend(totals, slope, most)
                        store(
                            target, place + c, out_step, out_pitch, there, stop, left, totals,
                            streamed,
                        )  # fmt: skip
            if streamed:
                drain(target)

    return correlate


@cache
def products(width: int) -> Kernel:
    """The kernel of the gradient of the weight, over runs of `width` taps."""
    patch, _, sum_runs = runs_of(1, width)
    vectors, load = patch.vectors, patch.load

    @kernel(name=f"depthwise.sum_products_{width}")
    def sum_products(
        x: np.ndarray, grad: np.ndarray, out: np.ndarray, times: np.ndarray, shifts: np.ndarray
    ) -> None:
        # x, grad: (N, D, H, W, C), the sizes being different; out: (parts, taps, C), partial sums
        # over a range of rows each
        N, depth, height, pixels, C = grad.shape
        parts, taps, _ = out.shape
        flat, source, target = x.reshape(-1), grad.reshape(-1), out.reshape(-1)
        rows, x_step, one = N * depth * height, times[2] * C, np.ones(3, np.int64)
        wide = vectors * lanes(x)
        for part in prange(parts):
            seen, sums = np.empty((len(shifts), SEEN), np.int64), part * taps * C
            runs = seen.reshape(-1)
            for i in range(sums, sums + taps * C):
                target[i] = 0
            for row in range(rows * part // parts, rows * (part + 1) // parts):
                count, low, end = seen_by(
                    row, depth, height, 0, pixels, x.shape, 1, width, 1, times, shifts, one, seen
                )
                if count == 0:
                    continue
                # Of what this row sees, the next one sees all but what lies a row further.
                ahead = runs[(count - 1) * SEEN + 1] + x.shape[3] * C
                for first in range(0, pixels, PIXELS):
                    place, stop = (row * pixels + first) * C, pixels - first
                    among = low <= first and first + PIXELS <= end
                    for c in range(0, C, wide):
                        left = C - c
                        fetch_patch(flat, ahead + first * x_step + c, x_step, 0, 1, vectors)
                        fetch_patch(source, place + pixels * C + c, C, 0, 1, vectors)
                        sum_runs(
                            load(source, place + c, C, 0, 1, stop, left), stop,
                            flat, first * x_step + c, x_step, runs, count,
                            among and left >= wide, first, left, target, sums + c, C,
                        )  # fmt: skip

    return sum_products
