"""Where a window slides: the checks that convolution and pooling share.

The loops index without bounds checks, so everything they rely on is established here, before
they are entered.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np

from minigrad.errors import ArgumentError, DtypeError, ShapeError

__all__ = ["Axis", "Pair", "Sides", "channels_first", "channels_last", "check_arrays", "plane"]

Pair = tuple[int, int]
Sides = tuple[Pair, Pair]  # ((before, after) of H, (before, after) of W)


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
def plane(
    op: str,
    size: Pair,
    out: Pair,
    kernel: Pair,
    stride: Pair,
    padding: Sides,
    dilation: Pair,
    overhang: bool = False,
) -> tuple[Axis, Axis]:
    """The two axes of a plane, checked.

    Every window must lie inside the padded plane; with `overhang` (`ceil_mode`) its end may stick
    out, but it must start before the padding after the plane. Raises ArgumentError, ShapeError.
    """
    vertical, horizontal = (
        Axis(*map(int, (size[i], out[i], kernel[i], stride[i], *padding[i], dilation[i])))
        for i in range(2)
    )
    for name, axis in ("height", vertical), ("width", horizontal):
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
    return vertical, horizontal


def check_arrays(op: str, **arrays: np.ndarray) -> None:
    """All of four axes and of one dtype, float32 or float64. Raises ShapeError, DtypeError."""
    dtypes = {array.dtype for array in arrays.values()}
    if len(dtypes) != 1 or not dtypes <= {np.dtype(np.float32), np.dtype(np.float64)}:
        given = ", ".join(f"{name} {array.dtype}" for name, array in arrays.items())
        raise DtypeError(f"{op}: arrays must all be float32 or all float64, got {given}")
    for name, array in arrays.items():
        if array.ndim != 4:
            raise ShapeError(f"{op}: {name} must have 4 axes, got shape {array.shape}")


def channels_last(x: np.ndarray) -> np.ndarray:
    """(N, C, H, W) -> contiguous (N, H, W, C); no copy if the memory already lies so."""
    return np.ascontiguousarray(x.transpose(0, 2, 3, 1))


def channels_first(x: np.ndarray) -> np.ndarray:
    """(N, H, W, C) -> (N, C, H, W), a view."""
    return x.transpose(0, 3, 1, 2)
