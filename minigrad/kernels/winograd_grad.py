"""The gradient of a filter by Winograd's algorithm: the forward pass, transposed.

From y = Aᵀ [(G w Gᵀ) ∘ (B d Bᵀ)] A follows dL/dw = Gᵀ [Σ (A g Aᵀ) ∘ (B d Bᵀ)] G, the sum running
over all tiles, g being the tile of the output's gradient: again a matrix product for each value.
"""

from __future__ import annotations

from functools import cache

import numpy as np

from minigrad.kernels import buffers
from minigrad.kernels.direct_grad import by_filter
from minigrad.kernels.jit import Kernel, kernel, most_threads, prange
from minigrad.kernels.problem import Problem
from minigrad.kernels.simd import lanes, take
from minigrad.kernels.target import target
from minigrad.kernels.tile import tiling, tiling_for
from minigrad.kernels.winograd import kind_of, named
from minigrad.kernels.winograd_points import FILTERINGS, Kind, products_of
from minigrad.kernels.winograd_transform import transforms

__all__ = ["weight_grad"]

# The transformed tiles of a chunk stay in the last cache, of which others may want most.
CHUNK_BYTES = 6 << 20
# For each chunk the filters' sums are transformed back: so many tiles make that little.
LEAST_CHUNK = 128
# Channels times products that are summed, and transformed back, together.
BLOCK = 32 * 81
# Tiles that are summed in one go; sums of sums round less.
LONGEST_SUM = 256


def weight_grad(problem: Problem, x: np.ndarray, grad: np.ndarray) -> np.ndarray:
    """The gradient of the weight (K, C, 1, R, R) from x (N, 1, H, W, C), grad (N, 1, OH, OW, K)."""
    (_, height, width), dtype, C = problem.axes, problem.dtype, problem.channels
    step, kind = target.lanes(dtype.itemsize), kind_of(problem)
    filtering = FILTERINGS[kind]
    products, values, given = (len(m) ** 2 for m in (filtering.G, filtering.B, filtering.A))
    block = min(BLOCK // products // step * step, -(-C // step) * step)
    form = tiling_for(block, problem.filters, dtype, whole=True)
    columns = form.columns(dtype)
    blocks, panels = -(-C // block), -(-problem.filters // columns)
    taps, out = filtering.taps, filtering.outputs
    grid = -(-height.out // out), -(-width.out // out)
    tiles = problem.images * grid[0] * grid[1]
    bytes_of_tile = dtype.itemsize * (values * blocks * block + given * panels * columns)
    chunk = min(tiles, max(LEAST_CHUNK, CHUNK_BYTES // bytes_of_tile))
    chunk = -(-tiles // -(-tiles // chunk))
    sums = np.zeros((taps * taps, C, panels * columns), dtype)
    over_chunks(kind, *form.key)(
        x.reshape(-1),
        np.array([height.size, width.size, C, *grid, height.before, width.before]),
        grad.reshape(-1),
        np.array([height.out, width.out, problem.filters, *grid, 0, 0]),
        *products_of(kind)[:3],
        sums,
        tiles,
        chunk,
        buffers.empty((values, blocks, chunk, block), dtype),
        buffers.empty((given, panels, chunk, columns), dtype),
        buffers.empty((most_threads(), products * block * columns), dtype),
        np.zeros(-(-tiles // chunk), np.int64),
    )
    return by_filter(sums.reshape(1, 1, -1, panels * columns), problem)


@cache
def over_chunks(kind: Kind, vectors: int, rows: int, narrow: int) -> Kernel:
    """The kernel whose tiles of products are `vectors` vectors of filters wide and `rows` channels
    high."""
    way, SEEN = transforms(kind), FILTERINGS[kind].seen
    ROOM = way.room
    input_tile, grad_tile, filter_tile = way.input_tile, way.grad_tile, way.filter_tile
    form = tiling(vectors, rows, narrow)
    ROWS, VECTORS, start, add = form.rows, form.vectors, form.start, form.add
    multiply_add, save, called = form.multiply_add, form.save, named(kind)

    @kernel(name=f"winograd_grad.over_chunks_{called}_{vectors}_{rows}_{narrow}")
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
        # gradient. out: (taps * taps, C, panels * columns), zeros at first; inputs: (values,
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
                patch = np.empty(SEEN * SEEN * max(blocks * block, across), x.dtype)
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
                                flat, (channel + row) * across + column + v, C * across,
                            )  # fmt: skip
                    job = take(queue, first // chunk)

    return filter_grad
