"""Which elementwise work goes to the kernels: arrays worth it that lie in memory alike.

All else stays with NumPy, whose calls cost a microsecond. Nothing here imports Numba before the
first large array comes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache, lru_cache
from typing import Any

import numpy as np

from minigrad.kernels import buffers

__all__ = ["LEAST", "TYPES", "alike", "dense_order", "run"]

LEAST = 1 << 16
"""Bytes of a result from which on a kernel takes less time than NumPy's loop, on one thread too."""

LEAST_OF = {"sigmoid": 1 << 14}
"""The same of functions that take NumPy several passes."""

TYPES = {np.dtype(np.float32), np.dtype(np.float64)}
"""What kernels compute with."""

Shape = tuple[int, ...]


def run(name: str, otherwise: Callable[..., Any], *inputs: np.ndarray) -> np.ndarray:
    """The elementwise function `name` of the inputs, or what `otherwise` makes of them where they
    are small, or of different shapes or layouts."""
    first = inputs[0]
    if first.nbytes < min(LEAST, LEAST_OF.get(name, LEAST)) or first.dtype not in TYPES:
        return np.asarray(otherwise(*inputs))
    for x in inputs[1:]:
        if x.shape != first.shape or x.strides != first.strides or x.dtype != first.dtype:
            return np.asarray(otherwise(*inputs))
    order = dense_order(first.shape, first.strides, first.itemsize)
    if order is None:
        return np.asarray(otherwise(*inputs))
    axes, back = order
    kernels, streams = _compiled()
    out = buffers.empty(tuple([first.shape[axis] for axis in axes]), first.dtype)
    kernels[name](*[x.ravel("K") for x in inputs], out.reshape(-1), streams(out))
    return out.transpose(back)


@cache
def _compiled() -> tuple[Mapping[str, Callable[..., None]], Callable[[np.ndarray], bool]]:
    """The kernels by name, and whether one streams its result."""
    from minigrad.kernels import elementwise, streaming

    return elementwise.KERNELS, streaming.streams


def alike(x: np.ndarray, other: np.ndarray) -> np.ndarray:
    """x laid out in memory as `other`, which has its shape and dtype: a copy where it is not."""
    if x.strides == other.strides:
        return x
    out = buffers.empty_like(other)
    out[...] = x
    return out


@lru_cache(maxsize=4096)
def dense_order(shape: Shape, strides: Shape, itemsize: int) -> tuple[Shape, Shape] | None:
    """The axes from the farthest stride to the nearest, and those that lead back; None where
    memory has gaps or overlaps."""
    axes = sorted(range(len(shape)), key=lambda axis: -strides[axis])
    expected = itemsize
    for axis in reversed(axes):
        if shape[axis] > 1 and strides[axis] != expected:
            return None
        expected *= shape[axis]
    return tuple(axes), tuple(map(axes.index, range(len(axes))))
