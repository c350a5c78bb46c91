"""Winograd's convolution: 36 multiplications where the direct sum takes 144, or 100.

Between the transforms stand 36 matrix products, tiles by channels by filters. What is kept in the
cache is a matter of sizes: the transformed tiles, a block of them at a time, or, where the filters
outweigh the image, the transformed filters.
"""

from __future__ import annotations

from functools import cache, lru_cache

import numpy as np

from minigrad.kernels import buffers
from minigrad.kernels.finish import Finish
from minigrad.kernels.jit import Kernel, kernel, most_threads, prange
from minigrad.kernels.problem import Problem
from minigrad.kernels.simd import lanes, take
from minigrad.kernels.streaming import LINE, drain, streams
from minigrad.kernels.target import target
from minigrad.kernels.tile import tiling, tiling_for
from minigrad.kernels.winograd_points import PRODUCTS, TILE
from minigrad.kernels.winograd_transform import TAPS, outputs, transforms

__all__ = ["forward", "input_grad", "suits"]

# Tiles of the output that lie half outside waste what the algorithm saves.
LEAST_USED = 0.5
# With so many tiles or fewer, the filters are taken in panels.
FEW_TILES = 160
# Channels that are summed in one go, and whose filters are transformed together. Sums of sums
# round less: with 512 channels half as much as one long sum.
DEPTHS = 128
# Transformed filters up to this size are read again for each block of tiles from the last cache;
# larger ones come from memory, and blocks of tiles must be larger to make up for it.
CACHED = 16 << 20
SMALL_BLOCK, LARGE_BLOCK = 1, 4


def suits(problem: Problem) -> bool:
    """Whether the algorithm computes this convolution and its gradients, and wins."""
    (depth, height, width), wide = problem.axes, target.lanes(4)
    if problem.dtype != np.float32 or problem.groups > 1:
        return False
    if problem.empty:
        return False
    if (depth.size, depth.out, depth.kernel, depth.before) != (1, 1, 1, 0):
        return False
    if height.kernel != width.kernel or width.kernel not in TAPS:
        return False
    if {height.stride, width.stride, height.dilation, width.dilation} != {1}:
        return False
    side = outputs(width.kernel)
    used = height.out * width.out / (_covered(height.out, side) * _covered(width.out, side))
    return min(problem.channels, problem.filters) >= wide and used >= LEAST_USED


