"""The loops of maximum pooling: one pass over the input, along rows of the result.

A window is a row of the tables of `Windows`; what they say is all that keeps the loops inside the
arrays. A maximum holds its best elements and the numbers of their taps in registers until its
window is through. Channels are innermost.
"""

from __future__ import annotations

import numpy as np

from minigrad.kernels.jit import inner, kernel, prange
from minigrad.kernels.simd import fill, lanes
from minigrad.kernels.streaming import drain, part, prefetch, put
from minigrad.kernels.tap_vectors import (
    beats,
    choose,
    equals,
    load_numbers,
    numbered,
    renumber,
    store_numbers,
)

Three = tuple[int, int, int]
Five = tuple[int, int, int, int, int]

# Bytes of a pixel's channels from which on the next window's are fetched ahead: the processor
# foresees what follows in memory, but not where the next row of a window goes on.
LONG = 1 << 10

__all__ = ["differ", "gather", "indices", "largest", "list_taps", "spread"]


@kernel(light=True)
def largest(
    x: np.ndarray,
    values: np.ndarray,
    taps: np.ndarray,
    depth: np.ndarray,
    height: np.ndarray,
    width: np.ndarray,
    shape: Five,
    size: Three,
    kernel_size: Three,
    dilation: Three,
    streamed: bool,
) -> None:
    # x: flat (N, D, H, W, C); values, taps: flat (N, OD, OH, OW, C) = shape; size: (D, H, W)
    N, OD, OH, OW, C = shape
    for job in prange(N * OD * OH):
        n, od, oh = job // (OD * OH), job // OH % OD, job % OH
        list_of = np.empty((2, kernel_size[0] * kernel_size[1] * kernel_size[2]), np.int64)
        places, numbers = list_of[0], list_of[1]
        listed, count = -1, 0
        for ow in range(OW):
            # The same taps as those of the window that was listed, only further on?
            if listed < 0 or differ(width[ow], width[listed]):
                listed = ow
                count = list_taps(
                    places,
                    numbers,
                    n,
                    depth[od],
                    height[oh],
                    width[ow],
                    C,
                    size,
                    kernel_size,
                    dilation,
                )
            shift = (width[ow, 0] - width[listed, 0]) * C
            target = (job * OW + ow) * C
            ahead = shift + (width[min(ow + 1, OW - 1), 0] - width[ow, 0]) * C
            fetched = count if C * x.itemsize >= LONG else 0
            for c in range(0, C, lanes(x)):
                for q in range(fetched):
                    prefetch(x, places[q] + ahead + c)
                best = part(x, places[0] + shift + c, C - c)
                tap = numbered(taps, numbers[0], best)
                for q in range(1, count):
                    rival = part(x, places[q] + shift + c, C - c)
                    wins = beats(rival, best)
                    best = choose(wins, rival, best)
                    tap = renumber(wins, numbers[q], tap)
                put(values, target + c, best, C - c, streamed)
                store_numbers(taps, target + c, tap, C - c)
        drain(values)


@inner
def differ(window: np.ndarray, other: np.ndarray) -> bool:
    """Whether the taps inside the input are not the same."""
    return bool(window[1] != other[1] or window[2] != other[2])


@inner
def list_taps(
    places: np.ndarray,
    numbers: np.ndarray,
    n: int,
    depth: np.ndarray,
    height: np.ndarray,
    width: np.ndarray,
    C: int,
    size: Three,
    kernel_size: Three,
    dilation: Three,
) -> int:
    """Where the taps of a window begin in flat (N, D, H, W, C), and their numbers."""
    q = 0
    for i in range(depth[2]):
        d, r = depth[0] + i * dilation[0], depth[1] + i
        for j in range(height[2]):
            h, s = height[0] + j * dilation[1], height[1] + j
            place = ((n * size[0] + d) * size[1] + h) * size[2] + width[0]
            number = (r * kernel_size[1] + s) * kernel_size[2] + width[1]
            for k in range(width[2]):
                places[q] = (place + k * dilation[2]) * C
                numbers[q] = number + k
                q += 1
    return q


