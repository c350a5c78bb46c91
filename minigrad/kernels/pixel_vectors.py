"""Sums over the taps of a filter of its own for each channel, several pixels of a row at a time.

In the way of `simd`: a NumPy function that says what is done, and the instructions it becomes. A
patch is PIXELS pixels next to each other, of each VECTORS vectors of channels; as each of these
vectors has a sum of its own, one addition need not wait for the other.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

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
    write,
    write_some,
)
from minigrad.kernels.tile import Loop

__all__ = [
    "PIXELS",
    "SEEN",
    "VECTORS",
    "add_patches",
    "add_taps",
    "bend_patch",
    "load_patch",
    "store_patch",
    "sum_taps",
]

# Eight sums go on at a time: a multiply-add takes four cycles, and two can begin in one. There are
# two vectors of a pixel, as pixels a power of two apart meet in the same lines of the cache.
PIXELS, VECTORS = 4, 2

SEEN = 4
"""Of each tap: where its weights begin, where in x the patch's row begins for it, and the range of
pixels of the row, first and stop, that see something through it."""

WORD = ir.IntType(64)
BOOLEAN = types.Boolean


def _number(i: int) -> ir.Constant:
    return ir.Constant(WORD, i)


def _patch_of(x: Any, *_: Any) -> Any:
    return types.UniTuple(VectorType(x.dtype), PIXELS * VECTORS)


def _places(
    builder: Any, kind: VectorType, pointer: ir.Value, i: ir.Value, step: ir.Value
) -> list[ir.Value]:
    """Where the vectors of a patch lie that begins at element i, `step` from pixel to pixel."""
    places = []
    for _ in range(PIXELS):
        for v in range(VECTORS):
            at = builder.add(i, _number(v * kind.lanes))
            places.append(address(builder, kind, pointer, at))
        i = builder.add(i, step)
    return places


def _channel_bits(builder: Any, kind: VectorType, channels: ir.Value) -> list[ir.Value]:
    """For each vector of a pixel a number with a bit for each lane, set below `channels`."""
    numbers = []
    for v in range(VECTORS):
        count = builder.sub(channels, _number(v * kind.lanes))
        shift = builder.select(builder.icmp_signed(">", count, _number(0)), count, _number(0))
        some = builder.sub(builder.shl(_number(1), shift), _number(1))
        full = builder.icmp_signed(">=", count, _number(kind.lanes))
        bits = builder.select(full, _number((1 << kind.lanes) - 1), some)
        numbers.append(builder.trunc(bits, ir.IntType(kind.lanes)))
    return numbers


def _mask(builder: Any, kind: VectorType, bits: ir.Value) -> ir.Value:
    return builder.bitcast(bits, ir.VectorType(ir.IntType(1), kind.lanes))


def _masks(
    builder: Any, kind: VectorType, first: ir.Value, stop: ir.Value, channels: ir.Value
) -> list[ir.Value]:
    """The lanes of each vector of a patch that are there, of the pixels first <= j < stop."""
    bits = _channel_bits(builder, kind, channels)
    masks = []
    for j in range(PIXELS):
        after = builder.icmp_signed("<=", first, _number(j))
        inside = builder.and_(after, builder.icmp_signed("<", _number(j), stop))
        for some in bits:
            chosen = builder.select(inside, some, ir.Constant(some.type, 0))
            masks.append(_mask(builder, kind, chosen))
    return masks


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
    places = _places(builder, kind, pointer, i, step)
    masks = _masks(builder, kind, _number(0), stop, channels)
    loaded = [read_some(builder, kind, *pair) for pair in zip(places, masks, strict=True)]
    return packed(builder, kind, loaded)


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
    vectors = [builder.extract_value(patch, j) for j in range(PIXELS * VECTORS)]
    places = _places(builder, kind, pointer, i, step)
    whole = builder.and_(
        builder.icmp_signed(">=", stop, _number(PIXELS)),
        builder.icmp_signed(">=", channels, _number(VECTORS * kind.lanes)),
    )
    with builder.if_else(whole) as (then, otherwise):
        with then:
            for vector, place in zip(vectors, places, strict=True):
                write(builder, kind, vector, place)
        with otherwise:
            masks = _masks(builder, kind, _number(0), stop, channels)
            for vector, place, mask in zip(vectors, places, masks, strict=True):
                write_some(builder, kind, vector, place, mask)


def add_patches(a: tuple[np.ndarray, ...], b: tuple[np.ndarray, ...]) -> tuple[np.ndarray, ...]:
    """a + b"""
    return tuple([left + right for left, right in zip(a, b, strict=True)])


@primitive(add_patches, lambda a, b: a, types.UniTuple, types.UniTuple)
def _(builder: Any, kinds: Any, values: Any) -> ir.Value:
    pairs = [[builder.extract_value(v, j) for v in values] for j in range(PIXELS * VECTORS)]
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
    vectors = [builder.extract_value(patch, j) for j in range(PIXELS * VECTORS)]
    return packed(builder, kind, [bent(builder, kind, v, *numbers) for v in vectors])


def _seen_patch(
    x: np.ndarray, i: int, step: int, tap: np.ndarray, first: int, channels: int
) -> np.ndarray:
    """What the patch from pixel `first` of a row sees through a tap: (PIXELS, channels), zeros
    where that is nothing."""
    patch = np.zeros((PIXELS, max(0, min(channels, VECTORS * lanes(x)))), x.dtype)
    for j in range(PIXELS):
        if tap[2] <= first + j < tap[3]:
            begin = i + tap[1] + j * step
            patch[j] = x[begin : begin + patch.shape[1]]
    return patch


def _each_tap(
    builder: Any,
    kind: VectorType,
    values: list[ir.Value],
    carried: list[ir.Value],
    step_of: Callable[[ir.Value, list[ir.Value], Any, Any], list[ir.Value]],
) -> list[ir.Value]:
    """A loop over the taps, once for patches that all see through all taps, whose loads need no
    masks, and once for the others. `step_of` makes the body of it, from where the tap's weights
    are, the places of what it sees, and their masks."""
    x, i, step, seen, count, inside, first, channels = values
    outcomes = []
    with builder.if_else(inside) as branches:
        for whole, branch in zip((True, False), branches, strict=True):
            with branch:
                bits = None if whole else _channel_bits(builder, kind, channels)
                loop = Loop(builder, "tap", count, carried)
                row = builder.gep(seen, [builder.mul(loop.index, _number(SEEN))])
                used, begin, low, high = [
                    builder.load(builder.gep(row, [_number(j)])) for j in range(SEEN)
                ]
                places = _places(builder, kind, x, builder.add(i, begin), step)
                masks = None
                if not whole:
                    low, high = builder.sub(low, first), builder.sub(high, first)
                    masks = _masks(builder, kind, low, high, channels)
                sums = step_of(used, places, masks, (bits, loop.values))
                loop.end(sums)
                outcomes.append((sums, builder.block))
    return _merged(builder, outcomes)


def _merged(builder: Any, outcomes: list[tuple[list[ir.Value], Any]]) -> list[ir.Value]:
    """Values that two branches end with."""
    merged = []
    for values in zip(*[values for values, _ in outcomes], strict=True):
        phi = builder.phi(values[0].type)
        for value, (_, block) in zip(values, outcomes, strict=True):
            phi.add_incoming(value, block)
        merged.append(phi)
    return merged


def add_taps(
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
) -> tuple[np.ndarray, ...]:
    """Each total adds, over the first `count` taps, at least 1, what its pixel sees times the
    tap's weights from channel c on. `inside` tells that the whole patch sees through all."""
    sums = np.array(totals).reshape(PIXELS, -1)
    for tap in seen.reshape(-1, SEEN)[:count]:
        patch = _seen_patch(x, i, step, tap, first, channels)
        width = patch.shape[1]
        sums[:, :width] += patch * weight[tap[0] + c : tap[0] + c + width]
    return tuple(sums.reshape(PIXELS * VECTORS, -1))


