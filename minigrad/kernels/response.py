"""Local response normalization and its gradient: a window over the channels of every pixel.

Arrays are (N, C, ...), results channels-last. A pixel's channels are one contiguous run, so all
that is done with them stays in the first cache.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import numpy as np

from minigrad.kernels import buffers
from minigrad.kernels.jit import inner, kernel, prange
from minigrad.kernels.window import channels_first, channels_last

__all__ = ["examples", "local_response_norm", "local_response_norm_backward"]

# Elements that a thread takes at a time.
CHUNK = 1 << 14


def local_response_norm(
    x: np.ndarray, size: int, alpha: float, beta: float, k: float
) -> np.ndarray:
    """x (k + alpha / size Σ x²)^-beta of (N, C, ...), not empty; the sum is over the `size // 2`
    channels before each, itself, and the `(size - 1) // 2` after."""
    rows = channels_last(x)
    out = buffers.empty(rows.shape, x.dtype)
    C = x.shape[1]
    numbers = np.array([alpha / size, beta, k], x.dtype)
    _forward(rows.reshape(-1, C), out.reshape(-1, C), _window(size, C), numbers)
    return channels_first(out)


def local_response_norm_backward(
    grad: np.ndarray, x: np.ndarray, size: int, alpha: float, beta: float, k: float
) -> np.ndarray:
    """The gradient of `local_response_norm` by x, given that of its result."""
    grads, rows = channels_last(grad), channels_last(x)
    out = buffers.empty(rows.shape, x.dtype)
    C = x.shape[1]
    numbers = np.array([alpha / size, beta, k], x.dtype)
    flat = grads.reshape(-1, C), rows.reshape(-1, C), out.reshape(-1, C)
    _backward(*flat, _window(size, C), numbers)
    return channels_first(out)


def _window(size: int, channels: int) -> np.ndarray:
    """How many channels before and after each the window spans, the array's ends at most."""
    sides = size // 2, (size - 1) // 2
    return np.array([min(side, channels - 1) for side in sides])


@inner
def _window_sums(padded: np.ndarray, sums: np.ndarray, width: int) -> None:
    """sums[c] = padded[c] + ... + padded[c + width - 1], five at a time."""
    C, j = len(sums), 0
    for c in range(C):
        sums[c] = 0
    while j + 5 <= width:
        for c in range(C):
            i = c + j
            sums[c] += padded[i] + padded[i + 1] + padded[i + 2] + padded[i + 3] + padded[i + 4]
        j += 5
    while j < width:
        for c in range(C):
            sums[c] += padded[c + j]
        j += 1


@inner
def _powers(base: np.ndarray, beta: float, powers: np.ndarray) -> None:
    """powers = base^-beta; the paper's beta of 3/4 by square roots."""
    one = powers.dtype.type(1)
    if beta == 0.75:
        for c in range(len(powers)):
            root = np.sqrt(base[c])
            powers[c] = one / (root * np.sqrt(root))
    else:
        for c in range(len(powers)):
            powers[c] = base[c] ** -beta


@inner
def _bases(
    x: np.ndarray, padded: np.ndarray, before: int, width: int, numbers: np.ndarray, out: np.ndarray
) -> None:
    """out = k + alpha / size Σ x² of one pixel. `padded` is zero where it stands for no channel."""
    for c in range(len(x)):
        padded[before + c] = x[c] * x[c]
    _window_sums(padded, out, width)
    factor, k = numbers[0], numbers[2]
    for c in range(len(x)):
        out[c] = k + factor * out[c]


@kernel(light=True)
def _forward(x: np.ndarray, out: np.ndarray, window: np.ndarray, numbers: np.ndarray) -> None:
    # x, out: (pixels, C)
    pixels, C = x.shape
    before, width = window[0], window[0] + window[1] + 1
    down = max(1, CHUNK // C)
    for job in prange((pixels + down - 1) // down):
        squares = np.zeros(C + width - 1, x.dtype)
        base, powers = np.empty(C, x.dtype), np.empty(C, x.dtype)
        for i in range(job * down, min(pixels, (job + 1) * down)):
            pixel, y = x[i], out[i]
            _bases(pixel, squares, before, width, numbers, base)
            _powers(base, numbers[1], powers)
            for c in range(C):
                y[c] = pixel[c] * powers[c]


@kernel(light=True)
def _backward(
    grad: np.ndarray, x: np.ndarray, out: np.ndarray, window: np.ndarray, numbers: np.ndarray
) -> None:
    # grad, x, out: (pixels, C)
    pixels, C = x.shape
    before, after = window[0], window[1]
    width = before + after + 1
    slope = 2 * numbers[0] * numbers[1]
    down = max(1, CHUNK // C)
    for job in prange((pixels + down - 1) // down):
        squares, shares = np.zeros(C + width - 1, x.dtype), np.zeros(C + width - 1, x.dtype)
        base, powers, sums = np.empty(C, x.dtype), np.empty(C, x.dtype), np.empty(C, x.dtype)
        for i in range(job * down, min(pixels, (job + 1) * down)):
            g, pixel, result = grad[i], x[i], out[i]
            _bases(pixel, squares, before, width, numbers, base)
            _powers(base, numbers[1], powers)
            # The windows that a channel is in are those of the mirrored window around it.
            for c in range(C):
                shares[after + c] = g[c] * pixel[c] * powers[c] / base[c]
            _window_sums(shares, sums, width)
            for c in range(C):
                result[c] = g[c] * powers[c] - slope * pixel[c] * sums[c]


def examples(dtype: np.dtype) -> Iterator[Callable[[], object]]:
    """A call of each kernel."""
    x = np.zeros((1, 1, 1), dtype)
    yield partial(local_response_norm, x, 1, 1.0, 0.75, 1.0)
    yield partial(local_response_norm_backward, x, x, 1, 1.0, 0.75, 1.0)
