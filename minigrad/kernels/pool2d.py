"""Average and maximum pooling over planes, and their gradients.

Every loop runs over positions, with the channels innermost: they are contiguous in memory and
fill the processor's vectors. Parallel loops run over the rows, or images, of the result.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from minigrad.errors import DtypeError, IndexingError, ShapeError
from minigrad.kernels.jit import kernel, prange
from minigrad.kernels.window import (
    Axis,
    Pair,
    Sides,
    channels_first,
    channels_last,
    check_arrays,
    plane,
)

__all__ = [
    "avg_pool2d",
    "avg_pool2d_backward",
    "max_pool2d",
    "max_pool2d_backward",
    "max_pool2d_gather",
]

# Channels one thread takes at a time where a loop can only be split by image and channel.
CHANNEL_BLOCK = 16


def avg_pool2d(
    x: np.ndarray,
    output_size: Pair,
    kernel_size: Pair,
    stride: Pair,
    padding: Sides,
    count_include_pad: bool,
) -> np.ndarray:
    """The mean of every window of x (N, C, H, W) -> (N, C, OH, OW).

    A window's sum is divided by the number of its positions on the plane: the padded one with
    `count_include_pad`, else the plane itself (a window beside it gives 0).
    """
    check_arrays("avg_pool2d", x=x)
    N, C, H, W = x.shape
    down, across = plane(
        "avg_pool2d", (H, W), output_size, kernel_size, stride, padding, (1, 1), overhang=True
    )
    out = np.empty((N, *output_size, C), x.dtype)
    _avg(
        channels_last(x),
        out,
        _ranges(down),
        _ranges(across),
        _counts(down, count_include_pad, x.dtype),
        _counts(across, count_include_pad, x.dtype),
    )
    return channels_first(out)


def avg_pool2d_backward(
    grad: np.ndarray,
    input_size: Pair,
    kernel_size: Pair,
    stride: Pair,
    padding: Sides,
    count_include_pad: bool,
) -> np.ndarray:
    """The gradient of `avg_pool2d`'s x, given that of its result (N, C, OH, OW)."""
    name = "avg_pool2d_backward"
    check_arrays(name, grad=grad)
    N, C, OH, OW = grad.shape
    down, across = plane(
        name, input_size, (OH, OW), kernel_size, stride, padding, (1, 1), overhang=True
    )
    out = np.empty((N, *input_size, C), grad.dtype)
    _avg_backward(
        channels_last(grad),
        out,
        _covering(down),
        _covering(across),
        _counts(down, count_include_pad, grad.dtype),
        _counts(across, count_include_pad, grad.dtype),
    )
    return channels_first(out)


def max_pool2d(
    x: np.ndarray,
    output_size: Pair,
    kernel_size: Pair,
    stride: Pair,
    padding: Sides,
    dilation: Pair,
) -> tuple[np.ndarray, np.ndarray]:
    """The largest element of every window of x (N, C, H, W), and where it is, h * W + w.

    Both (N, C, OH, OW). Padding never wins; of equal elements the first does, and NaN beats all
    (of several, the last, as in PyTorch). Raises ShapeError if a window holds padding alone.
    """
    check_arrays("max_pool2d", x=x)
    N, C, H, W = x.shape
    axes = plane(
        "max_pool2d", (H, W), output_size, kernel_size, stride, padding, dilation, overhang=True
    )
    down, across = _taps(axes[0]), _taps(axes[1])
    if not np.logical_and.outer(down[:, 0] < down[:, 1], across[:, 0] < across[:, 1]).all():
        raise ShapeError(
            f"max_pool2d: a window of {kernel_size} (stride {stride}, padding {padding}, dilation "
            f"{dilation}) holds nothing but padding of the {H} x {W} plane; use less padding"
        )
    values = np.empty((N, *output_size, C), x.dtype)
    indices = np.empty(values.shape, np.int64)
    strides = axes[0].stride, axes[1].stride
    starts = axes[0].before, axes[1].before
    dilations = axes[0].dilation, axes[1].dilation
    _max(channels_last(x), values, indices, down, across, strides, starts, dilations)
    return channels_first(values), channels_first(indices)


