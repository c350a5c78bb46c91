"""Average and maximum pooling over one to three axes of space, and their gradients.

All of it runs as three axes, (N, D, H, W, C) in memory, the missing ones of length 1. The channels
are innermost: contiguous, and what fills the processor's vectors. Parallel loops run over rows of
the result, and each element of it is computed in one place. Which element was largest is kept as
the number of the window's tap, a byte where that holds it: an eighth of a flat index.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache, partial
from typing import NamedTuple

import numpy as np

from minigrad.errors import DtypeError, IndexingError, ShapeError
from minigrad.kernels import pooling_averages as averages
from minigrad.kernels import pooling_loops as loops
from minigrad.kernels.buffers import empty
from minigrad.kernels.parallel import TYPES
from minigrad.kernels.pooling_windows import (
    LONGEST_KEPT,
    Windows,
    adaptive,
    flat_size,
    require_real_taps,
    sliding,
    taps_dtype,
)
from minigrad.kernels.streaming import LINE, streams, zeros
from minigrad.kernels.window import Lengths, channels_first, channels_last

__all__ = [
    "avg_pool",
    "avg_pool_backward",
    "examples",
    "max_pool",
    "max_pool_backward",
    "max_pool_gather",
    "max_pool_indices",
]

Along = tuple[Windows, ...]
Three = tuple[int, int, int]

# Averages of so many taps are summed one by one, of more by rows and columns: that rounds less.
FEW_TAPS = 16


def avg_pool(
    x: np.ndarray, windows: Along, count_include_pad: bool = True, divisor: int | None = None
) -> np.ndarray:
    """The mean of every window of x ([N,] C, *space) -> ([N,] C, *out).

    A window's sum is divided by `divisor`, or by the number of its positions: with
    `count_include_pad` those on the padding too (a window beside the input gives 0).
    """
    volume = _volume(windows)
    batch, N, C = _check("avg_pool", x, volume.lengths)
    shares = _shares(windows, count_include_pad, divisor, x.dtype, C)
    source = channels_last(batch)
    if shares.alone:
        return _as_given(source, x.ndim, windows)
    out = empty((N, *volume.outs, C), x.dtype)
    shape = (N, *volume.out, C)
    if shares.apart and volume.flat_size <= FEW_TAPS:
        averages.average_apart(
            source.reshape(-1), out.reshape(-1), *volume.inside, shape, volume.size,
            volume.kernel_size, *shares.by_axis, shares.divide,
        )  # fmt: skip
    else:
        D, H, W = volume.size
        lines = out.reshape(*shape[:3], shape[3] * C)
        rows = source.reshape(N, D, H, W * C)
        averages.average(rows, out.reshape(-1), lines, C, *volume.inside, *shares.counts)
    return _as_given(out, x.ndim, windows)


def avg_pool_backward(
    grad: np.ndarray, windows: Along, count_include_pad: bool = True, divisor: int | None = None
) -> np.ndarray:
    """The gradient of `avg_pool`'s x ([N,] C, *space), given that of its result."""
    volume = _volume(windows)
    batch, N, C = _check("avg_pool_backward", grad, volume.outs)
    shares = _shares(windows, count_include_pad, divisor, grad.dtype, C)
    source = channels_last(batch)
    if shares.alone:
        return _as_given(source, grad.ndim, windows)
    make = zeros if shares.apart and shares.gaps else empty
    out = make((N, *volume.lengths, C), grad.dtype)
    if shares.apart:
        averages.average_apart_backward(
            source.reshape(-1), out.reshape(-1), *volume.inside, (N, *volume.out, C), volume.size,
            volume.kernel_size, *shares.by_axis, shares.divide,
        )  # fmt: skip
    else:
        OD, OH, OW = volume.out
        rows, shape = source.reshape(N, OD, OH, OW * C), (N, *volume.size, C)
        averages.average_backward(rows, out.reshape(-1), shape, *volume.covering, *shares.counts)
    return _as_given(out, grad.ndim, windows)


def max_pool(x: np.ndarray, windows: Along) -> tuple[np.ndarray, np.ndarray]:
    """The largest element of every window of x ([N,] C, *space), and the number of its tap.

    Both ([N,] C, *out); taps count along the last axis first. Padding never wins; of equal
    elements the first does, and NaN beats all (of several, the last, as in PyTorch). Raises
    ShapeError if a window holds padding alone.
    """
    volume = _volume(windows)
    batch, N, C = _check("max_pool", x, volume.lengths)
    require_real_taps("max_pool", windows)
    values = empty((N, *volume.outs, C), x.dtype)
    taps = empty(values.shape, volume.taps)
    loops.largest(
        channels_last(batch).reshape(-1), values.reshape(-1), taps.reshape(-1), *volume.inside,
        (N, *volume.out, C), volume.size, volume.kernel_size, volume.dilation, _streams(values),
    )  # fmt: skip
    return _as_given(values, x.ndim, windows), _as_given(taps, x.ndim, windows)


