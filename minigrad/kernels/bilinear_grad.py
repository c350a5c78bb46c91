"""The gradient of filters by bilinear algorithms: the pass forward, transposed.

From y = Aᵀ [(G w) ∘ (B d)] follows dL/dw = Gᵀ [Σ (A g) ∘ (B d)], the sum running over all tiles, g
being the tile of the output's gradient: again a matrix product for each value.
"""

from __future__ import annotations

from functools import cache

import numpy as np

from minigrad.kernels import buffers
from minigrad.kernels.bilinear import GradTransforms
from minigrad.kernels.jit import Kernel, kernel, most_threads, prange
from minigrad.kernels.simd import lanes, take
from minigrad.kernels.target import target
from minigrad.kernels.tile import tiling, tiling_for

__all__ = ["sums_of_tiles"]

# The transformed tiles of a chunk stay in the last cache, of which others may want most.
CHUNK_BYTES = 6 << 20
# For each chunk the filters' sums are transformed back: so many tiles make that little.
LEAST_CHUNK = 128
# Channels times products that are summed, and transformed back, together.
BLOCK = 32 * 81
# Tiles that are summed in one go; sums of sums round less.
LONGEST_SUM = 256


def sums_of_tiles(
    maps: GradTransforms,
    x: np.ndarray,
    x_sizes: np.ndarray,
    grad: np.ndarray,
    grad_sizes: np.ndarray,
    tiles: int,
    taps: int,
) -> np.ndarray:
    """The gradient (taps, C, filters, and zeros up to whole panels of them).

    Of the sizes, which are those of the transforms, C and the number of filters come third.
    """
    dtype, C, filters = x.dtype, int(x_sizes[2]), int(grad_sizes[2])
    step = target.lanes(dtype.itemsize)
    block = min(BLOCK // maps.filters // step * step, -(-C // step) * step)
    form = tiling_for(block, filters, dtype, whole=True)
    columns = form.columns(dtype)
    blocks, panels = -(-C // block), -(-filters // columns)
    bytes_of_tile = dtype.itemsize * (maps.values * blocks * block + maps.sums * panels * columns)
    chunk = min(tiles, max(LEAST_CHUNK, CHUNK_BYTES // bytes_of_tile))
    chunk = -(-tiles // -(-tiles // chunk))
    sums = buffers.empty((taps, C, panels * columns), dtype)
    over_chunks(maps, *form.key)(
        x.reshape(-1),
        x_sizes,
        grad.reshape(-1),
        grad_sizes,
        *maps.products[:3],
        sums,
        tiles,
        chunk,
        buffers.empty((maps.values, blocks, chunk, block), dtype),
        buffers.empty((maps.sums, panels, chunk, columns), dtype),
        buffers.empty((most_threads(), maps.filters * block * columns), dtype),
        np.zeros(-(-tiles // chunk), np.int64),
    )
    return sums


@cache
def over_chunks(maps: GradTransforms, vectors: int, rows: int, narrow: int) -> Kernel:
    """The kernel whose tiles of products are `vectors` vectors of filters wide and `rows` channels
    high."""
    form, SEEN, ROOM, name = tiling(vectors, rows, narrow), maps.seen, maps.room, maps.name
    input_tile, grad_tile, filter_tile = maps.input_tile, maps.grad_tile, maps.filter_tile
    ROWS, VECTORS, start, add = form.rows, form.vectors, form.start, form.add
    multiply_add, save = form.multiply_add, form.save

    @kernel(name=f"bilinear_grad.over_chunks_{name}_{vectors}_{rows}_{narrow}")
    def filter_grad(
        x: np.ndarray,
        x_sizes: np.ndarray,
        grad: np.ndarray,
        grad_sizes: np.ndarray,
        given: np.ndarray,
        filters: np.ndarray,
        taken: np.ndarray,
        out: np.ndarray,
        tiles: int,
        chunk: int,
        inputs: np.ndarray,
        outputs: np.ndarray,
        products: np.ndarray,
        queue: np.ndarray,
    ) -> None:
        # Value filters[i] sums the products of the values given[i] of the input and taken[i] of the
        # gradient. out: (taps, C, panels * columns); inputs: (values,
        # blocks, chunk, block), where blocks of channels lie together; outputs: (values, panels,
        # chunk, columns); products: (threads, values * block * columns).
        _, C, across = out.shape
        _, blocks, _, block = inputs.shape
        _, panels, _, panel_columns = outputs.shape
        flat, tiles_in, tiles_out = out.reshape(-1), inputs.reshape(-1), outputs.reshape(-1)
        step = lanes(x)
        pieces = (chunk + LONGEST_SUM - 1) // LONGEST_SUM
        runs = np.empty(len(inputs) * blocks * pieces, np.int64)
        for k in range(len(runs)):
            runs[k] = (k // pieces * chunk + k % pieces * LONGEST_SUM) * block
        starts, ends = np.empty(block + ROWS, np.int64), np.empty(block + ROWS, np.int64)
        for k in range(block + ROWS):
            starts[k], ends[k] = min(k, block - 1), min(k, block - 1) * panel_columns
        nothing = np.zeros(panel_columns, x.dtype)
        for first in range(0, tiles, chunk):
            height = min(chunk, tiles - first)
            for tile in prange(height):
                patch = np.empty(SEEN * max(blocks * block, across), x.dtype)
                halfway = np.empty(ROOM * step, x.dtype)
                input_tile(
                    x, x_sizes, first + tile, patch, halfway, tiles_in,
                    tile * block, blocks * chunk * block, blocks * block, block, chunk * block,
                )  # fmt: skip
                grad_tile(
                    grad, grad_sizes, first + tile, patch, halfway, tiles_out,
                    tile * panel_columns, panels * chunk * panel_columns, across,
                    panel_columns, chunk * panel_columns,
                )  # fmt: skip
            for worker in prange(len(products)):
                # Here the compiler knows it, and needs no masks.
                columns = VECTORS * lanes(x)
                u = products[worker]
                half = np.empty(ROOM * step, x.dtype)
                job = take(queue, first // chunk)
                while job < blocks * panels:
                    part, panel = job // panels, job % panels
                    channel, column = part * block, panel * columns
                    count = min(block, C - channel)
                    for i in range(len(filters)):
                        source = (taken[i] * panels + panel) * chunk * columns
                        for row in range(0, count, ROWS):
                            target = filters[i] * block * columns
                            for begin in range(0, height, LONGEST_SUM):
                                run = (given[i] * blocks + part) * pieces + begin // LONGEST_SUM
                                sums = multiply_add(
                                    start(nothing, 0), tiles_in, starts, row,
                                    runs, run, 1, min(LONGEST_SUM, height - begin), block,
                                    tiles_out, source + begin * columns, columns,
                                )  # fmt: skip
                                if begin > 0:
                                    sums = add(sums, u, ends, row, ROWS, target, columns)
                                save(sums, u, ends, row, ROWS, target, columns, False)
                    for row in range(count):
                        for v in range(0, columns, step):
                            filter_tile(
                                u, row * columns + v, block * columns, half,
                                flat, (channel + row) * across + column + v, C * across, first > 0,
                            )  # fmt: skip
                    job = take(queue, first // chunk)

    return filter_grad
