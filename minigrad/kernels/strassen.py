"""Strassen's algorithm for filters of one tap: 49 multiplications where the definition takes 64.

Such a convolution is the product of a matrix, pixels by channels, with one of channels by filters.
Of matrices cut in halves both ways, 8 products of blocks make the product, or 7 of sums of blocks
(Strassen 1969, "Gaussian elimination is not optimal"); here it is done twice, in quarters. Pixels
that follow one another are in different blocks, four of them a tile. Each time the error about
doubles (Higham 2002, "Accuracy and stability of numerical algorithms", section 23.2.2).
"""

from __future__ import annotations

import math
from functools import cache, lru_cache
from itertools import accumulate
from operator import mul

import numpy as np

from minigrad.kernels.bilinear import Products, Transforms
from minigrad.kernels.bilinear_pass import FEW_TILES, Pass
from minigrad.kernels.constant_matrix import linear_map
from minigrad.kernels.direct import walk
from minigrad.kernels.direct_plan import is_pointwise
from minigrad.kernels.finish import Finish
from minigrad.kernels.jit import inner
from minigrad.kernels.packing import load_square
from minigrad.kernels.problem import Problem
from minigrad.kernels.simd import bend, lanes, load, load_some, store
from minigrad.kernels.streaming import put
from minigrad.kernels.target import target
from minigrad.kernels.vector_tuples import load_at, loads, store_each

__all__ = ["BLOCKS", "LEAST_CHANNELS", "LEAST_TILES", "PARTS", "forward", "input_grad", "suits"]

# X Y = Z, in blocks [[0, 1], [2, 3]]: of which of them a product's factors are sums, and of which
# of Z's it is part.
HALVES = (
    (
        (1, 0, 0, 1), (0, 0, 1, 1), (1, 0, 0, 0), (0, 0, 0, 1),
        (1, 1, 0, 0), (-1, 0, 1, 0), (0, 1, 0, -1),
    ),
    (
        (1, 0, 0, 1), (1, 0, 0, 0), (0, 1, 0, -1), (-1, 0, 1, 0),
        (0, 0, 0, 1), (1, 1, 0, 0), (0, 0, 1, 1),
    ),
    (
        (1, 0, 0, 1), (0, 0, 1, -1), (0, 1, 0, 1), (1, 0, 1, 0),
        (-1, 1, 0, 0), (0, 0, 0, 1), (1, 0, 0, 0),
    ),
)  # fmt: skip
PARTS = 4


def _quarters(halves: np.ndarray) -> np.ndarray:
    """The same of blocks of blocks: (49, 16), blocks row by row."""
    blocks = halves.reshape(-1, 2, 2)
    return np.kron(blocks, blocks).reshape(-1, PARTS * PARTS).astype(float)


BLOCKS = tuple([_quarters(np.array(halves)) for halves in HALVES])
"""Of X, Y and Z, (products, blocks)."""
COUNT, SQUARE = BLOCKS[0].shape

# For fewer channels, filters or tiles the transforms take what the products save.
LEAST_CHANNELS, LEAST_TILES = 256, FEW_TILES + 1


def suits(problem: Problem) -> bool:
    """Whether the algorithm computes this convolution and the gradient of its input, and wins."""
    channels, whole = (problem.channels, problem.filters), PARTS * target.lanes(4)
    if problem.dtype != np.float32 or problem.groups > 1 or not is_pointwise(problem):
        return False
    if min(channels) < LEAST_CHANNELS or any(n % whole for n in channels):
        return False
    return problem.images * math.prod(problem.out) >= LEAST_TILES * PARTS


