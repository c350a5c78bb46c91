"""What a convolution is, apart from its numbers: what algorithms are chosen and planned by.

All are three-dimensional here: axes of space that are not there have length 1.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from minigrad.errors import ArgumentError, ShapeError
from minigrad.kernels.window import Axis, Lengths, Sides, axes_of

__all__ = ["Problem", "convolution"]

# Places in arrays are counted with 64 bits; this leaves room for what is added to and multiplied
# with such numbers.
MOST_ELEMENTS = 1 << 56

SINGLE = Axis(size=1, out=1, kernel=1, stride=1, before=0, after=0, dilation=1)


class Problem(NamedTuple):
    """A convolution of x (images, channels, *size) with a weight (filters, channels / groups,
    *kernel); the axes are depth, height and width."""

    dtype: np.dtype
    images: int
    channels: int
    filters: int
    groups: int
    axes: tuple[Axis, ...]

    @property
    def size(self) -> Lengths:
        return tuple([axis.size for axis in self.axes])

    @property
    def out(self) -> Lengths:
        return tuple([axis.out for axis in self.axes])

    @property
    def kernel(self) -> Lengths:
        return tuple([axis.kernel for axis in self.axes])

    @property
    def stride(self) -> Lengths:
        return tuple([axis.stride for axis in self.axes])

    @property
    def dilation(self) -> Lengths:
        return tuple([axis.dilation for axis in self.axes])

    @property
    def before(self) -> Lengths:
        return tuple([axis.before for axis in self.axes])

    @property
    def padded(self) -> Lengths:
        """The size with the zeros around it."""
        return tuple([axis.before + axis.size + axis.after for axis in self.axes])

    @property
    def taps(self) -> int:
        """How many numbers of a channel a filter sees."""
        return math.prod(self.kernel)

    @property
    def empty(self) -> bool:
        """Whether there is nothing to compute, or nothing to compute it from."""
        return 0 in (self.images, self.channels, self.filters, *self.size, *self.out)


@lru_cache(maxsize=1024)
def convolution(
    op: str,
    dtype: np.dtype,
    images: int,
    channels: int,
    weight: Lengths,
    size: Lengths,
    out: Lengths,
    stride: Lengths,
    padding: Sides,
    dilation: Lengths,
    groups: int,
) -> Problem:
    """The problem, checked. Raises ArgumentError, ShapeError."""
    filters, depth, *kernel = weight
    if groups < 1 or filters % groups:
        raise ArgumentError(f"{op}: groups must divide the {filters} output channels, got {groups}")
    if depth * groups != channels:
        raise ShapeError(
            f"{op}: {channels} input channels in {groups} groups do not fit a weight of "
            f"shape {weight}"
        )
    axes = axes_of(op, size, out, tuple(kernel), stride, padding, dilation)
    missing = (SINGLE,) * (3 - len(axes))
    problem = Problem(dtype, images, channels, filters, groups, (*missing, *axes))
    elements = images * max(channels, filters) * math.prod(problem.padded)
    if elements > MOST_ELEMENTS:
        raise ShapeError(
            f"{op}: an input of {size} with the padding {padding} around it makes {elements:,} "
            "elements, more than any memory holds; use less padding"
        )
    return problem