def max_pool_backward(grad: np.ndarray, taps: np.ndarray, windows: Along) -> np.ndarray:
    """Zeros ([N,] C, *space), with grad ([N,] C, *out) added in at the taps, windows in order.

    A tap on the padding, or that no window has, receives nothing.
    """
    volume = _volume(windows)
    batch, N, C = _check("max_pool_backward", grad, volume.outs)
    chosen = _check_taps("max_pool_backward", taps, grad.shape, volume)
    out = empty((N, *volume.lengths, C), grad.dtype)
    loops.spread(
        channels_last(batch).reshape(-1), channels_last(chosen).reshape(-1), out.reshape(-1),
        *volume.covering, (N, *volume.out, C), volume.size, volume.kernel_size, volume.most,
        _streams(out),
    )  # fmt: skip
    return _as_given(out, grad.ndim, windows)


def max_pool_gather(x: np.ndarray, taps: np.ndarray, windows: Along) -> np.ndarray:
    """The element of x ([N,] C, *space) at each tap ([N,] C, *out); 0 at one on the padding."""
    volume = _volume(windows)
    batch, N, C = _check("max_pool_gather", x, volume.lengths)
    shape = *x.shape[: -len(windows)], *volume.outs
    chosen = _check_taps("max_pool_gather", taps, shape, volume)
    out = empty((N, *volume.outs, C), x.dtype)
    loops.gather(
        channels_last(batch).reshape(-1), channels_last(chosen).reshape(-1), out.reshape(-1),
        *volume.inside, (N, *volume.out, C), volume.size, volume.kernel_size, volume.dilation,
    )  # fmt: skip
    return _as_given(out, x.ndim, windows)


def max_pool_indices(taps: np.ndarray, windows: Along) -> np.ndarray:
    """Where the taps ([N,] C, *out) are: flat indices (d H + h) W + w into each plane, int64."""
    volume = _volume(windows)
    chosen = channels_last(_check_taps("max_pool_indices", taps, taps.shape, volume))
    if taps.size and not (taps.min() >= 0 and taps.max() < volume.flat_size):
        raise IndexingError(
            f"max_pool_indices: taps must lie in 0 <= tap < {volume.flat_size}, got "
            f"{taps.min()} to {taps.max()}"
        )
    axes = _three(windows)
    strides = axes[1].size * axes[2].size, axes[2].size, 1
    # A window's first tap, and how far from it the others are, as flat indices.
    first = _outer_sum([axis.starts * step for axis, step in zip(axes, strides, strict=True)])
    away = _outer_sum(
        [
            np.arange(axis.kernel) * (axis.dilation * step)
            for axis, step in zip(axes, strides, strict=True)
        ]
    )
    out = empty(chosen.shape, np.int64)
    shape = chosen.shape[0], first.size, chosen.shape[-1]
    loops.indices(chosen.reshape(shape), first.ravel(), away.ravel(), out.reshape(shape))
    return _as_given(out, taps.ndim, windows)


def examples(dtype: np.dtype) -> Iterator[Callable[[], object]]:
    """A call for every kernel, with the numbers of few taps and of many."""
    x, y = np.zeros((1, 1, 17, 17), dtype), np.zeros((1, 1, 1, 1), dtype)
    for length in (16, 17):
        geometry = (1, 1), (length, length), (1, 1), ((0, 0), (0, 0)), (1, 1)
        windows = sliding("examples", (17, 17), *geometry)
        taps = np.zeros(y.shape, taps_dtype(windows))
        yield partial(max_pool, x, windows)
        yield partial(max_pool_backward, y, taps, windows)
        yield partial(max_pool_gather, x, taps, windows)
        yield partial(max_pool_indices, taps, windows)
    yield partial(avg_pool, x, windows)
    yield partial(avg_pool_backward, y, windows)
    close = sliding("examples", (17, 17), (16, 16), (2, 2), (1, 1), ((0, 0), (0, 0)), (1, 1))
    yield partial(avg_pool_backward, np.zeros((1, 1, 16, 16), dtype), close)
    halves = adaptive(4, 2), adaptive(4, 2)
    yield partial(avg_pool, x[..., :4, :4], halves)


def _check(op: str, array: np.ndarray, lengths: Lengths) -> tuple[np.ndarray, int, int]:
    """An array of a floating-point dtype, ([N,] C, *lengths), with a batch's axis; N and C."""
    if array.dtype not in TYPES:
        raise DtypeError(f"{op}: takes float32 or float64, got {array.dtype}")
    batch = array if array.ndim == len(lengths) + 2 else array[None]
    if batch.ndim != len(lengths) + 2 or batch.shape[2:] != lengths:
        raise ShapeError(
            f"{op}: the windows take an array ([N,] C, {', '.join(map(str, lengths))}), got shape "
            f"{array.shape}"
        )
    return batch, batch.shape[0], batch.shape[1]


