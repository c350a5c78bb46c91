"""Convolution of pictures of one channel, and its weight's gradient: neighbours share an address.

Pixels of one channel lie side by side, and so do the taps of a filter's row. So a tile's numbers
are all a fixed distance from one place in memory, and nothing is copied or looked up for them.
Vectors run over the filters, half vectors where these are few.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, lru_cache
from typing import Any, NamedTuple

import numpy as np
from llvmlite import ir

from minigrad.kernels import buffers
from minigrad.kernels.direct import padded
from minigrad.kernels.finish import Finish
from minigrad.kernels.jit import Kernel, kernel, prange
from minigrad.kernels.problem import Problem
from minigrad.kernels.simd import (
    ARRAY,
    INTEGER,
    address,
    broadcast,
    first_lanes,
    fused,
    packed,
    primitive,
    read,
    read_some,
    unpacked,
)
from minigrad.kernels.target import target
from minigrad.kernels.tile import MOST_ROWS, WIDE_BYTES, Loop, TileType, tiling

__all__ = ["forward", "suits", "weight_grad"]

WORD = ir.IntType(64)
# Lengths of a filter's row that the gradient is compiled for.
WIDTHS = 3, 5
# The gradient is summed in so many parts, if there are as many runs of rows, which are added in
# order; and so many pixels in one go, which rounds less than one long sum.
PARTS = 16
LONGEST_SUM = 512


def suits(problem: Problem) -> bool:
    """Whether pixels, and taps, are neighbours in memory, and a row of pixels fills a tile."""
    *_, width = problem.axes
    neighbours = problem.channels == width.stride == width.dilation == 1
    return neighbours and width.kernel in WIDTHS and width.out >= MOST_ROWS


class _Plan(NamedTuple):
    """Where a problem's rows lie in the padded input, and how its filters are cut."""

    narrow: int  # the part of a vector that filters take
    wide: int
    panels: int
    sizes: np.ndarray  # of the output: depth, height, width
    steps: np.ndarray  # from image to image, in depth, in height
    lines: np.ndarray  # where a window's rows begin, the last repeated to fill tiles


