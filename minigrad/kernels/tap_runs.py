"""Sums over runs of taps, where every channel has a filter of its own.

In the way of `simd`: a NumPy function that says what is done, and the instructions it becomes. Taps
next to each other in a filter's row are a run, which may be several rows high. What a pixel sees
through one of them, the next sees through the tap before: it is loaded once for all of a patch.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from itertools import product
from typing import Any, NamedTuple

import numpy as np
from llvmlite import ir

from minigrad.kernels.pixel_vectors import (
    PIXELS,
    ROWS,
    Patches,
    Pixel,
    below,
    number,
    patches,
    whole_or_not,
)
from minigrad.kernels.simd import (
    ARRAY,
    INTEGER,
    VectorType,
    fused,
    lanes,
    nothing,
    packed,
    primitive,
    types,
    unpacked,
)
from minigrad.kernels.tile import Loop

__all__ = ["SEEN", "Runs", "runs_of"]

SEEN = 6
"""Of each run: where its first tap's weights begin, where in x the first column begins that pixel 0
of the patch's first row sees, and the ranges of columns and rows, first and stop, that are there,
rows counted from that column's."""


class Runs(NamedTuple):
    """The patches that see through runs of so many taps, and the two sums over these."""

    patches: Patches
    add: Callable[..., Any]
    sum: Callable[..., Any]


# Of both: x, i and step tell where columns lie; then come `seen` and how many runs it tells of,
# whether all columns and channels are there, the patch's first pixel, and how many channels are.
_RUNS = (ARRAY, INTEGER, INTEGER, ARRAY, INTEGER, types.Boolean, INTEGER, INTEGER)
# An array with the weights of taps, the channel to begin with, and the distance from tap to tap.
_WEIGHTS = ARRAY, INTEGER, INTEGER


@cache
def runs_of(tall: int, width: int) -> Runs:
    """The sums over the first `count` runs, at least 1, of `tall` rows of `width` taps each."""
    # A row alone takes two vectors of every pixel, so that enough sums go on at a time: eight, as a
    # multiply-add takes four cycles and two can begin in one.
    patch = patches(ROWS, 1) if tall > 1 else patches(1, 2)
    rows, vectors = patch.rows, patch.vectors

    def add_runs(
        totals: tuple[np.ndarray, ...],
        x: np.ndarray,
        i: int,
        step: int,
        seen: np.ndarray,
        count: int,
        inside: bool,
        first: int,
        channels: int,
        weight: np.ndarray,
        c: int,
        across: int,
        pitch: int,
    ) -> tuple[np.ndarray, ...]:
        """Each total adds what its pixel sees times the taps' weights from channel c on.

        `inside` tells that all columns and channels are there; rows of x are `pitch` apart.
        """
        sums = np.array(totals).reshape(rows, PIXELS, -1)
        for run in seen.reshape(-1, SEEN)[:count]:
            for r in range(max(0, run[4]), min(run[5], rows + tall - 1)):
                columns = _seen_columns(
                    x, i + r * pitch, step, run, width, first, channels, vectors
                )
                many = columns.shape[1]
                for (row, up), tap in product(_meetings(r, tall, rows), range(width)):
                    begin = run[0] + (up * width + tap) * across + c
                    factors = weight[begin : begin + many]
                    sums[row, :, :many] += columns[tap : tap + PIXELS] * factors
        return tuple(sums.reshape(rows * PIXELS * vectors, -1))

    @primitive(add_runs, lambda totals, *_: totals, types.UniTuple, *_RUNS, *_WEIGHTS, INTEGER)
    def _(builder: Any, kinds: Any, values: Any) -> ir.Value:
        kind, (totals, *common, weight, c, across, pitch) = kinds[0].dtype, values

        def row_of(r: int, columns: Any, taps: Any, sums: list[ir.Value]) -> list[ir.Value]:
            sums = list(sums)
            for k in range(PIXELS + width - 1):
                pixel = columns(k, builder.mul(pitch, number(r)))
                for (row, up), (j, tap) in product(_meetings(r, tall, rows), _meetings(k, width)):
                    for v, vector in enumerate(pixel):
                        total, factor = (row * PIXELS + j) * vectors + v, taps[up * width + tap][v]
                        sums[total] = fused(builder, kind, vector, factor, sums[total])
            return sums

        def step_of(pixel: Pixel, run: Any, column: Any, sums: Any) -> list[ir.Value]:
            places = _steps(builder, builder.add(run[0], c), across, tall * width)
            taps = [pixel.read(weight, place) for place in places]
            if tall == 1:
                return row_of(0, column, taps, sums)
            for r in range(rows + tall - 1):
                after = builder.icmp_signed("<=", run[4], number(r))
                there = builder.and_(after, below(builder, r, run[5]))
                sums = _where(builder, there, sums, partial(row_of, r, column, taps))
            return sums

        sums = _each_run(builder, kind, vectors, width, common, unpacked(builder, totals), step_of)
        return packed(builder, kind, sums)

    def sum_runs(
        patch: tuple[np.ndarray, ...],
        stop: int,
        x: np.ndarray,
        i: int,
        step: int,
        seen: np.ndarray,
        count: int,
        inside: bool,
        first: int,
        channels: int,
        sums: np.ndarray,
        c: int,
        across: int,
    ) -> None:
        """Of each tap, sums[its weights + c :] += Σ over pixels j < stop of the patch times what
        is seen through it; `inside` as of `add_runs`, and all pixels are there."""
        factors = np.array(patch).reshape(PIXELS, -1)[: max(0, stop)]
        for run in seen.reshape(-1, SEEN)[:count]:
            columns = _seen_columns(x, i, step, run, width, first, channels, vectors)
            many = columns.shape[1]
            for tap in range(width):
                begin = run[0] + tap * across + c
                products = columns[tap : tap + len(factors)] * factors[:, :many]
                sums[begin : begin + many] += products.sum(axis=0)

    @primitive(sum_runs, nothing, types.UniTuple, INTEGER, *_RUNS, *_WEIGHTS)
    def _(builder: Any, kinds: Any, values: Any) -> None:
        kind, (patch, stop, *common, target, c, across) = kinds[0].dtype, values
        factors = unpacked(builder, patch)
        there = [below(builder, j, stop) for j in range(PIXELS)]

        def step_of(pixel: Pixel, run: Any, column: Any, _: Any) -> list[ir.Value]:
            places = _steps(builder, builder.add(run[0], c), across, width)
            taps = [pixel.read(target, place) for place in places]
            for k in range(PIXELS + width - 1):
                seen = column(k, number(0))
                for j, tap in _meetings(k, width):
                    sums = taps[tap]
                    for v, vector in enumerate(seen):
                        more = fused(builder, kind, vector, factors[j * vectors + v], sums[v])
                        # A pixel that is not there is 0, but 0 times infinity would be NaN.
                        apart = pixel.bits is not None
                        sums[v] = builder.select(there[j], more, sums[v]) if apart else more
            for place, sums in zip(places, taps, strict=True):
                pixel.write(target, place, sums)
            return []

        _each_run(builder, kind, vectors, width, common, [], step_of)

    return Runs(patch, add_runs, sum_runs)


