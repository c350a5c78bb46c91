"""The gradient of a convolution's weight, directly: sums over pixels.

dL/dw[tap] = Σ over pixels of x[pixel + tap] * dL/dy[pixel]. Rows of a tile are taps, its columns
are filters, and the summands are the output's pixels, taken in chunks that stay in the cache.
"""

from __future__ import annotations

import math
from functools import cache, lru_cache

import numpy as np

from minigrad.kernels import buffers
from minigrad.kernels.direct import padded
from minigrad.kernels.direct_plan import filter_places, is_pointwise, outer_sum
from minigrad.kernels.im2col import gather, row_stride, sight_of
from minigrad.kernels.jit import Kernel, inner, kernel, most_threads, prange
from minigrad.kernels.packing import unpack
from minigrad.kernels.problem import Problem
from minigrad.kernels.simd import lanes, load, load_some, store, store_some, take
from minigrad.kernels.streaming import LINE
from minigrad.kernels.tile import tiling, tiling_for

__all__ = ["by_filter", "weight_grad"]

# Taps and filters of a block of the gradient: a job's sums, with the pixels that it packs for them,
# stay in the second cache.
BLOCK = 256
CHUNK_BYTES = 5 << 17
# Pixels of a chunk, which are summed in one go: few, so that sums of sums round less, and that what
# tiles share of pixels read in place stays in the caches.
LEAST_PIXELS, MOST_PIXELS = 64, 128
# Pixels no farther apart than this, in bytes, share lines of memory: they are read in place, from
# an input with its zeros around it, as copying the taps of so few channels would take as long as
# multiplying them. So are filters that fill their panels, which for so few taps are read few times.
NEAR = 64
# Filters of one tap see each number once, so copies would not pay: they are read so, too. Of a
# strided input the rows of pixels must be this long.
LONG_ROW = 14
# Jobs there are at least, if there can be: where blocks are few, the sum over pixels is cut into
# parts, which are added in order, as long as these together are no larger than this. How it is cut
# depends on the shapes alone.
JOBS = 16
PART_BYTES = 1 << 22


def by_filter(sums: np.ndarray, problem: Problem) -> np.ndarray:
    """sums (parts, groups, taps * channels, columns) -> the weight's gradient (K, C, *taps)."""
    per_group, depth = problem.filters // problem.groups, problem.channels // problem.groups
    out = buffers.empty((problem.filters, depth, *problem.kernel), problem.dtype)
    unpack(sums, filter_places(problem.taps, depth), per_group, out.reshape(-1))
    return out


