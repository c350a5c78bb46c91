"""Winograd's convolution: 36 multiplications where the direct sum takes 144.

Between the transforms stand matrix products, tiles by channels by filters: with a stride of 1 one
for each value of a tile, with a stride of 2 sums of up to four. What is kept in the cache is a
matter of sizes: the transformed tiles, a block of them at a time, or, where the filters
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
from minigrad.kernels.window import Axis
from minigrad.kernels.winograd_points import FILTERINGS, Kind, products_of
from minigrad.kernels.winograd_transform import transforms

__all__ = ["forward", "input_grad", "kind_of", "named", "suits"]

# Tiles of the output that lie half outside waste what the algorithm saves: by stride, the part of
# them that must be used.
LEAST_USED = {1: 0.5, 2: 0.8}
# With so many tiles or fewer, the filters are taken in panels.
FEW_TILES = 160
# Channels that are summed in one go. Sums of sums round less: with 512 channels half as much as one
# long sum.
DEPTHS = 128
# Values of filters that are transformed together, times channels.
PANEL = 36 * 128
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
    if height.kernel != width.kernel or height.stride != width.stride:
        return False
    if kind_of(problem) not in FILTERINGS or {height.dilation, width.dilation} != {1}:
        return False
    side = FILTERINGS[kind_of(problem)].outputs
    used = height.out * width.out / (_covered(height.out, side) * _covered(width.out, side))
    return min(problem.channels, problem.filters) >= wide and used >= LEAST_USED[width.stride]


def kind_of(problem: Problem, back: bool = False) -> Kind:
    """Which of `FILTERINGS` computes it, or the gradient of its input, if one does."""
    width = problem.axes[2]
    return width.kernel, width.stride, back and width.stride > 1


def _covered(out: int, side: int) -> int:
    """How far tiles of this side reach that cover an axis of the output."""
    return -(-out // side) * side


class _Direction:
    """A pass forward, or back to the input: the same but for what is filters and what channels."""

    def __init__(self, problem: Problem, back: bool) -> None:
        _, height, width = problem.axes
        C, K, taps = problem.channels, problem.filters, problem.taps
        self.kind = kind_of(problem, back)
        filtering = FILTERINGS[self.kind]
        self.products = products_of(self.kind)
        self.values, self.filters, self.sums = (
            len(matrix) ** 2 for matrix in (filtering.B, filtering.G, filtering.A)
        )
        if back:
            self.depth, self.columns = K, C
            self.rows, self.out = (height.out, width.out), (height.size, width.size)
            self.weight = np.array([C, taps, C * taps, 1])
        else:
            self.depth, self.columns = C, K
            self.rows, self.out = (height.size, width.size), (height.out, width.out)
            self.weight = np.array([K, C * taps, taps, 0])
        begins = [_begin(axis, back) for axis in (height, width)]
        before, above = zip(*begins, strict=True)
        side = filtering.outputs
        grid = [-(-(n + begin) // side) for n, begin in zip(self.out, above, strict=True)]
        self.tiles = problem.images * grid[0] * grid[1]
        self.x_sizes = np.array([*self.rows, self.depth, *grid, *before])
        self.out_sizes = np.array([*self.out, self.columns, *grid, *above])
        self.form = tiling_for(self.tiles, self.columns, problem.dtype, whole=True)
        step = target.lanes(problem.dtype.itemsize)
        self.wide = -(-self.depth // step) * step
        # One vector more: rows a power of two apart would meet in the same lines of the cache.
        self.stride = self.wide + step
        self.panel = self.form.columns(problem.dtype)
        self.panels = -(-self.columns // self.panel)


def _begin(axis: Axis, back: bool) -> tuple[int, int]:
    """How far before an axis of the source, and of the result, the first tile begins."""
    if not back:
        return axis.before, 0
    # An input pixel is reached from so far before it in the output.
    if axis.stride == 1:
        return axis.kernel - 1 - axis.before, 0
    # Tiles begin with a pixel that is seen by the middle tap only.
    above = 1 - axis.before % 2
    return (1 - axis.before + above) // 2, above


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
    planes = way.products.inputs, way.products.filters, way.products.firsts
    if way.tiles <= FEW_TILES:
        block = min(PANEL // way.filters, way.depth)
        over_filters(way.kind, *way.form.key)(
            x.reshape(-1),
            way.x_sizes,
            weight.reshape(-1),
            way.weight,
            *planes,
            bias,
            residual,
            out.reshape(-1),
            way.out_sizes,
            way.tiles,
            block,
            way.wide,
            way.stride,
            way.panel,
            buffers.empty((way.values * way.tiles * way.stride,), dtype),
            buffers.empty((threads, way.filters * (block * way.panel + target.lanes(4))), dtype),
            buffers.empty((threads, way.sums * way.tiles * way.panel), dtype),
            finish.slope,
            finish.most,
            streamed,
            np.zeros(1, np.int64),
        )
        return out
    panels = buffers.empty((way.filters, way.panels, way.depth, way.panel), dtype)
    transform_weights(way.kind)(weight.reshape(-1), way.weight, panels)
    block = way.form.rows * (SMALL_BLOCK if panels.nbytes <= CACHED else LARGE_BLOCK)
    across = way.panels * way.panel + target.lanes(dtype.itemsize)
    over_tiles(way.kind, *way.form.key)(
        x.reshape(-1),
        way.x_sizes,
        panels,
        *planes,
        bias,
        residual,
        out.reshape(-1),
        way.out_sizes,
        way.tiles,
        block,
        way.wide,
        way.stride,
        buffers.empty((threads, way.values * block * way.stride), dtype),
        buffers.empty((threads, way.sums * block * across), dtype),
        finish.slope,
        finish.most,
        streamed,
        np.zeros(1, np.int64),
    )
    return out


@cache
def transform_weights(kind: Kind) -> Kernel:
    """The kernel that transforms all filters."""
    taps, way, called = kind[0], transforms(kind), named(kind)
    weight_rows, ROOM = way.weight_rows, way.room

    @kernel(name=f"winograd.transform_weights_{called}")
    def transform_filters(weight: np.ndarray, sizes: np.ndarray, panels: np.ndarray) -> None:
        # panels: (values, panels, depth, columns of one)
        _, count, depth, wide = panels.shape
        flat, step = panels.reshape(-1), lanes(weight)
        for job in prange(count):
            room = np.empty((taps * taps + step) * step, weight.dtype)
            half = np.empty(ROOM * step, weight.dtype)
            weight_rows(
                weight, sizes, job * wide, 0, depth, room, half,
                flat, job * depth * wide, count * depth * wide, wide,
            )  # fmt: skip

    return transform_filters


def named(kind: Kind) -> str:
    """What tells the kernels of a kind apart."""
    taps, stride, back = kind
    return f"{taps}_{stride}_{'back' if back else 'both' if stride == 1 else 'forward'}"


@cache
def over_tiles(kind: Kind, vectors: int, rows: int, narrow: int) -> Kernel:
    """The kernel that takes the tiles in blocks, all channels of a block at once.

    The transformed weights are read anew for each block, the transformed tiles stay in the cache.
    """
    form, way, SEEN = tiling(vectors, rows, narrow), transforms(kind), FILTERINGS[kind].seen
    ROWS, VECTORS, start, add = form.rows, form.vectors, form.start, form.add
    multiply_add, save = form.multiply_add, form.save
    input_tile, output_tile, ROOM = way.input_tile, way.output_tile, way.room
    called = named(kind)

    @kernel(name=f"winograd.over_tiles_{called}_{vectors}_{rows}_{narrow}")
    def convolve_tiles(
        x: np.ndarray,
        x_sizes: np.ndarray,
        panels: np.ndarray,
        inputs: np.ndarray,
        filters: np.ndarray,
        firsts: np.ndarray,
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
        # panels: (filters' values, panels, depth, columns of one); products firsts[s] <= p <
        # firsts[s + 1] are of the values inputs[p] and filters[p]; transformed: (threads, values *
        # block * stride); products: (threads, sums * block * (panels' columns + one vector))
        _, count, depth, panel_columns = panels.shape
        flat, across = panels.reshape(-1), count * panel_columns + lanes(x)
        parts = (depth + DEPTHS - 1) // DEPTHS
        runs = np.empty(len(inputs) * parts, np.int64)
        for i in range(len(runs)):
            runs[i] = inputs[i // parts] * block * stride + i % parts * DEPTHS
        starts, ends = np.empty(block + ROWS, np.int64), np.empty(block + ROWS, np.int64)
        for i in range(block + ROWS):
            starts[i], ends[i] = min(i, block - 1) * stride, min(i, block - 1) * across
        nothing = np.zeros(panel_columns, x.dtype)
        step = lanes(x)
        for worker in prange(len(transformed)):
            # Here the compiler knows it, and needs no masks.
            columns = VECTORS * lanes(x)
            v, m = transformed[worker], products[worker]
            patch = np.empty(SEEN * SEEN * wide, x.dtype)
            half = np.empty(ROOM * step, x.dtype)
            job = take(queue, 0)
            while job < (tiles + block - 1) // block:
                first = job * block
                height = min(block, tiles - first)
                for tile in range(height):
                    input_tile(
                        x, x_sizes, first + tile, patch, half,
                        v, tile * stride, block * stride, wide, wide, 0,
                    )  # fmt: skip
                for total in range(len(firsts) - 1):
                    for panel in range(count):
                        target = total * block * across + panel * columns
                        for begin in range(0, depth, DEPTHS):
                            for row in range(0, height, ROWS):
                                sums = start(nothing, 0)
                                for product in range(firsts[total], firsts[total + 1]):
                                    source = (filters[product] * count + panel) * depth + begin
                                    sums = multiply_add(
                                        sums, v, starts, row,
                                        runs, product * parts + begin // DEPTHS, 1,
                                        min(DEPTHS, depth - begin), 1,
                                        flat, source * columns, columns,
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
def over_filters(kind: Kind, vectors: int, rows: int, narrow: int) -> Kernel:
    """The kernel that takes the filters in panels, all tiles at once: for few tiles.

    The transformed tiles are read anew for each panel; of the transformed weights, which can be
    larger than all else together, only a part that stays in the cache exists at a time.
    """
    form, way, SEEN = tiling(vectors, rows, narrow), transforms(kind), FILTERINGS[kind].seen
    ROWS, VECTORS, start, add = form.rows, form.vectors, form.start, form.add
    multiply_add, save = form.multiply_add, form.save
    input_tile, output_tile, weight_rows = way.input_tile, way.output_tile, way.weight_rows
    TAPS, ROOM, called = kind[0], way.room, named(kind)

    @kernel(name=f"winograd.over_filters_{called}_{vectors}_{rows}_{narrow}")
    def convolve_filters(
        x: np.ndarray,
        x_sizes: np.ndarray,
        weight: np.ndarray,
        weight_sizes: np.ndarray,
        inputs: np.ndarray,
        filters: np.ndarray,
        firsts: np.ndarray,
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
        # Products as above; transformed: (values * tiles * stride); panels: (threads, filters'
        # values * (block * columns + one vector)), block being depths; products: (threads, sums *
        # tiles * columns)
        depth, step = x_sizes[2], lanes(x)
        # One vector more, as above.
        spread = block * panel_columns + step
        runs = np.empty(len(inputs), np.int64)
        for i in range(len(inputs)):
            runs[i] = inputs[i] * tiles * stride
        ends = np.empty(tiles + ROWS, np.int64)
        for i in range(tiles + ROWS):
            ends[i] = min(i, tiles - 1) * panel_columns
        nothing = np.zeros(panel_columns, x.dtype)
        for number in prange(tiles):
            patch = np.empty(SEEN * SEEN * wide, x.dtype)
            halfway = np.empty(ROOM * step, x.dtype)
            place, plane = number * stride, tiles * stride
            input_tile(x, x_sizes, number, patch, halfway, transformed, place, plane, wide, wide, 0)
        for worker in prange(len(panels)):
            # Here the compiler knows it, and needs no masks.
            columns = VECTORS * lanes(x)
            u, m = panels[worker], products[worker]
            room = np.empty((TAPS * TAPS + step) * step, x.dtype)
            half = np.empty(ROOM * step, x.dtype)
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
                    for total in range(len(firsts) - 1):
                        target = total * tiles * columns
                        for row in range(0, tiles, ROWS):
                            sums = start(nothing, 0)
                            for product in range(firsts[total], firsts[total + 1]):
                                sums = multiply_add(
                                    sums, transformed, starts, row, runs, product, 1,
                                    stop - first, 1, u, filters[product] * spread, columns,
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
