"""Weights into panels and gradients out of them: both are transpositions, done in registers.

In memory a filter's numbers lie together; a panel holds the same number of many filters together.
Squares of as many filters as a vector has lanes, by as many of their numbers, are turned at once.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir

from minigrad.kernels.jit import kernel, prange
from minigrad.kernels.simd import (
    ARRAY,
    INTEGER,
    VectorType,
    address,
    first_lanes,
    lanes,
    load_some,
    nothing,
    packed,
    primitive,
    read_some,
    store_some,
    types,
    write_some,
)
from minigrad.kernels.streaming import prefetch

__all__ = ["pack", "unpack"]

WORD = ir.IntType(64)
# Squares that a job packs at least, and squares of numbers that it unpacks.
SQUARES = 32
TURNED = 9
# How many vectors before their turn the rows of squares are fetched.
AHEAD = 2


def _square_of(x: Any, *_: Any) -> Any:
    kind = VectorType(x.dtype)
    return types.UniTuple(kind, kind.lanes)


def _turned(builder: Any, kind: VectorType, rows: list[ir.Value]) -> list[ir.Value]:
    """The transpose of a square: halves change places, then halves of halves, and so on."""
    rows, index = list(rows), ir.IntType(32)
    distance = kind.lanes // 2
    while distance:
        # Lanes of the pair (a, b), b's being counted from `lanes` on.
        low = [j if not j & distance else kind.lanes + j - distance for j in range(kind.lanes)]
        high = [j + distance if not j & distance else kind.lanes + j for j in range(kind.lanes)]
        masks = [
            ir.Constant(ir.VectorType(index, kind.lanes), [ir.Constant(index, j) for j in lane])
            for lane in (low, high)
        ]
        for i in range(kind.lanes):
            if not i & distance:
                pair = rows[i], rows[i + distance]
                rows[i], rows[i + distance] = (builder.shuffle_vector(*pair, m) for m in masks)
        distance //= 2
    return rows


def _number(i: int) -> ir.Constant:
    return ir.Constant(WORD, i)


def load_square(
    x: np.ndarray, i: int, step: int, rows: int, columns: int
) -> tuple[np.ndarray, ...]:
    """Vector j holds x[i + r * step + j] for the lanes r < rows, zeros elsewhere and from
    j = columns on."""
    n = lanes(x)
    square = np.zeros((n, n), x.dtype)
    for r in range(max(0, min(rows, n))):
        square[r, :columns] = x[i + r * step : i + r * step + max(0, min(columns, n))]
    return tuple(square.T.copy())


@primitive(load_square, _square_of, ARRAY, INTEGER, INTEGER, INTEGER, INTEGER)
def _(builder: Any, kinds: Any, values: Any) -> ir.Value:
    kind, (x, i, step, rows, columns) = VectorType(kinds[0].dtype), values
    loaded = []
    for r in range(kind.lanes):
        some = builder.select(builder.icmp_signed("<", _number(r), rows), columns, _number(0))
        mask = first_lanes(builder, kind, some)
        loaded.append(read_some(builder, kind, address(builder, kind, x, i), mask))
        i = builder.add(i, step)
    return packed(builder, kind, _turned(builder, kind, loaded))


def store_square(
    x: np.ndarray, i: int, step: int, square: tuple[np.ndarray, ...], rows: int, columns: int
) -> None:
    """x[i + r * step + j] = lane r of vector j, for r < rows and j < columns."""
    for r, row in enumerate(np.array(square).T[: max(0, rows)]):
        x[i + r * step : i + r * step + len(row[: max(0, columns)])] = row[: max(0, columns)]


@primitive(store_square, nothing, ARRAY, INTEGER, INTEGER, types.UniTuple, INTEGER, INTEGER)
def _(builder: Any, kinds: Any, values: Any) -> None:
    kind, (x, i, step, square, rows, columns) = kinds[3].dtype, values
    vectors = [builder.extract_value(square, j) for j in range(kind.lanes)]
    for r, row in enumerate(_turned(builder, kind, vectors)):
        some = builder.select(builder.icmp_signed("<", _number(r), rows), columns, _number(0))
        mask = first_lanes(builder, kind, some)
        write_some(builder, kind, row, address(builder, kind, x, i), mask)
        i = builder.add(i, step)


def load_rows(
    x: np.ndarray, i: int, step: int, places: np.ndarray, first: int, count: int, columns: int
) -> tuple[np.ndarray, ...]:
    """Vector j < count holds x[i + places[first + j] * step :], the first `columns` lanes of it."""
    n = lanes(x)
    square = np.zeros((n, n), x.dtype)
    for j in range(min(n, count)):
        begin = i + places[first + j] * step
        square[j, :columns] = x[begin : begin + max(0, min(columns, n))]
    return tuple(square)


@primitive(load_rows, _square_of, ARRAY, INTEGER, INTEGER, ARRAY, INTEGER, INTEGER, INTEGER)
def _(builder: Any, kinds: Any, values: Any) -> ir.Value:
    kind, (x, i, step, places, first, count, columns) = VectorType(kinds[0].dtype), values
    loaded = []
    last = builder.add(first, builder.sub(count, _number(1)))
    for j in range(kind.lanes):
        inside = builder.icmp_signed("<", _number(j), count)
        at = builder.select(inside, builder.add(first, _number(j)), last)
        place = builder.mul(builder.load(builder.gep(places, [at])), step)
        some = builder.select(inside, columns, _number(0))
        where = address(builder, kind, x, builder.add(i, place))
        loaded.append(read_some(builder, kind, where, first_lanes(builder, kind, some)))
    return packed(builder, kind, loaded)


def store_rows(
    x: np.ndarray,
    i: int,
    step: int,
    places: np.ndarray,
    first: int,
    square: tuple[np.ndarray, ...],
    count: int,
    columns: int,
) -> None:
    """x[i + places[first + j] * step :] = vector j < count, the first `columns` lanes of it;
    nothing where the place is negative."""
    for j, row in enumerate(square[: max(0, count)]):
        if places[first + j] >= 0:
            begin = i + places[first + j] * step
            x[begin : begin + len(row[:columns])] = row[:columns]


@primitive(
    store_rows,
    nothing,
    *(ARRAY, INTEGER, INTEGER, ARRAY, INTEGER, types.UniTuple, INTEGER, INTEGER),
)
def _(builder: Any, kinds: Any, values: Any) -> None:
    kind, (x, i, step, places, first, square, count, columns) = kinds[5].dtype, values
    mask = first_lanes(builder, kind, columns)
    last = builder.add(first, builder.sub(count, _number(1)))
    for j in range(kind.lanes):
        inside = builder.icmp_signed("<", _number(j), count)
        at = builder.select(inside, builder.add(first, _number(j)), last)
        place = builder.load(builder.gep(places, [at]))
        wanted = builder.and_(inside, builder.icmp_signed(">=", place, _number(0)))
        with builder.if_then(wanted):
            where = address(builder, kind, x, builder.add(i, builder.mul(place, step)))
            write_some(builder, kind, builder.extract_value(square, j), where, mask)


def add_squares(a: tuple[np.ndarray, ...], b: tuple[np.ndarray, ...]) -> tuple[np.ndarray, ...]:
    """a + b, vector by vector."""
    return tuple([left + right for left, right in zip(a, b, strict=True)])


@primitive(add_squares, lambda a, b: a, types.UniTuple, types.UniTuple)
def _(builder: Any, kinds: Any, values: Any) -> ir.Value:
    kind = kinds[0].dtype
    pairs = [[builder.extract_value(v, j) for v in values] for j in range(kinds[0].count)]
    return packed(builder, kind, [builder.fadd(*pair) for pair in pairs])


@kernel(light=True)
def pack(
    weight: np.ndarray,
    places: np.ndarray,
    outer_step: int,
    column_step: int,
    group_step: int,
    columns: int,
    panels: np.ndarray,
) -> None:
    """panels[g, p, places[o, m], i] = weight[g * group_step + o * outer_step + m + c * column_step]
    where column c is the i-th of panel p, and zero from column `columns` on; numbers whose place is
    negative are left out."""
    groups, count, depth, wide = panels.shape
    outer, inner = places.shape
    flat, rows, step = panels.reshape(-1), places.reshape(-1), lanes(weight)
    together = max(1, SQUARES // ((inner + step - 1) // step))
    blocks = (outer + together - 1) // together
    for job in prange(groups * count * blocks):
        panel, group = job // blocks % count, job // blocks // count
        target = (group * count + panel) * depth * wide
        for o in range(job % blocks * together, min(outer, (job % blocks + 1) * together)):
            for v in range(0, wide, step):
                column, room = panel * wide + v, min(step, wide - v)
                left = min(columns - column, room)
                source = group * group_step + o * outer_step + column * column_step
                if column_step == 1:
                    if rows[o] >= 0:
                        # Of a vector without any column, not even the address may be formed.
                        vector = load_some(weight, source if left > 0 else 0, left)
                        store_some(flat, target + rows[o] * wide + v, vector, room)
                    continue
                for m in range(0, inner, step):
                    square = load_square(weight, source + m, column_step, left, inner - m)
                    store_rows(
                        flat, target + v, wide, rows, o * inner + m, square,
                        min(step, inner - m), room,
                    )  # fmt: skip


@kernel(light=True)
def unpack(sums: np.ndarray, places: np.ndarray, columns: int, out: np.ndarray) -> None:
    """out[g, c, m] = Σ over parts of sums[part, g, places[m], c] for the columns c < columns."""
    parts, groups, height, across = sums.shape
    inner, flat, step = len(places), sums.reshape(-1), lanes(out)
    # All filters of a few numbers: neighbours in `sums` are read one after the other.
    together = step * TURNED
    blocks = (inner + together - 1) // together
    for job in prange(groups * blocks):
        group, first = job // blocks, job % blocks * together
        for column in range(0, columns, step):
            for m in range(first, min(inner, first + together), step):
                count = min(step, inner - m)
                begin = group * height * across + column
                for i in range(m, m + count):
                    # Rows lie too far apart to be foreseen.
                    prefetch(flat, begin + places[i] * across + AHEAD * step)
                square = load_rows(flat, begin, across, places, m, count, across - column)
                for part in range(1, parts):
                    begin = (part * groups + group) * height * across + column
                    more = load_rows(flat, begin, across, places, m, count, across - column)
                    square = add_squares(square, more)
                target = (group * columns + column) * inner + m
                store_square(out, target, inner, square, columns - column, count)
