"""Direct convolution and the gradient of its input: sums of products, read in place.

No input is rearranged: a tile's rows are output pixels, wherever their windows begin. Only the
weights are packed, into panels as wide as a tile. `direct_plan` says what is summed.
"""

from __future__ import annotations

from functools import cache

import numpy as np

from minigrad.kernels import buffers, precision
from minigrad.kernels.direct_plan import Plan, forward_plan, input_grad_plan
from minigrad.kernels.finish import Finish
from minigrad.kernels.im2col import gather
from minigrad.kernels.jit import Kernel, inner, kernel, most_threads, prange
from minigrad.kernels.packing import pack
from minigrad.kernels.problem import Problem
from minigrad.kernels.simd import lanes, load, take
from minigrad.kernels.streaming import LINE, drain, fetch, part, put, streams, zeros
from minigrad.kernels.tile import tiling
from minigrad.kernels.window import Lengths

__all__ = ["forward", "input_grad", "padded"]


def padded(x: np.ndarray, problem: Problem) -> np.ndarray:
    """x (N, D, H, W, C) with zeros around it; x itself if there are none to add."""
    return _surrounded(x, problem.before, problem.padded)


def _surrounded(x: np.ndarray, before: Lengths, lengths: Lengths) -> np.ndarray:
    N, D, H, W, C = x.shape
    if lengths == (D, H, W):
        return x
    out = buffers.empty((N, *lengths, C), x.dtype)
    flat = out.reshape(*out.shape[:3], lengths[2] * C)
    pad(x.reshape(N, D, H, W * C), flat, np.array([before[0], before[1], before[2] * C]))
    return out


def forward(problem: Problem, x: np.ndarray, weight: np.ndarray, finish: Finish) -> np.ndarray:
    """x (N, D, H, W, C), weight (K, C / groups, *taps) -> (N, OD, OH, OW, K)."""
    out = buffers.empty((problem.images, *problem.out, problem.filters), problem.dtype)
    plan = forward_plan(problem, precision.is_strict())
    _run(plan, problem, _surrounded(x, plan.before, plan.lengths), weight, finish, out)
    return out


