"""What ONNX's DFT and STFT are in minigrad: products with the matrix of roots of unity. Complex
numbers are pairs along the last axis. Rules of the table in `operators`."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

import minigrad.ops.arrays as mg
from minigrad.onnx.operator import Operator, Rule
from minigrad.spec import float64
from minigrad.tensor import Tensor, as_tensor

MOST_POINTS = 2**13
"""Of a transform, whose matrix has the square of it."""


def transform(op: Operator, x: Tensor, count: int, inverse: bool, onesided: bool) -> Tensor:
    """Over the axis before the last of x (..., n, 1 or 2): y_k = Σ x_j e^(-2πi jk / count), with
    `inverse` e^(+2πi jk / count) / count. `onesided` gives the first half, and of an inverse is
    given it: the rest is its conjugate in reverse, and the result is real."""
    if count > MOST_POINTS:
        raise op.refuse(f"a transform of {count} points; there are up to {MOST_POINTS}")
    kind, x = x.dtype, x.astype(float64)
    real, imaginary = x[..., 0], x[..., 1] if x.shape[-1] == 2 else None
    rows = min(x.shape[-2], count // 2 + 1 if inverse and onesided else count)
    real = real[..., :rows]
    shares = np.ones((rows, 1))
    if inverse and onesided:  # every element but the first, and of an even count the last, is two
        shares[1 : (count + 1) // 2] = 2
    columns = count // 2 + 1 if onesided and not inverse else count
    angles = (2 * math.pi / count) * (np.outer(np.arange(rows), np.arange(columns)) % count)
    cosines, sines = np.cos(angles) * shares, np.sin(angles) * shares
    if inverse:
        cosines, sines = cosines / count, -sines / count
    y_real = mg.matmul(real, cosines)
    y_imaginary = mg.negative(mg.matmul(real, sines))
    if imaginary is not None:
        imaginary = imaginary[..., :rows]
        y_real = mg.add(y_real, mg.matmul(imaginary, sines))
        y_imaginary = mg.add(y_imaginary, mg.matmul(imaginary, cosines))
    if inverse and onesided:
        return mg.expand_dims(y_real, -1).astype(kind)
    return mg.stack([y_real, y_imaginary], axis=-1).astype(kind)


def dft(op: Operator, x: Any, length: Any = None, axis: Any = None) -> Any:
    x, points = as_tensor(x), op.array(1)
    where = op.array(2) if op.opset >= 20 else None
    along = int(where.reshape(-1)[0]) if where is not None else op.get("axis")
    along = (along if along is not None else -2 if op.opset >= 20 else 1) % x.ndim
    moved = mg.moveaxis(x, along, -2)
    inverse, onesided = bool(op.get("inverse", 0)), bool(op.get("onesided", 0))
    n = moved.shape[-2]
    count = 2 * (n - 1) if inverse and onesided else n
    count = count if points is None else int(points.reshape(-1)[0])
    return mg.moveaxis(transform(op, moved, count, inverse, onesided), -2, along)


def stft(op: Operator, x: Any, step: Any, window: Any = None, length: Any = None) -> Any:
    """The transforms of frames that begin every `frame_step`, each times the window."""
    x, hop, size = as_tensor(x), int(op.needed(1).reshape(-1)[0]), op.array(3)
    if size is None and window is None:
        raise op.refuse("takes a window or a frame_length")
    count = as_tensor(window).shape[0] if size is None else int(size.reshape(-1)[0])
    frames = (x.shape[1] - count) // hop + 1
    places = np.arange(count) + hop * np.arange(frames)[:, None]
    parts = mg.take(x, places, axis=1)  # (batch, frames, count, 1 or 2)
    if window is not None:
        parts = mg.multiply(parts, mg.reshape(window, (-1, 1)))
    return transform(op, parts, count, False, bool(op.get("onesided", 1)))


RULES: dict[str, Rule] = {"DFT": dft, "STFT": stft}
"""By the operator's name."""
