"""The gradient of a convolution's weight, directly: sums over pixels.

dL/dw[tap] = Σ over pixels of x[pixel + tap] * dL/dy[pixel]. Rows of a tile are taps, its columns
are filters, and the summands are the output's pixels, taken in chunks that stay in the cache.
"""

from __future__ import annotations

from functools import cache, lru_cache
from itertools import product

import numpy as np

from minigrad.kernels import buffers
from minigrad.kernels.direct import padded
from minigrad.kernels.direct_plan import is_pointwise, outer_sum
from minigrad.kernels.jit import Kernel, get_thread_id, inner, kernel, most_threads, prange
from minigrad.kernels.problem import Problem
from minigrad.kernels.simd import lanes, load, load_some, store, store_some
from minigrad.kernels.target import target
from minigrad.kernels.tile import tiling, tiling_for

__all__ = ["unpack", "weight_grad"]

# Pixels of a chunk: as many as fill so many bytes of what a job reads, within limits.
CHUNK_BYTES = 1 << 18
LEAST_PIXELS, MOST_PIXELS = 64, 512
# Jobs there are at least, if there can be. A sum over pixels is first cut into parts, which are
# added in order, as long as these together are no larger than this; then the gradient is cut into
# blocks. How it is cut depends on the shapes alone.
JOBS = 16
PART_BYTES = 1 << 22

# Rows of the gradient that are put into their places together.
UNPACKED_ROWS = 64


@kernel
def _unpack(
    sums: np.ndarray, rows: np.ndarray, column_step: int, group_step: int, columns: int,
    out: np.ndarray,
) -> None:  # fmt: skip
    """out[g * group_step + rows[r] + c * column_step] = Σ over s of sums[s, g, r, c]."""
    parts, groups, height, _ = sums.shape
    blocks = (height + UNPACKED_ROWS - 1) // UNPACKED_ROWS
    strips = (columns + UNPACKED_ROWS - 1) // UNPACKED_ROWS
    for job in prange(groups * blocks * strips):
        first, column = job % blocks * UNPACKED_ROWS, job // blocks % strips * UNPACKED_ROWS
        group = job // blocks // strips
        for c in range(column, min(columns, column + UNPACKED_ROWS)):
            target = group * group_step + c * column_step
            for row in range(first, min(height, first + UNPACKED_ROWS)):
                total = sums[0, group, row, c]
                for part in range(1, parts):
                    total += sums[part, group, row, c]
                out[target + rows[row]] = total


def unpack(sums: np.ndarray, problem: Problem) -> np.ndarray:
    """sums (parts, groups, taps * channels, columns) -> the weight's gradient (K, C, *taps)."""
    per_group, depth = problem.filters // problem.groups, problem.channels // problem.groups
    out = buffers.empty((problem.filters, depth, *problem.kernel), problem.dtype)
    size = depth * problem.taps
    rows = _weight_rows(problem.taps, depth)
    _unpack(sums, rows, size, per_group * size, per_group, out.reshape(-1))
    return out