def _read_pixel(
    builder: Any, kind: VectorType, bits: list[ir.Value] | None, pointer: ir.Value, i: ir.Value
) -> list[ir.Value]:
    """The vectors of one pixel, or of weights, from element i on."""
    loaded = []
    for v in range(VECTORS):
        place = address(builder, kind, pointer, builder.add(i, _number(v * kind.lanes)))
        if bits is None:
            loaded.append(read(builder, kind, place))
        else:
            loaded.append(read_some(builder, kind, place, _mask(builder, kind, bits[v])))
    return loaded


_TAPS = (ARRAY, INTEGER, INTEGER, ARRAY, INTEGER, BOOLEAN, INTEGER, INTEGER)


@primitive(add_taps, lambda totals, *_: totals, types.UniTuple, *_TAPS, ARRAY, INTEGER)
def _(builder: Any, kinds: Any, values: Any) -> ir.Value:
    kind, (totals, *common, weight, c) = kinds[0].dtype, values

    def step_of(used: Any, places: Any, masks: Any, state: Any) -> list[ir.Value]:
        bits, sums = state
        weights = _read_pixel(builder, kind, bits, weight, builder.add(used, c))
        done = []
        for j, place in enumerate(places):
            seen = _read(builder, kind, place, masks and masks[j])
            done.append(fused(builder, kind, seen, weights[j % VECTORS], sums[j]))
        return done

    sums = [builder.extract_value(totals, j) for j in range(PIXELS * VECTORS)]
    return packed(builder, kind, _each_tap(builder, kind, common, sums, step_of))


def _read(builder: Any, kind: VectorType, place: ir.Value, mask: ir.Value | None) -> ir.Value:
    if mask is None:
        return read(builder, kind, place)
    return read_some(builder, kind, place, mask)


def sum_taps(
    patch: tuple[np.ndarray, ...],
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
) -> None:
    """Of each tap, sums[tap's weights + c :] += Σ over pixels of the patch times what is seen
    through it; else as `add_taps`."""
    factors = np.array(patch).reshape(PIXELS, -1)
    for tap in seen.reshape(-1, SEEN)[:count]:
        other = _seen_patch(x, i, step, tap, first, channels)
        width = other.shape[1]
        sums[tap[0] + c : tap[0] + c + width] += (other * factors[:, :width]).sum(axis=0)


@primitive(sum_taps, nothing, types.UniTuple, *_TAPS, ARRAY, INTEGER)
def _(builder: Any, kinds: Any, values: Any) -> None:
    kind, (patch, *common, target, c) = kinds[0].dtype, values
    factors = [builder.extract_value(patch, j) for j in range(PIXELS * VECTORS)]

    def step_of(used: Any, places: Any, masks: Any, state: Any) -> list[ir.Value]:
        bits, _ = state
        at = builder.add(used, c)
        sums = _read_pixel(builder, kind, bits, target, at)
        for j, place in enumerate(places):
            seen, v = _read(builder, kind, place, masks and masks[j]), j % VECTORS
            sums[v] = fused(builder, kind, seen, factors[j], sums[v])
        for v, total in enumerate(sums):
            place = address(builder, kind, target, builder.add(at, _number(v * kind.lanes)))
            if bits is None:
                write(builder, kind, total, place)
            else:
                write_some(builder, kind, total, place, _mask(builder, kind, bits[v]))
        return []

    _each_tap(builder, kind, common, [], step_of)