def _covered(out: int, side: int) -> int:
    """How far tiles of this side reach that cover an axis of the output."""
    return -(-out // side) * side


class _Direction:
    """A pass forward, or back to the input: the same but for what is filters and what channels."""

    def __init__(self, problem: Problem, back: bool) -> None:
        _, height, width = problem.axes
        C, K, taps = problem.channels, problem.filters, problem.taps
        self.taps, side = width.kernel, outputs(width.kernel)
        if back:
            self.depth, self.columns = K, C
            self.rows, self.out = (height.out, width.out), (height.size, width.size)
            # An input pixel is reached from so far before it in the output.
            before = self.taps - 1 - height.before, self.taps - 1 - width.before
            self.weight = np.array([C, taps, C * taps, 1])
        else:
            self.depth, self.columns = C, K
            self.rows, self.out = (height.size, width.size), (height.out, width.out)
            before = height.before, width.before
            self.weight = np.array([K, C * taps, taps, 0])
        grid = -(-self.out[0] // side), -(-self.out[1] // side)
        self.tiles = problem.images * grid[0] * grid[1]
        self.x_sizes = np.array([*self.rows, self.depth, *grid, *before])
        self.out_sizes = np.array([*self.out, self.columns, *grid])
        self.form = tiling_for(self.tiles, self.columns, problem.dtype, whole=True)
        step = target.lanes(problem.dtype.itemsize)
        self.wide = -(-self.depth // step) * step
        # One vector more: rows a power of two apart would meet in the same lines of the cache.
        self.stride = self.wide + step
        self.panel = self.form.columns(problem.dtype)
        self.panels = -(-self.columns // self.panel)


@lru_cache(maxsize=256)
def _direction(problem: Problem, back: bool) -> _Direction:
    return _Direction(problem, back)


def forward(problem: Problem, x: np.ndarray, weight: np.ndarray, finish: Finish) -> np.ndarray:
    """x (N, 1, H, W, C), weight (K, C, 1, R, R) -> (N, 1, OH, OW, K)."""
    return _convolve(_direction(problem, False), problem, x, weight, finish)


def input_grad(problem: Problem, grad: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """The gradient of x from that of the output: the same with turned filters."""
    return _convolve(_direction(problem, True), problem, grad, weight, Finish())


def _convolve(
    way: _Direction, problem: Problem, x: np.ndarray, weight: np.ndarray, finish: Finish
) -> np.ndarray:
    dtype, threads = problem.dtype, most_threads()
    out = buffers.empty((problem.images, 1, *way.out, way.columns), dtype)
    bias = finish.padded_bias(way.panels * way.panel, dtype)
    residual = finish.flat_residual(dtype)
    # Whole vectors only are stored past the caches.
    streamed = not way.columns * dtype.itemsize % LINE and streams(out)
    if way.tiles <= FEW_TILES:
        block = min(DEPTHS, way.depth)
        over_filters(way.taps, *way.form.key)(
            x.reshape(-1),
            way.x_sizes,
            weight.reshape(-1),
            way.weight,
            bias,
            residual,
            out.reshape(-1),
            way.out_sizes,
            way.tiles,
            block,
            way.wide,
            way.stride,
            way.panel,
            buffers.empty((PRODUCTS * way.tiles * way.stride,), dtype),
            buffers.empty((threads, PRODUCTS * (block * way.panel + target.lanes(4))), dtype),
            buffers.empty((threads, PRODUCTS * way.tiles * way.panel), dtype),
            finish.slope,
            finish.most,
            streamed,
            np.zeros(1, np.int64),
        )
        return out
    panels = buffers.empty((PRODUCTS, way.panels, way.depth, way.panel), dtype)
    transform_weights(way.taps)(weight.reshape(-1), way.weight, panels)
    block = way.form.rows * (SMALL_BLOCK if panels.nbytes <= CACHED else LARGE_BLOCK)
    across = way.panels * way.panel + target.lanes(dtype.itemsize)
    over_tiles(way.taps, *way.form.key)(
        x.reshape(-1),
        way.x_sizes,
        panels,
        bias,
        residual,
        out.reshape(-1),
        way.out_sizes,
        way.tiles,
        block,
        way.wide,
        way.stride,
        buffers.empty((threads, PRODUCTS * block * way.stride), dtype),
        buffers.empty((threads, PRODUCTS * block * across), dtype),
        finish.slope,
        finish.most,
        streamed,
        np.zeros(1, np.int64),
    )
    return out


@cache
def transform_weights(taps: int) -> Kernel:
    """The kernel that transforms all filters, these being `taps` wide."""
    weight_rows = transforms(taps).weight_rows

    @kernel(name=f"winograd.transform_weights_{taps}")
    def transform_filters(weight: np.ndarray, sizes: np.ndarray, panels: np.ndarray) -> None:
        # panels: (36, panels, depth, columns of one)
        _, count, depth, wide = panels.shape
        flat, step = panels.reshape(-1), lanes(weight)
        for job in prange(count):
            room = np.empty((taps * taps + step) * step, weight.dtype)
            half = np.empty(TILE * taps * step, weight.dtype)
            weight_rows(
                weight, sizes, job * wide, 0, depth, room, half,
                flat, job * depth * wide, count * depth * wide, wide,
            )  # fmt: skip

    return transform_filters


@cache
def over_tiles(taps: int, vectors: int, rows: int, narrow: int) -> Kernel:
    """The kernel that takes the tiles in blocks, all channels of a block at once.

    The transformed weights are read anew for each block, the transformed tiles stay in the cache.
    """
    form, way = tiling(vectors, rows, narrow), transforms(taps)
    ROWS, VECTORS, start, add = form.rows, form.vectors, form.start, form.add
    multiply_add, save = form.multiply_add, form.save
    input_tile, output_tile = way.input_tile, way.output_tile

    @kernel(name=f"winograd.over_tiles_{taps}_{vectors}_{rows}_{narrow}")
    def convolve_tiles(
        x: np.ndarray,
        x_sizes: np.ndarray,
        panels: np.ndarray,
        bias: np.ndarray,
        residual: np.ndarray,
        out: np.ndarray,
        out_sizes: np.ndarray,
        tiles: int,
        block: int,
        wide: int,
        stride: int,
        transformed: np.ndarray,
        products: np.ndarray,
        slope: float,
        most: float,
        streamed: bool,
        queue: np.ndarray,
    ) -> None:
        # panels: (36, panels, depth, columns of one); transformed: (threads, 36 * block * stride);
        # products: (threads, 36 * block * (panels' columns + one vector))
        _, count, depth, panel_columns = panels.shape
        flat, across = panels.reshape(-1), count * panel_columns + lanes(x)
        parts = (depth + DEPTHS - 1) // DEPTHS
        runs = np.empty(PRODUCTS * parts, np.int64)
        for product in range(PRODUCTS):
            for part in range(parts):
                runs[product * parts + part] = product * block * stride + part * DEPTHS
        starts, ends = np.empty(block + ROWS, np.int64), np.empty(block + ROWS, np.int64)
        for row in range(block + ROWS):
            starts[row], ends[row] = min(row, block - 1) * stride, min(row, block - 1) * across
        nothing = np.zeros(panel_columns, x.dtype)
        step = lanes(x)
        for worker in prange(len(transformed)):
            # Here the compiler knows it, and needs no masks.
            columns = VECTORS * lanes(x)
            v, m = transformed[worker], products[worker]
            patch = np.empty(PRODUCTS * wide, x.dtype)
            half = np.empty(PRODUCTS * step, x.dtype)
            job = take(queue, 0)
            while job < (tiles + block - 1) // block:
                first = job * block
                height = min(block, tiles - first)
                for tile in range(height):
                    input_tile(
                        x, x_sizes, first + tile, patch, half,
                        v, tile * stride, block * stride, wide, wide, 0,
                    )  # fmt: skip
                for product in range(PRODUCTS):
                    for panel in range(count):
                        source = (product * count + panel) * depth * columns
                        target = product * block * across + panel * columns
                        for begin in range(0, depth, DEPTHS):
                            for row in range(0, height, ROWS):
                                sums = multiply_add(
                                    start(nothing, 0), v, starts, row,
                                    runs, product * parts + begin // DEPTHS, 1,
                                    min(DEPTHS, depth - begin), 1,
                                    flat, source + begin * columns, columns,
                                )  # fmt: skip
                                if begin > 0:
                                    sums = add(sums, m, ends, row, ROWS, target, columns)
                                save(sums, m, ends, row, ROWS, target, columns, False)
                for tile in range(height):
                    output_tile(
                        m, tile * across, block * across, half, bias, residual, out, out_sizes,
                        first + tile, 0, out_sizes[2], slope, most, streamed,
                    )  # fmt: skip
                job = take(queue, 0)
            drain(out)

    return convolve_tiles


@cache
def over_filters(taps: int, vectors: int, rows: int, narrow: int) -> Kernel:
    """The kernel that takes the filters in panels, all tiles at once: for few tiles.

    The transformed tiles are read anew for each panel; of the transformed weights, which can be
    larger than all else together, only a part that stays in the cache exists at a time.
    """
    form, way = tiling(vectors, rows, narrow), transforms(taps)
    ROWS, VECTORS, start, add = form.rows, form.vectors, form.start, form.add
    multiply_add, save = form.multiply_add, form.save
    input_tile, output_tile, weight_rows = way.input_tile, way.output_tile, way.weight_rows

    @kernel(name=f"winograd.over_filters_{taps}_{vectors}_{rows}_{narrow}")
    def convolve_filters(
        x: np.ndarray,
        x_sizes: np.ndarray,
        weight: np.ndarray,
        weight_sizes: np.ndarray,
        bias: np.ndarray,
        residual: np.ndarray,
        out: np.ndarray,
        out_sizes: np.ndarray,
        tiles: int,
        block: int,
        wide: int,
        stride: int,
        panel_columns: int,
        transformed: np.ndarray,
        panels: np.ndarray,
        products: np.ndarray,
        slope: float,
        most: float,
        streamed: bool,
        queue: np.ndarray,
    ) -> None:
        # transformed: (36 * tiles * stride); panels: (threads, 36 * block * columns), block being
        # depths; products: (threads, 36 * tiles * columns)
        depth, step = x_sizes[2], lanes(x)
        # One vector more, as above.
        spread = block * panel_columns + step
        runs = np.empty(PRODUCTS, np.int64)
        for product in range(PRODUCTS):
            runs[product] = product * tiles * stride
        ends = np.empty(tiles + ROWS, np.int64)
        for row in range(tiles + ROWS):
            ends[row] = min(row, tiles - 1) * panel_columns
        nothing = np.zeros(panel_columns, x.dtype)
        for tile in prange(tiles):
            patch = np.empty(PRODUCTS * wide, x.dtype)
            half = np.empty(PRODUCTS * step, x.dtype)
            place, plane = tile * stride, tiles * stride
            input_tile(x, x_sizes, tile, patch, half, transformed, place, plane, wide, wide, 0)
        for worker in prange(len(panels)):
            # Here the compiler knows it, and needs no masks.
            columns = VECTORS * lanes(x)
            u, m = panels[worker], products[worker]
            room = np.empty((taps * taps + step) * step, x.dtype)
            half = np.empty(PRODUCTS * step, x.dtype)
            starts = np.empty(tiles + ROWS, np.int64)
            panel = take(queue, 0)
            while panel < (weight_sizes[0] + columns - 1) // columns:
                column = panel * columns
                for first in range(0, depth, block):
                    stop = min(depth, first + block)
                    weight_rows(
                        weight, weight_sizes, column, first, stop, room, half,
                        u, 0, spread, columns,
                    )  # fmt: skip
                    for row in range(tiles + ROWS):
                        starts[row] = min(row, tiles - 1) * stride + first
                    for product in range(PRODUCTS):
                        target = product * tiles * columns
                        for row in range(0, tiles, ROWS):
                            sums = multiply_add(
                                start(nothing, 0), transformed, starts, row, runs, product, 1,
                                stop - first, 1, u, product * spread, columns,
                            )  # fmt: skip
                            if first > 0:
                                sums = add(sums, m, ends, row, ROWS, target, columns)
                            save(sums, m, ends, row, ROWS, target, columns, False)
                stop = min(weight_sizes[0], column + columns)
                for tile in range(tiles):
                    output_tile(
                        m, tile * columns, tiles * columns, half, bias, residual, out, out_sizes,
                        tile, column, stop, slope, most, streamed,
                    )  # fmt: skip
                panel = take(queue, 0)
            drain(out)

    return convolve_filters
