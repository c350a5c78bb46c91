"""The gradient of an input of few channels: every pixel of the cotangent is spread over its window.

`direct` sums for every pixel of the input, and has a vector for its few channels. Here a vector
runs along a row of the window, whose pixels lie side by side in memory, and no zeros are summed
around the cotangent. A job's images fit in the second cache, with their padding around them.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from minigrad.kernels import buffers
from minigrad.kernels.direct import walk
from minigrad.kernels.jit import kernel, prange
from minigrad.kernels.problem import Problem
from minigrad.kernels.simd import (
    ARRAY,
    INTEGER,
    address,
    first_lanes,
    lanes,
    nothing,
    primitive,
    read_some,
    unpacked,
    write_some,
)
from minigrad.kernels.target import target
from minigrad.kernels.tile import (
    MOST_ROWS,
    TileType,
    row_pointers,
    tiling,
    tiling_for,
)

__all__ = ["input_grad", "suits"]

FORM = tiling(2, min(MOST_ROWS, target.rows(2)))
# Bytes of a job's images: of one at least.
IMAGE_BYTES = 1 << 18
# Jobs there are at least, if there are as many images.
JOBS = 16
# Fewer products than this are not worth adding to memory.
LEAST_PRODUCTS = 8
# Products that are summed in one go, which rounds less than one long sum.
LONGEST_SUM = 128


class _Plan(NamedTuple):
    """Where rows of the cotangent, and of the windows, go to in a job's images."""

    images: int  # of a job
    padded: np.ndarray  # their depth, height, and numbers of a row
    inside: np.ndarray  # where in them the input begins, counted likewise
    sizes: np.ndarray  # the grid of a job's rows: 1, images, depth, height
    steps: np.ndarray  # how far apart in memory they begin
    taps: np.ndarray  # where a window's rows begin, counted from the window's first number
    step: int  # from one window to the next in a row