def _seen_columns(
    x: np.ndarray, i: int, step: int, run: np.ndarray, width: int, first: int, channels: int,
    vectors: int,
) -> np.ndarray:  # fmt: skip
    """What the patch from pixel `first` of a row sees through a run: (PIXELS + width - 1,
    channels), zeros where that is nothing."""
    columns = PIXELS + width - 1
    found = np.zeros((columns, max(0, min(channels, vectors * lanes(x)))), x.dtype)
    for k in range(columns):
        if run[2] <= first + k < run[3]:
            begin = i + run[1] + k * step
            found[k] = x[begin : begin + found.shape[1]]
    return found


def _meetings(k: int, taps: int, pixels: int = PIXELS) -> list[tuple[int, int]]:
    """The pixels of a patch, along an axis, that see column k, and through which tap of a run."""
    return [(k - tap, tap) for tap in range(taps) if 0 <= k - tap < pixels]


def _steps(builder: Any, i: ir.Value, step: ir.Value, count: int) -> list[ir.Value]:
    """i, i + step, ..."""
    return [builder.add(i, builder.mul(step, number(j))) for j in range(count)]


def _where(
    builder: Any,
    there: ir.Value,
    values: list[ir.Value],
    make: Callable[[list[ir.Value]], list[ir.Value]],
) -> list[ir.Value]:
    """What `make` makes of the values where `there` holds, else these."""
    before = builder.block
    with builder.if_then(there, likely=True):
        made, after = make(values), builder.block
    merged = []
    for old, new in zip(values, made, strict=True):
        phi = builder.phi(old.type)
        phi.add_incoming(old, before)
        phi.add_incoming(new, after)
        merged.append(phi)
    return merged


def _each_run(
    builder: Any,
    kind: VectorType,
    vectors: int,
    width: int,
    values: list[ir.Value],
    carried: list[ir.Value],
    step_of: Callable[[Pixel, ir.Value, Any, list[ir.Value]], list[ir.Value]],
) -> list[ir.Value]:
    """A loop over runs. `step_of` makes the body of it, given what is `seen` of the run and a
    function that reads column k so far behind the first row."""
    x, i, step, seen, count, inside, first, channels = values

    def make(pixel: Pixel) -> list[ir.Value]:
        loop = Loop(builder, "run", count, carried)
        row = builder.gep(seen, [builder.mul(loop.index, number(SEEN))])
        run = [builder.load(builder.gep(row, [number(j)])) for j in range(SEEN)]
        place, masks = builder.add(i, run[1]), []
        for k in range(PIXELS + width - 1):
            at = builder.add(first, number(k))
            after = builder.icmp_signed("<=", run[2], at)
            there = builder.and_(after, builder.icmp_signed("<", at, run[3]))
            masks.append(pixel.masks(there))

        def column(k: int, behind: ir.Value) -> list[ir.Value]:
            begin = builder.add(builder.add(place, behind), builder.mul(step, number(k)))
            return pixel.read(x, begin, masks[k])

        sums = step_of(pixel, run, column, loop.values)
        loop.end(sums)
        return sums

    return whole_or_not(builder, kind, vectors, inside, channels, make)
