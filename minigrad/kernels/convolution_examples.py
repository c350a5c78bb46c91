"""The calls that reach every kernel of convolutions, in every tiling that `tiling_for` can choose.

Which tiling a kernel works with follows from how many rows and columns there are to cover: pixels
and filters on the way forward, a filter's taps and filters for the gradient of the weights.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from itertools import product
from typing import Any

import numpy as np

from minigrad.kernels import depthwise
from minigrad.kernels.bilinear_pass import FEW_TILES
from minigrad.kernels.convolution import convolve, convolve_input_grad, convolve_weight_grad
from minigrad.kernels.one_channel import WIDTHS
from minigrad.kernels.pixel_vectors import ROWS
from minigrad.kernels.strassen import LEAST_CHANNELS, LEAST_TILES, PARTS
from minigrad.kernels.target import target
from minigrad.kernels.tile import MOST_ROWS, tiling_for
from minigrad.kernels.winograd_points import FILTERINGS, Kind

__all__ = ["examples"]

Pair = tuple[int, int]
Shape = tuple[int, ...]

ONES = (1, 1)
NONE = ((0, 0), (0, 0))


def examples(dtype: np.dtype) -> Iterator[Callable[[], object]]:
    """Pointwise and padded products, one channel, few channels, depthwise filters, Winograd's
    and Strassen's algorithms in float32."""
    dtype = np.dtype(dtype)
    wide = target.lanes(dtype.itemsize)
    for rows, columns in _one_of_each_tiling(dtype, 1):
        yield partial(_forward, dtype, (1, 1, 1, rows), (columns, 1, 1, 1), NONE)
        yield partial(_weight_grad, dtype, (1, rows, 1, 1), (columns, rows, 1, 1), NONE)
    yield partial(_forward, dtype, (1, 1, 5, 5), (1, 1, 5, 5), ((2, 2), (2, 2)))
    for width, example in product((1, *depthwise.WIDTHS), (_forward, _input_grad, _weight_grad)):
        yield partial(example, dtype, (1, 2, 1, width), (2, 1, 1, width), NONE, groups=2)
    tall, width = depthwise.WINDOW
    seen = 1, 2, ROWS + tall - 1, width
    yield partial(_forward, dtype, seen, (2, 1, tall, width), NONE, groups=2)
    for width, filters in product(WIDTHS, (1, wide)):
        shapes = (1, 1, 1, MOST_ROWS + width - 1), (filters, 1, 1, width)
        yield partial(_forward, dtype, *shapes, NONE)
        yield partial(_weight_grad, dtype, *shapes, NONE)
    yield partial(_input_grad, dtype, (1, 1, 1, 2 * wide), (wide, 1, 1, 2 * wide), NONE)
    if dtype == np.float32:
        for kind in FILTERINGS:
            yield from _of_winograd(dtype, kind)
        yield from _of_strassen(dtype)


def _of_winograd(dtype: np.dtype, kind: Kind) -> Iterator[Callable[[], object]]:
    """Images of a tile each; filters of a vector of channels, or for one."""
    taps, stride, back = kind
    wide, around = target.lanes(dtype.itemsize), ((taps // 2, taps // 2),) * 2
    side = FILTERINGS[kind].outputs * (1 if back else stride)
    for first in (1, FEW_TILES + 1):
        for tiles, columns in _one_of_each_tiling(dtype, first):
            if back:
                shapes = (tiles, columns, side, side), (wide, columns, taps, taps)
                yield partial(_input_grad, dtype, *shapes, around, stride=stride)
            else:
                shapes = (tiles, wide, side, side), (columns, wide, taps, taps)
                yield partial(_forward, dtype, *shapes, around, stride=stride)
    for channels, columns in [] if back else _one_of_each_tiling(dtype, wide):
        shapes = (1, channels, side, side), (columns, channels, taps, taps)
        yield partial(_weight_grad, dtype, *shapes, around, stride=stride)


def _of_strassen(dtype: np.dtype) -> Iterator[Callable[[], object]]:
    """Images of a tile each, and a quarter of the filters."""
    least = LEAST_CHANNELS // PARTS
    for tiles, columns in _one_of_each_tiling(dtype, LEAST_TILES, least):
        shapes = (tiles, LEAST_CHANNELS, 1, PARTS), (columns * PARTS, LEAST_CHANNELS, 1, 1)
        yield partial(_forward, dtype, *shapes, NONE)


def _one_of_each_tiling(dtype: np.dtype, first: int, least: int = 1) -> list[Pair]:
    """Rows, from `first` on, and whole vectors of at least so many columns that get each of the
    tilings."""
    lanes = target.lanes(dtype.itemsize)
    found: dict[Pair, Pair] = {}
    fewest = -(-least // lanes)
    several = range(fewest, fewest + 6)
    for rows, vectors in product(range(first, first + 4 * target.registers), several):
        form = tiling_for(rows, vectors * lanes, dtype)
        found.setdefault((form.vectors, form.rows), (rows, vectors * lanes))
    return list(found.values())


def _forward(dtype: np.dtype, x: Shape, weight: Shape, *how: Any, **more: int) -> None:
    size, geometry = _geometry(x, weight, *how, **more)
    convolve(np.zeros(x, dtype), np.zeros(weight, dtype), None, size, *geometry)


def _input_grad(dtype: np.dtype, x: Shape, weight: Shape, *how: Any, **more: int) -> None:
    size, geometry = _geometry(x, weight, *how, **more)
    grad = np.zeros((x[0], weight[0], *size), dtype)
    convolve_input_grad(grad, np.zeros(weight, dtype), x[2:], *geometry)


def _weight_grad(dtype: np.dtype, x: Shape, weight: Shape, *how: Any, **more: int) -> None:
    size, geometry = _geometry(x, weight, *how, **more)
    grad = np.zeros((x[0], weight[0], *size), dtype)
    convolve_weight_grad(np.zeros(x, dtype), grad, weight[2:], *geometry)


def _geometry(
    x: Shape, weight: Shape, padding: Any, groups: int = 1, stride: int = 1
) -> tuple[Shape, tuple[Any, ...]]:
    """The output's size; stride, padding, dilation and groups."""
    axes = zip(x[2:], weight[2:], padding, strict=True)
    size = tuple([(n + sum(sides) - k) // stride + 1 for n, k, sides in axes])
    return size, ((stride, stride), padding, ONES, groups)
