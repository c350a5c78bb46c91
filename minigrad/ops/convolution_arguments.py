"""The arguments of convolutions as users give them: batches of one, windows, padding by name.

What needs the shapes of all inputs is checked by the ops, in `infer`.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from minigrad.errors import ArgumentError, ShapeError
from minigrad.op import Op
from minigrad.spec import Shape, Window, as_integer, as_padding, per_axis
from minigrad.tensor import Operand, Tensor, apply, as_tensor

SPACE = {1: "L", 2: "H, W", 3: "D, H, W"}
TAPS = {1: "R", 2: "R, S", 3: "Q, R, S"}

LONGEST_STEP = 2**31
"""Strides and dilations stay below, so that no position overflows."""


def as_filters(op: str, axes: int, takes: str, weight: Operand) -> Tensor:
    """The weight; raises unless it has filters, channels and a length for each axis of space."""
    filters = as_tensor(weight)
    if filters.ndim != axes + 2:
        raise ShapeError(f"{op}: the weight takes shape {takes}, got {filters.shape}")
    return filters


def batched(op: Op, axes: int, input: Operand, filters: Tensor, bias: Operand | None) -> Tensor:
    """The op applied to a batch, or to one sample (C, *space), which is a batch of one."""
    x = as_tensor(input)
    single = x.ndim == axes + 1
    if single:
        x = x.reshape((1, *x.shape))
    inputs = (x, filters) if bias is None else (x, filters, as_tensor(bias))
    y: Tensor = apply(op, *inputs)
    return y.reshape(y.shape[1:]) if single else y


def window_over(
    op: str, kernel_size: Shape, stride: Any, padding: Any, dilation: Any, groups: Any
) -> tuple[Window, int]:
    """The window of a weight's taps, and the number of groups."""
    axes = len(kernel_size)
    step = per_axis(op, "stride", stride, axes, 1)
    spread = per_axis(op, "dilation", dilation, axes, 1)
    if max(step + spread) >= LONGEST_STEP:
        raise ArgumentError(
            f"{op}: stride and dilation must be below 2**31, got {stride!r} and {dilation!r}"
        )
    number = as_integer(op, "groups", groups)
    if number < 1:
        raise ArgumentError(f"{op}: groups must be at least 1, got {number}")
    if isinstance(padding, str):
        padding = named_padding(op, padding, kernel_size, step, spread)
    return _window(kernel_size, step, as_padding(op, padding, axes), spread), number


_window = lru_cache(maxsize=1024)(Window)  # of checked values, which the cache tells apart


def named_padding(
    op: str, name: str, kernel_size: Shape, stride: Shape, dilation: Shape
) -> tuple[tuple[int, int], ...]:
    """The sides of "valid" and "same"; of an odd number "same" puts one more after than before.

    Raises ArgumentError for another name, and for "same" with a stride.
    """
    if name not in ("valid", "same"):
        raise ArgumentError(f"{op}: padding takes integers, 'valid' or 'same', got {name!r}")
    if name == "valid":
        return ((0, 0),) * len(kernel_size)
    if set(stride) != {1}:
        raise ArgumentError(f"{op}: padding 'same' takes stride 1, got {stride}")
    total = [d * max(k - 1, 0) for d, k in zip(dilation, kernel_size, strict=True)]
    return tuple([(t // 2, t - t // 2) for t in total])
