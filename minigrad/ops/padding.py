"""Padding: `pad` in NumPy's convention, `torch_pad` in PyTorch's, for any number of axes.

What lies outside is a constant, or an element from inside whose position NumPy's `pad` gives.
These positions run up, run down or stand still, so a padded axis is a few slices joined.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import numpy as np

from minigrad.errors import ArgumentError, ShapeError
from minigrad.ops.indexing import setitem
from minigrad.ops.movement import concat, expand, part
from minigrad.spec import as_integer, as_shape
from minigrad.tensor import Array, Operand, Tensor, as_tensor, constant

__all__ = ["pad"]

Widths = list[tuple[int, int]]

# The names of PyTorch and of NumPy, and what NumPy calls it.
MODES: dict[str, Any] = {
    "constant": None,
    "reflect": "reflect",
    "replicate": "edge",
    "edge": "edge",
    "circular": "wrap",
    "wrap": "wrap",
}


def _widths(x: Tensor, pad_width: Any) -> Widths:
    """One pair (before, after) an axis from an integer, a pair, or pairs."""
    listed = pad_width if isinstance(pad_width, (tuple, list)) else (pad_width,)
    pairs = [pair if isinstance(pair, (tuple, list)) else None for pair in listed]
    if None in pairs or not pairs:
        if any(pair is not None for pair in pairs) or not 1 <= len(listed) <= 2:
            raise ArgumentError(f"pad: pad_width takes (before, after) an axis, got {pad_width!r}")
        pairs = [listed]
    if len(pairs) == 1:
        pairs = pairs * x.ndim
    if len(pairs) != x.ndim:
        raise ShapeError(f"pad: {len(pairs)} pairs of pad_width for an array of shape {x.shape}")
    result: Widths = []
    for pair in pairs:
        numbers = tuple(as_integer("pad", "pad_width", n) for n in pair or ())
        if len(numbers) not in (1, 2) or min(numbers) < 0:
            raise ArgumentError(
                f"pad: pad_width takes (before, after), neither negative, got {pad_width!r}"
            )
        result.append((numbers[0], numbers[-1]))
    return result


def _value(op: str, x: Tensor, value: Any) -> Array:
    """`value` as a number of the dtype of x."""
    if isinstance(value, (bool, int, float, np.generic)):
        with np.errstate(all="ignore"), suppress(OverflowError):
            number = np.asarray(value).astype(x.dtype)
            if x.dtype.kind == "f" or number == value:
                return number
    raise ArgumentError(f"{op}: value takes a number of {x.dtype}, got {value!r}")


def _constant(op: str, x: Tensor, widths: Widths, value: Any) -> Tensor:
    shape = [b + n + a for n, (b, a) in zip(x.shape, widths, strict=True)]
    filled = constant(np.full(shape, _value(op, x, value)))
    inside = [slice(b, b + n) for n, (b, _) in zip(x.shape, widths, strict=True)]
    return setitem(filled, tuple(inside), x)


def _runs(positions: Any) -> list[slice | tuple[int, int]]:
    """Positions as slices, and as pairs (position, count) where one is repeated."""
    runs: list[slice | tuple[int, int]] = []
    start = 0
    while start < len(positions):
        stop = start + 1
        step = positions[stop] - positions[start] if stop < len(positions) else 1
        while abs(step) <= 1 and stop < len(positions):
            if positions[stop] - positions[stop - 1] != step:
                break
            stop += 1
        first, last = int(positions[start]), int(positions[stop - 1])
        if step == 0:
            runs.append((first, stop - start))
        else:
            sign = -1 if last < first else 1
            end = last + sign
            runs.append(slice(first, end if end >= 0 else None, sign))
        start = stop
    return runs


def _along(op: str, x: Tensor, axis: int, width: tuple[int, int], mode: str) -> Tensor:
    length = x.shape[axis]
    if length == 0:
        raise ShapeError(f"{op}: axis {axis} of shape {x.shape} has nothing to pad with")
    parts = []
    for run in _runs(np.pad(np.arange(length), width, MODES[mode])):
        if isinstance(run, slice):
            parts.append(part(x, axis, run))
        else:
            first, count = run
            shape = (*x.shape[:axis], count, *x.shape[axis + 1 :])
            parts.append(expand(part(x, axis, slice(first, first + 1)), shape))
    return concat(parts, axis)


def _padded(op: str, x: Tensor, widths: Widths, mode: str, value: Any) -> Tensor:
    if mode not in MODES:
        raise ArgumentError(f"{op}: mode takes one of {', '.join(MODES)}, got {mode!r}")
    as_shape(op, [b + n + a for n, (b, a) in zip(x.shape, widths, strict=True)])
    if mode == "constant":
        return _constant(op, x, widths, value)
    for axis, width in enumerate(widths):
        if width != (0, 0):
            x = _along(op, x, axis, width, mode)
    return x


def pad(x: Operand, pad_width: Any, mode: str = "constant", value: float = 0) -> Tensor:
    """x with `pad_width` elements before and after, in NumPy's convention.

    `pad_width` is one integer or pair (before, after) for all axes, or one pair an axis. `mode` is
    "constant" (`value`), "reflect" (mirrored, the edge not repeated), "replicate" or "edge" (the
    last element again), "circular" or "wrap" (from the other end). Raises ArgumentError, and
    ShapeError where there is nothing to repeat.
    """
    x = as_tensor(x)
    if not isinstance(mode, str):
        raise ArgumentError(f"pad: mode takes a name, got {mode!r}")
    return _padded("pad", x, _widths(x, pad_width), mode, value)


def torch_pad(
    input: Operand, pad: Sequence[int], mode: str = "constant", value: float | None = None
) -> Tensor:
    """`input` padded in PyTorch's convention: (before, after) of the last axis first.

    With "constant" a negative number cuts elements off. Raises ArgumentError, ShapeError.
    """
    x = as_tensor(input)
    if not isinstance(mode, str) or not isinstance(pad, (tuple, list)):
        raise ArgumentError(f"pad: takes a list of integers and a mode, got {pad!r}, {mode!r}")
    numbers = [as_integer("pad", "pad", n) for n in pad]
    if len(numbers) % 2 or len(numbers) > 2 * x.ndim:
        raise ArgumentError(
            f"pad: takes two numbers for each of at most {x.ndim} axes, got {len(numbers)}"
        )
    pairs = list(zip(numbers[::2], numbers[1::2], strict=True))[::-1]
    widths = [(0, 0)] * (x.ndim - len(pairs)) + pairs
    if min(numbers, default=0) < 0:
        if mode != "constant":
            raise ArgumentError(f"pad: mode {mode!r} takes no negative numbers, got {pad!r}")
        x, widths = _cut(x, widths)
    return _padded("pad", x, widths, mode, 0 if value is None else value)


def _cut(x: Tensor, widths: Widths) -> tuple[Tensor, Widths]:
    """x without what negative widths cut off, and the widths that are left."""
    for axis, (before, after) in enumerate(widths):
        start, stop = max(-before, 0), x.shape[axis] + min(after, 0)
        if start > stop:
            raise ShapeError(
                f"pad: ({before}, {after}) cuts more than axis {axis} of {x.shape} has"
            )
        x = part(x, axis, slice(start, stop))
    return x, [(max(before, 0), max(after, 0)) for before, after in widths]
