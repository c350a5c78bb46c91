"""The blocks that a window sees as columns, and columns summed back: unfold and fold.

Convolution is a product with what `unfold` gives; `fold` is its transpose.
"""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from minigrad.creation import zeros
from minigrad.errors import ShapeError
from minigrad.ops.convolution_arguments import window_over
from minigrad.ops.gathering import at
from minigrad.ops.indexing import getitem
from minigrad.ops.padding import pad
from minigrad.spec import Shape, Window, per_axis, require_floating
from minigrad.tensor import Operand, Tensor, as_tensor

__all__ = ["fold", "unfold"]

Pair = int | tuple[int, int]


def unfold(
    input: Operand,
    kernel_size: Pair,
    dilation: Pair = 1,
    padding: Any = 0,
    stride: Pair = 1,
) -> Tensor:
    """([N,] C, H, W) to ([N,] C · R · S, L): each of the L columns is what the window sees at one
    of its positions, which are taken row by row.

    Outside lie zeros. Raises ShapeError, DtypeError, ArgumentError.
    """
    x = as_tensor(input)
    require_floating("unfold", x.spec)
    if x.ndim not in (3, 4) or 0 in x.shape[-3:]:
        raise ShapeError(f"unfold: takes ([N,] C, H, W) with no length 0, got {x.shape}")
    window = _window("unfold", kernel_size, stride, padding, dilation)
    size = window.output_size("unfold", x.shape[-2:])
    batch, channels = x.shape[:-3], x.shape[-3]
    padded = pad(x, (*[(0, 0)] * (x.ndim - 2), *window.padding))
    columns = getitem(padded, (..., *_places(window, size)))  # ([N,] C, R, S, OH, OW)
    return columns.reshape((*batch, channels * prod(window.kernel_size), prod(size)))


def fold(
    input: Operand,
    output_size: Pair,
    kernel_size: Pair,
    dilation: Pair = 1,
    padding: Any = 0,
    stride: Pair = 1,
) -> Tensor:
    """([N,] C · R · S, L) to ([N,] C, H, W): the columns of `unfold` put back where they came from,
    and added up where windows overlap.

    `output_size` is (H, W), for which L is the number of positions of the window. Raises
    ShapeError, DtypeError, ArgumentError.
    """
    x = as_tensor(input)
    require_floating("fold", x.spec)
    height, width = per_axis("fold", "output_size", output_size, 2, 1)
    window = _window("fold", kernel_size, stride, padding, dilation)
    size = window.output_size("fold", (height, width))
    taps = prod(window.kernel_size)
    if x.ndim not in (2, 3) or x.shape[-1] != prod(size) or x.shape[-2] % taps or not x.shape[-2]:
        raise ShapeError(
            f"fold: takes ([N,] C · {taps}, {prod(size)}) for an output_size of {output_size!r} "
            f"and windows of {window.kernel_size} at {size} positions, got {x.shape}"
        )
    batch, channels = x.shape[:-2], x.shape[-2] // taps
    (top, bottom), (left, right) = window.padding
    canvas = zeros((*batch, channels, top + height + bottom, left + width + right), x.dtype)
    values = x.reshape((*batch, channels, *window.kernel_size, *size))
    padded = at(canvas)[(..., *_places(window, size))].add(values)
    return getitem(padded, (..., slice(top, top + height), slice(left, left + width)))


def _window(op: str, kernel_size: Any, stride: Any, padding: Any, dilation: Any) -> Window:
    sides = per_axis(op, "kernel_size", kernel_size, 2, 1)
    return window_over(op, sides, stride, padding, dilation, 1)[0]


def _places(window: Window, size: Shape) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns of the padded image, which broadcast to (R, S, OH, OW)."""
    rows, columns = (
        np.add.outer(np.arange(kernel) * dilation, np.arange(n) * stride)
        for kernel, dilation, n, stride in zip(
            window.kernel_size, window.dilation, size, window.stride, strict=True
        )
    )
    return rows[:, None, :, None], columns[None, :, None, :]
