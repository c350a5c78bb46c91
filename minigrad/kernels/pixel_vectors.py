"""Several pixels of a row as vectors of their channels, for filters of a channel each.

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

__all__ = [
    "PIXELS",
    "VECTORS",
    "Pixel",
    "add_patches",
    "bend_patch",
    "load_patch",
    "store_patch",
    "whole_or_not",
]

# Eight sums go on at a time: a multiply-add takes four cycles, and two can begin in one. There are
# two vectors of a pixel, as pixels a power of two apart meet in the same lines of the cache.
PIXELS, VECTORS = 4, 2

WORD = ir.IntType(64)


def number(i: int) -> ir.Constant:
    return ir.Constant(WORD, i)


def _patch_of(x: Any, *_: Any) -> Any:
    return types.UniTuple(VectorType(x.dtype), PIXELS * VECTORS)


class Pixel:
    """Reads and writes the vectors of a pixel: of `channels` channels, or of as many as they have
    lanes, which takes no masks."""

    def __init__(self, builder: Any, kind: VectorType, channels: ir.Value | None) -> None:
        self.builder, self.kind = builder, kind
        self.bits = None if channels is None else self._bits(channels)

    def _bits(self, channels: ir.Value) -> list[ir.Value]:
        """For each vector a number with a bit for each lane, set below `channels`."""
        builder, numbers = self.builder, []
        for v in range(VECTORS):
            count = builder.sub(channels, number(v * self.kind.lanes))
            shift = builder.select(builder.icmp_signed(">", count, number(0)), count, number(0))
            some = builder.sub(builder.shl(number(1), shift), number(1))
            full = builder.icmp_signed(">=", count, number(self.kind.lanes))
            bits = builder.select(full, number((1 << self.kind.lanes) - 1), some)
            numbers.append(builder.trunc(bits, ir.IntType(self.kind.lanes)))
        return numbers

    def _masked(self, pointer: ir.Value, i: ir.Value, there: Any) -> list[tuple[Any, Any]]:
        """The places of the vectors from element i on, and their masks, of no lane where `there`
        does not hold."""
        builder, kind, pairs = self.builder, self.kind, []
        for v in range(VECTORS):
            place = address(builder, kind, pointer, builder.add(i, number(v * kind.lanes)))
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


def whole_or_not(
    builder: Any,
    kind: VectorType,
    whole: ir.Value,
    channels: ir.Value,
    make: Callable[[Pixel], list[ir.Value]],
) -> list[ir.Value]:
    """What `make` returns, whose code is there twice: for whole vectors, which need no masks, and
    for the others."""
    outcomes = []
    with builder.if_else(whole) as branches:
        for count, branch in zip((None, channels), branches, strict=True):
            with branch:
                outcomes.append((make(Pixel(builder, kind, count)), builder.block))
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
        builder.icmp_signed(">=", stop, number(PIXELS)),
        builder.icmp_signed(">=", channels, number(VECTORS * kind.lanes)),
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

    def make(pixel: Pixel) -> list[ir.Value]:
        loaded, place = [], i
        for j in range(PIXELS):
            there = builder.icmp_signed("<", number(j), stop)
            loaded += pixel.read(pointer, place, there)
            place = builder.add(place, step)
        return loaded

    whole = _is_whole(builder, kind, stop, channels)
    return packed(builder, kind, whole_or_not(builder, kind, whole, channels, make))


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

    def make(pixel: Pixel) -> list[ir.Value]:
        place = i
        for j in range(PIXELS):
            there = builder.icmp_signed("<", number(j), stop)
            pixel.write(pointer, place, vectors[j * VECTORS : (j + 1) * VECTORS], there)
            place = builder.add(place, step)
        return []

    whole = _is_whole(builder, kind, stop, channels)
    whole_or_not(builder, kind, whole, channels, make)


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
