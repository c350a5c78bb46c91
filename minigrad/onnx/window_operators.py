"""What ONNX's convolutions and poolings are in minigrad: rules of the table in `operators`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

import minigrad.ops.arrays as mg
from minigrad.nn import functional
from minigrad.onnx.operator import Operator
from minigrad.tensor import as_tensor


def _padding(op: Operator, x: Any, kernel: Sequence[int]) -> tuple[tuple[int, int], ...]:
    """(before, after) of every axis, from `pads` or `auto_pad`."""
    axes = len(kernel)
    auto = op.get("auto_pad", b"NOTSET").decode()
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
    function: Any = (functional.conv1d, functional.conv2d, functional.conv3d)[axes - 1]
    return function(
        x,
        weight,
        bias,
        stride=tuple(op.get("strides", [1] * axes)),
        padding=_padding(op, x, kernel),
        dilation=tuple(op.get("dilations", [1] * axes)),
        groups=op.get("group", 1),
    )


def transposed(op: Operator, x: Any, weight: Any, bias: Any = None) -> Any:
    if op.get("auto_pad", b"NOTSET") != b"NOTSET" or "output_shape" in op.attributes:
        raise op.refuse("auto_pad and output_shape are not known; give pads")
    kernel = as_tensor(weight).shape[2:]
    axes = len(kernel)
    kinds = functional.conv_transpose1d, functional.conv_transpose2d, functional.conv_transpose3d
    function: Any = kinds[axes - 1]
    return function(
        x,
        weight,
        bias,
        stride=tuple(op.get("strides", [1] * axes)),
        padding=_padding(op, x, kernel),
        output_padding=tuple(op.get("output_padding", [0] * axes)),
        groups=op.get("group", 1),
        dilation=tuple(op.get("dilations", [1] * axes)),
    )


def _window(op: Operator, x: Any) -> tuple[int, dict[str, Any]]:
    kernel = op.get("kernel_shape")
    if op.get("auto_pad", b"NOTSET") != b"NOTSET" and op.get("ceil_mode", 0):
        raise op.refuse("auto_pad and ceil_mode at once are not known")
    how = {
        "kernel_size": tuple(kernel),
        "stride": tuple(op.get("strides", [1] * len(kernel))),
        "padding": _padding(op, x, kernel),
        "ceil_mode": bool(op.get("ceil_mode", 0)),
    }
    return len(kernel), how


def _padded(x: Any, how: dict[str, Any], value: float) -> tuple[Any, dict[str, Any], bool]:
    """The input, padded by itself where the padding is more than half a window, which poolings do
    not take; and whether it was."""
    pairs = zip(how["padding"], how["kernel_size"], strict=True)
    if all(2 * max(sides) <= kernel for sides, kernel in pairs):
        return x, how, False
    wide = mg.pad(x, ((0, 0), (0, 0), *how["padding"]), value=value)
    return wide, {**how, "padding": ((0, 0),) * len(how["padding"])}, True


def max_pool(op: Operator, x: Any) -> Any:
    axes, how = _window(op, x)
    x, how, moved = _padded(x, how, float("-inf"))
    if op.get("storage_order", 0):
        raise op.refuse("storage_order is not known")
    function: Any = (functional.max_pool1d, functional.max_pool2d, functional.max_pool3d)[axes - 1]
    how["dilation"] = tuple(op.get("dilations", [1] * axes))
    y, places = function(x, **how, return_indices=True)
    if moved:
        return y
    planes, plane = int(np.prod(y.shape[:2])), int(np.prod(as_tensor(x).shape[2:]))
    starts = (np.arange(planes) * plane).reshape((*y.shape[:2], *[1] * axes))
    return y, places + starts


def avg_pool(op: Operator, x: Any) -> Any:
    axes, how = _window(op, x)
    if any(n != 1 for n in op.get("dilations", [1])):
        raise op.refuse("dilations of an average are not known")
    function: Any = (functional.avg_pool1d, functional.avg_pool2d, functional.avg_pool3d)[axes - 1]
    with_pad = bool(op.get("count_include_pad", 0))
    wide, inside, moved = _padded(x, how, 0.0)
    if not moved or with_pad:
        return function(wide, **inside, count_include_pad=with_pad)
    ones, _, _ = _padded(np.ones((1, 1, *as_tensor(x).shape[2:]), x.dtype), how, 0.0)
    return function(wide, **inside) / function(ones, **inside)


def over_space(function: Callable[..., Any]) -> Callable[..., Any]:
    return lambda op, x: function(x, axis=tuple(range(2, as_tensor(x).ndim)), keepdims=True)


def batch_normalization(op: Operator, x: Any, scale: Any, b: Any, mean: Any, var: Any) -> Any:
    if op.get("training_mode", 0) or not op.get("spatial", 1):
        raise op.refuse("training_mode and spatial=0 are not known")
    return functional.batch_norm(
        x, mean, var, scale, b, training=False, eps=op.get("epsilon", 1e-5)
    )
