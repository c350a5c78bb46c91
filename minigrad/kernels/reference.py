"""What every kernel computes, in plain NumPy: slow, obvious, and what the tests compare with.

One slice per tap of the window; arguments as those of the kernels.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from minigrad.kernels.window import Pair, Sides

__all__ = [
    "avg_pool2d_backward_reference",
    "avg_pool2d_reference",
    "conv2d_input_grad_reference",
    "conv2d_reference",
    "conv2d_weight_grad_reference",
    "max_pool2d_backward_reference",
    "max_pool2d_gather_reference",
    "max_pool2d_reference",
]


def conv2d_reference(
    x: np.ndarray,
    weight: np.ndarray,
    bias: np.ndarray | None,
    output_size: Pair,
    stride: Pair,
    padding: Sides,
    dilation: Pair,
    groups: int,
) -> np.ndarray:
    planes = _grouped(_pad(x, padding), groups)  # (N, groups, C/groups, H, W)
    filters = weight.reshape(groups, -1, *weight.shape[1:])  # (groups, K/groups, C/groups, R, S)
    out = np.zeros((x.shape[0], weight.shape[0], *output_size), x.dtype)
    sums = _grouped(out, groups)
    for r, s, window in _taps(weight.shape[2:], output_size, stride, dilation):
        sums += np.einsum("ngchw,gkc->ngkhw", planes[window], filters[..., r, s])
    return out if bias is None else out + bias[:, None, None]


def conv2d_input_grad_reference(
    grad: np.ndarray,
    weight: np.ndarray,
    input_size: Pair,
    stride: Pair,
    padding: Sides,
    dilation: Pair,
    groups: int,
) -> np.ndarray:
    filters = weight.reshape(groups, -1, *weight.shape[1:])
    channels = weight.shape[1] * groups
    out = _pad(np.zeros((grad.shape[0], channels, *input_size), grad.dtype), padding)
    sums = _grouped(out, groups)
    for r, s, window in _taps(weight.shape[2:], grad.shape[2:], stride, dilation):
        sums[window] += np.einsum("ngkhw,gkc->ngchw", _grouped(grad, groups), filters[..., r, s])
    return _unpad(out, input_size, padding)


def conv2d_weight_grad_reference(
    x: np.ndarray,
    grad: np.ndarray,
    kernel_size: Pair,
    stride: Pair,
    padding: Sides,
    dilation: Pair,
    groups: int,
) -> np.ndarray:
    planes, grads = _grouped(_pad(x, padding), groups), _grouped(grad, groups)
    out = np.zeros((grad.shape[1], x.shape[1] // groups, *kernel_size), x.dtype)
    sums = out.reshape(groups, -1, *out.shape[1:])
    for r, s, window in _taps(kernel_size, grad.shape[2:], stride, dilation):
        sums[..., r, s] = np.einsum("ngchw,ngkhw->gkc", planes[window], grads)
    return out


def avg_pool2d_reference(
    x: np.ndarray,
    output_size: Pair,
    kernel_size: Pair,
    stride: Pair,
    padding: Sides,
    count_include_pad: bool,
) -> np.ndarray:
    total = np.zeros((*x.shape[:2], *output_size), x.dtype)
    planes = _overhung(x, output_size, kernel_size, stride, padding, (1, 1), 0)
    for _, _, window in _taps(kernel_size, output_size, stride, (1, 1)):
        total += planes[window]
    counts = _counts(x.shape[2:], output_size, kernel_size, stride, padding, count_include_pad)
    return total / counts.astype(x.dtype)


def avg_pool2d_backward_reference(
    grad: np.ndarray,
    input_size: Pair,
    kernel_size: Pair,
    stride: Pair,
    padding: Sides,
    count_include_pad: bool,
) -> np.ndarray:
    output_size = grad.shape[2:]
    counts = _counts(input_size, output_size, kernel_size, stride, padding, count_include_pad)
    zeros = np.zeros((*grad.shape[:2], *input_size), grad.dtype)
    out = _overhung(zeros, output_size, kernel_size, stride, padding, (1, 1), 0)
    for _, _, window in _taps(kernel_size, output_size, stride, (1, 1)):
        out[window] += grad / counts.astype(grad.dtype)
    return _unpad(out, input_size, padding)


def max_pool2d_reference(
    x: np.ndarray,
    output_size: Pair,
    kernel_size: Pair,
    stride: Pair,
    padding: Sides,
    dilation: Pair,
) -> tuple[np.ndarray, np.ndarray]:
    H, W = x.shape[2:]
    where = np.broadcast_to(np.arange(H * W).reshape(H, W), x.shape)
    geometry = output_size, kernel_size, stride, padding, dilation
    planes, where = _overhung(x, *geometry, -np.inf), _overhung(where, *geometry, -1)
    values = np.full((*x.shape[:2], *output_size), -np.inf, x.dtype)
    indices = np.full(values.shape, -1, np.int64)
    for _, _, window in _taps(kernel_size, output_size, stride, dilation):
        value, index = planes[window], where[window]
        wins = (value > values) | np.isnan(value) | ((indices < 0) & (index >= 0))
        values, indices = np.where(wins, value, values), np.where(wins, index, indices)
    return values, indices


def max_pool2d_backward_reference(
    grad: np.ndarray, indices: np.ndarray, input_size: Pair
) -> np.ndarray:
    N, C, OH, OW = grad.shape
    out = np.zeros((N, C, input_size[0] * input_size[1]), grad.dtype)
    n, c, _, _ = np.ogrid[:N, :C, :OH, :OW]
    np.add.at(out, (n, c, indices), grad)
    return out.reshape(N, C, *input_size)


def max_pool2d_gather_reference(x: np.ndarray, indices: np.ndarray) -> np.ndarray:
    N, C, H, W = x.shape
    n, c, _, _ = np.ogrid[tuple(map(slice, indices.shape))]
    return x.reshape(N, C, H * W)[n, c, indices]


def _taps(
    kernel_size: Pair, output_size: Pair, stride: Pair, dilation: Pair
) -> Iterator[tuple[int, int, tuple]]:
    """Every tap (r, s) of a window, with the slices of the padded plane that it visits."""
    (R, S), (OH, OW) = kernel_size, output_size
    for r in range(R):
        for s in range(S):
            h, w = r * dilation[0], s * dilation[1]
            rows = slice(h, h + (OH - 1) * stride[0] + 1 if OH else h, stride[0])
            columns = slice(w, w + (OW - 1) * stride[1] + 1 if OW else w, stride[1])
            yield r, s, (..., rows, columns)


def _grouped(x: np.ndarray, groups: int) -> np.ndarray:
    return x.reshape(x.shape[0], groups, x.shape[1] // groups, *x.shape[2:])


def _pad(x: np.ndarray, padding: Sides, value: float = 0) -> np.ndarray:
    return np.pad(x, ((0, 0), (0, 0), *padding), constant_values=value)


def _unpad(x: np.ndarray, size: Pair, padding: Sides) -> np.ndarray:
    (top, _), (left, _) = padding
    return x[..., top : top + size[0], left : left + size[1]]


def _overhung(
    x: np.ndarray,
    output_size: Pair,
    kernel_size: Pair,
    stride: Pair,
    padding: Sides,
    dilation: Pair,
    value: float,
) -> np.ndarray:
    """x padded, and as far beyond its end as the last window sticks out."""
    sides = []
    for i in range(2):
        end = (output_size[i] - 1) * stride[i] + (kernel_size[i] - 1) * dilation[i] + 1
        before, after = padding[i]
        sides.append((before, max(after, end - x.shape[2 + i] - before)))
    return _pad(x, (sides[0], sides[1]), value)


def _counts(
    input_size: Pair,
    output_size: Pair,
    kernel_size: Pair,
    stride: Pair,
    padding: Sides,
    with_padding: bool,
) -> np.ndarray:
    """(OH, OW): how many positions of each window count, at least 1."""
    ones = _pad(np.ones((1, 1, *input_size)), padding, float(with_padding))
    bare = ((0, 0), (0, 0))
    planes = _overhung(ones, output_size, kernel_size, stride, bare, (1, 1), 0)
    taps = _taps(kernel_size, output_size, stride, (1, 1))
    total = sum(planes[window] for _, _, window in taps)
    return np.maximum(total, 1)[0, 0]
