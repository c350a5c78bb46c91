"""The windows of a pooling, as tables that its loops walk without any arithmetic of windows.

Sliding windows (of padding, stride and dilation) and adaptive ones (Lin et al., 2014, "Network in
Network", and PyTorch's for more than one window) differ in these tables alone.
"""

from __future__ import annotations

from functools import lru_cache
from math import prod
from typing import NamedTuple

import numpy as np

from minigrad.errors import ShapeError
from minigrad.kernels.window import Axis, Lengths, Sides, axes_of

__all__ = [
    "Windows",
    "adaptive",
    "flat_size",
    "require_real_taps",
    "sliding",
    "taps_dtype",
]

# Tables of longer axes are built anew each time, or a few signals would fill the memory.
LONGEST_KEPT = 1 << 14


class Windows(NamedTuple):
    """The windows along one axis: tap t of one is `dilation` positions after its tap t - 1.

    Kept and found by identity, so that what is derived from them can be kept too.
    """

    size: int
    kernel: int  # taps of the longest window
    dilation: int
    starts: np.ndarray  # (out,): where tap 0 is, before the axis if negative
    inside: np.ndarray  # (out, 3): position and number of the first tap on the axis, taps on it
    padded: np.ndarray  # (out,): positions that a window has on the axis and its padding
    covering: np.ndarray  # (size + 1,): windows over position p: held[covering[p]:covering[p + 1]]
    held: np.ndarray  # (..., 2): a window, and its tap on the position
    fewest: int  # taps that any window has on the axis
    most: int  # windows over any one position

    @property
    def out(self) -> int:
        return len(self.starts)

    def __hash__(self) -> int:
        return id(self)

    def __eq__(self, other: object) -> bool:
        return self is other


def sliding(
    op: str,
    size: Lengths,
    out: Lengths,
    kernel: Lengths,
    stride: Lengths,
    padding: Sides,
    dilation: Lengths,
) -> tuple[Windows, ...]:
    """Windows that move by `stride`; the last may end after the padding (`ceil_mode`).

    Raises ArgumentError, ShapeError.
    """
    axes = axes_of(op, size, out, kernel, stride, padding, dilation, overhang=True)
    return tuple([(_kept if axis.size <= LONGEST_KEPT else _sliding)(axis) for axis in axes])


@lru_cache(maxsize=256)
def adaptive(size: int, out: int) -> Windows:
    """`out` windows over an axis of length `size`: window o is floor(o size / out) to, and not
    with, ceil((o + 1) size / out)."""
    o = np.arange(out)
    starts, stops = o * size // out, -((o + 1) * size // -out)
    return _tables(size, int((stops - starts).max(initial=1)), 1, starts, stops, stops - starts)


def flat_size(windows: tuple[Windows, ...]) -> int:
    """How many taps a window has, over all axes."""
    return prod(axis.kernel for axis in windows)


def taps_dtype(windows: tuple[Windows, ...]) -> np.dtype:
    """The smallest dtype that holds the number of every tap."""
    taps = flat_size(windows)
    return np.dtype(np.uint8 if taps <= 1 << 8 else np.int32 if taps <= 1 << 31 else np.int64)


def require_real_taps(op: str, windows: tuple[Windows, ...]) -> None:
    """Raise ShapeError if a window holds nothing but padding."""
    for axis in windows:
        if axis.fewest < 1:
            raise ShapeError(
                f"{op}: a window (kernel size {axis.kernel}, dilation {axis.dilation}) holds "
                f"nothing but padding of an axis of length {axis.size}; use less padding"
            )


def _sliding(axis: Axis) -> Windows:
    starts = np.arange(axis.out) * axis.stride - axis.before
    stops = starts + axis.reach
    padded = np.minimum(stops, axis.size + axis.after) - starts
    return _tables(axis.size, axis.kernel, axis.dilation, starts, stops, padded)


_kept = lru_cache(maxsize=256)(_sliding)


def _tables(
    size: int,
    kernel: int,
    dilation: int,
    starts: np.ndarray,
    stops: np.ndarray,
    padded: np.ndarray,
) -> Windows:
    first = np.maximum(-(starts // dilation), 0)
    last = (np.minimum(stops, size) - 1 - starts) // dilation
    counts = np.maximum(last - first + 1, 0)
    inside = np.stack([starts + first * dilation, first, counts], axis=1)
    # One row for each tap on the axis, windows in order, then sorted by position.
    window = np.repeat(np.arange(len(starts)), counts)
    nth = np.arange(len(window)) - np.repeat(np.cumsum(counts) - counts, counts)
    tap = first[window] + nth
    position = starts[window] + tap * dilation
    order = np.argsort(position, kind="stable")
    over = np.bincount(position, minlength=size)[:size]
    covering = np.zeros(size + 1, np.int64)
    np.cumsum(over, out=covering[1:])
    held = np.stack([window[order], tap[order]], axis=1)
    extremes = int(counts.min(initial=1)), int(over.max(initial=0))
    return Windows(size, kernel, dilation, starts, inside, padded, covering, held, *extremes)