class _Plan:
    """How one shape is computed: where taps and pixels lie, and what is done together."""

    def __init__(self, problem: Problem) -> None:
        itemsize = problem.dtype.itemsize
        self.sight = sight_of(problem)
        self.taps, self.filters = self.sight.numbers, problem.filters // problem.groups
        self.form = tiling_for(self.taps, self.filters, problem.dtype)
        self.wide = self.form.columns(problem.dtype)
        self.panels = -(-self.filters // self.wide)
        rows, height = -(-self.taps // self.form.rows), -(-self.taps // BLOCK)
        across = -(-self.filters // BLOCK)
        self.row_block = -(-rows // height) * self.form.rows
        self.panel_block = -(-self.panels // across)
        self.step = problem.stride[2] * problem.channels
        dense = is_pointwise(problem) and (_flat(problem) or problem.out[2] >= LONG_ROW)
        near = dense or self.step * itemsize <= NEAR
        whole = near and self.filters % self.wide == 0
        self.column_step = problem.filters if whole else 0
        self.tap_stride = 0 if near else row_stride(self.row_block, itemsize)
        columns = self.panel_block * self.wide
        room = CHUNK_BYTES // itemsize - self.row_block * columns
        pixels = max(LEAST_PIXELS, min(MOST_PIXELS, room // (self.tap_stride + columns)))
        total = problem.images * math.prod(problem.out)
        pixels = -(-total // -(-total // pixels))
        find = _along if _flat(problem) and near else _near if near else _apart
        self.places, self.runs, self.chunks = find(problem, pixels)
        blocks = problem.groups * height * across
        size = self.taps * problem.filters * itemsize
        parts = max(1, min(-(-JOBS // blocks), PART_BYTES // size, len(self.chunks)))
        self.longest = int((self.chunks[:, 1] * self.chunks[:, 2]).max())
        self.together = -(-len(self.chunks) // parts)
        self.parts = -(-len(self.chunks) // self.together)


def _flat(problem: Problem) -> bool:
    """Whether the pixels of the output are those of x, one after the other."""
    return is_pointwise(problem) and problem.out == problem.size and problem.stride[2] == 1


def _apart(problem: Problem, pixels: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """No places: what the pixels see is copied, `pixels` of them a chunk."""
    total = problem.images * math.prod(problem.out)
    firsts = np.arange(0, total, pixels)
    lengths = np.minimum(pixels, total - firsts)
    ones, none = np.ones_like(firsts), np.zeros(0, np.int64)
    return none, none, np.stack([ones * 0, ones, lengths, firsts], axis=1)


def _along(problem: Problem, pixels: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """As `_near`, where all pixels are one row."""
    *_, chunks = _apart(problem, pixels)
    places = np.arange(problem.channels // problem.groups)
    runs, chunks[:, 0] = chunks[:, 3] * problem.channels, np.arange(len(chunks))
    return places, runs, chunks


def _near(problem: Problem, pixels: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Where in the padded input the taps lie, and the rows of pixels, of which chunks have some."""
    (D, H, W), C = problem.padded, problem.channels
    (depth, height, width), stride = problem.out, problem.stride
    steps = np.array([H * W * C, W * C, C])
    taps = outer_sum(
        *[
            np.arange(axis.kernel) * axis.dilation * step
            for axis, step in zip(problem.axes, steps, strict=True)
        ],
        np.arange(C // problem.groups),
    )
    lines = outer_sum(
        np.arange(problem.images) * D * H * W * C,
        np.arange(depth) * stride[0] * steps[0],
        np.arange(height) * stride[1] * steps[1],
    )
    many = max(1, pixels // width)
    many = -(-len(lines) // -(-len(lines) // many))
    first = np.arange(0, len(lines), many)
    counts, lengths = np.minimum(many, len(lines) - first), np.full_like(first, width)
    return taps, lines, np.stack([first, counts, lengths, first * width], axis=1)


@lru_cache(maxsize=256)
def _plan(problem: Problem) -> _Plan:
    return _Plan(problem)


def weight_grad(problem: Problem, x: np.ndarray, grad: np.ndarray) -> np.ndarray:
    """The gradient of the weight from x (N, D, H, W, C) and grad (N, OD, OH, OW, K)."""
    if _flat(problem) and problem.groups == 1:
        # A product of two matrices, which the other way round comes out as the weight lies.
        turned = problem._replace(channels=problem.filters, filters=problem.channels)
        plan = _plan(turned)
        if plan.parts == 1 and plan.panels * plan.wide == problem.channels:
            return _sums(turned, grad, x).reshape(turned.channels, turned.filters, *problem.kernel)
    return by_filter(_sums(problem, x, grad), problem)


def _sums(problem: Problem, x: np.ndarray, grad: np.ndarray) -> np.ndarray:
    """The sums of parts of the pixels, (parts, groups, taps, panels' columns)."""
    plan = _plan(problem)
    across, threads = plan.panels * plan.wide, most_threads()
    sums = buffers.empty((plan.parts, problem.groups, plan.taps, across), problem.dtype)
    source = x if plan.tap_stride else padded(x, problem)
    product_over_pixels(*plan.form.key)(
        source.reshape(-1),
        plan.places,
        plan.runs,
        plan.step,
        grad.reshape(-1),
        plan.filters,
        plan.chunks,
        plan.together,
        plan.row_block,
        plan.panel_block,
        sums,
        *plan.sight,
        plan.tap_stride,
        buffers.empty((threads, plan.longest * plan.tap_stride), problem.dtype),
        buffers.empty((threads, plan.longest * plan.panel_block * plan.wide), problem.dtype),
        plan.column_step,
        np.zeros(1, np.int64),
    )
    return sums


@inner
def gather_columns(
    grad: np.ndarray, origin: int, stride: int, pixels: int, columns: int, wide: int,
    packed: np.ndarray,
) -> None:  # fmt: skip
    """packed[panel, pixel, i] = grad[origin + pixel * stride + panel * wide + i], zeros from
    column `columns` on."""
    step = min(wide, lanes(grad))
    across = (columns + wide - 1) // wide * wide
    for pixel in range(pixels):
        source = origin + pixel * stride
        for column in range(0, across, step):
            left = columns - column
            target = (column // wide * pixels + pixel) * wide + column % wide
            if left >= step == lanes(grad):
                store(packed, target, load(grad, source + column))
            else:
                # Of a vector without any column, not even the address may be formed.
                value = load_some(grad, source + column if left > 0 else 0, min(left, step))
                store_some(packed, target, value, step)


@cache
def product_over_pixels(vectors: int, rows: int, narrow: int) -> Kernel:
    """The kernel whose tiles are `vectors` vectors of filters wide and `rows` taps high.

    Filters of one tap or few channels are read in place, and what the next chunk needs is fetched
    meanwhile. Else each job packs what it reads of a chunk, filters by pixels and taps by pixels:
    taps that overlap would be read many times across the lines of memory.
    """
    form = tiling(vectors, rows, narrow)
    ROWS, VECTORS, start, add = form.rows, form.vectors, form.start, form.add
    multiply_add, save = form.multiply_add_ahead, form.save

    @kernel(name=f"direct_grad.product_over_pixels_{vectors}_{rows}_{narrow}")
    def over_pixels(
        x: np.ndarray,
        places: np.ndarray,
        runs: np.ndarray,
        step: int,
        grad: np.ndarray,
        filters: int,
        chunks: np.ndarray,
        together: int,
        row_block: int,
        panel_block: int,
        out: np.ndarray,
        size: np.ndarray,
        grid: np.ndarray,
        times: np.ndarray,
        shifts: np.ndarray,
        span: int,
        depth: int,
        tap_stride: int,
        packed_taps: np.ndarray,
        packed_columns: np.ndarray,
        column_step: int,
        queue: np.ndarray,
    ) -> None:
        # chunks: (count, 4), of each the first run of pixels, how many, their length, the first
        # pixel; `together` of them go into one sum. out: (sums, groups, taps, panels' columns).
        # Where tap_stride is 0, x is read in place, at group * depth + runs[r] + t * step +
        # places[row] what tap `row` sees at pixel t of run r; else as `im2col.gather` finds it.
        sums, groups, height, across = out.shape
        flat, columns_of_panel = out.reshape(-1), VECTORS * lanes(x) // narrow
        panels, pixel_step = across // columns_of_panel, groups * filters
        row_blocks = (height + row_block - 1) // row_block
        panel_blocks = (panels + panel_block - 1) // panel_block
        nothing, here = np.zeros(columns_of_panel, x.dtype), np.zeros(1, np.int64)
        for worker in prange(len(packed_taps)):
            # Here the compiler knows it, and needs no masks for whole vectors.
            wide, LINES = VECTORS * lanes(x) // narrow, LINE // x.itemsize
            in_place = column_step > 0
            seen, given = packed_taps[worker], packed_columns[worker]
            job = take(queue, 0)
            while job < sums * groups * row_blocks * panel_blocks:
                first_panel = job % panel_blocks * panel_block
                first_row = job // panel_blocks % row_blocks * row_block
                part = job // panel_blocks // row_blocks
                group, number = part % groups, part // groups
                count = min(row_block, height - first_row)
                width = min(panel_block, panels - first_panel)
                columns = min(filters - first_panel * wide, width * wide)
                starts, ends = np.empty(count + ROWS, np.int64), np.empty(count + ROWS, np.int64)
                for row in range(count + ROWS):
                    tap = first_row + min(row, count - 1)
                    starts[row] = tap - first_row if tap_stride > 0 else group * depth + places[tap]
                    ends[row] = (part * height + tap) * across + first_panel * wide
                first_chunk = number * together
                for chunk in range(first_chunk, min(len(chunks), first_chunk + together)):
                    run, many, length = chunks[chunk, 0], chunks[chunk, 1], chunks[chunk, 2]
                    pixels = many * length
                    # What is multiplied, in place: so many runs of so many pixels so far apart.
                    source, begins, apart = x, runs, step
                    if tap_stride > 0:
                        gather(
                            x, group * depth, size, grid, times, shifts, span, depth,
                            chunks[chunk, 3], pixels, first_row, first_row + count,
                            seen, tap_stride,
                        )  # fmt: skip
                        source, begins, apart = seen, here, tap_stride
                    origin = chunks[chunk, 3] * pixel_step + group * filters + first_panel * wide
                    factors, base, panel_apart, summand = grad, origin, wide, column_step
                    if not in_place:
                        gather_columns(grad, origin, pixel_step, pixels, columns, wide, given)
                        factors, base, panel_apart, summand = given, 0, pixels * wide, wide
                    # What the next chunk reads in place is fetched meanwhile, by each tile one line
                    # of every pixel; what is packed is not.
                    far = chunks[min(chunk + 1, len(chunks) - 1)]
                    x_far = runs[far[0]] - runs[run] if tap_stride == 0 else 0
                    grad_far = (far[3] - chunks[chunk, 3]) * pixel_step if in_place else 0
                    line = 0
                    for panel in range(width):
                        for row in range(0, count, ROWS):
                            x_ahead, grad_ahead = 0, 0
                            if x_far > 0 and line < count + LINES:
                                x_ahead = x_far + line - row
                            if grad_far > 0 and line < width * wide:
                                grad_ahead = grad_far + line - panel * wide
                            line += LINES
                            tile = multiply_add(
                                start(nothing, 0), source, starts, row,
                                begins, run, many, length, apart,
                                factors, base + panel * panel_apart, summand,
                                x_ahead, grad_ahead,
                            )  # fmt: skip
                            if chunk > first_chunk:
                                tile = add(tile, flat, ends, row, ROWS, panel * wide, wide)
                            # Rows that are repeated have the same sums, and places.
                            save(tile, flat, ends, row, ROWS, panel * wide, wide, False)
                job = take(queue, 0)

    return over_pixels
