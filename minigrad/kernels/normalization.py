"""Batch normalization and its gradient: one pass for the sums, one for the result.

Arrays are (N, C, ...); results are channels-last in memory. Inputs that are not are copied.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import numpy as np

from minigrad.kernels.channels import affine, affine_of_two, cross_sums, shifted_sums
from minigrad.kernels.window import channels_first, channels_last

__all__ = ["batch_norm", "batch_norm_backward", "channel_affine", "channel_sums", "examples"]

Three = tuple[np.ndarray, np.ndarray, np.ndarray]


def batch_norm(x: np.ndarray, weight: np.ndarray, bias: np.ndarray, eps: float) -> Three:
    """weight (x - mean) / sqrt(variance + eps) + bias for each channel of x (N, C, ...), not
    empty; and the mean and the biased variance, both (C,)."""
    rows = channels_last(x)
    count = x.size // len(weight)
    first = rows.reshape(-1, len(weight))[0]
    shift = np.where(np.isfinite(first), first, x.dtype.type(0))
    total, square = shifted_sums(rows, shift) / count
    mean = shift + total
    variance = np.maximum(square - total * total, 0)
    scale = weight / np.sqrt(variance + eps)
    # The mean in two parts: what the first leaves over of it goes into the shift.
    center = mean.astype(x.dtype)
    rest = np.where(np.isfinite(mean), mean - center, 0)
    y = affine(rows, center, scale, bias - rest * scale)
    return channels_first(y), center, variance.astype(x.dtype)


def batch_norm_backward(
    grad: np.ndarray,
    x: np.ndarray,
    weight: np.ndarray,
    mean: np.ndarray,
    variance: np.ndarray,
    eps: float,
) -> Three:
    """The gradients of `batch_norm` by x, weight and bias, given that of its first result."""
    grads, rows = channels_last(grad), channels_last(x)
    count = x.size // len(mean)
    by_bias, product = cross_sums(grads, rows, mean)
    r = 1 / np.sqrt(variance.astype(np.float64) + eps)
    a = weight * r
    by_x = affine_of_two(grads, rows, mean, a, -a * r * r * product / count, -a * by_bias / count)
    return channels_first(by_x), (r * product).astype(x.dtype), by_bias.astype(x.dtype)


def channel_affine(x: np.ndarray, scale: np.ndarray, shift: np.ndarray) -> np.ndarray:
    """x scale + shift, with a scale and a shift (C,) for each channel of x (N, C, ...)."""
    return channels_first(affine(channels_last(x), np.zeros_like(scale), scale, shift))


def channel_sums(grad: np.ndarray, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Σ grad x and Σ grad, both (C,), over all axes but the channels of (N, C, ...)."""
    center = np.zeros(x.shape[1], x.dtype)
    total, product = cross_sums(channels_last(grad), channels_last(x), center)
    return product.astype(x.dtype), total.astype(x.dtype)


def examples(dtype: np.dtype) -> Iterator[Callable[[], object]]:
    """A call for each kernel of channels."""
    x, one = np.zeros((1, 1, 1), dtype), np.ones(1, dtype)
    yield partial(batch_norm, x, one, one, 1e-5)
    yield partial(batch_norm_backward, x, x, one, one, one, 1e-5)
