"""What ONNX's convolutions and poolings are in minigrad: rules of the table in `operators`.

Poolings that minigrad's own do not take (dilated averages, more padding than half a window) are
sums over windows by a convolution with ones.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

import minigrad.ops.arrays as mg
from minigrad.creation import zeros
from minigrad.nn import functional
from minigrad.onnx.operator import Operator, Rule
from minigrad.spec import FLOATING, Window, float32, float64
from minigrad.tensor import Tensor, as_tensor

CONVOLUTIONS: list[Callable[..., Any]] = [
    functional.conv1d,
    functional.conv2d,
    functional.conv3d,
]
TRANSPOSED: list[Callable[..., Any]] = [
    functional.conv_transpose1d,
    functional.conv_transpose2d,
    functional.conv_transpose3d,
]
MAXIMA: list[Callable[..., Any]] = [
    functional.max_pool1d,
    functional.max_pool2d,
    functional.max_pool3d,
]
AVERAGES: list[Callable[..., Any]] = [
    functional.avg_pool1d,
    functional.avg_pool2d,
    functional.avg_pool3d,
]


def _of_space(op: Operator, functions: Sequence[Callable[..., Any]], axes: int) -> Any:
    if not 1 <= axes <= len(functions):
        raise op.refuse(f"takes 1 to {len(functions)} axes behind the channels, got {axes}")
    return functions[axes - 1]


def _padding(op: Operator, x: Any, kernel: Sequence[int]) -> tuple[tuple[int, int], ...]:
    """(before, after) of every axis, from `pads` or `auto_pad`."""
    axes = len(kernel)
    auto = op.get("auto_pad", "NOTSET")
    if auto in ("NOTSET", "VALID"):
        pads = op.get("pads", [0] * 2 * axes) if auto == "NOTSET" else [0] * 2 * axes
        return tuple([(pads[i], pads[axes + i]) for i in range(axes)])
    steps, spread = op.get("strides", [1] * axes), op.get("dilations", [1] * axes)
    sides = []
    for n, k, stride, dilation in zip(as_tensor(x).shape[2:], kernel, steps, spread, strict=True):
        total = max((-(-n // stride) - 1) * stride + (k - 1) * dilation + 1 - n, 0)
        less, more = total // 2, total - total // 2
        sides.append((less, more) if auto == "SAME_UPPER" else (more, less))
    return tuple(sides)


def convolution(op: Operator, x: Any, weight: Any, bias: Any = None) -> Any:
    kernel = as_tensor(weight).shape[2:]
    axes = len(kernel)
    return _of_space(op, CONVOLUTIONS, axes)(
        x,
        weight,
        bias,
        stride=tuple(op.get("strides", [1] * axes)),
        padding=_padding(op, x, kernel),
        dilation=tuple(op.get("dilations", [1] * axes)),
        groups=op.get("group", 1),
    )


def transposed(op: Operator, x: Any, weight: Any, bias: Any = None) -> Any:
    x, weight = as_tensor(x), as_tensor(weight)
    axes = weight.ndim - 2
    how = {
        "stride": tuple(op.get("strides", [1] * axes)),
        "dilation": tuple(op.get("dilations", [1] * axes)),
        "groups": op.get("group", 1),
    }
    function = _of_space(op, TRANSPOSED, axes)
    extra = tuple(op.get("output_padding", [0] * axes))
    auto = op.get("auto_pad", "NOTSET")
    if auto in ("NOTSET", "VALID") and "output_shape" not in op.attributes:
        padding = _padding(op, x, weight.shape[2:])
        return function(x, weight, bias, padding=padding, output_padding=extra, **how)
    whole = function(x, weight, **how)
    wanted = [n * s for n, s in zip(x.shape[2:], how["stride"], strict=True)]
    wanted = op.get("output_shape", wanted)[-axes:]
    y = _fitted(whole, wanted, extra, auto == "SAME_UPPER")
    return y if bias is None else y + mg.reshape(bias, (1, -1, *[1] * axes))


def _fitted(y: Tensor, lengths: Sequence[int], extra: Sequence[int], upper: bool) -> Any:
    """Cut (or filled up with 0) at both sides to these lengths; of an odd rest `upper` leaves the
    larger part behind. `extra` is behind from the start."""
    edges = []
    for axis, (wanted, more) in enumerate(zip(lengths, extra, strict=True), start=2):
        surplus = y.shape[axis] + more - wanted
        half = surplus // 2 if upper else surplus - surplus // 2
        edges.append((-half, more - (surplus - half)))
    cut = [slice(max(-a, 0), n + min(b, 0)) for n, (a, b) in zip(y.shape[2:], edges, strict=True)]
    filled = [(max(a, 0), max(b, 0)) for a, b in edges]
    return mg.pad(y[(..., *cut)], ((0, 0), (0, 0), *filled))


def _window(op: Operator, x: Any) -> Window:
    kernel = op.get("kernel_shape")
    axes = len(kernel)
    auto = op.get("auto_pad", "NOTSET")
    return Window.of(
        f"onnx: {op.kind}",
        axes,
        tuple(kernel),
        tuple(op.get("strides", [1] * axes)),
        _padding(op, x, kernel),
        tuple(op.get("dilations", [1] * axes)),
        bool(op.get("ceil_mode", 0)) and auto in ("NOTSET", "VALID"),
    )


def _simple(window: Window) -> dict[str, Any] | None:
    """A window as a pooling's arguments; None where it has more padding than poolings take."""
    pairs = zip(window.padding, window.kernel_size, strict=True)
    if any(2 * max(sides) > kernel for sides, kernel in pairs):
        return None
    return {
        "kernel_size": window.kernel_size,
        "stride": window.stride,
        "padding": window.padding,
        "ceil_mode": window.ceil_mode,
    }


