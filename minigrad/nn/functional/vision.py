"""Images (and sequences, and volumes) at another resolution: interpolate, pixel_shuffle,
subsample."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from minigrad.errors import ArgumentError, ShapeError
from minigrad.ops.indexing import getitem
from minigrad.ops.movement import part
from minigrad.ops.number import as_number
from minigrad.spec import Shape, as_integer, per_axis, require_floating
from minigrad.tensor import Operand, Tensor, as_tensor, constant

__all__ = ["interpolate", "pixel_shuffle", "pixel_unshuffle", "subsample"]

LINEAR_MODES = {"linear": 3, "bilinear": 4, "trilinear": 5}
"""Number of axes of the input for each mode that interpolates linearly along every axis."""


def interpolate(
    input: Operand,
    size: int | Sequence[int] | None = None,
    scale_factor: float | Sequence[float] | None = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
    recompute_scale_factor: bool | None = None,
    antialias: bool = False,
) -> Tensor:
    """(N, C, ...) with its axes behind the channels brought to `size`, or times `scale_factor`.

    `mode` is "nearest", "nearest-exact", or "linear", "bilinear", "trilinear" for one, two, three
    axes. Position i of the output lies at (i + ½) · n_in / n_out - ½ of the input, and with
    `align_corners` at i (n_in - 1) / (n_out - 1); "nearest" takes floor(i n_in / n_out). Where a
    `scale_factor` is given, its inverse stands for n_in / n_out, unless `recompute_scale_factor`
    asks for the quotient. `antialias` takes False. Raises ShapeError, ArgumentError.
    """
    if antialias:
        raise ArgumentError(f"interpolate: antialias takes False, got {antialias!r}")
    x = as_tensor(input)
    require_floating("interpolate", x.spec)
    if x.ndim < 3 or x.ndim > 5 or 0 in x.shape[1:]:
        raise ShapeError(f"interpolate: takes (N, C, ...) of 3 to 5 axes, got {x.shape}")
    if mode not in ("nearest", "nearest-exact", *LINEAR_MODES):
        known = ", ".join(repr(m) for m in ("nearest", "nearest-exact", *LINEAR_MODES))
        raise ArgumentError(f"interpolate: mode takes one of {known}, got {mode!r}")
    if mode not in LINEAR_MODES and align_corners is not None:
        raise ArgumentError(f"interpolate: align_corners is not for mode {mode!r}")
    if LINEAR_MODES.get(mode, x.ndim) != x.ndim:
        raise ShapeError(
            f"interpolate: mode {mode!r} takes {LINEAR_MODES[mode]} axes, got {x.shape}"
        )
    if recompute_scale_factor and size is not None:
        raise ArgumentError("interpolate: recompute_scale_factor takes a scale_factor, not a size")
    sizes, factors = _sizes(x.shape[2:], size, scale_factor)
    for axis, (length, factor) in enumerate(zip(sizes, factors, strict=True), start=2):
        step = 1 / factor if factor and not recompute_scale_factor else x.shape[axis] / length
        if mode in LINEAR_MODES:
            x = _linear(x, axis, length, step, bool(align_corners))
        else:
            x = _nearest(x, axis, length, step, 0.5 if mode == "nearest-exact" else 0.0)
    return x


def _sizes(spatial: Shape, size: Any, scale_factor: Any) -> tuple[list[int], list[float]]:
    """The lengths of the output, and the factor along each axis (0 where a size was given)."""
    if (size is None) == (scale_factor is None):
        raise ArgumentError("interpolate: takes one of size and scale_factor")
    given = scale_factor if size is None else size
    values = list(given) if isinstance(given, (tuple, list)) else [given] * len(spatial)
    if len(values) != len(spatial):
        raise ArgumentError(
            f"interpolate: takes one number or {len(spatial)}, one an axis, got {given!r}"
        )
    if size is not None:
        lengths = [as_integer("interpolate", "size", value) for value in values]
        factors = [0.0] * len(spatial)
    else:
        factors = [as_number("interpolate", "scale_factor", v, 0, 2**31) for v in values]
        lengths = [math.floor(n * f) for n, f in zip(spatial, factors, strict=True)]
    if min(lengths) < 1:
        raise ArgumentError(f"interpolate: the output would have the size {tuple(lengths)}")
    return lengths, factors


def _nearest(x: Tensor, axis: int, length: int, step: float, offset: float) -> Tensor:
    size = x.shape[axis]
    if length == size and step == 1:
        return x
    if length % size == 0 and step == size / length:
        copies = length // size
        before, after = x.shape[: axis + 1], x.shape[axis + 1 :]
        spread = x.reshape(*before, 1, *after).expand(*before, copies, *after)
        return spread.reshape(*before[:-1], length, *after)
    # In float32 whatever the dtype, as PyTorch: the same element at every rounding.
    places = (np.arange(length, dtype=np.float32) + np.float32(offset)) * np.float32(step)
    return part(x, axis, np.minimum(np.floor(places).astype(np.int64), size - 1))


def _linear(x: Tensor, axis: int, length: int, step: float, align_corners: bool) -> Tensor:
    size = x.shape[axis]
    if length == size and (step == 1 or align_corners):
        return x
    index = np.arange(length, dtype=np.float64)
    if align_corners:
        places = index * ((size - 1) / (length - 1) if length > 1 else 0.0)
    else:
        places = np.maximum((index + 0.5) * step - 0.5, 0)
    low = np.minimum(np.floor(places).astype(np.int64), size - 1)
    high = np.minimum(low + 1, size - 1)
    share = np.clip(places - low, 0, 1).astype(x.dtype)
    weight = constant(share.reshape(length, *[1] * (x.ndim - axis - 1)))
    return part(x, axis, low) * (1 - weight) + part(x, axis, high) * weight


def subsample(input: Operand, stride: int | Sequence[int]) -> Tensor:
    """y[..., i, j] = x[..., i s, j t]: every s-th row and every t-th column, the others dropped.

    `stride` is one integer for all of the 1 to 3 axes behind (N, C), or a tuple with one for each
    of the last 1 to 3 axes of ([N,] C, *space). An axis of length L keeps ⌈L / s⌉ positions, the
    first among them. The gradient of what was dropped is 0. Raises ShapeError, ArgumentError.
    """
    x = as_tensor(input)
    axes = len(stride) if isinstance(stride, (tuple, list)) else x.ndim - 2
    if axes not in (1, 2, 3) or x.ndim - axes not in (1, 2):
        raise ShapeError(
            "subsample: takes (N, C, *space) with 1 to 3 axes of space and one stride, or "
            "([N,] C, *space) and a tuple with a stride for each axis of space; got shape "
            f"{x.shape} and stride {stride!r}"
        )
    steps = per_axis("subsample", "stride", stride, axes, 1)
    return getitem(x, (..., *[slice(None, None, step) for step in steps]))


def pixel_shuffle(input: Operand, upscale_factor: int) -> Tensor:
    """(..., C r², H, W) as (..., C, H r, W r), where r is the factor (Shi et al. 2016)."""
    x = as_tensor(input)
    r = _factor("pixel_shuffle", upscale_factor)
    if x.ndim < 3 or x.shape[-3] % r**2:
        raise ShapeError(f"pixel_shuffle: takes (..., C · {r}², H, W), got shape {x.shape}")
    *batch, channels, height, width = x.shape
    split = x.reshape(*batch, channels // r**2, r, r, height, width)
    n = len(batch)
    mixed = split.permute_dims(*range(n), n, n + 3, n + 1, n + 4, n + 2)
    return mixed.reshape(*batch, channels // r**2, height * r, width * r)


def pixel_unshuffle(input: Operand, downscale_factor: int) -> Tensor:
    """(..., C, H r, W r) as (..., C r², H, W): what undoes `pixel_shuffle`."""
    x = as_tensor(input)
    r = _factor("pixel_unshuffle", downscale_factor)
    if x.ndim < 3 or x.shape[-2] % r or x.shape[-1] % r:
        raise ShapeError(f"pixel_unshuffle: takes (..., C, H · {r}, W · {r}), got shape {x.shape}")
    *batch, channels, height, width = x.shape
    split = x.reshape(*batch, channels, height // r, r, width // r, r)
    n = len(batch)
    mixed = split.permute_dims(*range(n), n, n + 2, n + 4, n + 1, n + 3)
    return mixed.reshape(*batch, channels * r**2, height // r, width // r)


def _factor(op: str, factor: int) -> int:
    r = as_integer(op, "factor", factor)
    if r < 1:
        raise ArgumentError(f"{op}: the factor takes an integer from 1, got {r}")
    return r
