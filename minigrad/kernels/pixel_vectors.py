"""Neighbouring pixels as vectors of their channels, for filters of a channel each.

In the way of `simd`: a NumPy function that says what is done, and the instructions it becomes. A
patch is one row or several of PIXELS pixels next to each other, of each a vector of channels or
two; as each of these vectors has a sum of its own, one addition need not wait for the other.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from itertools import product
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
from minigrad.kernels.streaming import write_past
from minigrad.kernels.target import target

__all__ = ["PIXELS", "ROWS", "Patches", "Pixel", "below", "number", "patches", "whole_or_not"]

# Pixels of a patch's row, and rows of a patch that has several: its sums stay in registers, with
# nine weights if there are 32 of these.
PIXELS = 4
ROWS = 4 if target.registers >= 32 else 2

WORD = ir.IntType(64)


def number(i: int) -> ir.Constant:
    return ir.Constant(WORD, i)


def below(builder: Any, i: int, end: ir.Value) -> ir.Value:
    """Whether i < end."""
    return builder.icmp_signed("<", number(i), end)


class Patches(NamedTuple):
    """The shape of a patch, and what is done with patches of this shape."""

    rows: int
    vectors: int  # of a pixel
    load: Callable[..., Any]
    store: Callable[..., Any]
    add: Callable[..., Any]
    bend: Callable[..., Any]


class Pixel:
    """Reads and writes the vectors of a pixel: of `channels` channels, or of as many as they have
    lanes, which takes no masks."""

    def __init__(
        self, builder: Any, kind: VectorType, vectors: int, channels: ir.Value | None
    ) -> None:
        self.builder, self.kind, self.vectors = builder, kind, vectors
        self.bits = None if channels is None else self._bits(channels)

    def _bits(self, channels: ir.Value) -> list[ir.Value]:
        """For each vector a number with a bit for each lane, set below `channels`."""
        builder, numbers = self.builder, []
        for v in range(self.vectors):
            count = builder.sub(channels, number(v * self.kind.lanes))
            shift = builder.select(builder.icmp_signed(">", count, number(0)), count, number(0))
            some = builder.sub(builder.shl(number(1), shift), number(1))
            full = builder.icmp_signed(">=", count, number(self.kind.lanes))
            bits = builder.select(full, number((1 << self.kind.lanes) - 1), some)
            numbers.append(builder.trunc(bits, ir.IntType(self.kind.lanes)))
        return numbers

    def masks(self, there: ir.Value | None = None) -> list[Any]:
        """The masks of a pixel's vectors, of no lane where `there` does not hold."""
        masks: list[Any] = [None] * self.vectors
        for v, bits in enumerate(self.bits or ()):
            if there is not None:
                bits = self.builder.select(there, bits, ir.Constant(bits.type, 0))
            mask = ir.VectorType(ir.IntType(1), self.kind.lanes)
            masks[v] = self.builder.bitcast(bits, mask)
        return masks

    def _places(self, pointer: ir.Value, i: ir.Value) -> list[ir.Value]:
        builder, kind = self.builder, self.kind
        return [
            address(builder, kind, pointer, builder.add(i, number(v * kind.lanes)))
            for v in range(self.vectors)
        ]

    def read(self, pointer: ir.Value, i: ir.Value, masks: list[Any] | None = None) -> list[Any]:
        """The pixel's vectors from element i on, zeros in lanes that are not there."""
        places = self._places(pointer, i)
        return [
            read(self.builder, self.kind, place)
            if mask is None
            else read_some(self.builder, self.kind, place, mask)
            for place, mask in zip(places, masks or self.masks(), strict=True)
        ]

    def write(
        self,
        pointer: ir.Value,
        i: ir.Value,
        vectors: list[Any],
        masks: list[Any] | None = None,
        whole: Callable[..., None] = write,
    ) -> None:
        """The vectors to the pixel, by `whole` where there are no masks."""
        places = self._places(pointer, i)
        for vector, place, mask in zip(vectors, places, masks or self.masks(), strict=True):
            if mask is None:
                whole(self.builder, self.kind, vector, place)
            else:
                write_some(self.builder, self.kind, vector, place, mask)


