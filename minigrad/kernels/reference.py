"""What every kernel computes, in plain NumPy: slow, obvious, and what the tests compare with.

One slice per tap of the window; arguments as those of the kernels.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from minigrad.kernels.window import Lengths, Sides

__all__ = [
    "convolve_input_grad_reference",
    "convolve_reference",
    "convolve_weight_grad_reference",
]


def convolve_reference(
    x: np.ndarray,
    weight: np.ndarray,
    bias: np.ndarray | None,
    output_size: Lengths,
    stride: Lengths,
    padding: Sides,
    dilation: Lengths,
    groups: int,
) -> np.ndarray:
    planes = _grouped(_pad(x, padding), groups)  # (N, groups, C/groups, *space)
    # (groups, K/groups, C/groups, *taps)
    filters = weight.reshape(groups, len(weight) // groups, *weight.shape[1:])
    out = np.zeros((x.shape[0], weight.shape[0], *output_size), x.dtype)
    sums = _grouped(out, groups)
    for tap, window in _taps(weight.shape[2:], output_size, stride, dilation):
        sums += np.einsum("ngc...,gkc->ngk...", planes[window], filters[tap])
    return out if bias is None else out + bias.reshape(-1, *[1] * len(output_size))


def convolve_input_grad_reference(
    grad: np.ndarray,
    weight: np.ndarray,
    input_size: Lengths,
    stride: Lengths,
    padding: Sides,
    dilation: Lengths,
    groups: int,
) -> np.ndarray:
    filters = weight.reshape(groups, len(weight) // groups, *weight.shape[1:])
    channels = weight.shape[1] * groups
    out = _pad(np.zeros((grad.shape[0], channels, *input_size), grad.dtype), padding)
    sums, grads = _grouped(out, groups), _grouped(grad, groups)
    for tap, window in _taps(weight.shape[2:], grad.shape[2:], stride, dilation):
        sums[window] += np.einsum("ngk...,gkc->ngc...", grads, filters[tap])
    return _unpad(out, input_size, padding)


def convolve_weight_grad_reference(
    x: np.ndarray,
    grad: np.ndarray,
    kernel_size: Lengths,
    stride: Lengths,
    padding: Sides,
    dilation: Lengths,
    groups: int,
) -> np.ndarray:
    planes = _grouped(_pad(x, padding), groups)
    grads = _pixels(_grouped(grad, groups))
    out = np.zeros((grad.shape[1], x.shape[1] // groups, *kernel_size), x.dtype)
    sums = out.reshape(groups, len(out) // groups, *out.shape[1:])
    for tap, window in _taps(kernel_size, grad.shape[2:], stride, dilation):
        seen = _pixels(planes[window])
        sums[tap] = np.einsum("ngcp,ngkp->gkc", seen, grads)
    return out


def _taps(
    kernel_size: Lengths, output_size: Lengths, stride: Lengths, dilation: Lengths
) -> Iterator[tuple[Any, Any]]:
    """Every tap of a window, with the slices of the padded array that it visits: two indices."""
    for tap in np.ndindex(*kernel_size):
        window = []
        for t, out, step, spread in zip(tap, output_size, stride, dilation, strict=True):
            first = t * spread
            window.append(slice(first, first + (out - 1) * step + 1 if out else first, step))
        yield (..., *tap), (..., *window)


def _grouped(x: np.ndarray, groups: int) -> np.ndarray:
    return x.reshape(x.shape[0], groups, x.shape[1] // groups, *x.shape[2:])


def _pixels(x: np.ndarray) -> np.ndarray:
    """(N, groups, C/groups, *space) -> (N, groups, C/groups, pixels)"""
    return x.reshape(*x.shape[:3], math.prod(x.shape[3:]))


def _pad(x: np.ndarray, padding: Sides, value: float = 0) -> np.ndarray:
    return np.pad(x, ((0, 0), (0, 0), *padding), constant_values=value)


def _unpad(x: np.ndarray, size: Lengths, padding: Sides) -> np.ndarray:
    inside = [slice(before, before + n) for n, (before, _) in zip(size, padding, strict=True)]
    index: Any = (..., *inside)
    return x[index]