def _wide(window: Window, size: Sequence[int]) -> list[tuple[int, int]]:
    """The padding within which all windows lie, those too that stick out by `ceil_mode`."""
    out = window.output_size("onnx", tuple(size))
    sides = []
    for axis, (before, after) in enumerate(window.padding):
        reach = window.dilation[axis] * (window.kernel_size[axis] - 1) + 1
        end = (out[axis] - 1) * window.stride[axis] + reach
        sides.append((before, max(after, end - size[axis] - before)))
    return sides


def max_pool(op: Operator, x: Any) -> Any:
    """The maxima, and where they are in the whole input."""
    x, window = as_tensor(x), _window(op, x)
    kind = x.dtype
    x = x if kind in FLOATING else x.astype(float32 if kind.itemsize < 4 else float64)
    size, axes = x.shape[2:], x.ndim - 2
    how, before = _simple(window), [0] * axes
    wide = list(size)
    if how is None:
        sides = _wide(window, size)
        before = [a for a, _ in sides]
        wide = [n + a + b for n, (a, b) in zip(size, sides, strict=True)]
        x = mg.pad(x, ((0, 0), (0, 0), *sides), value=-math.inf)
        how = {"kernel_size": window.kernel_size, "stride": window.stride}
    how["dilation"] = window.dilation
    function = _of_space(op, MAXIMA, axes)
    if op.outputs < 2:
        return function(x, **how).astype(kind)
    y, places = function(x, **how, return_indices=True)
    return y.astype(kind), _in_whole_input(op, places, size, wide, before)


def _in_whole_input(
    op: Operator, places: Tensor, size: Sequence[int], wide: Sequence[int], before: Sequence[int]
) -> Any:
    """Places in a padded plane as places in the whole input, by rows or (`storage_order`) by
    columns."""
    rest: Any = places
    flat: Any = np.zeros((), np.int64)
    strides = [math.prod(size[a + 1 :]) for a in range(len(size))]
    if op.get("storage_order", 0):
        strides = [math.prod(size[:a]) for a in range(len(size))]
    for axis in reversed(range(len(size))):
        at = mg.subtract(mg.remainder(rest, wide[axis]), before[axis])
        flat = mg.add(flat, mg.multiply(at, strides[axis]))
        rest = mg.floor_divide(rest, wide[axis])
    step = math.prod(size)
    planes = math.prod(places.shape[:2])
    starts = (np.arange(planes) * step).reshape((*places.shape[:2], *[1] * len(size)))
    return mg.add(flat, starts)


def _sums(x: Tensor, window: Window, sides: Sequence[tuple[int, int]]) -> Tensor:
    """The sum over every window of the padded x, by a convolution with ones."""
    wide = mg.pad(x, ((0, 0), (0, 0), *sides))
    axes = x.ndim - 2
    flat = mg.reshape(wide, (-1, 1, *wide.shape[2:]))
    ones = np.ones((1, 1, *window.kernel_size), x.dtype)
    how = {"stride": window.stride, "dilation": window.dilation}
    y = CONVOLUTIONS[axes - 1](flat, ones, **how)
    return mg.reshape(y, (*x.shape[:2], *y.shape[2:]))