def whole_or_not(
    builder: Any,
    kind: VectorType,
    vectors: int,
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
                outcomes.append((make(Pixel(builder, kind, vectors, count)), builder.block))
    merged = []
    for values in zip(*[values for values, _ in outcomes], strict=True):
        phi = builder.phi(values[0].type)
        for value, (_, block) in zip(values, outcomes, strict=True):
            phi.add_incoming(value, block)
        merged.append(phi)
    return merged


@cache
def patches(rows: int, vectors: int) -> Patches:
    """Patches of so many rows, and so many vectors of every pixel.

    A patch lies at x[i], its pixels `step` apart and its rows `pitch`. Only `high` rows of it,
    `stop` pixels of a row and `channels` channels are there; no other memory is touched.
    """
    where = ARRAY, INTEGER, INTEGER, INTEGER
    ends = INTEGER, INTEGER, INTEGER

    def patch_of(x: Any, *_: Any) -> Any:
        return types.UniTuple(VectorType(x.dtype), rows * PIXELS * vectors)

    def place_of(
        builder: Any, i: ir.Value, step: ir.Value, pitch: ir.Value, r: int, j: int
    ) -> ir.Value:
        """Where pixel j of row r lies."""
        row = builder.add(i, builder.mul(pitch, number(r)))
        return builder.add(row, builder.mul(step, number(j)))

    def all_there(builder: Any, kind: VectorType, stop: ir.Value, channels: ir.Value) -> ir.Value:
        """Whether a row of a patch has all pixels and channels."""
        return builder.and_(
            builder.icmp_signed(">=", stop, number(PIXELS)),
            builder.icmp_signed(">=", channels, number(vectors * kind.lanes)),
        )

    def load_patch(
        x: np.ndarray, i: int, step: int, pitch: int, high: int, stop: int, channels: int
    ) -> tuple[np.ndarray, ...]:
        """The patch, zeros where nothing is there."""
        n, zeros = lanes(x), np.zeros(lanes(x), x.dtype)
        return tuple(
            [
                load_some(x, i + r * pitch + j * step + v * n, channels - v * n)
                if r < high and j < stop
                else zeros
                for r in range(rows)
                for j in range(PIXELS)
                for v in range(vectors)
            ]
        )

    @primitive(load_patch, patch_of, *where, *ends)
    def _(builder: Any, kinds: Any, values: Any) -> ir.Value:
        kind, (pointer, i, step, pitch, high, stop, channels) = VectorType(kinds[0].dtype), values

        def make(pixel: Pixel) -> list[ir.Value]:
            loaded = []
            for r, j in product(range(rows), range(PIXELS)):
                there = builder.and_(below(builder, r, high), below(builder, j, stop))
                place = place_of(builder, i, step, pitch, r, j)
                loaded += pixel.read(pointer, place, pixel.masks(there))
            return loaded

        whole = builder.and_(
            all_there(builder, kind, stop, channels), below(builder, rows - 1, high)
        )
        return packed(builder, kind, whole_or_not(builder, kind, vectors, whole, channels, make))

    def store_patch(
        x: np.ndarray, i: int, step: int, pitch: int, high: int, stop: int, channels: int,
        patch: tuple[np.ndarray, ...], streamed: bool,
    ) -> None:  # fmt: skip
        """What is there of the patch to memory, past the caches if so asked and all is there."""
        n = lanes(x)
        for r in range(max(0, min(high, rows))):
            for j in range(max(0, min(stop, PIXELS))):
                for v in range(vectors):
                    place, vector = i + r * pitch + j * step, (r * PIXELS + j) * vectors + v
                    store_some(x, place + v * n, patch[vector], channels - v * n)

    @primitive(store_patch, nothing, *where, *ends, types.UniTuple, types.Boolean)
    def _(builder: Any, kinds: Any, values: Any) -> None:
        kind, (pointer, i, step, pitch, high, stop, channels, patch, streamed) = (
            kinds[7].dtype,
            values,
        )
        vector_of = iter(unpacked(builder, patch))
        sums = [
            [[next(vector_of) for _ in range(vectors)] for _ in range(PIXELS)] for _ in range(rows)
        ]

        def put(pixel: Pixel, whole: Callable[..., None]) -> None:
            for r in range(rows):
                with builder.if_then(below(builder, r, high), likely=True):
                    for j, pair in enumerate(sums[r]):
                        masks = pixel.masks(below(builder, j, stop))
                        place = place_of(builder, i, step, pitch, r, j)
                        pixel.write(pointer, place, pair, masks, whole)

        def make(pixel: Pixel) -> list[ir.Value]:
            if pixel.bits is not None:
                put(pixel, write)
                return []
            with builder.if_else(streamed) as branches:
                for whole, branch in zip((write_past, write), branches, strict=True):
                    with branch:
                        put(pixel, whole)
            return []

        whole = all_there(builder, kind, stop, channels)
        whole_or_not(builder, kind, vectors, whole, channels, make)

    return Patches(rows, vectors, load_patch, store_patch, add_patches, bend_patch)


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