def input_grad(problem: Problem, grad: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """The gradient of x from that of the output: dense products, one for each phase of a stride."""
    plan = input_grad_plan(problem, precision.is_strict())
    make = buffers.empty if plan.complete else zeros
    out = make((problem.images, *problem.size, problem.channels), problem.dtype)
    _run(plan, problem, _surrounded(grad, plan.before, plan.lengths), weight, Finish(), out)
    return out


def _run(
    plan: Plan,
    problem: Problem,
    x: np.ndarray,
    weight: np.ndarray,
    finish: Finish,
    out: np.ndarray,
) -> None:
    groups, columns, dtype, form = problem.groups, plan.columns, problem.dtype, plan.form
    threads, wide = most_threads(), form.columns(dtype)
    count = -(-columns // wide)
    panels = buffers.empty((groups, count, plan.numbers, wide), dtype)
    steps = plan.outer_step, plan.column_step, plan.group_step
    pack(weight.reshape(-1), plan.places, *steps, columns, panels)
    bias = np.zeros((groups, 0 if finish.bias is None else count * wide), dtype)
    if finish.bias is not None:
        bias[:, :columns] = finish.bias.reshape(groups, columns)
    # Whole vectors only are stored past the caches.
    streamed = not columns * dtype.itemsize % LINE and form.narrow == 1 and streams(out)
    for product in plan.products:
        # Sums of parts of a slab are kept for a panel, those of parts of all for a share of them.
        kept = product.share if product.slab < product.numbers else 1
        partial = (
            kept * product.block * wide
            if product.length * product.together < product.numbers
            else 0
        )
        sight = product.sight
        product_over_runs(*form.key)(
            x.reshape(-1),
            product.runs,
            product.length,
            product.together,
            panels,
            product.first,
            product.numbers,
            bias.reshape(-1),
            finish.flat_residual(dtype),
            out.reshape(-1),
            product.origin,
            product.sizes,
            product.x_steps,
            product.out_steps,
            columns,
            product.block,
            product.share,
            finish.slope,
            finish.most,
            buffers.empty((threads, partial), dtype),
            sight.size,
            sight.times,
            sight.shifts,
            sight.span,
            sight.depth,
            product.slab,
            product.stride,
            buffers.empty((threads, product.block * product.stride), dtype),
            product.adjoining,
            streamed,
            np.zeros(1, np.int64),
        )


@kernel(light=True)
def pad(x: np.ndarray, out: np.ndarray, before: np.ndarray) -> None:
    """out = zeros with x inside, `before` zeros before it in depth, height and width.

    x, out: (images, depth, height, width * channels), the last of `before` counting elements.
    """
    N, D, H, length = x.shape
    _, depth, height, width = out.shape
    source, flat, zeros = x.reshape(-1), out.reshape(-1), np.zeros(lanes(x), x.dtype)
    for job in prange(N * depth * height):
        h, rest = job % height - before[1], job // height
        n, d, step = rest // depth, rest % depth - before[0], lanes(x)
        inside, row, nothing = 0 <= d < D and 0 <= h < H, job * width, load(zeros, 0)
        left, count = before[2] if inside else width, length if inside else 0
        first = ((n * D + d) * H + h) * length
        for i in range(0, left, step):
            put(flat, row + i, nothing, left - i, False)
        for i in range(0, count, step):
            put(flat, row + left + i, part(source, first + i, count - i), count - i, False)
        for i in range(left + count, width, step):
            put(flat, row + i, nothing, width - i, False)


@inner
def walk(
    starts: np.ndarray, row: int, rows: int, sizes: np.ndarray, steps: np.ndarray, origin: int
) -> None:
    """starts[i] = origin + where row `row + i` of a grid of these sizes and steps lies, for
    i < rows; the rest of `starts` repeats the last."""
    i3 = row % sizes[3]
    rest = row // sizes[3]
    i2 = rest % sizes[2]
    rest = rest // sizes[2]
    i1 = rest % sizes[1]
    i0 = rest // sizes[1]
    for i in range(rows):
        starts[i] = origin + i0 * steps[0] + i1 * steps[1] + i2 * steps[2] + i3 * steps[3]
        i3 += 1
        if i3 == sizes[3]:
            i3 = 0
            i2 += 1
            if i2 == sizes[2]:
                i2 = 0
                i1 += 1
                if i1 == sizes[1]:
                    i1 = 0
                    i0 += 1
    for i in range(rows, len(starts)):
        starts[i] = starts[rows - 1]


@cache
def product_over_runs(vectors: int, rows: int, narrow: int) -> Kernel:
    """The kernel whose tiles are `vectors` vectors wide and `rows` high.

    out[row] = finish(bias + Σ over runs r and t < length of x[row + runs[r] + t] * panel[r, t])
    for all rows of a grid (image, depth, height, width), in every group.
    """
    tile = tiling(vectors, rows, narrow)
    ROWS, VECTORS, start, multiply_add = tile.rows, tile.vectors, tile.start, tile.multiply_add
    add, bend, save, claim_rows = tile.add, tile.bend, tile.save, tile.claim_rows

    @kernel(name=f"direct.product_over_runs_{vectors}_{rows}_{narrow}")
    def over_runs(
        x: np.ndarray,
        runs: np.ndarray,
        length: int,
        together: int,
        panels: np.ndarray,
        first_number: int,
        depth: int,
        bias: np.ndarray,
        residual: np.ndarray,
        out: np.ndarray,
        origin: int,
        sizes: np.ndarray,
        x_steps: np.ndarray,
        out_steps: np.ndarray,
        columns: int,
        block: int,
        share: int,
        slope: float,
        most: float,
        partial: np.ndarray,
        size: np.ndarray,
        times: np.ndarray,
        shifts: np.ndarray,
        span: int,
        sight: int,
        slab: int,
        stride: int,
        copied: np.ndarray,
        adjoining: bool,
        streamed: bool,
        queue: np.ndarray,
    ) -> None:
        # panels: (groups, panels, numbers, tile's columns), of which `depth` numbers from
        # `first_number` on are summed; bias: (groups * panels * columns), or none;
        # x_steps, out_steps: of the image, depth, height, width, then of the group; partial:
        # (threads, panels of a slab's sums * block * a tile's columns); copied: (threads, block *
        # stride). What `im2col.gather` takes is only used where stride is not 0. `adjoining`: the
        # rows of x lie one after the other, each all that is summed.
        groups, count, pitch, columns_of_panel = panels.shape
        total = sizes[0] * sizes[1] * sizes[2] * sizes[3]
        blocks = (total + block - 1) // block
        shares = (count + share - 1) // share
        jobs, chunk = groups * blocks * shares, together * length
        flat, nothing = panels.reshape(-1), np.zeros(columns_of_panel, x.dtype)
        # What the next job reads is fetched bit by bit while this one computes.
        tiles = (block + ROWS - 1) // ROWS * share * ((depth + chunk - 1) // chunk)
        fetched = block * depth * x.itemsize // LINE // tiles + 1
        lines, alike = np.empty(block + ROWS, np.int64), np.zeros(ROWS, np.int64)
        area = block * columns_of_panel if slab < depth else 0
        for row in range(block + ROWS):
            lines[row] = min(row, block - 1) * columns_of_panel
        for worker in prange(len(copied)):
            # Here the compiler knows it, and needs no masks for whole vectors.
            wide = VECTORS * lanes(x) // narrow
            starts = np.empty(block + ROWS, np.int64)
            ends = np.empty(block + ROWS, np.int64)
            totals = partial[worker]
            job = take(queue, 0)
            while job < jobs:
                following = take(queue, 0)
                ahead, end = 0, 0
                if adjoining and following < jobs and following % blocks != job % blocks:
                    ahead = following % blocks * block * depth
                    end = min(total * depth, ahead + block * depth)
                first = job % blocks * block
                group = job // blocks // shares
                begin = job // blocks % shares * share
                height = min(block, total - first)
                walk(ends, first, height, sizes, out_steps, origin + group * out_steps[4])
                if stride == 0:
                    walk(starts, first, height, sizes, x_steps, group * x_steps[4])
                else:
                    for row in range(block + ROWS):
                        starts[row] = min(row, height - 1) * stride
                for bottom in range(0, depth, slab):
                    top, source = min(depth, bottom + slab), x
                    if stride > 0:
                        source = copied[worker]
                        gather(
                            x, group * sight, size, sizes, times, shifts, span, sight,
                            first, height, bottom, top, source, stride,
                        )  # fmt: skip
                    for panel in range(begin, min(count, begin + share)):
                        place, column = (group * count + panel) * wide, panel * wide
                        kept = (panel - begin) * area
                        for number in range(bottom, top, chunk):
                            run, last = (number - bottom) // length, number + chunk >= depth
                            many = (min(chunk, top - number) + length - 1) // length
                            for row in range(0, height, ROWS):
                                ahead = fetch(x, ahead, end, fetched)
                                if last and not streamed:
                                    claim_rows(out, ends, row, column)
                                sums = multiply_add(
                                    start(nothing, 0), source, starts, row,
                                    runs, run, many, min(length, top - number), 1,
                                    flat, place * pitch + (first_number + number) * wide, wide,
                                )  # fmt: skip
                                if number > 0:
                                    sums = add(sums, totals, lines, row, ROWS, kept, wide)
                                left, width = height - row, columns - column
                                if not last:
                                    save(sums, totals, lines, row, ROWS, kept, wide, False)
                                    continue
                                # Last, so that no sum rounds as large numbers do.
                                if len(bias) > 0:
                                    sums = add(sums, bias, alike, 0, ROWS, place, wide)
                                if len(residual) > 0:
                                    sums = add(sums, residual, ends, row, left, column, width)
                                if slope != 1.0 or most != np.inf:
                                    sums = bend(sums, slope, most)
                                save(sums, out, ends, row, left, column, width, streamed)
                job = following
            drain(out)

    return over_runs
