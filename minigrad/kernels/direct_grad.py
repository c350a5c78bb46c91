"""The gradient of a convolution's weight, directly: sums over pixels.

dL/dw[tap] = Σ over pixels of x[pixel + tap] * dL/dy[pixel]. Rows of a tile are taps, its columns
are filters, and the summands are the output's pixels, taken in chunks that stay in the cache.
"""

from __future__ import annotations

from functools import cache, lru_cache

import numpy as np

from minigrad.kernels import buffers
from minigrad.kernels.direct import padded
from minigrad.kernels.direct_plan import filter_places, is_pointwise, outer_sum
from minigrad.kernels.jit import Kernel, inner, kernel, most_threads, prange
from minigrad.kernels.packing import unpack
from minigrad.kernels.problem import Problem
from minigrad.kernels.simd import lanes, load, load_some, store, store_some, take
from minigrad.kernels.target import target
from minigrad.kernels.tile import tiling, tiling_for

__all__ = ["by_filter", "weight_grad"]

# Taps and filters of a block of the gradient: a job's sums, with the pixels that it packs for them,
# stay in the second cache.
BLOCK = 256
CHUNK_BYTES = 5 << 17
LEAST_PIXELS, MOST_PIXELS = 64, 512
# Pixels no farther apart than this, in bytes, share lines of memory: they are read in place, as
# packing the taps of so few channels would take as long as multiplying them.
NEAR = 64
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
        (_, H, W), C = problem.padded, problem.channels
        self.depth, self.filters = C // problem.groups, problem.filters // problem.groups
        steps = H * W * C, W * C, C
        self.taps = outer_sum(
            *[
                np.arange(axis.kernel) * axis.dilation * step
                for axis, step in zip(problem.axes, steps, strict=True)
            ],
            np.arange(self.depth),
        )
        whole_row = problem.groups == 1 and problem.dilation[2] == 1
        self.segment = problem.kernel[2] * C if whole_row else self.depth
        self.form = tiling_for(len(self.taps), self.filters, problem.dtype)
        self.wide = self.form.columns(problem.dtype)
        self.panels = -(-self.filters // self.wide)
        rows, height = -(-len(self.taps) // self.form.rows), -(-len(self.taps) // BLOCK)
        across = -(-self.filters // BLOCK)
        self.row_block = -(-rows // height) * self.form.rows
        self.panel_block = -(-self.panels // across)
        lanes, itemsize = target.lanes(problem.dtype.itemsize), problem.dtype.itemsize
        # One vector more: rows a power of two apart would meet in the same lines of the cache.
        self.step = problem.stride[2] * C
        near = self.step * itemsize <= NEAR
        self.tap_stride = 0 if near else -(-self.row_block // lanes) * lanes + lanes
        columns = self.panel_block * self.wide
        room = CHUNK_BYTES // itemsize - self.row_block * columns
        pixels = max(LEAST_PIXELS, min(MOST_PIXELS, room // (self.tap_stride + columns)))
        self._cut(problem, pixels)
        blocks = problem.groups * height * across
        size = len(self.taps) * problem.filters * itemsize
        parts = max(1, min(-(-JOBS // blocks), PART_BYTES // size, len(self.chunks)))
        self.longest = int((self.chunks[:, 1] * self.chunks[:, 2]).max())
        self.together = -(-len(self.chunks) // parts)
        self.parts = -(-len(self.chunks) // self.together)

    def _cut(self, problem: Problem, pixels: int) -> None:
        """Cut the output into chunks of about so many pixels."""
        (D, H, W), C = problem.padded, problem.channels
        (depth, height, width), stride = problem.out, problem.stride
        # With fewer windows than fit, the pixels that are seen have gaps between the rows.
        if is_pointwise(problem) and set(stride) == {1} and problem.out == problem.size:
            total = problem.images * depth * height * width
            firsts = np.arange(0, total, pixels)
            self.runs, counts = firsts * C, np.ones_like(firsts)
            runs, lengths = np.arange(len(firsts)), np.minimum(pixels, total - firsts)
        else:
            self.runs = outer_sum(
                np.arange(problem.images) * D * H * W * C,
                np.arange(depth) * stride[0] * H * W * C,
                np.arange(height) * stride[1] * W * C,
            )
            many = max(1, pixels // width)
            runs = np.arange(0, len(self.runs), many)
            counts, lengths = np.minimum(many, len(self.runs) - runs), np.full_like(runs, width)
            firsts = runs * width
        self.chunks = np.stack([runs, counts, lengths, firsts], axis=1)


@lru_cache(maxsize=256)
def _plan(problem: Problem) -> _Plan:
    return _Plan(problem)


def weight_grad(problem: Problem, x: np.ndarray, grad: np.ndarray) -> np.ndarray:
    """The gradient of the weight from x (N, D, H, W, C) and grad (N, OD, OH, OW, K)."""
    plan, source = _plan(problem), padded(x, problem)
    across, threads = plan.panels * plan.wide, most_threads()
    sums = buffers.empty((plan.parts, problem.groups, len(plan.taps), across), problem.dtype)
    product_over_pixels(*plan.form.key)(
        source.reshape(-1),
        plan.taps,
        plan.segment,
        plan.runs,
        plan.step,
        plan.depth,
        grad.reshape(-1),
        plan.filters,
        plan.chunks,
        plan.together,
        plan.row_block,
        plan.panel_block,
        sums,
        plan.tap_stride,
        buffers.empty((threads, plan.longest * plan.tap_stride), problem.dtype),
        buffers.empty((threads, plan.longest * plan.panel_block * plan.wide), problem.dtype),
        np.zeros(1, np.int64),
    )
    return by_filter(sums, problem)


@inner
def gather_taps(
    x: np.ndarray,
    taps: np.ndarray,
    first: int,
    count: int,
    segment: int,
    origin: int,
    step: int,
    pixels: int,
    packed: np.ndarray,
    place: int,
    stride: int,
) -> None:
    """packed[place + pixel * stride + i] = x[origin + pixel * step + taps[first + i]], i < count;
    so many taps as a segment has lie side by side in x. Reaches less than a vector beyond."""
    wide = lanes(x)
    for pixel in range(pixels):
        source, target = origin + pixel * step, place + pixel * stride - first
        tap = first
        while tap < first + count:
            stop = min(first + count, (tap // segment + 1) * segment)
            at = source + taps[tap]
            for i in range(0, stop - tap - wide + 1, wide):
                store(packed, target + tap + i, load(x, at + i))
            rest = (stop - tap) % wide
            begin = stop - tap - rest
            if at + begin + wide <= len(x):
                # What is read too much the next run overwrites.
                store(packed, target + tap + begin, load(x, at + begin))
            elif rest > 0:
                store(packed, target + tap + begin, load_some(x, at + begin, rest))
            tap = stop


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

    Each job packs what it reads of a chunk, filters by pixels and, unless pixels lie near each
    other, taps by pixels: in place both would be read across the lines of memory.
    """
    form = tiling(vectors, rows, narrow)
    ROWS, VECTORS, start, add = form.rows, form.vectors, form.start, form.add
    multiply_add, save = form.multiply_add, form.save

    @kernel(name=f"direct_grad.product_over_pixels_{vectors}_{rows}_{narrow}")
    def over_pixels(
        x: np.ndarray,
        taps: np.ndarray,
        segment: int,
        runs: np.ndarray,
        step: int,
        depth: int,
        grad: np.ndarray,
        filters: int,
        chunks: np.ndarray,
        together: int,
        row_block: int,
        panel_block: int,
        out: np.ndarray,
        tap_stride: int,
        packed_taps: np.ndarray,
        packed_columns: np.ndarray,
        queue: np.ndarray,
    ) -> None:
        # x[group * depth + runs[r] + t * step + taps[row]]: what tap `row` sees at pixel t of run
        # r. chunks: (count, 4), of each the first run, how many, their length, the first pixel;
        # `together` of them go into one sum. out: (sums, groups, taps, panels' columns). Where
        # tap_stride is 0, x is read in place.
        sums, groups, height, across = out.shape
        flat, wide = out.reshape(-1), VECTORS * lanes(x) // narrow
        panels, pixel_step = across // wide, groups * filters
        row_blocks = (height + row_block - 1) // row_block
        panel_blocks = (panels + panel_block - 1) // panel_block
        nothing, here = np.zeros(wide, x.dtype), np.zeros(1, np.int64)
        for worker in prange(len(packed_taps)):
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
                    starts[row] = tap - first_row if tap_stride > 0 else group * depth + taps[tap]
                    ends[row] = (part * height + tap) * across + first_panel * wide
                first_chunk = number * together
                for chunk in range(first_chunk, min(len(chunks), first_chunk + together)):
                    run, many, length = chunks[chunk, 0], chunks[chunk, 1], chunks[chunk, 2]
                    pixels = many * length
                    # What is multiplied, in place: so many runs of so many pixels so far apart.
                    source, begins, apart = x, runs, step
                    if tap_stride > 0:
                        for r in range(many):
                            origin = group * depth + runs[run + r]
                            gather_taps(
                                x, taps, first_row, count, segment, origin, step, length,
                                seen, r * length * tap_stride, tap_stride,
                            )  # fmt: skip
                        source, begins, apart = seen, here, tap_stride
                        run, many, length = 0, 1, pixels
                    origin = chunks[chunk, 3] * pixel_step + group * filters + first_panel * wide
                    gather_columns(grad, origin, pixel_step, pixels, columns, wide, given)
                    for panel in range(width):
                        for row in range(0, count, ROWS):
                            tile = multiply_add(
                                start(nothing, 0), source, starts, row,
                                begins, run, many, length, apart,
                                given, panel * pixels * wide, wide,
                            )  # fmt: skip
                            if chunk > first_chunk:
                                tile = add(tile, flat, ends, row, ROWS, panel * wide, wide)
                            save(tile, flat, ends, row, count - row, panel * wide, wide)
                job = take(queue, 0)

    return over_pixels