def _check_taps(op: str, taps: np.ndarray, shape: Lengths, volume: _Volume) -> np.ndarray:
    """Taps ([N,] C, *out) of this shape, with a batch's axis."""
    space = volume.outs
    if taps.dtype != volume.taps:
        raise DtypeError(f"{op}: taps must be {volume.taps}, got {taps.dtype}")
    if taps.shape != shape or taps.shape[-len(space) :] != space:
        raise ShapeError(
            f"{op}: taps must have shape {(*shape[: -len(space)], *space)}, got {taps.shape}"
        )
    return taps if taps.ndim == len(space) + 2 else taps[None]


class _Volume(NamedTuple):
    """Windows over depth, height and width, as the loops take them."""

    lengths: Lengths  # of the axes there are, and `outs` of their results
    outs: Lengths
    size: Three  # of all three axes
    out: Three
    kernel_size: Three
    dilation: Three
    inside: tuple[np.ndarray, ...]  # a table an axis
    covering: tuple[np.ndarray, ...]  # two tables an axis
    most: int  # windows over one position of the width
    flat_size: int  # taps of a window
    taps: np.dtype


def _volume(windows: Along) -> _Volume:
    """What the loops take, kept where the tables are."""
    found: _Volume = (_flattened.__wrapped__ if _long(windows) else _flattened)(windows)
    return found


@lru_cache(maxsize=256)
def _flattened(windows: Along) -> _Volume:
    axes = a, b, c = _three(windows)
    return _Volume(
        tuple([axis.size for axis in windows]),
        tuple([axis.out for axis in windows]),
        (a.size, b.size, c.size),
        (a.out, b.out, c.out),
        (a.kernel, b.kernel, c.kernel),
        (a.dilation, b.dilation, c.dilation),
        tuple([axis.inside for axis in axes]),
        tuple([table for axis in axes for table in (axis.covering, axis.held)]),
        c.most,
        flat_size(windows),
        taps_dtype(windows),
    )


def _three(windows: Along) -> tuple[Windows, Windows, Windows]:
    """The windows along depth, height and width: one of length 1 on each axis there is not."""
    depth, height, width = (adaptive(1, 1),) * (3 - len(windows)) + windows
    return depth, height, width


def _long(windows: Along) -> bool:
    """Whether tables are built anew each time."""
    return max([axis.size for axis in windows]) > LONGEST_KEPT


def _streams(out: np.ndarray) -> bool:
    """Whether a result (..., C) is to be stored past the caches, which takes whole vectors."""
    return out.shape[-1] * out.itemsize % LINE == 0 and streams(out)


class _Shares(NamedTuple):
    """What windows of averages have, and whether they meet."""

    counts: list[np.ndarray]  # (OD,), (OH,), (OW * C,): their product divides a window's sum
    by_axis: list[np.ndarray]  # the same, or their inverses
    divide: bool  # False where inverses are exact
    apart: bool  # no position is in two windows
    gaps: bool  # a position may be in none
    alone: bool  # each position is a window, divided by 1


def _shares(
    windows: Along, count_include_pad: bool, divisor: int | None, dtype: np.dtype, channels: int
) -> _Shares:
    """What a window's sum is divided by, and how windows lie to each other."""
    found = _counted.__wrapped__ if _long(windows) else _counted
    shares: _Shares = found(windows, count_include_pad, divisor, dtype, channels)
    return shares


@lru_cache(maxsize=128)
def _counted(
    windows: Along, count_include_pad: bool, divisor: int | None, dtype: np.dtype, channels: int
) -> _Shares:
    axes = _three(windows)
    if divisor is not None:
        counts = [np.ones(axis.out, dtype) for axis in axes]
        counts[2] *= dtype.type(divisor)
    else:
        numbers = [axis.padded if count_include_pad else axis.inside[:, 2] for axis in axes]
        counts = [np.maximum(number, 1).astype(dtype) for number in numbers]
    over = np.concatenate([np.diff(axis.covering) for axis in axes])  # windows over a position
    same = [axis.out == axis.size and (axis.starts == np.arange(axis.out)).all() for axis in axes]
    single = all(same) and flat_size(windows) == 1
    counts[2] = np.repeat(counts[2], channels)
    exact = all((np.abs(np.frexp(count)[0]) == 0.5).all() for count in counts)
    return _Shares(
        counts,
        [1 / count for count in counts] if exact else counts,
        not exact,
        bool(over.max(initial=0) <= 1) and all(axis.dilation == 1 for axis in axes),
        bool(over.min(initial=1) < 1),
        single and all((count == 1).all() for count in counts),
    )


def _outer_sum(parts: list[np.ndarray]) -> np.ndarray:
    depth, height, width = parts
    return np.add.outer(np.add.outer(depth, height), width)


def _as_given(out: np.ndarray, ndim: int, windows: Along) -> np.ndarray:
    """(N, *space, C) -> ([N,] C, *space), a view."""
    first = channels_first(out)
    return first if ndim == len(windows) + 2 else first[0]
