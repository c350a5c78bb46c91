"""What ONNX's Resize and Upsample are in minigrad: weighted sums of gathered elements, along one
axis after the other. Rules of the table in `operators`.

A position between elements is `base` + `ratio` with a ratio in (0, 1]; the weights of the elements
at `base` + offset are a function of the ratio.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

import minigrad.ops.arrays as mg
from minigrad.onnx.operator import Operator, Rule
from minigrad.spec import FLOATING, float64
from minigrad.tensor import Tensor, as_tensor

NEAREST = {
    "ceil": lambda ratio: np.ones_like(ratio, bool),
    "floor": lambda ratio: ratio == 1,
    "round_prefer_ceil": lambda ratio: ratio >= 0.5,
    "round_prefer_floor": lambda ratio: ratio > 0.5,
}
"""Whether the element behind the position is the nearest."""


def resize(op: Operator, x: Any, *_: Any) -> Any:
    """x at other lengths of its axes, from `scales` or `sizes`."""
    x = as_tensor(x)
    sizes, scales = _lengths(op, x)
    roi = op.array(1) if op.kind == "Resize" and op.opset > 10 else None
    axes = op.get("axes", list(range(x.ndim)))
    kind = x.dtype
    y = x
    for i, axis in enumerate(axes):
        edges = (0.0, 1.0)
        if roi is not None and roi.size:
            edges = (float(roi[i]), float(roi[len(axes) + i]))
        y = _along(op, y, axis % x.ndim, sizes[axis % x.ndim], scales[axis % x.ndim], edges)
    if kind in FLOATING:
        return y
    bounds = np.iinfo(kind)
    return mg.minimum(mg.maximum(y, bounds.min), bounds.max).astype(kind) if y.dtype != kind else y


def _lengths(op: Operator, x: Tensor) -> tuple[list[int], list[float]]:
    """The length and the scale of every axis."""
    axes = [a % x.ndim for a in op.get("axes", range(x.ndim))]
    late = op.kind == "Resize" and op.opset > 10
    given = op.array(2 if late else 1)
    scales, sizes = [1.0] * x.ndim, list(x.shape)
    wanted = op.array(3) if late else None
    if wanted is not None and wanted.size:
        for a, n in zip(axes, wanted.reshape(-1), strict=True):
            scales[a], sizes[a] = int(n) / x.shape[a], int(n)
        policy = op.get("keep_aspect_ratio_policy", "stretch")
        if policy != "stretch":
            pick = min if policy == "not_larger" else max
            scale = pick([scales[a] for a in axes])
            for a in axes:
                scales[a], sizes[a] = scale, int(scale * x.shape[a] + 0.5)
        return sizes, scales
    factors = op.get("scales") if given is None else given.reshape(-1)
    if factors is None:
        raise op.refuse("neither scales nor sizes are given")
    for a, factor in zip(axes, factors, strict=True):
        scales[a], sizes[a] = float(factor), math.floor(float(factor) * x.shape[a])
    return sizes, scales


def _positions(
    op: Operator, length: int, size: int, scale: float, edges: tuple[float, float]
) -> np.ndarray:
    """Where the elements of the output lie along an axis of the input."""
    how = op.get("coordinate_transformation_mode", "half_pixel")
    if op.kind == "Upsample" or op.opset < 11:
        how = "asymmetric"
    index, wide = np.arange(size, dtype=float64), scale * length
    if how == "asymmetric":
        return index / scale
    if how == "align_corners":
        return index * ((length - 1) / (wide - 1)) if wide != 1 else np.zeros(size)
    if how == "tf_crop_and_resize":
        span = (edges[1] - edges[0]) * (length - 1)
        inside = index * span / (wide - 1) if wide != 1 else np.full(size, span / 2)
        return inside + edges[0] * (length - 1)
    if how == "pytorch_half_pixel" and wide == 1:
        return np.full(size, -0.5)
    shift = length / 2 * (1 - size / wide) if how == "half_pixel_symmetric" else 0.0
    return shift + (index + 0.5) / scale - 0.5


def _along(
    op: Operator, x: Tensor, axis: int, size: int, scale: float, edges: tuple[float, float]
) -> Tensor:
    """x with another length along one axis."""
    length = x.shape[axis]
    if size == length and math.isclose(scale, 1) and edges == (0, 1):
        return x
    places = _positions(op, length, size, scale, edges)
    base = np.ceil(places) - 1
    ratio, base = places - base, base.astype(np.int64)
    mode = op.get("mode", "nearest")
    if mode == "nearest":
        nearest = op.get("nearest_mode", "round_prefer_floor")
        nearest = nearest if op.opset > 10 and op.kind == "Resize" else "floor"
        found = base + NEAREST[nearest](ratio)
        y = mg.take(x, np.clip(found, 0, length - 1), axis=axis)
    else:
        offsets, weights = _taps(op, ratio, scale)
        index = base + offsets  # (taps, size)
        if op.get("exclude_outside", 0):
            weights = np.where((index < 0) | (index >= length), 0, weights)
            weights = weights / weights.sum(0)
        y = _weighted(x, axis, np.clip(index, 0, length - 1), weights)
    if op.get("coordinate_transformation_mode") == "tf_crop_and_resize":
        outside = ((places < 0) | (places > length - 1)).reshape(_shape(y, axis, size))
        y = mg.where(outside, op.get("extrapolation_value", 0.0), y)
    return y


def _shape(x: Tensor, axis: int, size: int) -> list[int]:
    return [size if a == axis else 1 for a in range(x.ndim)]


def _weighted(x: Tensor, axis: int, index: np.ndarray, weights: np.ndarray) -> Tensor:
    """The sum over the taps of elements times weights, both of shape (taps, size)."""
    x = x if x.dtype in FLOATING else x.astype(float64)
    total: Any = None
    for places, shares in zip(index, weights, strict=True):
        part = mg.multiply(
            mg.take(x, places, axis=axis),
            shares.astype(x.dtype).reshape(_shape(x, axis, len(places))),
        )
        total = part if total is None else mg.add(total, part)
    return total


def _taps(op: Operator, ratio: np.ndarray, scale: float) -> tuple[np.ndarray, np.ndarray]:
    """The offsets of the elements that count, (taps, 1), and their weights, (taps, size).

    With `antialias` the function of the weights is as wide as the step of a smaller output.
    """
    cubic = op.get("mode") == "cubic"
    squeeze = min(scale, 1.0) if op.get("antialias", 0) else 1.0
    reach = 2 if cubic else 1
    start = math.floor(-reach / squeeze) + 1
    offsets = np.arange(start, 2 - start if cubic or op.get("antialias", 0) else 2)[:, None]
    far = np.abs(offsets - ratio) * squeeze
    weights = _cubic(far, op.get("cubic_coeff_a", -0.75)) if cubic else np.clip(1 - far, 0, 1)
    return offsets, weights / weights.sum(0) if op.get("antialias", 0) else weights


def _cubic(far: Any, a: float) -> Any:
    """Keys' kernel of cubic convolution (1981, equation 4) at a distance."""
    near = ((a + 2) * far - (a + 3)) * far * far + 1
    wide = ((a * far - 5 * a) * far + 8 * a) * far - 4 * a
    return np.where(far <= 1, near, np.where(far < 2, wide, 0))


RULES: dict[str, Rule] = {"Resize": resize, "Upsample": resize}
"""By the operator's name."""
