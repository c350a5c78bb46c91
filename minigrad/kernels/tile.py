"""The innermost product: a tile of the output that stays in registers while its sums run.

A tile is `rows` x `vectors` registers. For each step of a sum it takes one number of every row of
x, broadcast, and `vectors` vectors of a panel: loads are few, and all other instructions are fused
multiply-adds. Where the numbers of a row lie is told by offsets, so one product serves direct
convolutions, both their gradients, Winograd's element products and plain matrices.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, lru_cache
from typing import Any, NamedTuple

import numpy as np
from llvmlite import ir

from minigrad.kernels import simd
from minigrad.kernels.simd import (
    ARRAY,
    FLOAT,
    INTEGER,
    VectorType,
    address,
    bent,
    broadcast,
    first_lanes,
    fused,
    models,
    nothing,
    number_as,
    packed,
    primitive,
    read,
    read_some,
    register_model,
    types,
    unpacked,
    write,
    write_some,
)
from minigrad.kernels.streaming import fetch_line, write_past
from minigrad.kernels.target import target

__all__ = [
    "Loop",
    "TileType",
    "Tiling",
    "row_pointers",
    "tiling",
    "tiling_for",
]

WORD = ir.IntType(64)

# The tiles to choose from: vectors, rows below the most that fit, and what part of a vector. More
# would fit some shapes better, but every one is compiled.
SHAPES = (2, 0, 1), (2, 1, 1), (3, 1, 1), (1, 0, 1), (1, 0, 2)
# Each row has a pointer, and more of these than registers for addresses would be read from memory.
MOST_ROWS = 14
# Of vectors this wide a processor computes one in the time of two halves, or little less.
WIDE_BYTES = 64
# How much a load weighs against a multiply-add, where two of each can go on at a time: an eighth.
LOADS_HIDDEN = 8


class Tiling(NamedTuple):
    """The shape of a tile, and the primitives over tiles of this shape.

    For all: `starts[first + i]` is where row i of the tile begins in an array. All `rows` of them
    are read, so `starts` must reach that far, and repeat a valid row after the last.
    """

    rows: int
    vectors: int
    narrow: int
    start: Callable[..., Any]
    multiply_add: Callable[..., Any]
    multiply_add_ahead: Callable[..., Any]
    add: Callable[..., Any]
    bend: Callable[..., Any]
    save: Callable[..., Any]
    claim_rows: Callable[..., Any]

    def columns(self, dtype: np.dtype) -> int:
        """How many elements wide a tile of this dtype is."""
        return self.vectors * target.lanes(dtype.itemsize) // self.narrow

    @property
    def key(self) -> tuple[int, int, int]:
        """What `tiling` makes it from."""
        return self.vectors, self.rows, self.narrow


class TileType(types.Type):
    """The registers of one tile, row by row."""

    def __init__(self, dtype: Any, rows: int, vectors: int, narrow: int) -> None:
        self.dtype, self.rows, self.vectors = dtype, rows, vectors
        self.vector = VectorType(dtype, narrow)
        super().__init__(name=f"tile({dtype} {rows} x {vectors} x {self.vector.lanes})")

    def columns_from(self, v: int) -> ir.Constant:
        """Where vector v of a row begins."""
        return ir.Constant(WORD, v * self.vector.lanes)


@register_model(TileType)
class TileModel(models.PrimitiveModel):
    """A tile is an LLVM array of vectors, which the optimizer takes apart into registers."""

    def __init__(self, manager: Any, kind: TileType) -> None:
        count = kind.rows * kind.vectors
        super().__init__(manager, kind, ir.ArrayType(kind.vector.llvm, count))


def row_pointers(
    builder: Any, rows: int, pointer: ir.Value, starts: ir.Value, first: ir.Value
) -> list[ir.Value]:
    """Where the rows of a tile begin in an array."""
    places = [builder.add(first, ir.Constant(WORD, i)) for i in range(rows)]
    return [builder.gep(pointer, [builder.load(builder.gep(starts, [p]))]) for p in places]


class Loop:
    """`for i in range(count)` with count at least 1, and values that are carried around."""

    def __init__(self, builder: Any, name: str, count: ir.Value, carried: list[ir.Value]) -> None:
        self.builder, self.count = builder, count
        before = builder.block
        self.body = builder.append_basic_block(name)
        builder.branch(self.body)
        builder.position_at_end(self.body)
        self.phis = [builder.phi(value.type) for value in [count, *carried]]
        starts = [ir.Constant(WORD, 0), *carried]
        for phi, value in zip(self.phis, starts, strict=True):
            phi.add_incoming(value, before)
        self.index, *self.values = self.phis

    def end(self, carried: list[ir.Value]) -> None:
        builder = self.builder
        following = builder.add(self.index, ir.Constant(WORD, 1))
        for phi, value in zip(self.phis, [following, *carried], strict=True):
            phi.add_incoming(value, builder.block)
        after = builder.append_basic_block("after")
        builder.cbranch(builder.icmp_signed("<", following, self.count), self.body, after)
        builder.position_at_end(after)


@lru_cache(maxsize=1024)
def tiling_for(rows: int, columns: int, dtype: np.dtype, whole: bool = False) -> Tiling:
    """The tiles that cover so many rows and columns with least waste, of whole vectors only if so
    asked."""
    lanes = target.lanes(dtype.itemsize)
    best = None
    for vectors, lower, narrow in SHAPES:
        height = min(MOST_ROWS, target.rows(vectors)) - lower
        wide = vectors * lanes // narrow
        if narrow > 1 and (whole or target.bytes < WIDE_BYTES):
            continue
        covered = -(-rows // height) * height * -(-columns // wide) * wide
        # A tile loads rows + vectors numbers for rows * vectors products.
        loads = (height + vectors) / (height * vectors)
        cost = covered * (1 + loads / LOADS_HIDDEN)
        if best is None or cost < best[0]:
            best = cost, vectors, height, narrow
    assert best is not None
    return tiling(*best[1:])


@cache
def tiling(vectors: int, height: int, narrow: int = 1) -> Tiling:
    """The tiles `vectors` vectors wide and so many rows high, of the `narrow`-th part of a
    vector each."""

    def tile_of(x: Any, *_: Any) -> TileType:
        return TileType(x.dtype, height, vectors, narrow)

    def same(tile: Any, *_: Any) -> Any:
        return tile

    def span(x: np.ndarray) -> int:
        return vectors * target.lanes(x.dtype.itemsize) // narrow

    def start(panel: np.ndarray, i: int) -> np.ndarray:
        """Every row is panel[i : i + columns]."""
        return np.tile(panel[i : i + span(panel)], (height, 1))

    @primitive(start, tile_of, ARRAY, INTEGER)
    def _(builder: Any, kinds: Any, values: Any) -> ir.Value:
        kind, (panel, i) = tile_of(kinds[0]), values
        row = []
        for v in range(vectors):
            place = builder.add(i, kind.columns_from(v))
            row.append(read(builder, kind.vector, address(builder, kind.vector, panel, place)))
        return packed(builder, kind.vector, row * height)

    def multiply_add(
        tile: np.ndarray,
        x: np.ndarray,
        starts: np.ndarray,
        first: int,
        runs: np.ndarray,
        run: int,
        count: int,
        length: int,
        step: int,
        panel: np.ndarray,
        i: int,
        panel_step: int,
    ) -> np.ndarray:
        """Row j adds Σ x[starts[first + j] + runs[run + r] + t * step] * panel[i + u * panel_step]
        over r < count and t < length, both at least 1; u counts the summands, and of the panel
        as many columns are meant as there are."""
        total = tile.copy()
        for j, begin in enumerate(starts[first : first + height]):
            for r in range(count):
                for t in range(length):
                    number = x[begin + runs[run + r] + t * step]
                    place = i + (r * length + t) * panel_step
                    total[j] += number * panel[place : place + span(panel)]
        return total

    integers = (INTEGER,) * 5
    arguments = (TileType, ARRAY, ARRAY, INTEGER, ARRAY, *integers[:4], ARRAY, INTEGER, INTEGER)

    @primitive(multiply_add, same, *arguments)
    def _(builder: Any, kinds: Any, values: Any) -> ir.Value:
        return product(builder, kinds[0], values)

    def multiply_add_ahead(
        tile: np.ndarray,
        x: np.ndarray,
        starts: np.ndarray,
        first: int,
        runs: np.ndarray,
        run: int,
        count: int,
        length: int,
        step: int,
        panel: np.ndarray,
        i: int,
        panel_step: int,
        x_ahead: int,
        panel_ahead: int,
    ) -> np.ndarray:
        """`multiply_add`, and for each summand have what lies so far ahead of the first row's
        number and of the panel's row fetched into the second cache, wherever that is."""
        return multiply_add(
            tile, x, starts, first, runs, run, count, length, step, panel, i, panel_step
        )

    @primitive(multiply_add_ahead, same, *arguments, INTEGER, INTEGER)
    def _(builder: Any, kinds: Any, values: Any) -> ir.Value:
        return product(builder, kinds[0], values[:-2], values[-2:])

    def product(builder: Any, kind: TileType, values: Any, ahead: Any = ()) -> ir.Value:
        vector = kind.vector
        tile, x, starts, first, runs, run, count, length, step, panel, i, panel_step = values
        pointers = row_pointers(builder, height, x, starts, first)
        begin = builder.gep(panel, [i])
        run_pointer = builder.gep(runs, [run])
        outer = Loop(builder, "run", count, [begin, *unpacked(builder, tile)])
        offset = builder.load(builder.gep(run_pointer, [outer.index]))
        rows = [builder.gep(pointer, [offset]) for pointer in pointers]
        inner = Loop(builder, "summand", length, [ir.Constant(WORD, 0), *outer.values])
        place, source, *sums = inner.values
        for pointer, distance in zip((builder.gep(rows[0], [place]), source), ahead, strict=False):
            fetch_line(builder, builder.gep(pointer, [distance]))
        columns = [
            read(builder, vector, address(builder, vector, source, kind.columns_from(v)))
            for v in range(vectors)
        ]
        for j, pointer in enumerate(rows):
            number = broadcast(builder, vector, builder.load(builder.gep(pointer, [place])))
            for v, column in enumerate(columns):
                sums[j * vectors + v] = fused(
                    builder, vector, number, column, sums[j * vectors + v]
                )
        source = builder.gep(source, [panel_step])
        inner.end([builder.add(place, step), source, *sums])
        outer.end([source, *sums])
        return packed(builder, kind.vector, sums)

    def add(
        tile: np.ndarray,
        x: np.ndarray,
        starts: np.ndarray,
        first: int,
        count: int,
        column: int,
        width: int,
    ) -> np.ndarray:
        """Row i < count adds x[starts[first + i] + column :], the first `width` columns of it."""
        total = tile.copy()
        for i, begin in enumerate(starts[first : first + min(count, height)]):
            part = x[begin + column : begin + column + max(0, min(width, span(x)))]
            total[i, : len(part)] += part
        return total

    @primitive(add, same, TileType, ARRAY, ARRAY, *integers[:4])
    def _(builder: Any, kinds: Any, values: Any) -> ir.Value:
        kind, vector = kinds[0], kinds[0].vector
        tile, x, starts, first, count, column, width = values
        sums = unpacked(builder, tile)
        for j, pointer in enumerate(row_pointers(builder, height, x, starts, first)):
            inside = builder.icmp_signed("<", ir.Constant(WORD, j), count)
            some = builder.select(inside, width, ir.Constant(WORD, 0))
            for v in range(vectors):
                mask = first_lanes(builder, vector, builder.sub(some, kind.columns_from(v)))
                where = address(builder, vector, pointer, builder.add(column, kind.columns_from(v)))
                part = read_some(builder, vector, where, mask)
                sums[j * vectors + v] = builder.fadd(sums[j * vectors + v], part)
        return packed(builder, kind.vector, sums)

    def bend_all(tile: np.ndarray, slope: float, most: float) -> np.ndarray:
        """`simd.bend` of all rows."""
        return simd.bend(tile, slope, most)

    @primitive(bend_all, same, TileType, FLOAT, FLOAT)
    def _(builder: Any, kinds: Any, values: Any) -> ir.Value:
        kind, vector = kinds[0], kinds[0].vector
        tile, *limits = values
        numbers = [
            broadcast(builder, vector, number_as(builder, vector, given, limit))
            for given, limit in zip(kinds[1:], limits, strict=True)
        ]
        rows = unpacked(builder, tile)
        return packed(builder, kind.vector, [bent(builder, vector, row, *numbers) for row in rows])

    def save(
        tile: np.ndarray,
        out: np.ndarray,
        starts: np.ndarray,
        first: int,
        count: int,
        column: int,
        width: int,
        streamed: bool,
    ) -> None:
        """out[starts[first + i] + column :] = row i < count, the first `width` columns of it.

        Streamed, whole rows go past the caches; then these places must be multiples of a vector.
        """
        for i, begin in enumerate(starts[first : first + min(count, height)]):
            part = tile[i, : max(0, width)]
            out[begin + column : begin + column + len(part)] = part

    @primitive(save, nothing, TileType, ARRAY, ARRAY, *integers[:4], types.Boolean)
    def _(builder: Any, kinds: Any, values: Any) -> None:
        kind, vector = kinds[0], kinds[0].vector
        tile, out, starts, first, count, column, width, streamed = values
        sums = unpacked(builder, tile)
        masks = [
            first_lanes(builder, vector, builder.sub(width, kind.columns_from(v)))
            for v in range(vectors)
        ]
        whole = builder.icmp_signed(">=", width, kind.columns_from(vectors))
        for j, pointer in enumerate(row_pointers(builder, height, out, starts, first)):
            places = [
                address(builder, vector, pointer, builder.add(column, kind.columns_from(v)))
                for v in range(vectors)
            ]
            row = list(zip(sums[j * vectors :], places, masks, strict=False))
            wanted = builder.icmp_signed("<", ir.Constant(WORD, j), count)
            with builder.if_then(wanted), builder.if_else(whole) as (then, otherwise):
                with then, builder.if_else(streamed) as branches:
                    for put, branch in zip((write_past, write), branches, strict=True):
                        with branch:
                            for value, place, _ in row:
                                put(builder, vector, value, place)
                with otherwise:
                    for value, place, mask in row:
                        write_some(builder, vector, value, place, mask)

    def claim_rows(out: np.ndarray, starts: np.ndarray, first: int, column: int) -> None:
        """Have the places that `save` writes fetched, to be written."""

    @primitive(claim_rows, nothing, ARRAY, ARRAY, INTEGER, INTEGER)
    def _(builder: Any, kinds: Any, values: Any) -> None:
        kind, (out, starts, first, column) = tile_of(kinds[0]), values
        for pointer in row_pointers(builder, height, out, starts, first):
            for v in range(vectors):
                place = builder.add(column, kind.columns_from(v))
                fetch_line(builder, builder.gep(pointer, [place]), write=True)

    products = multiply_add, multiply_add_ahead
    return Tiling(height, vectors, narrow, start, *products, add, bend_all, save, claim_rows)