@lru_cache(maxsize=256)
def _plan(problem: Problem) -> _Plan:
    lanes = target.lanes(problem.dtype.itemsize)
    halves = target.bytes >= WIDE_BYTES and problem.filters <= lanes // 2
    wide = lanes // 2 if halves else lanes
    (D, H, W), (depth, height, width) = problem.padded, problem.axes
    down = np.arange(depth.kernel)[:, None] * depth.dilation * H * W
    lines = (down + np.arange(height.kernel) * height.dilation * W).reshape(-1)
    more = -len(lines) % rows_together(width.kernel)
    return _Plan(
        2 if halves else 1,
        wide,
        -(-problem.filters // wide),
        np.array(problem.out),
        np.array([D * H * W, depth.stride * H * W, height.stride * W]),
        np.append(lines, np.repeat(lines[-1:], more)),
    )


def rows_together(width: int) -> int:
    """Of a filter's rows of this width, how many are summed at a time: as many as make a square,
    if there are registers for it, one for the filters' numbers and two to spare."""
    return max(1, min(width, (target.registers - 3) // width))


def forward(problem: Problem, x: np.ndarray, weight: np.ndarray, finish: Finish) -> np.ndarray:
    """x (N, D, H, W, 1), weight (K, 1, *taps) -> (N, OD, OH, OW, K)."""
    plan, filters, dtype = _plan(problem), problem.filters, problem.dtype
    by_filter = np.zeros((plan.panels * plan.wide, problem.taps), dtype)
    by_filter[:filters] = weight.reshape(filters, problem.taps)
    panels = by_filter.reshape(plan.panels, plan.wide, -1).transpose(0, 2, 1)
    out = buffers.empty((problem.images, *problem.out, filters), dtype)
    product_of_neighbours(plan.narrow)(
        padded(x, problem).reshape(-1),
        np.ascontiguousarray(panels),
        finish.padded_bias(plan.panels * plan.wide, dtype),
        finish.flat_residual(dtype),
        out.reshape(-1, filters),
        plan.sizes,
        plan.steps,
        plan.lines,
        problem.kernel[2],
        finish.slope,
        finish.most,
    )
    return out


def weight_grad(problem: Problem, x: np.ndarray, grad: np.ndarray) -> np.ndarray:
    """The gradient of the weight (K, 1, *taps) from x and grad (N, OD, OH, OW, K)."""
    plan, (depth, height, width) = _plan(problem), problem.out
    many = max(1, LONGEST_SUM // width)
    runs = problem.images * depth * -(-height // many)
    shape = min(PARTS, runs), plan.panels, len(plan.lines) * problem.kernel[2], plan.wide
    sums = np.zeros(shape, problem.dtype)
    sum_of_neighbours(problem.kernel[2], plan.narrow)(
        padded(x, problem).reshape(-1),
        grad.reshape(-1, problem.filters),
        sums,
        plan.sizes,
        plan.steps,
        plan.lines,
        problem.images,
        many,
    )
    by_panel = np.add.reduce(sums, axis=0)[:, : problem.taps].transpose(0, 2, 1)
    by_filter = np.ascontiguousarray(by_panel).reshape(-1, problem.taps)[: problem.filters]
    return by_filter.reshape(-1, 1, *problem.kernel)


@cache
def product_of_neighbours(narrow: int) -> Kernel:
    """The kernel that convolves, with filters in `narrow`-th parts of vectors."""
    form = tiling(1, min(MOST_ROWS, target.rows(1)), narrow)
    ROWS, start, add, bend, save = form.rows, form.start, form.add, form.bend, form.save
    slide = _slide(ROWS, narrow)

    @kernel(name=f"one_channel.product_of_neighbours_{narrow}")
    def product(
        x: np.ndarray,
        panels: np.ndarray,
        bias: np.ndarray,
        residual: np.ndarray,
        out: np.ndarray,
        sizes: np.ndarray,
        steps: np.ndarray,
        lines: np.ndarray,
        width: int,
        slope: float,
        most: float,
    ) -> None:
        # panels: (panels, taps, wide); out, residual: (pixels, filters), the latter flat or empty
        count, taps, wide = panels.shape
        filters, length = out.shape[1], sizes[2]
        flat, numbers = out.reshape(-1), panels.reshape(-1)
        ends = np.empty(ROWS, np.int64)
        for i in range(ROWS):
            ends[i] = i * filters
        for row in prange(len(out) // length):
            h, plane = row % sizes[1], row // sizes[1]
            origin = plane // sizes[0] * steps[0] + plane % sizes[0] * steps[1] + h * steps[2]
            # The last tile begins where it ends with the row: what it shares it computes alike.
            for tile in range((length + ROWS - 1) // ROWS):
                pixel = min(tile * ROWS, length - ROWS)
                for panel in range(count):
                    place = (row * length + pixel) * filters + panel * wide
                    left = filters - panel * wide
                    sums = start(bias, panel * wide)
                    for line in range(taps // width):
                        seen = origin + lines[line] + pixel
                        at = (panel * taps + line * width) * wide
                        sums = slide(sums, x, seen, width, numbers, at, wide)
                    if len(residual) > 0:
                        sums = add(sums, residual, ends, 0, ROWS, place, left)
                    if slope != 1.0 or most != np.inf:
                        sums = bend(sums, slope, most)
                    save(sums, flat, ends, 0, ROWS, place, left, False)

    return product


@cache
def sum_of_neighbours(width: int, narrow: int) -> Kernel:
    """The kernel of the weight's gradient, for filters whose rows are `width` taps long."""
    TOGETHER = rows_together(width)
    form = tiling(1, TOGETHER * width, narrow)
    ROWS, start, add, save = form.rows, form.start, form.add, form.save
    see = _see(width, TOGETHER, narrow)

    @kernel(name=f"one_channel.sum_of_neighbours_{width}_{narrow}")
    def total(
        x: np.ndarray,
        grad: np.ndarray,
        out: np.ndarray,
        sizes: np.ndarray,
        steps: np.ndarray,
        lines: np.ndarray,
        images: int,
        many: int,
    ) -> None:
        # grad: (pixels, filters); out: (parts, panels, taps, wide); a run is up to `many` rows of
        # pixels of one plane
        parts, panels, taps, wide = out.shape
        filters, flat, given = grad.shape[1], out.reshape(-1), grad.reshape(-1)
        cuts, nothing = (sizes[1] + many - 1) // many, np.zeros(wide, x.dtype)
        runs, ends = images * sizes[0] * cuts, np.empty(ROWS, np.int64)
        for i in range(ROWS):
            ends[i] = i * wide
        for part in prange(parts):
            first = part * runs // parts
            for run in range(first, (part + 1) * runs // parts):
                h, plane = run % cuts * many, run // cuts
                high = min(many, sizes[1] - h)
                origin = plane // sizes[0] * steps[0] + plane % sizes[0] * steps[1] + h * steps[2]
                pixel = (plane * sizes[1] + h) * sizes[2]
                for panel in range(panels):
                    for line in range(0, len(lines), TOGETHER):
                        place = ((part * panels + panel) * taps + line * width) * wide
                        sums = see(
                            start(nothing, 0), x, origin, lines, line, steps[2], high, sizes[2],
                            given, pixel * filters + panel * wide, filters, filters - panel * wide,
                        )  # fmt: skip
                        if run > first:
                            sums = add(sums, flat, ends, 0, ROWS, place, wide)
                        save(sums, flat, ends, 0, ROWS, place, wide, False)

    return total


def _number(i: int) -> ir.Constant:
    return ir.Constant(WORD, i)


def _near(builder: Any, vector: Any, pointer: ir.Value, i: int) -> ir.Value:
    """The number i places after this one, in all lanes."""
    return broadcast(builder, vector, builder.load(builder.gep(pointer, [_number(i)])))


@cache
def _slide(rows: int, narrow: int) -> Callable[..., Any]:
    """The primitive that sums over taps of one row, for as many pixels as a tile has rows."""

    def slide(
        tile: np.ndarray, x: np.ndarray, i: int, count: int, panel: np.ndarray, j: int, step: int
    ) -> np.ndarray:
        """Row p adds Σ x[i + p + t] * panel[j + t * step :] over t < count, at least 1."""
        total = tile.copy()
        for t in range(count):
            numbers = panel[j + t * step : j + t * step + tile.shape[1]]
            total += x[i + t : i + t + rows, None] * numbers
        return total

    kinds = TileType, ARRAY, INTEGER, INTEGER, ARRAY, INTEGER, INTEGER

    @primitive(slide, lambda tile, *_: tile, *kinds)
    def _(builder: Any, kinds: Any, values: Any) -> ir.Value:
        kind, vector = kinds[0], kinds[0].vector
        tile, x, i, count, panel, j, step = values
        begin, numbers = builder.gep(x, [i]), builder.gep(panel, [j])
        loop = Loop(builder, "tap", count, [numbers, *unpacked(builder, tile)])
        source, *sums = loop.values
        column = read(builder, vector, address(builder, vector, source, _number(0)))
        pointer = builder.gep(begin, [loop.index])
        for p in range(rows):
            sums[p] = fused(builder, vector, _near(builder, vector, pointer, p), column, sums[p])
        loop.end([builder.gep(source, [step]), *sums])
        return packed(builder, kind.vector, sums)

    return slide


@cache
def _see(width: int, together: int, narrow: int) -> Callable[..., Any]:
    """The primitive that sums over pixels of a few rows, for the taps of as many as `together`
    rows of a filter."""

    def see(
        tile: np.ndarray,
        x: np.ndarray,
        i: int,
        lines: np.ndarray,
        line: int,
        pitch: int,
        high: int,
        length: int,
        grad: np.ndarray,
        j: int,
        step: int,
        filters: int,
    ) -> np.ndarray:
        """Row r * width + s adds Σ x[i + lines[line + r] + h * pitch + p + s] * grad[j + (h *
        length + p) * step :] over h < high and p < length, at least 1; `filters` are there."""
        total = tile.copy()
        for h in range(high):
            for p in range(length):
                at = j + (h * length + p) * step
                numbers = grad[at : at + min(filters, tile.shape[1])]
                for r in range(together):
                    begin = i + lines[line + r] + h * pitch + p
                    seen = x[begin : begin + width, None]
                    total[r * width : (r + 1) * width, : len(numbers)] += seen * numbers
        return total

    integers = INTEGER, INTEGER, INTEGER, INTEGER
    kinds = TileType, ARRAY, INTEGER, ARRAY, *integers, ARRAY, INTEGER, INTEGER, INTEGER

    @primitive(see, lambda tile, *_: tile, *kinds)
    def _(builder: Any, kinds: Any, values: Any) -> ir.Value:
        kind, vector = kinds[0], kinds[0].vector
        tile, x, i, lines, line, pitch, high, length, grad, j, step, filters = values
        places = [builder.add(line, _number(r)) for r in range(together)]
        begins = [
            builder.gep(x, [builder.add(i, builder.load(builder.gep(lines, [place])))])
            for place in places
        ]
        mask = first_lanes(builder, vector, filters)
        given = builder.gep(grad, [j])
        outer = Loop(builder, "row", high, [given, *unpacked(builder, tile)])
        across = builder.mul(outer.index, pitch)
        rows = [builder.gep(begin, [across]) for begin in begins]
        inner = Loop(builder, "pixel", length, outer.values)
        source, *sums = inner.values
        place = address(builder, vector, source, _number(0))
        column = read_some(builder, vector, place, mask)
        for r, row in enumerate(rows):
            pointer = builder.gep(row, [inner.index])
            for s in range(width):
                number, tap = _near(builder, vector, pointer, s), r * width + s
                sums[tap] = fused(builder, vector, number, column, sums[tap])
        inner.end([builder.gep(source, [step]), *sums])
        outer.end([builder.gep(source, [step]), *sums])
        return packed(builder, kind.vector, sums)

    return see