def max_pool2d_backward(grad: np.ndarray, indices: np.ndarray, input_size: Pair) -> np.ndarray:
    """Zeros (N, C, H, W), with grad (N, C, OH, OW) added in at indices, in order."""
    check_arrays("max_pool2d_backward", grad=grad)
    if grad.shape != indices.shape:
        raise ShapeError(
            f"max_pool2d_backward: grad has shape {grad.shape}, indices {indices.shape}"
        )
    places = _checked_indices("max_pool2d_backward", indices, input_size)
    N, C = grad.shape[:2]
    out = np.zeros((N, *input_size, C), grad.dtype)
    flat = out.reshape(N, input_size[0] * input_size[1], C)
    _scatter(channels_last(grad).reshape(places.shape), places, flat)
    return channels_first(out)


def max_pool2d_gather(x: np.ndarray, indices: np.ndarray) -> np.ndarray:
    """The values of x (N, C, H, W) at indices (N, C, OH, OW)."""
    check_arrays("max_pool2d_gather", x=x)
    N, C, H, W = x.shape
    if indices.ndim != 4 or indices.shape[:2] != (N, C):
        raise ShapeError(f"max_pool2d_gather: x has shape {x.shape}, indices {indices.shape}")
    places = _checked_indices("max_pool2d_gather", indices, (H, W))
    out = np.empty((N, *indices.shape[2:], C), x.dtype)
    _gather(channels_last(x).reshape(N, H * W, C), places, out.reshape(places.shape))
    return channels_first(out)


@kernel
def _avg(
    x: np.ndarray,
    out: np.ndarray,
    rows: np.ndarray,
    columns: np.ndarray,
    row_counts: np.ndarray,
    column_counts: np.ndarray,
) -> None:
    N, OH, OW, C = out.shape
    for job in prange(N * OH):
        n, oh = job // OH, job % OH
        for ow in range(OW):
            mean = out[n, oh, ow]
            for c in range(C):
                mean[c] = 0
            for h in range(rows[oh, 0], rows[oh, 1]):
                for w in range(columns[ow, 0], columns[ow, 1]):
                    pixel = x[n, h, w]
                    for c in range(C):
                        mean[c] += pixel[c]
            count = row_counts[oh] * column_counts[ow]
            for c in range(C):
                mean[c] /= count


@kernel
def _avg_backward(
    grad: np.ndarray,
    out: np.ndarray,
    rows: np.ndarray,
    columns: np.ndarray,
    row_counts: np.ndarray,
    column_counts: np.ndarray,
) -> None:
    N, H, W, C = out.shape
    for job in prange(N * H):
        n, h = job // H, job % H
        for w in range(W):
            total = out[n, h, w]
            for c in range(C):
                total[c] = 0
            for oh in range(rows[h, 0], rows[h, 1]):
                for ow in range(columns[w, 0], columns[w, 1]):
                    share = grad[n, oh, ow]
                    count = row_counts[oh] * column_counts[ow]
                    for c in range(C):
                        total[c] += share[c] / count


@kernel
def _max(
    x: np.ndarray,
    values: np.ndarray,
    indices: np.ndarray,
    rows: np.ndarray,
    columns: np.ndarray,
    stride: Pair,
    before: Pair,
    dilation: Pair,
) -> None:
    N, OH, OW, C = values.shape
    W = x.shape[2]
    for job in prange(N * OH):
        n, oh = job // OH, job % OH
        top = oh * stride[0] - before[0]
        for ow in range(OW):
            left = ow * stride[1] - before[1]
            best, place = values[n, oh, ow], indices[n, oh, ow]
            for c in range(C):
                best[c] = -np.inf
                # The first real position, in case nothing is larger than minus infinity.
                place[c] = (top + rows[oh, 0] * dilation[0]) * W + (
                    left + columns[ow, 0] * dilation[1]
                )
            for r in range(rows[oh, 0], rows[oh, 1]):
                h = top + r * dilation[0]
                for s in range(columns[ow, 0], columns[ow, 1]):
                    w = left + s * dilation[1]
                    pixel, here = x[n, h, w], h * W + w
                    for c in range(C):
                        wins = pixel[c] > best[c] or pixel[c] != pixel[c]
                        best[c] = pixel[c] if wins else best[c]
                        place[c] = here if wins else place[c]


