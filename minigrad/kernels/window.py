"""Where a window slides: the checks that convolution and pooling share.

The loops index without bounds checks, so everything they rely on is established here, before
they are entered.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np

from minigrad.errors import ArgumentError, DtypeError, ShapeError

__all__ = [
    "Axis",
    "Lengths",
    "Sides",
    "axes_of",
    "channels_first",
    "channels_last",
    "check_arrays",
]

Lengths = tuple[int, ...]
Sides = tuple[tuple[int, int], ...]  # (before, after) of every axis of space

NAMES = "depth", "height", "width"


class Axis(NamedTuple):
    """A window's way along one axis: position o reads o * stride - before + t * dilation."""

    size: int
    out: int
    kernel: int
    stride: int
    before: int
    after: int
    dilation: int

    @property
    def reach(self) -> int:
        return (self.kernel - 1) * self.dilation + 1


@lru_cache(maxsize=1024)
def axes_of(
    op: str,
    size: Lengths,
    out: Lengths,
    kernel: Lengths,
    stride: Lengths,
    padding: Sides,
    dilation: Lengths,
    overhang: bool = False,
) -> tuple[Axis, ...]:
    """The one to three axes of space, checked.

    Every window must lie inside the padded axis; with `overhang` (`ceil_mode`) its end may stick
    out, but it must start before the padding after the axis. Raises ArgumentError, ShapeError.
    """
    lengths = {len(part) for part in (size, out, kernel, stride, padding, dilation)}
    if len(lengths) != 1 or not lengths <= {1, 2, 3}:
        raise ArgumentError(
            f"{op}: sizes, kernel size, stride, padding and dilation must all have one entry for "
            f"each of one to three axes, got {size}, {out}, {kernel}, {stride}, {padding} and "
            f"{dilation}"
        )
    axes = tuple(
        Axis(*map(int, (size[i], out[i], kernel[i], stride[i], *padding[i], dilation[i])))
        for i in range(len(size))
    )
    for name, axis in zip(NAMES[-len(axes) :], axes, strict=True):
        if min(axis.kernel, axis.stride, axis.dilation) < 1 or min(axis.before, axis.after) < 0:
            raise ArgumentError(
                f"{op}: along the {name}, kernel size, stride and dilation must be at least 1 and "
                f"padding at least 0, got {axis.kernel}, {axis.stride}, {axis.dilation} and "
                f"({axis.before}, {axis.after})"
            )
        last = (axis.out - 1) * axis.stride
        end = axis.size + axis.before + axis.after
        fits = last < axis.size + axis.before if overhang else last + axis.reach <= end
        if min(axis.size, axis.out) < 0 or not (fits or axis.out == 0):
            raise ShapeError(
                f"{op}: an output {name} of {axis.out} does not fit: the last of its windows, "
                f"{axis.reach} wide, starts at {last} of {end} (input {axis.size}, padding "
                f"({axis.before}, {axis.after}), stride {axis.stride})"
            )
    return axes


def check_arrays(op: str, **arrays: np.ndarray) -> None:
    """All of one dtype, float32 or float64, and of equally many axes, three to five.

    Raises ShapeError, DtypeError.
    """
    dtypes = {array.dtype for array in arrays.values()}
    if len(dtypes) != 1 or not dtypes <= {np.dtype(np.float32), np.dtype(np.float64)}:
        given = ", ".join(f"{name} {array.dtype}" for name, array in arrays.items())
        raise DtypeError(f"{op}: arrays must all be float32 or all float64, got {given}")
    counts = {array.ndim for array in arrays.values()}
    if len(counts) != 1 or not counts <= {3, 4, 5}:
        given = ", ".join(f"{name} {array.shape}" for name, array in arrays.items())
        raise ShapeError(f"{op}: arrays must all have 3, 4 or 5 axes, got {given}")


def channels_last(x: np.ndarray) -> np.ndarray:
    """(N, C, *space) -> contiguous (N, *space, C); no copy if the memory already lies so."""
    return np.ascontiguousarray(x.transpose(0, *range(2, x.ndim), 1))


def channels_first(x: np.ndarray) -> np.ndarray:
    """(N, *space, C) -> (N, C, *space), a view."""
    return x.transpose(0, -1, *range(1, x.ndim - 1))