@kernel(light=True)
def spread(
    grad: np.ndarray,
    taps: np.ndarray,
    out: np.ndarray,
    depth: np.ndarray,
    depth_held: np.ndarray,
    height: np.ndarray,
    height_held: np.ndarray,
    width: np.ndarray,
    width_held: np.ndarray,
    shape: Five,
    size: Three,
    kernel_size: Three,
    most: int,
    streamed: bool,
) -> None:
    # most: windows over one position of the width
    # grad, taps: flat (N, OD, OH, OW, C) = shape; out: flat (N, D, H, W, C); size: (D, H, W)
    N, OD, OH, OW, C = shape
    D, H, W = size
    for job in prange(N * D * H):
        n, d, h = job // (D * H), job // H % D, job % H
        rows = (depth[d + 1] - depth[d]) * (height[h + 1] - height[h])
        list_of = np.empty((2, max(1, rows * most)), np.int64)
        places, numbers = list_of[0], list_of[1]
        for w in range(W):
            count = 0
            for i in range(depth[d], depth[d + 1]):
                for j in range(height[h], height[h + 1]):
                    row = ((n * OD + depth_held[i, 0]) * OH + height_held[j, 0]) * OW
                    number = depth_held[i, 1] * kernel_size[1] + height_held[j, 1]
                    for k in range(width[w], width[w + 1]):
                        places[count] = (row + width_held[k, 0]) * C
                        numbers[count] = number * kernel_size[2] + width_held[k, 1]
                        count += 1
            target = (job * W + w) * C
            for c in range(0, C, lanes(out)):
                zero = fill(out, 0)
                total = zero
                for q in range(count):
                    share = part(grad, places[q] + c, C - c)
                    tap = load_numbers(taps, places[q] + c, C - c, share)
                    total = total + choose(equals(tap, numbers[q]), share, zero)
                put(out, target + c, total, C - c, streamed)
        drain(out)


@kernel(light=True)
def gather(
    x: np.ndarray,
    taps: np.ndarray,
    out: np.ndarray,
    depth: np.ndarray,
    height: np.ndarray,
    width: np.ndarray,
    shape: Five,
    size: Three,
    kernel_size: Three,
    dilation: Three,
) -> None:
    # as in `largest`, whose taps these are
    N, OD, OH, OW, C = shape
    for job in prange(N * OD * OH):
        n, od, oh = job // (OD * OH), job // OH % OD, job % OH
        list_of = np.empty((2, kernel_size[0] * kernel_size[1] * kernel_size[2]), np.int64)
        places, numbers = list_of[0], list_of[1]
        listed, count = -1, 0
        for ow in range(OW):
            # The same taps as those of the window that was listed, only further on?
            if listed < 0 or differ(width[ow], width[listed]):
                listed = ow
                count = list_taps(
                    places,
                    numbers,
                    n,
                    depth[od],
                    height[oh],
                    width[ow],
                    C,
                    size,
                    kernel_size,
                    dilation,
                )
            shift = (width[ow, 0] - width[listed, 0]) * C
            target = (job * OW + ow) * C
            for c in range(0, C, lanes(out)):
                found = fill(out, 0)
                tap = load_numbers(taps, target + c, C - c, found)
                for q in range(count):
                    here = part(x, places[q] + shift + c, C - c)
                    found = choose(equals(tap, numbers[q]), here, found)
                put(out, target + c, found, C - c, False)


@kernel(light=True)
def indices(taps: np.ndarray, first: np.ndarray, away: np.ndarray, out: np.ndarray) -> None:
    # taps, out: (N, positions, C); first: (positions,); away: (taps of a window,)
    N, positions, C = out.shape
    for job in prange(N * positions):
        n, q = job // positions, job % positions
        for c in range(C):
            out[n, q, c] = first[q] + away[taps[n, q, c]]