@kernel
def _scatter(grad: np.ndarray, indices: np.ndarray, out: np.ndarray) -> None:
    # grad, indices: (N, OH * OW, C); out: (N, H * W, C)
    N, positions, C = grad.shape
    blocks = (C + CHANNEL_BLOCK - 1) // CHANNEL_BLOCK
    for job in prange(N * blocks):
        n, first = job // blocks, job % blocks * CHANNEL_BLOCK
        for q in range(positions):
            for c in range(first, min(C, first + CHANNEL_BLOCK)):
                out[n, indices[n, q, c], c] += grad[n, q, c]


@kernel
def _gather(x: np.ndarray, indices: np.ndarray, out: np.ndarray) -> None:
    # x: (N, H * W, C); indices, out: (N, OH * OW, C)
    N, positions, C = out.shape
    for n in prange(N):
        for q in range(positions):
            for c in range(C):
                out[n, q, c] = x[n, indices[n, q, c], c]


def _starts(axis: Axis) -> np.ndarray:
    return np.arange(axis.out) * axis.stride - axis.before


@lru_cache(maxsize=256)
def _ranges(axis: Axis) -> np.ndarray:
    """(out, 2): the positions [from, to) of the plane in each window."""
    starts = _starts(axis)
    return np.stack([starts, starts + axis.kernel], axis=1).clip(0, axis.size)


@lru_cache(maxsize=256)
def _counts(axis: Axis, with_padding: bool, dtype: np.dtype) -> np.ndarray:
    """(out,): how many positions of a window its sum is divided by, at least 1."""
    starts = _starts(axis)
    if with_padding:
        counts = np.minimum(starts + axis.kernel, axis.size + axis.after) - starts
    else:
        counts = np.subtract(*_ranges(axis).T[::-1])
    return np.maximum(counts, 1).astype(dtype)


@lru_cache(maxsize=256)
def _covering(axis: Axis) -> np.ndarray:
    """(size, 2): the windows [from, to) that hold each position of the plane."""
    shifted = np.arange(axis.size) + axis.before
    first = -((axis.kernel - 1 - shifted) // axis.stride)
    return np.stack([first, shifted // axis.stride + 1], axis=1).clip(0, axis.out)


@lru_cache(maxsize=256)
def _taps(axis: Axis) -> np.ndarray:
    """(out, 2): the taps [from, to) of each window that fall on the plane."""
    starts = _starts(axis)
    first = -(starts // axis.dilation)
    stop = (axis.size - 1 - starts) // axis.dilation + 1
    return np.stack([first, stop], axis=1).clip(0, axis.kernel)


def _checked_indices(op: str, indices: np.ndarray, size: Pair) -> np.ndarray:
    """The indices (N, C, OH, OW) as (N, OH * OW, C), all of them inside the plane."""
    if indices.dtype != np.int64:
        raise DtypeError(f"{op}: indices must be int64, got {indices.dtype}")
    if indices.size and not (indices.min() >= 0 and indices.max() < size[0] * size[1]):
        raise IndexingError(
            f"{op}: indices must lie in 0 <= index < {size[0] * size[1]}, got "
            f"{indices.min()} to {indices.max()}"
        )
    N, C, OH, OW = indices.shape
    return channels_last(indices).reshape(N, OH * OW, C)