def avg_pool(op: Operator, x: Any) -> Any:
    x, window = as_tensor(x), _window(op, x)
    axes, with_pad = x.ndim - 2, bool(op.get("count_include_pad", 0))
    how = _simple(window)
    function = _of_space(op, AVERAGES, axes)
    if how is not None and all(n == 1 for n in window.dilation):
        return function(x, **how, count_include_pad=with_pad)
    sides = _wide(window, x.shape[2:])
    counted = np.ones((1, 1, *x.shape[2:]), x.dtype)
    left = sides
    if with_pad:
        counted = np.pad(counted, ((0, 0), (0, 0), *window.padding), constant_values=1)
        pairs = zip(sides, window.padding, strict=True)
        left = [(a - before, b - after) for (a, b), (before, after) in pairs]
    return _sums(x, window, sides) / _sums(as_tensor(counted), window, left)


def lp_pool(op: Operator, x: Any) -> Any:
    """The p-norm over every window."""
    x, window, p = as_tensor(x), _window(op, x), op.get("p", 2)
    _of_space(op, CONVOLUTIONS, x.ndim - 2)
    powers = mg.pow(mg.abs(x), float(p))
    return mg.pow(_sums(powers, window, _wide(window, x.shape[2:])), 1 / p)


def global_lp_pool(op: Operator, x: Any) -> Any:
    x, p = as_tensor(x), op.get("p", 2)
    total = mg.sum(mg.pow(mg.abs(x), float(p)), axis=tuple(range(2, x.ndim)), keepdims=True)
    return mg.pow(total, 1 / p)


def over_space(function: Callable[..., Any]) -> Rule:
    return lambda op, x: function(x, axis=tuple(range(2, as_tensor(x).ndim)), keepdims=True)


def max_unpool(op: Operator, x: Any, places: Any, shape: Any = None) -> Any:
    """Zeros, with the elements of x where a MaxPool found them; `output_shape` adds zeros."""
    x, kernel = as_tensor(x), op.get("kernel_shape")
    steps, sides = op.get("strides", [1] * len(kernel)), _padding(op, x, kernel)
    lengths = [
        (n - 1) * s - sum(pair) + k
        for n, s, pair, k in zip(x.shape[2:], steps, sides, kernel, strict=True)
    ]
    whole = (*x.shape[:2], *lengths)
    flat = zeros(math.prod(whole), dtype=x.dtype)
    at = flat.at[mg.reshape(places, -1)]
    y = mg.reshape(at.set(mg.reshape(x, -1)), whole)
    wanted = op.integers(2, "output_shape")
    if wanted is None:
        return y
    return mg.pad(y, [(0, m - n) for n, m in zip(whole, wanted, strict=True)])


def columns_to_image(op: Operator, x: Any, image: Any, block: Any) -> Any:
    """Columns (N, C · taps, L) put back where their windows are, and added up."""
    x, size, kernel = as_tensor(x), op.integers(1, ""), op.integers(2, "")
    axes = len(kernel)
    window = Window.of(
        f"onnx: {op.kind}",
        axes,
        tuple(kernel),
        tuple(op.get("strides", [1] * axes)),
        _padding(op, zeros((1, 1, *size)), kernel),
        tuple(op.get("dilations", [1] * axes)),
    )
    out = window.output_size(f"onnx: {op.kind}", tuple(size))
    canvas = [n + a + b for n, (a, b) in zip(size, window.padding, strict=True)]
    places: list[np.ndarray] = []
    for axis in range(axes):  # (taps of every axis, positions of every axis)
        taps = np.arange(kernel[axis]) * window.dilation[axis]
        starts = np.arange(out[axis]) * window.stride[axis]
        shape = [1] * 2 * axes
        shape[axis], shape[axes + axis] = kernel[axis], out[axis]
        places.append((taps[:, None] + starts).reshape(shape))
    batch, channels = x.shape[0], x.shape[1] // math.prod(kernel)
    values = mg.reshape(x, (batch, channels, *kernel, *out))
    y = zeros((batch, channels, *canvas), dtype=x.dtype).at[(..., *places)].add(values)
    inner = [slice(a, a + n) for n, (a, _) in zip(size, window.padding, strict=True)]
    return y[(..., *inner)]


RULES: dict[str, Rule] = {
    "AveragePool": avg_pool,
    "Col2Im": columns_to_image,
    "Conv": convolution,
    "ConvTranspose": transposed,
    "GlobalAveragePool": over_space(mg.mean),
    "GlobalLpPool": global_lp_pool,
    "GlobalMaxPool": over_space(mg.max),
    "LpPool": lp_pool,
    "MaxPool": max_pool,
    "MaxUnpool": max_unpool,
}
"""By the operator's name."""
