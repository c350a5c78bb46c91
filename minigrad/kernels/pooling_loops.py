"""The loops of pooling: one pass over the input, along rows of the result, channels innermost.

A window is a row of the tables of `Windows`; what they say is all that keeps the loops inside the
arrays. An average adds rows, then columns, both contiguous. A maximum holds its best elements and
the numbers of their taps in registers until its window is through.
"""

from __future__ import annotations

import numpy as np

from minigrad.kernels.jit import inner, kernel, prange
from minigrad.kernels.simd import fill, lanes, load_some, store_some
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

# Elements of averages that a thread takes at a time: rows that share their scratch memory.
CHUNK = 1 << 12

__all__ = ["average", "average_backward", "gather", "indices", "largest", "spread"]


@kernel(light=True)
def average(
    x: np.ndarray,
    out_flat: np.ndarray,
    out_rows: np.ndarray,
    channels: int,
    depth: np.ndarray,
    height: np.ndarray,
    width: np.ndarray,
    by_depth: np.ndarray,
    by_height: np.ndarray,
    by_width: np.ndarray,
) -> None:
    # x: (N, D, H, W * C); out_rows: (N, OD, OH, OW * C), and out_flat the same memory
    N, OD, OH, length = out_rows.shape
    C, OW, rows = channels, len(width), N * OD * OH
    down = max(1, CHUNK // max(1, length))
    for job in prange((rows + down - 1) // down):
        sums = np.empty(x.shape[3], x.dtype)
        for row in range(job * down, min(rows, (job + 1) * down)):
            n, od, oh = row // (OD * OH), row // OH % OD, row % OH
            _sum_rows(x[n], sums, depth[od, 0], depth[od, 2], height[oh, 0], height[oh, 2])
            for c in range(0, C, lanes(x)):
                for ow in range(OW):
                    first, stop = width[ow, 0] * C, (width[ow, 0] + width[ow, 2]) * C
                    total = fill(out_flat, 0)
                    for place in range(first + c, stop, C):
                        total = total + load_some(sums, place, C - c)
                    store_some(out_flat, (row * OW + ow) * C + c, total, C - c)
            mean, count = out_rows[n, od, oh], by_depth[od] * by_height[oh]
            for i in range(length):
                mean[i] /= count * by_width[i]


@inner
def _sum_rows(x: np.ndarray, sums: np.ndarray, d: int, depth: int, h: int, height: int) -> None:
    """sums = x[d : d + depth, h : h + height] added up, two rows at a time."""
    rows, length = depth * height, len(sums)
    if rows == 0:
        for i in range(length):
            sums[i] = 0
        return
    first = x[d, h]
    for i in range(length):
        sums[i] = first[i]
    row = 1
    while row + 1 < rows:
        one, two = (
            x[d + row // height, h + row % height],
            x[d + (row + 1) // height, h + (row + 1) % height],
        )
        for i in range(length):
            sums[i] = sums[i] + one[i] + two[i]
        row += 2
    if row < rows:
        one = x[d + row // height, h + row % height]
        for i in range(length):
            sums[i] += one[i]


@kernel(light=True)
def average_backward(
    grad: np.ndarray,
    out_flat: np.ndarray,
    shape: Five,
    depth: np.ndarray,
    depth_held: np.ndarray,
    height: np.ndarray,
    height_held: np.ndarray,
    width: np.ndarray,
    width_held: np.ndarray,
    by_depth: np.ndarray,
    by_height: np.ndarray,
    by_width: np.ndarray,
) -> None:
    # grad: (N, OD, OH, OW * C); out_flat: flat (N, D, H, W, C) = shape
    N, D, H, W, C = shape
    rows, length = N * D * H, W * C
    down = max(1, CHUNK // max(1, length))
    for job in prange((rows + down - 1) // down):
        sums = np.empty(grad.shape[3], grad.dtype)
        for row in range(job * down, min(rows, (job + 1) * down)):
            n, d, h = row // (D * H), row // H % D, row % H
            if h > 0 and row > job * down and _as_before(height, height_held, h):
                for i in range(row * length, (row + 1) * length):
                    out_flat[i] = out_flat[i - length]
                continue
            sums[:] = 0
            for i in range(depth[d], depth[d + 1]):
                od = depth_held[i, 0]
                for j in range(height[h], height[h + 1]):
                    oh = height_held[j, 0]
                    share, count = grad[n, od, oh], by_depth[od] * by_height[oh]
                    for k in range(len(sums)):
                        sums[k] += share[k] / (count * by_width[k])
            for c in range(0, C, lanes(grad)):
                for w in range(W):
                    total = fill(out_flat, 0)
                    for k in range(width[w], width[w + 1]):
                        total = total + load_some(sums, width_held[k, 0] * C + c, C - c)
                    store_some(out_flat, (row * W + w) * C + c, total, C - c)


@inner
def _as_before(covering: np.ndarray, held: np.ndarray, p: int) -> bool:
    """Whether the windows over position p are those over position p - 1."""
    first, stop, count = covering[p - 1], covering[p], covering[p + 1] - covering[p]
    same = stop - first == count
    for i in range(count if same else 0):
        same = same and held[first + i, 0] == held[stop + i, 0]
    return bool(same)


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
            if listed < 0 or _differ(width[ow], width[listed]):
                listed = ow
                count = _list_taps(
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
            for c in range(0, C, lanes(x)):
                best = load_some(x, places[0] + shift + c, C - c)
                tap = numbered(taps, numbers[0], best)
                for q in range(count):
                    rival = load_some(x, places[q] + shift + c, C - c)
                    wins = beats(rival, best)
                    best = choose(wins, rival, best)
                    tap = renumber(wins, numbers[q], tap)
                store_some(values, target + c, best, C - c)
                store_numbers(taps, target + c, tap, C - c)


@inner
def _differ(window: np.ndarray, other: np.ndarray) -> bool:
    """Whether the taps inside the input are not the same."""
    return bool(window[1] != other[1] or window[2] != other[2])


@inner
def _list_taps(
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
                    share = load_some(grad, places[q] + c, C - c)
                    tap = load_numbers(taps, places[q] + c, C - c, share)
                    total = total + choose(equals(tap, numbers[q]), share, zero)
                store_some(out, target + c, total, C - c)


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
            if listed < 0 or _differ(width[ow], width[listed]):
                listed = ow
                count = _list_taps(
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
                    here = load_some(x, places[q] + shift + c, C - c)
                    found = choose(equals(tap, numbers[q]), here, found)
                store_some(out, target + c, found, C - c)


@kernel(light=True)
def indices(taps: np.ndarray, first: np.ndarray, away: np.ndarray, out: np.ndarray) -> None:
    # taps, out: (N, positions, C); first: (positions,); away: (taps of a window,)
    N, positions, C = out.shape
    for job in prange(N * positions):
        n, q = job // positions, job % positions
        for c in range(C):
            out[n, q, c] = first[q] + away[taps[n, q, c]]