@lru_cache(maxsize=1024)
def suits(problem: Problem) -> bool:
    """Whether this takes at least a quarter less multiplications than summing for every pixel."""
    *_, width = problem.axes
    numbers, wide = width.kernel * problem.channels, FORM.columns(problem.dtype)
    if problem.channels > wide // FORM.vectors:
        return False
    adjoining = problem.groups == 1 and (width.dilation == 1 or width.kernel == 1)
    image = math.prod(problem.padded) * problem.channels * problem.dtype.itemsize
    if not adjoining or problem.filters < LEAST_PRODUCTS or image > IMAGE_BYTES:
        return False
    pixels = math.prod(problem.size)
    columns = tiling_for(problem.images * pixels, problem.channels, problem.dtype)
    own = math.prod(problem.out) * -(-numbers // wide) * wide
    per_pixel = -(-problem.channels // columns.columns(problem.dtype))
    other = pixels * width.kernel * per_pixel * columns.columns(problem.dtype)
    return 4 * own * math.prod(problem.stride) <= 3 * other


@lru_cache(maxsize=256)
def _plan(problem: Problem) -> _Plan:
    channels, (depth, height, width) = problem.channels, problem.axes
    D, H, W = problem.padded
    image = np.array([D * H * W, H * W, W]) * channels
    rows = depth.out * height.out
    most = max(1, IMAGE_BYTES // int(image[0] * problem.dtype.itemsize))
    most = max(1, min(most, problem.images // JOBS, 2 * FORM.rows))
    # As many images as leave the fewest rows of tiles empty.
    images = min(range(1, most + 1), key=lambda n: -(-n * rows // FORM.rows) / n)
    taps = np.arange(depth.kernel)[:, None] * depth.dilation * image[1]
    taps = taps + np.arange(height.kernel) * height.dilation * image[2]
    return _Plan(
        images,
        np.array([D, H, W * channels]),
        np.array([depth.before, height.before, width.before * channels]),
        np.array([1, images, depth.out, height.out]),
        np.array([0, image[0], depth.stride * image[1], height.stride * image[2]]),
        taps.reshape(-1),
        width.stride * channels,
    )


def input_grad(problem: Problem, grad: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """The gradient of x (N, D, H, W, C) from grad (N, OD, OH, OW, K), weight (K, C, *taps)."""
    plan, filters, channels = _plan(problem), problem.filters, problem.channels
    depth, height, width = problem.kernel
    wide, numbers = FORM.columns(problem.dtype), width * channels
    panels = np.zeros((depth * height, filters, -(-numbers // wide) * wide), problem.dtype)
    by_row = weight.reshape(filters, channels, depth * height, width).transpose(2, 0, 3, 1)
    panels[:, :, :numbers].reshape(*panels.shape[:2], width, channels)[...] = by_row
    out = buffers.empty((problem.images, *problem.size, channels), problem.dtype)
    _spread(
        grad.reshape(-1),
        panels.reshape(-1),
        panels.shape[2],
        numbers,
        out.reshape(*out.shape[:3], -1),
        plan.images,
        plan.padded,
        plan.inside,
        plan.sizes,
        plan.steps,
        plan.taps,
        plan.step,
        problem.out[2],
        filters,
    )
    return out


ROWS, WIDE = FORM.rows, FORM.vectors
start, multiply_add = FORM.start, FORM.multiply_add


def pour(
    tile: np.ndarray, x: np.ndarray, starts: np.ndarray, first: int, place: int, width: int
) -> None:
    """x[starts[first + i] + place :] += row i, the first `width` columns of it."""
    width = max(0, min(width, tile.shape[1]))
    for i, row in enumerate(tile):
        begin = starts[first + i] + place
        x[begin : begin + width] += row[:width]


@primitive(pour, nothing, TileType, ARRAY, ARRAY, INTEGER, INTEGER, INTEGER)
def _(builder: Any, kinds: Any, values: Any) -> None:
    kind, vector = kinds[0], kinds[0].vector
    tile, x, starts, first, place, width = values
    sums, across = unpacked(builder, tile), [kind.columns_from(v) for v in range(WIDE)]
    masks = [first_lanes(builder, vector, builder.sub(width, column)) for column in across]
    for i, pointer in enumerate(row_pointers(builder, ROWS, x, starts, first)):
        for v, (column, mask) in enumerate(zip(across, masks, strict=True)):
            where = address(builder, vector, pointer, builder.add(place, column))
            total = builder.fadd(sums[i * WIDE + v], read_some(builder, vector, where, mask))
            write_some(builder, vector, total, where, mask)


@kernel
def _spread(
    grad: np.ndarray,
    panels: np.ndarray,
    across: int,
    numbers: int,
    out: np.ndarray,
    many: int,
    padded: np.ndarray,
    inside: np.ndarray,
    sizes: np.ndarray,
    steps: np.ndarray,
    taps: np.ndarray,
    step: int,
    positions: int,
    filters: int,
) -> None:
    # grad: flat (images * rows, positions, filters); panels: flat (rows of a window, filters,
    # across), of which `numbers` are meant; out: (N, D, H, W * C)
    N, D, H, length = out.shape
    wide, per_image = WIDE * lanes(grad), padded[0] * padded[1] * padded[2]
    per_job, chunks = sizes[1] * sizes[2] * sizes[3], (filters + LONGEST_SUM - 1) // LONGEST_SUM
    zeros, runs = np.zeros(wide, grad.dtype), np.empty(positions * chunks, np.int64)
    for i in range(len(runs)):
        runs[i] = i // chunks * filters + i % chunks * LONGEST_SUM
    for job in prange((N + many - 1) // many):
        images = min(many, N - job * many)
        rows = images * sizes[2] * sizes[3]
        # One image more, for the rows that fill up the last tile.
        sums = np.zeros((images + 1) * per_image, grad.dtype)
        begins, ends = np.empty(rows + ROWS, np.int64), np.empty(rows + ROWS, np.int64)
        walk(ends, 0, rows, sizes, steps, 0)
        ends[rows:] = images * per_image
        for row in range(rows + ROWS):
            begins[row] = (job * per_job + min(row, rows - 1)) * positions * filters
        # The rows of a tile are added to different rows of the images: to no number twice.
        for row in range(0, rows, ROWS):
            for position in range(positions):
                for tap in range(len(taps)):
                    for column in range(0, across, wide):
                        place, width = position * step + taps[tap] + column, numbers - column
                        for chunk in range(chunks):
                            k = chunk * LONGEST_SUM
                            count = min(LONGEST_SUM, filters - k)
                            tile = multiply_add(
                                start(zeros, 0), grad, begins, row,
                                runs, position * chunks + chunk, 1, count, 1,
                                panels, (tap * filters + k) * across + column, across,
                            )  # fmt: skip
                            pour(tile, sums, ends, row, place, width)
        for line in range(images * D * H):
            n, d, h = line // (D * H), line // H % D, line % H
            first = ((n * padded[0] + d + inside[0]) * padded[1] + h + inside[1]) * padded[2]
            out[job * many + n, d, h, :] = sums[first + inside[2] : first + inside[2] + length]
