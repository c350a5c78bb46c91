"""What the poolings compute, in plain NumPy: slow, obvious, and what the tests compare with.

A window is the list of its positions, inside the input or not, written out with no arithmetic
shared with the kernels. Arrays are (N, C, *space).
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from math import prod
from typing import Any, NamedTuple

import numpy as np

from minigrad.kernels.window import Lengths, Sides

__all__ = [
    "Line",
    "adaptive_lines",
    "avg_pool_backward_reference",
    "avg_pool_reference",
    "max_pool_backward_reference",
    "max_pool_gather_reference",
    "max_pool_indices_reference",
    "max_pool_reference",
    "sliding_lines",
]


class Line(NamedTuple):
    """The windows along one axis: the positions of each, and where the padding ends."""

    size: int
    end: int
    windows: list[list[int]]


def sliding_lines(
    size: Lengths, out: Lengths, kernel: Lengths, stride: Lengths, padding: Sides, dilation: Lengths
) -> list[Line]:
    return [
        Line(
            size[i],
            size[i] + padding[i][1],
            [
                [o * stride[i] - padding[i][0] + t * dilation[i] for t in range(kernel[i])]
                for o in range(out[i])
            ],
        )
        for i in range(len(size))
    ]


def adaptive_lines(size: Lengths, out: Lengths) -> list[Line]:
    return [
        Line(n, n, [[*range(o * n // m, -(-(o + 1) * n // m))] for o in range(m)])
        for n, m in zip(size, out, strict=True)
    ]


def avg_pool_reference(
    x: np.ndarray, lines: list[Line], count_include_pad: bool = True, divisor: int | None = None
) -> np.ndarray:
    out = np.zeros((*x.shape[:2], *_out(lines)), x.dtype)
    for window, places, padded in _windows(lines):
        for _, place in places:
            out[window] += x[place]
        count = divisor or max(1, padded if count_include_pad else len(places))
        out[window] /= x.dtype.type(count)
    return out


def avg_pool_backward_reference(
    grad: np.ndarray, lines: list[Line], count_include_pad: bool = True, divisor: int | None = None
) -> np.ndarray:
    out = np.zeros((*grad.shape[:2], *[line.size for line in lines]), grad.dtype)
    for window, places, padded in _windows(lines):
        count = divisor or max(1, padded if count_include_pad else len(places))
        for _, place in places:
            out[place] += grad[window] / grad.dtype.type(count)
    return out


def max_pool_reference(x: np.ndarray, lines: list[Line]) -> tuple[np.ndarray, np.ndarray]:
    """Values, and the taps that won: -1 in a window that holds nothing but padding."""
    values = np.full((*x.shape[:2], *_out(lines)), -np.inf, x.dtype)
    taps = np.full(values.shape, -1, np.int64)
    for window, places, _ in _windows(lines):
        best, tap = values[window], taps[window]
        for number, place in places:
            value = x[place]
            wins = (value > best) | np.isnan(value) | (tap < 0)
            best[wins], tap[wins] = value[wins], number
    return values, taps


def max_pool_backward_reference(
    grad: np.ndarray, taps: np.ndarray, lines: list[Line]
) -> np.ndarray:
    out = np.zeros((*grad.shape[:2], *[line.size for line in lines]), grad.dtype)
    for window, places, _ in _windows(lines):
        for number, place in places:
            chosen = taps[window] == number
            out[place] += np.where(chosen, grad[window], 0)
    return out


def max_pool_gather_reference(x: np.ndarray, taps: np.ndarray, lines: list[Line]) -> np.ndarray:
    out = np.zeros(taps.shape, x.dtype)
    for window, places, _ in _windows(lines):
        for number, place in places:
            chosen = taps[window] == number
            out[window] = np.where(chosen, x[place], out[window])
    return out


def max_pool_indices_reference(taps: np.ndarray, lines: list[Line]) -> np.ndarray:
    numbers = np.arange(prod(line.size for line in lines)).reshape([line.size for line in lines])
    flat = np.broadcast_to(numbers, (*taps.shape[:2], *numbers.shape))
    return max_pool_gather_reference(flat, taps, lines)


def _out(lines: list[Line]) -> Lengths:
    return tuple([len(line.windows) for line in lines])


def _windows(lines: list[Line]) -> Iterator[tuple[Any, list[tuple[int, Any]], int]]:
    """Each window: its index, its taps inside the input (number and index), and how many positions
    it has on the input and its padding."""
    kernel = [max(map(len, line.windows), default=1) for line in lines]
    for window in product(*[range(n) for n in _out(lines)]):
        along = [line.windows[o] for line, o in zip(lines, window, strict=True)]
        padded = prod(
            sum(position < line.end for position in positions)
            for line, positions in zip(lines, along, strict=True)
        )
        places = [
            (int(np.ravel_multi_index(tap, kernel)), (..., *place))
            for tap, place in zip(
                product(*[range(len(positions)) for positions in along]),
                product(*along),
                strict=True,
            )
            if all(0 <= p < line.size for p, line in zip(place, lines, strict=True))
        ]
        yield (..., *window), places, padded
