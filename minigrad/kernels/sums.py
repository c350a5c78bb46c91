"""Which sums over axes go to a kernel: those of large arrays whose remaining axes lie innermost in
memory, as the channels of channels-last memory do. There NumPy adds a few numbers at a time.

The rest stays with NumPy. Nothing here imports Numba before the first large array comes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache, partial
from math import prod
from typing import NamedTuple

import numpy as np

from minigrad.kernels.parallel import LEAST, TYPES, dense_order

__all__ = ["examples", "total"]

Shape = tuple[int, ...]

# Of fewer rows, or of longer ones, NumPy's additions of whole rows are as fast.
FEWEST_ROWS = 16
LONGEST_ROW = 1 << 12


class Rows(NamedTuple):
    """An array as rows in memory that are to be added up."""

    order: Shape  # the axes as they lie in memory
    lengths: Shape  # of a row, as it lies in memory
    back: Shape  # the order in which its axes are wanted


def total(x: np.ndarray, axes: Shape, keepdims: bool) -> np.ndarray:
    """Σ x over `axes`, as `np.sum`; sums by a kernel add up blocks of fixed size in float64."""
    rows = None
    if x.nbytes >= LEAST and x.dtype in TYPES:
        rows = _rows(x.shape, x.strides, x.itemsize, axes)
    if rows is None:
        return np.asarray(np.sum(x, axis=axes, keepdims=keepdims))
    from minigrad.kernels import channels

    sums = channels.sums(x.transpose(rows.order), prod(rows.lengths))
    wanted = sums.astype(x.dtype).reshape(rows.lengths).transpose(rows.back)
    if keepdims:
        return wanted.reshape([1 if i in axes else n for i, n in enumerate(x.shape)])
    return wanted.reshape([n for i, n in enumerate(x.shape) if i not in axes])


@lru_cache(maxsize=4096)
def _rows(shape: Shape, strides: Shape, itemsize: int, axes: Shape) -> Rows | None:
    """The rows, None where NumPy is to add."""
    order = dense_order(shape, strides, itemsize)
    if order is None:
        return None
    long = [axis for axis in order[0] if shape[axis] > 1]
    kept = [axis for axis in long if axis not in axes]
    lengths = tuple([shape[axis] for axis in kept])
    length = prod(lengths)
    if not kept or long[-len(kept) :] != kept or length > LONGEST_ROW:
        return None
    if prod(shape) < FEWEST_ROWS * length:
        return None
    return Rows(order[0], lengths, tuple(sorted(range(len(kept)), key=kept.__getitem__)))


def examples(dtype: np.dtype) -> Iterator[Callable[[], object]]:
    """The smallest sum that is worth a kernel."""
    yield partial(total, np.zeros((LEAST // 4, 2), dtype), (0,), False)
