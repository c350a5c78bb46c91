"""Passes of bilinear algorithms: tiles of the input, or its gradient, to tiles of the result.

What is kept in the cache is a matter of sizes: the transformed tiles, a block of them at a time,
or, where the filters outweigh the image, the transformed filters.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, cached_property

import numpy as np

from minigrad.kernels import buffers
from minigrad.kernels.bilinear import Transforms
from minigrad.kernels.finish import Finish
from minigrad.kernels.jit import Kernel, kernel, most_threads, prange
from minigrad.kernels.simd import lanes, take
from minigrad.kernels.streaming import LINE, drain, fetch, streams, zeros
from minigrad.kernels.target import target
from minigrad.kernels.tile import Tiling, tiling, tiling_for
from minigrad.kernels.window import Lengths

__all__ = ["FEW_TILES", "Pass"]

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


@dataclass(frozen=True, eq=False)
class Pass:
    """A convolution, or the gradient of its input: the same but for what is filters and what
    channels. What the sizes hold is up to the transforms."""

    maps: Transforms
    dtype: np.dtype
    shape: Lengths  # of the result, (N, D, H, W, channels)
    tiles: int
    depth: int  # channels that are summed
    columns: int  # filters of a product
    x_sizes: np.ndarray
    weight_sizes: np.ndarray
    out_sizes: np.ndarray
    complete: bool = True  # whether tiles cover all of the result
    spans: tuple[int, int] = (0, 0)  # elements of x and of the result from tile to tile, if alike

    @cached_property
    def form(self) -> Tiling:
        return tiling_for(self.tiles, self.columns, self.dtype, whole=True)

    def __call__(self, x: np.ndarray, weight: np.ndarray, finish: Finish) -> np.ndarray:
        """The result, from the input and the weight."""
        maps, form, products = self.maps, self.form, self.maps.products
        dtype, threads, step = self.dtype, most_threads(), target.lanes(self.dtype.itemsize)
        out = (buffers.empty if self.complete else zeros)(self.shape, dtype)
        wide, panel = -(-self.depth // step) * step, form.columns(dtype)
        panels = -(-self.columns // panel)
        # One vector more: rows a power of two apart would meet in the same lines of the cache.
        stride = wide + step
        bias = finish.padded_bias(self.shape[-1] + panel, dtype)
        residual = finish.flat_residual(dtype)
        # Whole vectors only are stored past the caches.
        streamed = not self.columns * dtype.itemsize % LINE and streams(out)
        planes = products.inputs, products.filters, products.firsts
        if self.tiles <= FEW_TILES:
            block = min(PANEL // maps.filters // step * step, self.depth)
            over_filters(maps, *form.key)(
                x.reshape(-1),
                self.x_sizes,
                weight.reshape(-1),
                self.weight_sizes,
                *planes,
                bias,
                residual,
                out.reshape(-1),
                self.out_sizes,
                self.tiles,
                self.depth,
                block,
                wide,
                stride,
                panel,
                buffers.empty((maps.values * self.tiles * stride,), dtype),
                buffers.empty((threads, maps.filters * (block * panel + step)), dtype),
                buffers.empty((threads, maps.sums * self.tiles * panel), dtype),
                finish.slope,
                finish.most,
                streamed,
                np.zeros(1, np.int64),
            )
            return out
        values = buffers.empty((maps.filters, panels, self.depth, panel), dtype)
        transform_weights(maps)(weight.reshape(-1), self.weight_sizes, values)
        block = form.rows * (SMALL_BLOCK if values.nbytes <= CACHED else LARGE_BLOCK)
        across = panels * panel + step
        over_tiles(maps, *form.key)(
            x.reshape(-1),
            self.x_sizes,
            values,
            *planes,
            bias,
            residual,
            out.reshape(-1),
            self.out_sizes,
            self.tiles,
            self.columns,
            block,
            wide,
            stride,
            *self.spans,
            buffers.empty((threads, maps.values * block * stride), dtype),
            buffers.empty((threads, maps.sums * block * across), dtype),
            finish.slope,
            finish.most,
            streamed,
            np.zeros(1, np.int64),
        )
        return out


@cache
def transform_weights(maps: Transforms) -> Kernel:
    """The kernel that transforms all filters."""
    weight_rows, ROOM, TAPS_ROOM, name = maps.weight_rows, maps.room, maps.weight_room, maps.name

    @kernel(name=f"bilinear.transform_weights_{name}")
    def transform_filters(weight: np.ndarray, sizes: np.ndarray, panels: np.ndarray) -> None:
        # panels: (values, panels, depth, columns of one)
        _, count, depth, wide = panels.shape
        flat, step = panels.reshape(-1), lanes(weight)
        for job in prange(count):
            room = np.empty(TAPS_ROOM * step, weight.dtype)
            half = np.empty(ROOM * step, weight.dtype)
            weight_rows(
                weight, sizes, job * wide, 0, depth, room, half,
                flat, job * depth * wide, count * depth * wide, wide,
            )  # fmt: skip

    return transform_filters


@cache
def over_tiles(maps: Transforms, vectors: int, rows: int, narrow: int) -> Kernel:
    """The kernel that takes the tiles in blocks, all channels of a block at once.

    The transformed weights are read anew for each block, the transformed tiles stay in the cache.
    """
    form, SEEN, ROOM = tiling(vectors, rows, narrow), maps.seen, maps.room
    ROWS, VECTORS, start, add = form.rows, form.vectors, form.start, form.add
    multiply_add, save = form.multiply_add, form.save
    input_tile, output_tile, name = maps.input_tile, maps.output_tile, maps.name

    @kernel(name=f"bilinear.over_tiles_{name}_{vectors}_{rows}_{narrow}")
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
        filters_in_all: int,
        block: int,
        wide: int,
        stride: int,
        x_span: int,
        out_span: int,
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
        step, jobs = lanes(x), (tiles + block - 1) // block
        each = LINE // x.itemsize * count * (len(firsts) - 1)
        x_lines, out_lines = block * x_span // each + 1, block * out_span // each + 1
        for worker in prange(len(transformed)):
            # Here the compiler knows it, and needs no masks.
            columns = VECTORS * lanes(x)
            v, m = transformed[worker], products[worker]
            patch = np.empty(SEEN * wide, x.dtype)
            half = np.empty(ROOM * step, x.dtype)
            job = take(queue, 0)
            while job < jobs:
                following = take(queue, 0)
                first = job * block
                height = min(block, tiles - first)
                # What the next job reads, and what this one writes, is fetched bit by bit while
                # this one computes.
                x_next, out_next = following * block * x_span, first * out_span
                x_end, out_end = min(len(x), x_next + block * x_span), out_next + height * out_span
                for tile in range(height):
                    input_tile(
                        x, x_sizes, first + tile, patch, half,
                        v, tile * stride, block * stride, wide, wide, 0,
                    )  # fmt: skip
                for total in range(len(firsts) - 1):
                    for panel in range(count):
                        target = total * block * across + panel * columns
                        x_next = fetch(x, x_next, x_end, x_lines)
                        out_next = fetch(out, out_next, out_end, out_lines)
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
                        first + tile, 0, filters_in_all, slope, most, streamed,
                    )  # fmt: skip
                job = following
            drain(out)

    return convolve_tiles


@cache
def over_filters(maps: Transforms, vectors: int, rows: int, narrow: int) -> Kernel:
    """The kernel that takes the filters in panels, all tiles at once: for few tiles.

    The transformed tiles are read anew for each panel; of the transformed weights, which can be
    larger than all else together, only a part that stays in the cache exists at a time.
    """
    form, SEEN, ROOM = tiling(vectors, rows, narrow), maps.seen, maps.room
    ROWS, VECTORS, start, add = form.rows, form.vectors, form.start, form.add
    multiply_add, save = form.multiply_add, form.save
    input_tile, output_tile, weight_rows = maps.input_tile, maps.output_tile, maps.weight_rows
    TAPS_ROOM, name = maps.weight_room, maps.name

    @kernel(name=f"bilinear.over_filters_{name}_{vectors}_{rows}_{narrow}")
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
        depth: int,
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
        step = lanes(x)
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
            patch = np.empty(SEEN * wide, x.dtype)
            halfway = np.empty(ROOM * step, x.dtype)
            place, plane = number * stride, tiles * stride
            input_tile(x, x_sizes, number, patch, halfway, transformed, place, plane, wide, wide, 0)
        for worker in prange(len(panels)):
            # Here the compiler knows it, and needs no masks.
            columns = VECTORS * lanes(x)
            u, m = panels[worker], products[worker]
            room = np.empty(TAPS_ROOM * step, x.dtype)
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