@lru_cache(maxsize=256)
def _pass(problem: Problem, back: bool) -> Pass:
    C, K = problem.channels, problem.filters
    pixels = problem.images * math.prod(problem.out)
    x_sizes = _sizes(problem, C, problem.size, problem.stride)
    y_sizes = _sizes(problem, K, problem.out, (1, 1, 1))
    sizes = (y_sizes, x_sizes) if back else (x_sizes, y_sizes)
    depth, columns = (int(lengths[1]) for lengths in sizes)
    dense = problem.out == problem.size
    return Pass(
        transforms(),
        problem.dtype,
        (problem.images, *(problem.size if back else problem.out), columns * PARTS),
        -(-pixels // PARTS),
        depth,
        columns,
        sizes[0],
        np.array([columns, C, depth, back]),
        sizes[1],
        dense or not back,
        (depth * PARTS * PARTS, columns * PARTS * PARTS) if dense else (0, 0),
    )


def _sizes(
    problem: Problem, channels: int, size: tuple[int, ...], stride: tuple[int, ...]
) -> np.ndarray:
    """Pixels, channels of a part, the grid of pixels, and how far they are apart in memory."""
    grid = problem.images, *problem.out
    rows = list(accumulate((channels, *size[::-1]), mul))[::-1]
    steps = [row * s for row, s in zip(rows, (1, *stride), strict=True)]
    return np.array([math.prod(grid), channels // PARTS, *grid, *steps])


def forward(problem: Problem, x: np.ndarray, weight: np.ndarray, finish: Finish) -> np.ndarray:
    """x (N, D, H, W, C), weight (K, C, 1, 1, 1) -> (N, OD, OH, OW, K)."""
    return _pass(problem, False)(x, weight, finish)


def input_grad(problem: Problem, grad: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """The gradient of x from that of the output."""
    return _pass(problem, True)(grad, weight, Finish())


@cache
def transforms() -> Transforms:
    """Those of a product in quarters."""
    every, step = np.arange(COUNT), target.lanes(4)
    return Transforms(
        "strassen",
        Products.of(every, every, every),
        values=COUNT,
        filters=COUNT,
        sums=COUNT,
        seen=SQUARE,
        room=SQUARE,
        weight_room=SQUARE * step,
        weight_rows=weight_rows,
        input_tile=input_tile,
        output_tile=output_tile,
    )


load_rows, load_blocks, load_sums = loads(SQUARE), load_at(SQUARE), loads(COUNT)
x_values, y_values, z_blocks = map(linear_map, (BLOCKS[0], BLOCKS[1], BLOCKS[2].T))


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
    """out[place + i * plane + (d - first) * wide : + wide] = value i of the filters from `column`
    of each part on, at the depths first <= d < stop of each.

    sizes: filters of a part, columns of the weight, depths of a part, whether its rows are depths.
    `taps` has room for a square of each block.
    """
    columns, across, depth, turned = sizes[0], sizes[1], sizes[2], sizes[3]
    step = lanes(weight)
    for v in range(0, wide, step):
        # A vector of columns is in the weight or beyond it as a whole.
        rows = step if column + v < columns else 0
        for d in range(first, stop, step):
            for block in range(SQUARE):
                deep = block // PARTS * depth + d
                right = block % PARTS * columns + min(column + v, columns - step)
                if turned:
                    for i in range(step):
                        source = (deep + i) * across + right
                        store(taps, (block * step + i) * step, load_some(weight, source, rows))
                else:
                    square = load_square(weight, right * across + deep, across, rows, step)
                    store_each(taps, block * step * step, step, square)
            for i in range(step):
                blocks = load_rows(taps, i * step, step * step)
                target = place + (d + i - first) * wide + v
                store_each(out, target, plane, y_values(weight, blocks))


@inner
def find_pixels(starts: np.ndarray, sizes: np.ndarray, tile: int) -> int:
    """Where the pixels of a tile begin; returns how many there are."""
    count = min(PARTS, sizes[0] - tile * PARTS)
    walk(starts, tile * PARTS, count, sizes[2:6], sizes[6:10], 0)
    return count


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
    """Value i of the tile of this number, channel c of each part, at place + i * plane + c of
    `out`. Pixels beyond the last are like it.

    sizes: pixels, channels of a part, the grid of pixels and its steps.
    """
    depth, step = sizes[1], lanes(x)
    starts, places = np.empty(PARTS, np.int64), np.empty(SQUARE, np.int64)
    find_pixels(starts, sizes, tile)
    for i in range(SQUARE):
        places[i] = starts[i // PARTS] + i % PARTS * depth
    for c in range(0, depth, step):
        store_each(out, place + c, plane, x_values(x, load_blocks(x, c, places)))


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
    """Channels first <= k < stop of each part of the tile of this number of `out` = finish(bias +
    the blocks of the sums at place).

    sizes: as above. Streamed, it goes past the caches.
    """
    depth, step = sizes[1], lanes(out)
    starts = np.empty(PARTS, np.int64)
    count = find_pixels(starts, sizes, tile)
    for k in range(first, stop, step):
        blocks = z_blocks(out, load_sums(sums, place + k - first, plane))
        store_each(half, 0, step, blocks)
        for i in range(count * PARTS):
            channel = i % PARTS * depth + k
            target = starts[i // PARTS] + channel
            y = load(half, i * step) + load(bias, channel)
            if len(residual) > 0:
                y = y + load(residual, target)
            put(out, target, bend(y, slope, most), step, streamed)
