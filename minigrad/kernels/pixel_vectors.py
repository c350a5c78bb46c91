"""Sums over the taps of a filter of its own for each channel, several pixels of a row at a time.

In the way of `simd`: a NumPy function that says what is done, and the instructions it becomes. A
patch is PIXELS pixels next to each other, of each VECTORS vectors of channels; as each of these
vectors has a sum of its own, one addition need not wait for the other. Taps next to each other are
a run: what a pixel sees through one of them, the next sees through the tap before; it is loaded
once for both.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from llvmlite import ir

from minigrad.kernels.simd import (
    ARRAY,
    FLOAT,
    INTEGER,
    VectorType,
    address,
    bend,
    bent,
    broadcast,
    fused,
    lanes,
    load_some,
    nothing,
    number_as,
    packed,
    primitive,
    read,
    read_some,
    store_some,
    types,
    unpacked,
    write,
    write_some,
)
from minigrad.kernels.tile import Loop

__all__ = [
    "PIXELS",
    "SEEN",
    "VECTORS",
    "Runs",
    "add_patches",
    "bend_patch",
    "load_patch",
    "runs_of",
    "store_patch",
]

# Eight sums go on at a time: a multiply-add takes four cycles, and two can begin in one. There are
# two vectors of a pixel, as pixels a power of two apart meet in the same lines of the cache.
PIXELS, VECTORS = 4, 2

SEEN = 4
"""Of each run: where its first tap's weights begin, where in x the first column begins that pixel 0
of the row sees, and the range of columns, first and stop, that are there."""

WORD = ir.IntType(64)


def _number(i: int) -> ir.Constant:
    return ir.Constant(WORD, i)


def _patch_of(x: Any, *_: Any) -> Any:
    return types.UniTuple(VectorType(x.dtype), PIXELS * VECTORS)


class _Pixel:
    """Reads and writes the vectors of a pixel: of `channels` channels, or of as many as they have
    lanes, which takes no masks."""

    def __init__(self, builder: Any, kind: VectorType, channels: ir.Value | None) -> None:
        self.builder, self.kind = builder, kind
        self.bits = None if channels is None else self._bits(channels)

    def _bits(self, channels: ir.Value) -> list[ir.Value]:
        """For each vector a number with a bit for each lane, set below `channels`."""
        builder, numbers = self.builder, []
        for v in range(VECTORS):
            count = builder.sub(channels, _number(v * self.kind.lanes))
            shift = builder.select(builder.icmp_signed(">", count, _number(0)), count, _number(0))
            some = builder.sub(builder.shl(_number(1), shift), _number(1))
            full = builder.icmp_signed(">=", count, _number(self.kind.lanes))
            bits = builder.select(full, _number((1 << self.kind.lanes) - 1), some)
            numbers.append(builder.trunc(bits, ir.IntType(self.kind.lanes)))
        return numbers

    def _masked(self, pointer: ir.Value, i: ir.Value, there: Any) -> list[tuple[Any, Any]]:
        """The places of the vectors from element i on, and their masks, of no lane where `there`
        does not hold."""
        builder, kind, pairs = self.builder, self.kind, []
        for v in range(VECTORS):
            place = address(builder, kind, pointer, builder.add(i, _number(v * kind.lanes)))
            mask = None
            if self.bits is not None:
                bits = self.bits[v]
                if there is not None:
                    bits = builder.select(there, bits, ir.Constant(bits.type, 0))
                mask = builder.bitcast(bits, ir.VectorType(ir.IntType(1), kind.lanes))
            pairs.append((place, mask))
        return pairs

    def read(self, pointer: ir.Value, i: ir.Value, there: Any = None) -> list[ir.Value]:
        """The pixel's vectors, zeros if there is no such pixel."""
        return [
            read(self.builder, self.kind, place)
            if mask is None
            else read_some(self.builder, self.kind, place, mask)
            for place, mask in self._masked(pointer, i, there)
        ]

    def write(self, pointer: ir.Value, i: ir.Value, vectors: Any, there: Any = None) -> None:
        """The vectors to the pixel, if there is such a one."""
        pairs = self._masked(pointer, i, there)
        for vector, (place, mask) in zip(vectors, pairs, strict=True):
            if mask is None:
                write(self.builder, self.kind, vector, place)
            else:
                write_some(self.builder, self.kind, vector, place, mask)


def _whole_or_not(
    builder: Any,
    kind: VectorType,
    whole: ir.Value,
    channels: ir.Value,
    make: Callable[[_Pixel], list[ir.Value]],
) -> list[ir.Value]:
    """What `make` returns, whose code is there twice: for whole vectors, which need no masks, and
    for the others."""
    outcomes = []
    with builder.if_else(whole) as branches:
        for count, branch in zip((None, channels), branches, strict=True):
            with branch:
                outcomes.append((make(_Pixel(builder, kind, count)), builder.block))
    merged = []
    for values in zip(*[values for values, _ in outcomes], strict=True):
        phi = builder.phi(values[0].type)
        for value, (_, block) in zip(values, outcomes, strict=True):
            phi.add_incoming(value, block)
        merged.append(phi)
    return merged


def _is_whole(builder: Any, kind: VectorType, stop: ir.Value, channels: ir.Value) -> ir.Value:
    """Whether a patch has all pixels and channels."""
    return builder.and_(
        builder.icmp_signed(">=", stop, _number(PIXELS)),
        builder.icmp_signed(">=", channels, _number(VECTORS * kind.lanes)),
    )


