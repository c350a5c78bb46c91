"""The transforms of Winograd's convolution on vectors of channels.

y = Aᵀ [(G w Gᵀ) ∘ (B d Bᵀ)] A for every tile y of the output and the tile d of the input below it,
summed over channels between the brackets: a matrix product for each value. Filters 3 wide have
tiles of 4 x 4 outputs, whose direct sums take 144 products, here 36, or 81 with a stride of 2; 5
wide, tiles of 2 x 2, which take 100 and 36.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np

from minigrad.kernels.bilinear import GradTransforms
from minigrad.kernels.constant_matrix import linear_map
from minigrad.kernels.jit import inner
from minigrad.kernels.packing import load_square
from minigrad.kernels.simd import (
    bend,
    lanes,
    load,
    load_some,
    store,
)
from minigrad.kernels.streaming import claim, prefetch, put
from minigrad.kernels.target import target
from minigrad.kernels.vector_tuples import loads, store_each
from minigrad.kernels.winograd_points import FILTERINGS, Kind, products_of

__all__ = ["transforms"]

# How many depths before its turn a filter is fetched: they lie too far apart to be foreseen.
AHEAD = 8
# And how many vectors before its turn a line of the result.
CLAIMED = 2


@cache
def transforms(kind: Kind) -> GradTransforms:
    """Those of `FILTERINGS[kind]`."""
    filtering, (taps, stride, back) = FILTERINGS[kind], kind
    A, G, B = filtering.A, filtering.G, filtering.B
    direction = "back" if back else "both" if stride == 1 else "forward"
    return GradTransforms(
        f"winograd_{taps}_{stride}_{direction}",
        products_of(kind),
        values=len(B) ** 2,
        filters=len(G) ** 2,
        sums=len(A) ** 2,
        seen=filtering.seen**2,
        room=max(A.size, G.size, B.size),
        weight_room=taps * taps + target.lanes(4),
        weight_rows=_weight_rows(G),
        input_tile=_tile_at_points(B, filtering.step),
        output_tile=_output_tile(A),
        grad_tile=_tile_at_points(A, filtering.outputs),
        filter_tile=_filter_tile(G),
    )


def _weight_rows(G: np.ndarray) -> Callable[..., None]:
    values, side = G.shape
    count, load_taps, at_points = side * side, loads(side), linear_map(G)

    @inner
    def weight_rows(
        weight: np.ndarray,
        sizes: np.ndarray,
        column: int,
        first: int,
        stop: int,
        taps: np.ndarray,
        half: np.ndarray,
        out: np.ndarray,
        place: int,
        plane: int,
        wide: int,
    ) -> None:
        """out[place + i * plane + (d - first) * wide : + wide] = row i of G w Gᵀ for the filters
        from `column` on, at the depths first <= d < stop.

        sizes: columns in all, how far apart they and the depths lie in `weight`, whether the taps
        are turned. `taps` has room for a vector of each and a square.
        """
        columns, column_step, depth_step, turned = sizes[0], sizes[1], sizes[2], sizes[3]
        step = lanes(weight)
        # Turned filters are read from their last tap back.
        begin, back = (count - 1, -step) if turned else (0, step)
        for v in range(0, wide, step):
            for depth in range(first, stop):
                source = (column + v) * column_step + depth * depth_step
                for i in range(step):
                    prefetch(weight, source + AHEAD * depth_step + i * column_step)
                rows = columns - column - v
                for tap in range(0, count, step):
                    square = load_square(weight, source + tap, column_step, rows, count - tap)
                    store_each(taps, tap * step, step, square)
                for s in range(side):
                    column_of_taps = load_taps(taps, begin * step + s * back, side * back)
                    store_each(half, s * step, side * step, at_points(weight, column_of_taps))
                for r in range(values):
                    row_of_taps = load_taps(half, r * side * step, step)
                    target = place + r * values * plane + (depth - first) * wide + v
                    store_each(out, target, plane, at_points(weight, row_of_taps))

    return weight_rows


def _tile_at_points(M: np.ndarray, side: int) -> Callable[..., None]:
    """The transform M d Mᵀ of tiles that begin at every `side`-th row and column."""
    values, seen = M.shape
    load_seen, at_points = loads(seen), linear_map(M)

    @inner
    def tile_at_points(
        x: np.ndarray,
        sizes: np.ndarray,
        tile: int,
        patch: np.ndarray,
        half: np.ndarray,
        out: np.ndarray,
        place: int,
        plane: int,
        wide: int,
        group: int,
        group_step: int,
    ) -> None:
        """Row i of the transform of the tile of this number, channel c, at place + i * plane + c of
        `out`, `group` channels being together and the groups `group_step` apart. What a tile sees
        beyond x is zero.

        sizes: height, width, channels, rows and columns of tiles, padding above and on the left.
        """
        H, W, C = sizes[0], sizes[1], sizes[2]
        n, row, column = tile // sizes[4] // sizes[3], tile // sizes[4] % sizes[3], tile % sizes[4]
        top, left = row * side - sizes[5], column * side - sizes[6]
        inside = top >= 0 and left >= 0 and top + seen <= H and left + seen <= W
        step = lanes(x)
        if inside and wide == C:
            source, at, down, across = x, ((n * H + top) * W + left) * C, W * C, C
        else:
            for h in range(seen):
                for w in range(seen):
                    target = (h * seen + w) * wide
                    real = 0 <= top + h < H and 0 <= left + w < W
                    origin = ((n * H + top + h) * W + left + w) * C if real else 0
                    for c in range(0, wide, step):
                        store(patch, target + c, load_some(x, origin + c, C - c if real else 0))
            source, at, down, across = patch, 0, seen * wide, wide
        for c in range(0, wide, step):
            for w in range(seen):
                points = at_points(x, load_seen(source, at + w * across + c, down))
                store_each(half, w * step, seen * step, points)
            for h in range(values):
                points = at_points(x, load_seen(half, h * seen * step, step))
                target = place + c // group * group_step + c % group
                store_each(out, target + h * values * plane, plane, points)

    return tile_at_points


def _output_tile(A: np.ndarray) -> Callable[..., None]:
    values, side = A.shape
    load_values, from_points = loads(values), linear_map(A.T)

    @inner
    def output_tile(
        sums: np.ndarray,
        place: int,
        plane: int,
        half: np.ndarray,
        bias: np.ndarray,
        residual: np.ndarray,
        out: np.ndarray,
        sizes: np.ndarray,
        tile: int,
        first: int,
        stop: int,
        slope: float,
        most: float,
        streamed: bool,
    ) -> None:
        """Channels first <= k < stop of the tile of this number of `out` = finish(bias + Aᵀ m A),
        m being the rows of sums at place.

        sizes: height, width, channels, rows and columns of tiles, how far above and to the left of
        `out` the first begins. Streamed, it goes past the caches; then the channels must be whole
        vectors.
        """
        H, W, K = sizes[0], sizes[1], sizes[2]
        n, row, column = tile // sizes[4] // sizes[3], tile // sizes[4] % sizes[3], tile % sizes[4]
        top, left, step = row * side - sizes[5], column * side - sizes[6], lanes(out)
        rows, columns = min(side, H - top), min(side, W - left)
        for k in range(first, stop, step):
            for w in range(values):
                column_of_sums = load_values(sums, place + w * plane + k - first, values * plane)
                store_each(half, w * step, values * step, from_points(out, column_of_sums))
            for h in range(max(0, -top), rows):
                points = from_points(out, load_values(half, h * values * step, step))
                store_each(half, h * values * step, step, points)
                target = ((n * H + top + h) * W + left) * K + k
                for w in range(max(0, -left), columns):
                    y = load(half, (h * values + w) * step) + load(bias, k)
                    if len(residual) > 0:
                        y = y + load_some(residual, target + w * K, stop - k)
                    y = bend(y, slope, most)
                    put(out, target + w * K, y, stop - k, streamed)
                    if not streamed:
                        claim(out, target + w * K + CLAIMED * step)

    return output_tile


def _filter_tile(G: np.ndarray) -> Callable[..., None]:
    values, side = G.shape
    load_values, from_points = loads(values), linear_map(G.T)

    @inner
    def filter_tile(
        sums: np.ndarray,
        place: int,
        plane: int,
        half: np.ndarray,
        out: np.ndarray,
        first: int,
        tap_step: int,
        more: bool,
    ) -> None:
        """A vector of filters at each tap, `tap_step` apart from `first` on, is Gᵀ u G, u being
        the rows of sums at place, or adds it if there is `more` than that."""
        step = lanes(out)
        for w in range(values):
            points = from_points(out, load_values(sums, place + w * plane, values * plane))
            store_each(half, w * step, values * step, points)
        for r in range(side):
            points = from_points(out, load_values(half, r * values * step, step))
            store_each(half, r * values * step, step, points)
            for s in range(side):
                target, total = (
                    first + (r * side + s) * tap_step,
                    load(half, (r * values + s) * step),
                )
                if more:
                    total = total + load(out, target)
                store(out, target, total)

    return filter_tile
