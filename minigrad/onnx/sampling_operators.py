"""What ONNX's GridSample, DeformConv and RoiAlign are in minigrad: elements at points between the
places of an image, weighted sums of those around. Rules of the table in `operators`."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

import minigrad.ops.arrays as mg
from minigrad.onnx.operator import Operator, Rule
from minigrad.spec import float64, int64
from minigrad.tensor import Tensor, as_tensor


def grid_sample(op: Operator, x: Any, grid: Any) -> Any:
    """x (N, C, ...) at points (N, ..., axes) that count from -1 to 1, the last axis first."""
    x, grid = as_tensor(x), as_tensor(grid)
    axes, aligned = x.ndim - 2, bool(op.get("align_corners", 0))
    mode = {"bilinear": "linear", "bicubic": "cubic"}.get(op.get("mode"), op.get("mode", "linear"))
    points = []
    for axis, n in enumerate(x.shape[2:]):
        from_one = mg.add(grid[..., axes - 1 - axis], 1)
        if aligned:
            points.append(from_one * ((n - 1) / 2))
        else:
            points.append((from_one * n - 1) / 2)
    if mode == "nearest":
        points = [mg.round(p) for p in points]
    points = [_into(op, p, n, aligned) for p, n in zip(points, x.shape[2:], strict=True)]
    taps = [_point_taps(mode, p) for p in points]
    rows = mg.permute_dims(x, (0, *range(2, x.ndim), 1))
    total: Any = None
    for choice in itertools.product(*taps):
        places = [place for place, _ in choice]
        weight = _product([w for _, w in choice])
        read = _pixels(op, rows, places, aligned)
        part = read if weight is None else mg.multiply(read, mg.expand_dims(weight, -1))
        total = part if total is None else mg.add(total, part)
    return mg.permute_dims(total, (0, axes + 1, *range(1, axes + 1)))


def _product(weights: Sequence[Any]) -> Any:
    result = None
    for weight in weights:
        if weight is not None:
            result = weight if result is None else mg.multiply(result, weight)
    return result


def _point_taps(mode: str, points: Tensor) -> list[tuple[Tensor, Any]]:
    """The elements around points along an axis and their weights, functions of the points."""
    if mode == "nearest":
        return [(points.astype(int64), None)]
    base = mg.floor(points).detach()
    ratio, start = mg.subtract(points, base), base.astype(int64)
    if mode == "linear":
        return [(start, mg.subtract(1, ratio)), (mg.add(start, 1), ratio)]
    a, found = -0.75, []
    for offset in range(-1, 3):
        t = mg.abs(mg.subtract(ratio, offset))
        if offset in (0, 1):
            weight = ((a + 2) * t - (a + 3)) * t * t + 1
        else:
            weight = ((a * t - 5 * a) * t + 8 * a) * t - 4 * a
        found.append((mg.add(start, offset), weight))
    return found


def _into(op: Operator, points: Tensor, n: int, aligned: bool) -> Tensor:
    """Points that lie outside brought to the border, or reflected at it."""
    how = op.get("padding_mode", "zeros")
    low, high = (0.0, n - 1.0) if aligned else (-0.5, n - 0.5)
    if how == "border":
        outside = mg.logical_or(mg.less(points, low), mg.greater(points, high))
        return mg.where(outside, mg.minimum(mg.maximum(points, 0), n - 1), points)
    return _reflected(points, low, high) if how == "reflection" else points


def _reflected(points: Tensor, low: float, high: float) -> Tensor:
    span = high - low
    if span <= 0:
        return mg.multiply(points, 0)
    far = mg.remainder(mg.subtract(points, low), 2 * span)
    inside = mg.where(mg.greater(far, span), mg.subtract(2 * span, far), far)
    kept = mg.logical_and(mg.greater_equal(points, low), mg.less_equal(points, high))
    return mg.where(kept, points, mg.add(inside, low))


def _pixels(op: Operator, rows: Tensor, places: Sequence[Tensor], aligned: bool) -> Tensor:
    """The channels, last, of x at places along each of its axes; what lies outside is 0, or that
    of the border, or of the place reflected there."""
    how = op.get("padding_mode", "zeros")
    batch = np.arange(rows.shape[0]).reshape((-1, *[1] * (places[0].ndim - 1)))
    inside: Any = None
    index: list[Any] = [batch]
    for place, n in zip(places, rows.shape[1:], strict=False):
        if how == "reflection":
            low, high = (0.0, n - 1.0) if aligned else (-0.5, n - 0.5)
            place = mg.trunc(_reflected(place.astype(float64), low, high)).astype(int64)
        elif how == "zeros":
            here = mg.logical_and(mg.greater_equal(place, 0), mg.less(place, n))
            inside = here if inside is None else mg.logical_and(inside, here)
        index.append(mg.minimum(mg.maximum(place, 0), n - 1))
    found = rows[tuple(index)]
    return found if inside is None else mg.where(mg.expand_dims(inside, -1), found, 0)


def _bilinear(op: Operator, rows: Tensor, points: Sequence[Tensor]) -> Tensor:
    """The channels, last, of rows (N, H, W, C) at points; outside lie zeros."""
    total: Any = None
    for choice in itertools.product(*[_point_taps("linear", p) for p in points]):
        weight = mg.expand_dims(_product([w for _, w in choice]), -1)
        part = mg.multiply(_pixels(op, rows, [place for place, _ in choice], False), weight)
        total = part if total is None else mg.add(total, part)
    return total


def deformed(
    op: Operator, x: Any, weight: Any, offset: Any, bias: Any = None, mask: Any = None
) -> Any:
    """A convolution whose taps are moved by offsets and weighted by a mask (Zhu et al. 2019)."""
    x, weight, offset = as_tensor(x), as_tensor(weight), as_tensor(offset)
    if x.ndim != 4:
        raise op.refuse(f"takes images (N, C, H, W), got {x.shape}")
    n, channels = x.shape[:2]
    kernel, (high, wide) = weight.shape[2:], offset.shape[2:]
    groups, taps = op.get("offset_group", 1), math.prod(kernel)
    moved = mg.reshape(offset, (n, groups, taps, 2, high, wide))
    shares = None if mask is None else mg.reshape(mask, (n, groups, taps, high, wide, 1))
    each, columns = channels // groups, []
    for g in range(groups):
        points = [
            mg.add(moved[:, g, :, axis], start.astype(x.dtype))
            for axis, start in enumerate(_starts(op, kernel, (high, wide)))
        ]
        rows = mg.permute_dims(x[:, g * each : (g + 1) * each], (0, 2, 3, 1))
        found = _bilinear(op, rows, points)  # (N, taps, H, W, C / groups)
        columns.append(found if shares is None else mg.multiply(found, shares[:, g]))
    split = op.get("group", 1)
    seen = mg.permute_dims(mg.concat(columns, -1), (0, 4, 1, 2, 3))
    seen = mg.reshape(seen, (n, split, channels // split * taps, high * wide))
    filters = mg.reshape(weight, (split, weight.shape[0] // split, -1))
    y = mg.reshape(mg.matmul(filters, seen), (n, weight.shape[0], high, wide))
    return y if bias is None else mg.add(y, mg.reshape(bias, (1, -1, 1, 1)))


def _starts(op: Operator, kernel: Sequence[int], out: Sequence[int]) -> list[np.ndarray]:
    """Where the taps lie, unmoved, of every axis: (taps, H, W)."""
    steps, spread = op.get("strides", [1, 1]), op.get("dilations", [1, 1])
    before = op.get("pads", [0] * 4)[:2]
    found = []
    for axis in range(2):
        tap = np.indices(kernel)[axis].reshape(-1, 1, 1) * spread[axis]
        place = np.indices(out)[axis] * steps[axis]
        found.append(tap + place - before[axis])
    return found


def regions(op: Operator, x: Any, boxes: Any, batch: Any) -> Any:
    """Means (or maxima) over the cells of boxes (left, top, right, bottom), each of samples between
    the pixels (He et al. 2017, section 3). The boxes have to be known."""
    x, corners = as_tensor(x), op.needed(1).astype(np.float64)
    which = op.needed(2).reshape(-1)
    shift = 0.5 if op.opset >= 16 else 0.0
    aligned = op.get("coordinate_transformation_mode", "half_pixel") == "half_pixel"
    shift = shift if aligned else 0.0
    cells = op.get("output_height", 1), op.get("output_width", 1)
    scale, ratio = op.get("spatial_scale", 1.0), op.get("sampling_ratio", 0)
    rows, found = mg.permute_dims(x, (0, 2, 3, 1)), []
    for index, (left, top, right, bottom) in zip(which, corners * scale - shift, strict=True):
        picture = rows[int(index) : int(index) + 1]
        spans = [bottom - top, right - left]
        if not shift:  # a box is at least a pixel
            spans = [max(span, 1.0) for span in spans]
        lines = [
            _samples(start, span, count, ratio)
            for start, span, count in zip((top, left), spans, cells, strict=True)
        ]
        found.append(_cells(op, picture, lines, x.shape[2:]))
    return mg.permute_dims(mg.concat(found, 0), (0, 3, 1, 2))


def _samples(start: float, span: float, cells: int, ratio: int) -> np.ndarray:
    """The points along an axis: (cells, samples of each)."""
    count = ratio if ratio > 0 else max(math.ceil(span / cells), 1)
    places = (np.arange(count) + 0.5) / count
    return start + (np.arange(cells)[:, None] + places) * (span / cells)


def _cells(
    op: Operator, picture: Tensor, lines: Sequence[np.ndarray], size: Sequence[int]
) -> Tensor:
    """The means, or maxima, of the samples of every cell: (1, cells, cells, C)."""
    ys, xs = lines
    shape = (1, len(ys), len(xs), ys.shape[1], xs.shape[1])
    grid = [
        np.broadcast_to(ys[None, :, None, :, None], shape),
        np.broadcast_to(xs[None, None, :, None, :], shape),
    ]
    inside = np.ones(shape, bool)
    points = []
    for line, n in zip(grid, size, strict=True):
        inside &= (line >= -1) & (line <= n)
        points.append(np.clip(line, 0, n - 1))
    average = op.get("mode", "avg") == "avg"
    parts = []
    for choice in itertools.product((0, 1), repeat=2):
        index: list[Any] = [np.zeros(shape, np.int64)]
        weight = inside.astype(np.float64)
        for point, n, up in zip(points, size, choice, strict=True):
            low = np.floor(point).astype(np.int64)
            weight = weight * (point - low if up else 1 - (point - low))
            index.append(np.minimum(low + up, n - 1))
        parts.append(mg.multiply(picture[tuple(index)], weight[..., None].astype(picture.dtype)))
    if average:
        total = mg.add(mg.add(parts[0], parts[1]), mg.add(parts[2], parts[3]))
        return mg.mean(total, axis=(3, 4))
    most = mg.maximum(mg.maximum(parts[0], parts[1]), mg.maximum(parts[2], parts[3]))
    return mg.max(most, axis=(3, 4))


RULES: dict[str, Rule] = {"DeformConv": deformed, "GridSample": grid_sample, "RoiAlign": regions}
"""By the operator's name."""