def load_patch(
    x: np.ndarray, i: int, step: int, stop: int, channels: int
) -> tuple[np.ndarray, ...]:
    """The patch at x[i], pixels being `step` apart: zeros from pixel `stop` and from channel
    `channels` on, whose memory is not touched."""
    n, zeros = lanes(x), np.zeros(lanes(x), x.dtype)
    return tuple(
        [
            load_some(x, i + j * step + v * n, channels - v * n) if j < stop else zeros
            for j in range(PIXELS)
            for v in range(VECTORS)
        ]
    )


@primitive(load_patch, _patch_of, ARRAY, INTEGER, INTEGER, INTEGER, INTEGER)
def _(builder: Any, kinds: Any, values: Any) -> ir.Value:
    kind, (pointer, i, step, stop, channels) = VectorType(kinds[0].dtype), values

    def make(pixel: _Pixel) -> list[ir.Value]:
        loaded, place = [], i
        for j in range(PIXELS):
            there = builder.icmp_signed("<", _number(j), stop)
            loaded += pixel.read(pointer, place, there)
            place = builder.add(place, step)
        return loaded

    whole = _is_whole(builder, kind, stop, channels)
    return packed(builder, kind, _whole_or_not(builder, kind, whole, channels, make))


def store_patch(
    x: np.ndarray, i: int, step: int, patch: tuple[np.ndarray, ...], stop: int, channels: int
) -> None:
    """The patch to x[i], as it is loaded; nothing where it would be zeros."""
    n = lanes(x)
    for j in range(max(0, min(stop, PIXELS))):
        for v in range(VECTORS):
            store_some(x, i + j * step + v * n, patch[j * VECTORS + v], channels - v * n)


@primitive(store_patch, nothing, ARRAY, INTEGER, INTEGER, types.UniTuple, INTEGER, INTEGER)
def _(builder: Any, kinds: Any, values: Any) -> None:
    kind, (pointer, i, step, patch, stop, channels) = kinds[3].dtype, values
    vectors = unpacked(builder, patch)

    def make(pixel: _Pixel) -> list[ir.Value]:
        place = i
        for j in range(PIXELS):
            there = builder.icmp_signed("<", _number(j), stop)
            pixel.write(pointer, place, vectors[j * VECTORS : (j + 1) * VECTORS], there)
            place = builder.add(place, step)
        return []

    whole = _is_whole(builder, kind, stop, channels)
    _whole_or_not(builder, kind, whole, channels, make)


def add_patches(a: tuple[np.ndarray, ...], b: tuple[np.ndarray, ...]) -> tuple[np.ndarray, ...]:
    """a + b"""
    return tuple([left + right for left, right in zip(a, b, strict=True)])


@primitive(add_patches, lambda a, b: a, types.UniTuple, types.UniTuple)
def _(builder: Any, kinds: Any, values: Any) -> ir.Value:
    pairs = zip(*[unpacked(builder, value) for value in values], strict=True)
    return packed(builder, kinds[0].dtype, [builder.fadd(*pair) for pair in pairs])


def bend_patch(patch: tuple[np.ndarray, ...], slope: float, most: float) -> tuple[np.ndarray, ...]:
    """`simd.bend` of all."""
    return tuple([bend(vector, slope, most) for vector in patch])


@primitive(bend_patch, lambda patch, *_: patch, types.UniTuple, FLOAT, FLOAT)
def _(builder: Any, kinds: Any, values: Any) -> ir.Value:
    kind, (patch, *limits) = kinds[0].dtype, values
    numbers = [
        broadcast(builder, kind, number_as(builder, kind, given, limit))
        for given, limit in zip(kinds[1:], limits, strict=True)
    ]
    vectors = unpacked(builder, patch)
    return packed(builder, kind, [bent(builder, kind, v, *numbers) for v in vectors])


class Runs(NamedTuple):
    """The two sums over runs of so many taps."""

    add: Callable[..., Any]
    sum: Callable[..., Any]


# Of both: x, i and step tell where columns lie; then come `seen` and the number of its runs, whether
# all columns are there, and all channels; the patch's first pixel; how many channels are there.
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

        def step_of(pixel: _Pixel, used: Any, column: Any, sums: Any) -> list[ir.Value]:
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
        there = [builder.icmp_signed("<", _number(j), stop) for j in range(PIXELS)]

        def step_of(pixel: _Pixel, used: Any, column: Any, _: Any) -> list[ir.Value]:
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
    return [builder.add(i, builder.mul(step, _number(j))) for j in range(count)]


def _each_run(
    builder: Any,
    kind: VectorType,
    values: list[ir.Value],
    carried: list[ir.Value],
    step_of: Callable[[_Pixel, ir.Value, Any, list[ir.Value]], list[ir.Value]],
) -> list[ir.Value]:
    """A loop over runs. `step_of` makes the body of it, given where the run's weights are and a
    function that reads a column."""
    x, i, step, seen, count, inside, first, channels = values

    def make(pixel: _Pixel) -> list[ir.Value]:
        loop = Loop(builder, "run", count, carried)
        row = builder.gep(seen, [builder.mul(loop.index, _number(SEEN))])
        used, begin, low, high = [builder.load(builder.gep(row, [_number(j)])) for j in range(SEEN)]
        place = builder.add(i, begin)

        def column(k: int) -> list[ir.Value]:
            at = builder.add(first, _number(k))
            after = builder.icmp_signed("<=", low, at)
            there = builder.and_(after, builder.icmp_signed("<", at, high))
            return pixel.read(x, builder.add(place, builder.mul(step, _number(k))), there)

        sums = step_of(pixel, used, column, loop.values)
        loop.end(sums)
        return sums

    return _whole_or_not(builder, kind, inside, channels, make)