@lru_cache(maxsize=256)
def _weight_rows(taps: int, depth: int) -> np.ndarray:
    """Where (tap, channel) lies in a filter (channels, taps)."""
    return (np.arange(taps)[:, None] + np.arange(depth) * taps).reshape(-1)


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
        size = len(self.taps) * problem.filters * problem.dtype.itemsize
        parts = max(1, min(JOBS, PART_BYTES // size))
        self._share(-(-JOBS // (parts * problem.groups)))
        lanes = target.lanes(problem.dtype.itemsize)
        # One vector more: rows a power of two apart would meet in the same lines of the cache.
        self.tap_stride = -(-self.row_block // lanes) * lanes + lanes
        bytes_of_pixel = (self.tap_stride + self.panel_block * self.wide) * problem.dtype.itemsize
        self._cut(problem, max(LEAST_PIXELS, min(MOST_PIXELS, CHUNK_BYTES // bytes_of_pixel)))
        self.longest = int((self.chunks[:, 1] * self.chunks[:, 2]).max())
        self.together = -(-len(self.chunks) // parts)
        self.parts = -(-len(self.chunks) // self.together)

    def _cut(self, problem: Problem, pixels: int) -> None:
        """Cut the output into chunks of about so many pixels."""
        (D, H, W), C = problem.padded, problem.channels
        (depth, height, width), stride = problem.out, problem.stride
        self.step = stride[2] * C
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

    def _share(self, blocks: int) -> None:
        """Cut the gradient into so many blocks of rows and of panels, or as many as there are, so
        that little is read twice."""
        rows = -(-len(self.taps) // self.form.rows)
        best: tuple[tuple[int, int], int, int] | None = None
        shares = range(1, min(rows, blocks) + 1), range(1, min(self.panels, blocks) + 1)
        for by_row, by_panel in product(*shares):
            missing = max(0, blocks - by_row * by_panel)
            read = by_row * self.filters + by_panel * len(self.taps)
            if best is None or (missing, read) < best[0]:
                best = (missing, read), by_row, by_panel
        assert best is not None
        _, by_row, by_panel = best
        self.row_block = -(-rows // by_row) * self.form.rows
        self.panel_block = -(-self.panels // by_panel)


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
    )
    return unpack(sums, problem)


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
            if rest:
                begin = stop - tap - rest
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
    for panel in range((columns + wide - 1) // wide):
        for pixel in range(pixels):
            target, source = (panel * pixels + pixel) * wide, origin + pixel * stride + panel * wide
            for v in range(0, wide, step):
                left = columns - panel * wide - v
                if left >= step == lanes(grad):
                    store(packed, target + v, load(grad, source + v))
                else:
                    # Of a vector without any column, not even the address may be formed.
                    place = source + v if left > 0 else 0
                    value = load_some(grad, place, min(left, step))
                    store_some(packed, target + v, value, step)


@cache
def product_over_pixels(vectors: int, rows: int, narrow: int) -> Kernel:
    """The kernel whose tiles are `vectors` vectors of filters wide and `rows` taps high.

    Each job packs what it reads of a chunk, taps by pixels and filters by pixels: in place both
    would be read across the lines of memory.
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
    ) -> None:
        # x[group * depth + runs[r] + t * step + taps[row]]: what tap `row` sees at pixel t of run
        # r. chunks: (count, 4), of each the first run, how many, their length, the first pixel;
        # `together` of them go into one sum. out: (sums, groups, taps, panels' columns).
        sums, groups, height, across = out.shape
        flat, wide = out.reshape(-1), VECTORS * lanes(x) // narrow
        panels, pixel_step = across // wide, groups * filters
        row_blocks = (height + row_block - 1) // row_block
        panel_blocks = (panels + panel_block - 1) // panel_block
        nothing, here = np.zeros(wide, x.dtype), np.zeros(1, np.int64)
        starts = np.empty(row_block + ROWS, np.int64)
        for row in range(row_block + ROWS):
            starts[row] = min(row, row_block - 1)
        for job in prange(sums * groups * row_blocks * panel_blocks):
            first_panel = job % panel_blocks * panel_block
            first_row = job // panel_blocks % row_blocks * row_block
            part = job // panel_blocks // row_blocks
            group, number = part % groups, part // groups
            count = min(row_block, height - first_row)
            width = min(panel_block, panels - first_panel)
            columns = min(filters - first_panel * wide, width * wide)
            seen, given = packed_taps[get_thread_id()], packed_columns[get_thread_id()]
            ends = np.empty(count + ROWS, np.int64)
            for row in range(count + ROWS):
                tap = first_row + min(row, count - 1)
                ends[row] = (part * height + tap) * across + first_panel * wide
            first_chunk = number * together
            for chunk in range(first_chunk, min(len(chunks), first_chunk + together)):
                run, many, length = chunks[chunk, 0], chunks[chunk, 1], chunks[chunk, 2]
                pixels = many * length
                for r in range(many):
                    origin = group * depth + runs[run + r]
                    gather_taps(
                        x, taps, first_row, count, segment, origin, step, length,
                        seen, r * length * tap_stride, tap_stride,
                    )  # fmt: skip
                origin = chunks[chunk, 3] * pixel_step + group * filters + first_panel * wide
                gather_columns(grad, origin, pixel_step, pixels, columns, wide, given)
                for panel in range(width):
                    for row in range(0, count, ROWS):
                        tile = multiply_add(
                            start(nothing, 0), seen, starts, row, here, 0, 1, pixels, tap_stride,
                            given, panel * pixels * wide, wide,
                        )  # fmt: skip
                        if chunk > first_chunk:
                            tile = add(tile, flat, ends, row, ROWS, panel * wide, wide)
                        save(tile, flat, ends, row, count - row, panel * wide, wide)

    return over_pixels
