"""Softmax, its logarithm, and the cross-entropy of scores and classes, row by row.

A row is read while it lies in the first cache: its maximum, then e^(x - maximum) and their sum,
then the results.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import numpy as np

from minigrad.errors import IndexingError
from minigrad.kernels import buffers
from minigrad.kernels.exponential import exp
from minigrad.kernels.jit import inner, kernel, prange
from minigrad.kernels.simd import fill, lanes, larger, load, store

__all__ = ["cross_entropy", "examples", "log_softmax", "softmax"]

# Elements that a thread takes at a time.
CHUNK = 1 << 12


def softmax(x: np.ndarray, axis: int) -> np.ndarray:
    """e^x / Σ e^x along an axis that is not empty."""
    return _along(x, axis, False)


def log_softmax(x: np.ndarray, axis: int) -> np.ndarray:
    """x - ln Σ e^x along an axis that is not empty."""
    return _along(x, axis, True)


def cross_entropy(
    x: np.ndarray, classes: np.ndarray, share: float = 1.0
) -> tuple[np.ndarray, np.ndarray]:
    """-ln softmax(x)[n, classes[n]] for scores x (N, C, ...) and classes (N, ...); and `share`
    times its derivative by x, which is softmax(x), less 1 at the class.

    Raises IndexingError unless the classes lie between 0 and C - 1.
    """
    rows, C = _rows(x, 1), x.shape[1]
    losses, slopes = np.empty(classes.size, x.dtype), buffers.empty(rows.shape, x.dtype)
    outside = np.zeros(1, np.bool_)
    targets = np.ascontiguousarray(classes, np.int64).reshape(-1)
    numbers = np.array([share], x.dtype)
    _cross_entropy(rows.reshape(-1), targets, numbers, losses, slopes.reshape(-1), outside, C)
    if outside[0]:
        raise IndexingError(
            f"cross_entropy: classes lie between 0 and {C - 1}, got {targets.min()} to "
            f"{targets.max()}"
        )
    gradient = slopes if rows is x else np.moveaxis(slopes, -1, 1)
    return losses.reshape(classes.shape), gradient


def _along(x: np.ndarray, axis: int, logarithm: bool) -> np.ndarray:
    rows = _rows(x, axis)
    out = buffers.empty(rows.shape, x.dtype)
    _softmax(rows.reshape(-1), out.reshape(-1), rows.shape[-1], logarithm)
    return out if rows is x else np.moveaxis(out, -1, axis)


def _rows(x: np.ndarray, axis: int) -> np.ndarray:
    """x with the axis moved to the end, contiguous: x itself if it is so."""
    if axis in (x.ndim - 1, -1) and x.flags.c_contiguous:
        return x
    return np.ascontiguousarray(np.moveaxis(x, axis, -1))


@inner
def _maximum(x: np.ndarray, edge: np.ndarray, start: int, stop: int) -> float:
    """The maximum of a row, whose last elements are put into `edge`, with -inf behind them."""
    step = lanes(x)
    full = stop - (stop - start) % step
    for i in range(step):
        edge[i] = x[full + i] if full + i < stop else -np.inf
    best = load(edge, 0)
    for i in range(start, full, step):
        best = larger(load(x, i), best)
    store(edge, step, best)
    top = edge[step]
    for i in range(step + 1, 2 * step):
        top = max(top, edge[i])
    return top


@inner
def _exponentials(
    x: np.ndarray, edge: np.ndarray, top: float, start: int, stop: int, out: np.ndarray
) -> float:
    """out = e^(x - top) along a row; returns the sum."""
    step = lanes(x)
    full = stop - (stop - start) % step
    shift = fill(x, top)
    total = exp(load(edge, 0) - shift)
    store(edge, 0, total)
    for i in range(full, stop):
        out[i] = edge[i - full]
    for i in range(start, full, step):
        y = exp(load(x, i) - shift)
        store(out, i, y)
        total = total + y
    store(edge, step, total)
    sum_ = edge[step]
    for i in range(step + 1, 2 * step):
        sum_ += edge[i]
    return sum_


@inner
def _scale(x: np.ndarray, factor: float) -> None:
    number = x.dtype.type(factor)
    for i in range(len(x)):
        x[i] *= number


@inner
def _subtract_twice(x: np.ndarray, out: np.ndarray, first: float, second: float) -> None:
    one, two = x.dtype.type(first), x.dtype.type(second)
    for i in range(len(x)):
        out[i] = (x[i] - one) - two


@kernel(light=True)
def _softmax(x: np.ndarray, out: np.ndarray, length: int, logarithm: bool) -> None:
    # x, out: flat, rows of `length`
    rows = len(x) // length
    down = max(1, CHUNK // length)
    for job in prange((rows + down - 1) // down):
        edge = np.empty(2 * lanes(x), x.dtype)
        for row in range(job * down, min(rows, (job + 1) * down)):
            start, stop = row * length, (row + 1) * length
            top = _maximum(x, edge, start, stop)
            total = _exponentials(x, edge, top, start, stop, out)
            if logarithm:
                _subtract_twice(x[start:stop], out[start:stop], top, np.log(total))
            else:
                _scale(out[start:stop], 1 / total)


@kernel(light=True)
def _cross_entropy(
    x: np.ndarray,
    classes: np.ndarray,
    numbers: np.ndarray,
    losses: np.ndarray,
    slopes: np.ndarray,
    outside: np.ndarray,
    length: int,
) -> None:
    # x, slopes: flat, rows of `length`; classes, losses: one a row
    rows, share = len(classes), numbers[0]
    down = max(1, CHUNK // max(1, length))
    for job in prange((rows + down - 1) // down):
        edge = np.empty(2 * lanes(x), x.dtype)
        for row in range(job * down, min(rows, (job + 1) * down)):
            target = classes[row]
            if target < 0 or target >= length:
                outside[0] = True
                continue
            start, stop = row * length, (row + 1) * length
            top = _maximum(x, edge, start, stop)
            total = _exponentials(x, edge, top, start, stop, slopes)
            _scale(slopes[start:stop], share / total)
            losses[row] = np.log(total) - (x[start + target] - top)
            slopes[start + target] -= share


def examples(dtype: np.dtype) -> Iterator[Callable[[], object]]:
    """A call of each kernel."""
    x = np.zeros((1, 1), dtype)
    yield partial(softmax, x, 1)
    yield partial(cross_entropy, x, np.zeros(1, np.int64))
