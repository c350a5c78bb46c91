"""The loops of average pooling: along rows of the result, or of its cotangent; channels innermost.

Windows that meet add rows, then columns, both contiguous, so that what they share is added once.
Those that lie apart are summed tap by tap, and spread tap by tap in the gradient.
"""

from __future__ import annotations

import numpy as np

from minigrad.kernels.jit import inner, kernel, prange
from minigrad.kernels.pooling_loops import Five, Three, differ, list_taps
from minigrad.kernels.simd import fill, lanes, load_some, quotient, store_some
from minigrad.kernels.streaming import part, put

__all__ = ["average", "average_apart", "average_apart_backward", "average_backward"]

# Elements, read or written, that a thread takes at a time: rows that share their scratch memory.
CHUNK = 1 << 12
# The dilation of averages.
CLOSE = 1, 1, 1


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
    down = _rows_of_job(rows, max(x.size, out_flat.size))
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
def _rows_of_job(rows: int, size: int) -> int:
    """How many of all rows a thread takes at a time, where `size` elements are read or written."""
    return max(1, rows * CHUNK // max(1, size))


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
    down = _rows_of_job(rows, max(grad.size, out_flat.size))
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


@kernel(light=True)
def average_apart(
    x: np.ndarray,
    out: np.ndarray,
    depth: np.ndarray,
    height: np.ndarray,
    width: np.ndarray,
    shape: Five,
    size: Three,
    kernel_size: Three,
    by_depth: np.ndarray,
    by_height: np.ndarray,
    by_width: np.ndarray,
    divide: bool,
) -> None:
    # x: flat (N, D, H, W, C), size: (D, H, W); out: flat (N, OD, OH, OW, C) = shape
    N, OD, OH, OW, C = shape
    rows, taps = N * OD * OH, kernel_size[0] * kernel_size[1] * kernel_size[2]
    down = _rows_of_job(rows, max(x.size, out.size))
    for job in prange((rows + down - 1) // down):
        list_of = np.empty((2, taps), np.int64)
        places, numbers = list_of[0], list_of[1]
        for row in range(job * down, min(rows, (job + 1) * down)):
            n, od, oh = row // (OD * OH), row // OH % OD, row % OH
            share, listed, count = by_depth[od] * by_height[oh], 0, 0
            for ow in range(OW):
                if ow == 0 or differ(width[ow], width[listed]):
                    listed, along = ow, (depth[od], height[oh], width[ow])
                    count = list_taps(places, numbers, n, *along, C, size, kernel_size, CLOSE)
                shift, target = (width[ow, 0] - width[listed, 0]) * C, (row * OW + ow) * C
                by = fill(out, share * by_width[ow * C])
                for c in range(0, C, lanes(x)):
                    total = fill(out, 0)
                    for q in range(count):
                        total = total + part(x, places[q] + shift + c, C - c)
                    total = quotient(total, by) if divide else total * by
                    put(out, target + c, total, C - c, False)


@kernel(light=True)
def average_apart_backward(
    grad: np.ndarray,
    out: np.ndarray,
    depth: np.ndarray,
    height: np.ndarray,
    width: np.ndarray,
    shape: Five,
    size: Three,
    kernel_size: Three,
    by_depth: np.ndarray,
    by_height: np.ndarray,
    by_width: np.ndarray,
    divide: bool,
) -> None:
    # grad: flat (N, OD, OH, OW, C) = shape; out: flat (N, D, H, W, C), size: (D, H, W); what no
    # window has stays as it is
    N, OD, OH, OW, C = shape
    rows, taps = N * OD * OH, kernel_size[0] * kernel_size[1] * kernel_size[2]
    down = _rows_of_job(rows, max(grad.size, out.size))
    for job in prange((rows + down - 1) // down):
        list_of = np.empty((2, taps), np.int64)
        places, numbers = list_of[0], list_of[1]
        for row in range(job * down, min(rows, (job + 1) * down)):
            n, od, oh = row // (OD * OH), row // OH % OD, row % OH
            share, listed, count = by_depth[od] * by_height[oh], 0, 0
            for ow in range(OW):
                if ow == 0 or differ(width[ow], width[listed]):
                    listed, along = ow, (depth[od], height[oh], width[ow])
                    count = list_taps(places, numbers, n, *along, C, size, kernel_size, CLOSE)
                shift, source = (width[ow, 0] - width[listed, 0]) * C, (row * OW + ow) * C
                by = fill(out, share * by_width[ow * C])
                for c in range(0, C, lanes(out)):
                    given = part(grad, source + c, C - c)
                    given = quotient(given, by) if divide else given * by
                    for q in range(count):
                        put(out, places[q] + shift + c, given, C - c, False)


@inner
def _as_before(covering: np.ndarray, held: np.ndarray, p: int) -> bool:
    """Whether the windows over position p are those over position p - 1."""
    first, stop, count = covering[p - 1], covering[p], covering[p + 1] - covering[p]
    same = stop - first == count
    for i in range(count if same else 0):
        same = same and held[first + i, 0] == held[stop + i, 0]
    return bool(same)
