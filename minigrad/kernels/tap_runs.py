"""Sums over runs of taps, where every channel has a filter of its own.

In the way of `simd`: a NumPy function that says what is done, and the instructions it becomes. Taps
next to each other in a filter's row are a run. What a pixel sees through one of them, the next sees
through the tap before: it is loaded once for both.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from llvmlite import ir

from minigrad.kernels.pixel_vectors import PIXELS, VECTORS, Pixel, number, whole_or_not
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

SEEN = 4
"""Of each run: where its first tap's weights begin, where in x the first column begins that pixel 0
of the row sees, and the range of columns, first and stop, that are there."""


class Runs(NamedTuple):
    """The two sums over runs of so many taps."""

    add: Callable[..., Any]
    sum: Callable[..., Any]


# Of both: x, i and step tell where columns lie; then come `seen` and how many runs it tells of,
# whether all columns and channels are there, the patch's first pixel, and how many channels are.
_RUNS = (ARRAY, INTEGER, INTEGER, ARRAY, INTEGER, types.Boolean, INTEGER, INTEGER)
# An array with the weights of taps, the channel to begin with, and the distance from tap to tap.
_WEIGHTS = ARRAY, INTEGER, INTEGER


@cache
def runs_of(width: int) -> Runs:
    """The sums over the first `count` runs, at least 1, of `width` taps each."""

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
    ) -> tuple[np.ndarray, ...]:
        """Each total adds what its pixel sees times the taps' weights from channel c on.

        `inside` tells that all columns and channels are there.
        """
        sums = np.array(totals).reshape(PIXELS, -1)
        for run in seen.reshape(-1, SEEN)[:count]:
            columns = _seen_columns(x, i, step, run, width, first, channels)
            many = columns.shape[1]
            for tap in range(width):
                begin = run[0] + tap * across + c
                sums[:, :many] += columns[tap : tap + PIXELS] * weight[begin : begin + many]
        return tuple(sums.reshape(PIXELS * VECTORS, -1))

    @primitive(add_runs, lambda totals, *_: totals, types.UniTuple, *_RUNS, *_WEIGHTS)
    def _(builder: Any, kinds: Any, values: Any) -> ir.Value:
        kind, (totals, *common, weight, c, across) = kinds[0].dtype, values

        def step_of(pixel: Pixel, used: Any, column: Any, sums: Any) -> list[ir.Value]:
            places = _steps(builder, builder.add(used, c), across, width)
            taps, sums = [pixel.read(weight, place) for place in places], list(sums)
            for k in range(PIXELS + width - 1):
                vectors = column(k)
                for j, tap in _meetings(k, width):
                    for v, vector in enumerate(vectors, j * VECTORS):
                        sums[v] = fused(builder, kind, vector, taps[tap][v % VECTORS], sums[v])
            return sums

        sums = _each_run(builder, kind, common, unpacked(builder, totals), step_of)
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
            columns = _seen_columns(x, i, step, run, width, first, channels)
            many = columns.shape[1]
            for tap in range(width):
                begin = run[0] + tap * across + c
                products = columns[tap : tap + len(factors)] * factors[:, :many]
                sums[begin : begin + many] += products.sum(axis=0)

    @primitive(sum_runs, nothing, types.UniTuple, INTEGER, *_RUNS, *_WEIGHTS)
    def _(builder: Any, kinds: Any, values: Any) -> None:
        kind, (patch, stop, *common, target, c, across) = kinds[0].dtype, values
        factors = unpacked(builder, patch)
        there = [builder.icmp_signed("<", number(j), stop) for j in range(PIXELS)]

        def step_of(pixel: Pixel, used: Any, column: Any, _: Any) -> list[ir.Value]:
            places = _steps(builder, builder.add(used, c), across, width)
            taps = [pixel.read(target, place) for place in places]
            for k in range(PIXELS + width - 1):
                vectors = column(k)
                for j, tap in _meetings(k, width):
                    sums = taps[tap]
                    for v, vector in enumerate(vectors):
                        more = fused(builder, kind, vector, factors[j * VECTORS + v], sums[v])
                        # A pixel that is not there is 0, but 0 times infinity would be NaN.
                        apart = pixel.bits is not None
                        sums[v] = builder.select(there[j], more, sums[v]) if apart else more
            for place, sums in zip(places, taps, strict=True):
                pixel.write(target, place, sums)
            return []

        _each_run(builder, kind, common, [], step_of)

    return Runs(add_runs, sum_runs)


def _seen_columns(
    x: np.ndarray, i: int, step: int, run: np.ndarray, width: int, first: int, channels: int
) -> np.ndarray:
    """What the patch from pixel `first` of a row sees through a run: (PIXELS + width - 1,
    channels), zeros where that is nothing."""
    columns = PIXELS + width - 1
    found = np.zeros((columns, max(0, min(channels, VECTORS * lanes(x)))), x.dtype)
    for k in range(columns):
        if run[2] <= first + k < run[3]:
            begin = i + run[1] + k * step
            found[k] = x[begin : begin + found.shape[1]]
    return found


def _meetings(k: int, width: int) -> list[tuple[int, int]]:
    """The pixels of a patch that see column k of it, and through which tap of a run."""
    return [(k - tap, tap) for tap in range(width) if 0 <= k - tap < PIXELS]


def _steps(builder: Any, i: ir.Value, step: ir.Value, count: int) -> list[ir.Value]:
    """i, i + step, ..."""
    return [builder.add(i, builder.mul(step, number(j))) for j in range(count)]


def _each_run(
    builder: Any,
    kind: VectorType,
    values: list[ir.Value],
    carried: list[ir.Value],
    step_of: Callable[[Pixel, ir.Value, Any, list[ir.Value]], list[ir.Value]],
) -> list[ir.Value]:
    """A loop over runs. `step_of` makes the body of it, given where the run's weights are and a
    function that reads a column."""
    x, i, step, seen, count, inside, first, channels = values

    def make(pixel: Pixel) -> list[ir.Value]:
        loop = Loop(builder, "run", count, carried)
        row = builder.gep(seen, [builder.mul(loop.index, number(SEEN))])
        used, begin, low, high = [builder.load(builder.gep(row, [number(j)])) for j in range(SEEN)]
        place = builder.add(i, begin)

        def column(k: int) -> list[ir.Value]:
            at = builder.add(first, number(k))
            after = builder.icmp_signed("<=", low, at)
            there = builder.and_(after, builder.icmp_signed("<", at, high))
            return pixel.read(x, builder.add(place, builder.mul(step, number(k))), there)

        sums = step_of(pixel, used, column, loop.values)
        loop.end(sums)
        return sums

    return whole_or_not(builder, kind, inside, channels, make)
