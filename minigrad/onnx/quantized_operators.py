"""What ONNX's operators of quantized numbers are in minigrad: x ≈ (q - zero point) · scale with
bytes q, computed in floating point. Rules of the table in `operators`."""

from __future__ import annotations

from typing import Any

import numpy as np

import minigrad.ops.arrays as mg
from minigrad.onnx.operator import Operator, Rule
from minigrad.onnx.window_operators import convolution
from minigrad.spec import FLOATING, float64, int32, uint8
from minigrad.tensor import Tensor, as_tensor


def _spread(op: Operator, values: Tensor, x: Tensor) -> Tensor:
    """A scale or zero point in the shape of x: one number, one an index of `axis`, or one a block
    of `block_size` along it."""
    axis, block = op.get("axis", 1), op.get("block_size", 0)
    if values.ndim == 0 or values.size == 1:
        return mg.reshape(values, ())
    if values.ndim == 1:
        return mg.reshape(values, [-1 if a == axis % x.ndim else 1 for a in range(x.ndim)])
    if not block:
        raise op.refuse(f"a scale of shape {values.shape} takes a block_size")
    wide = mg.repeat(values, block, axis=axis)
    return mg.take(wide, np.arange(x.shape[axis]), axis=axis)


def quantized(x: Tensor, scale: Tensor, zero: Tensor) -> Tensor:
    """round(x / scale) + zero, kept within the dtype of the zero point."""
    bounds = np.iinfo(zero.dtype)
    whole = mg.round(mg.divide(x, scale)).astype(float64) + zero.astype(float64)
    return mg.minimum(mg.maximum(whole, bounds.min), bounds.max).astype(zero.dtype)


def quantize(op: Operator, x: Any, scale: Any, zero: Any = None) -> Any:
    x, step = as_tensor(x), as_tensor(scale)
    x = x if x.dtype in FLOATING else x.astype(step.dtype)
    if zero is None:
        kind = op.get("output_dtype", 0)
        zero = np.zeros(step.shape, _integers(op, kind) if kind else uint8)
    return quantized(x, _spread(op, step, x), _spread(op, as_tensor(zero), x))


def _integers(op: Operator, number: int) -> Any:
    from minigrad.onnx.reading import dtype_of

    dtype = dtype_of(number, op.name)
    if dtype.kind not in "iu":
        raise op.refuse(f"output_dtype takes integers, got {dtype}")
    return dtype


def dequantize(op: Operator, x: Any, scale: Any, zero: Any = None) -> Any:
    x, step = as_tensor(x), as_tensor(scale)
    real = x.astype(step.dtype)
    if zero is not None:
        real = real - _spread(op, as_tensor(zero).astype(step.dtype), x)
    return real * _spread(op, step, x)


def _real(values: Any, zero: Any, axis: int | None = None) -> Tensor:
    """Bytes less their zero point, which may be one a row (`axis` -1) or one a filter (0)."""
    x, z = as_tensor(values).astype(float64), as_tensor(zero).astype(float64)
    if axis == 0 and z.ndim == 1 and z.size > 1:
        z = mg.reshape(z, (-1, *[1] * (x.ndim - 1)))
    return x - (mg.reshape(z, ()) if z.size == 1 else z)


def _requantized(y: Tensor, a: Any, b: Any, c: Any, zero: Any) -> Tensor:
    """Sums of products at the scale a · b as bytes at the scale c."""
    scales = [as_tensor(v).astype(float64) for v in (a, b, c)]
    scales = [mg.reshape(s, ()) if s.size == 1 else s for s in scales]
    factor = mg.divide(mg.multiply(scales[0], scales[1]), scales[2])
    if factor.ndim == 1 and y.ndim > 2:  # one a filter
        factor = mg.reshape(factor, (1, -1, *[1] * (y.ndim - 2)))
    point = as_tensor(zero)
    point = mg.reshape(point, ()) if point.size == 1 else point
    return quantized(mg.multiply(y, factor), as_tensor(np.ones((), np.float64)), point)


def quantized_product(
    op: Operator, a: Any, sa: Any, za: Any, b: Any, sb: Any, zb: Any, sc: Any, zc: Any
) -> Any:
    return _requantized(mg.matmul(_real(a, za), _real(b, zb)), sa, sb, sc, zc)


def quantized_convolution(
    op: Operator,
    x: Any,
    sx: Any,
    zx: Any,
    w: Any,
    sw: Any,
    zw: Any,
    sy: Any,
    zy: Any,
    bias: Any = None,
) -> Any:
    y = convolution(op, _real(x, zx), _real(w, zw, 0))
    if bias is not None:
        shift = as_tensor(bias).astype(float64)
        y = y + mg.reshape(shift, (1, -1, *[1] * (y.ndim - 2)))
    return _requantized(y, sx, sw, sy, zy)


def integer_product(op: Operator, a: Any, b: Any, a_zero: Any = None, b_zero: Any = None) -> Any:
    """Bytes less their zero points multiplied into int32; a's are one a row, b's one a column."""
    left, right = as_tensor(a).astype(float64), as_tensor(b).astype(float64)
    if a_zero is not None:
        zero = as_tensor(a_zero).astype(float64)
        left = left - (mg.expand_dims(zero, -1) if zero.ndim == 1 and left.ndim > 1 else zero)
    if b_zero is not None:
        right = right - as_tensor(b_zero).astype(float64)
    return mg.matmul(left, right).astype(int32)


def integer_convolution(
    op: Operator, x: Any, w: Any, x_zero: Any = None, w_zero: Any = None
) -> Any:
    """Bytes less their zero points convolved into int32; the filters' is one, or one each."""
    none = np.zeros((), np.uint8)
    picture = _real(x, none if x_zero is None else x_zero)
    filters = _real(w, none if w_zero is None else w_zero, 0)
    return mg.round(convolution(op, picture, filters)).astype(int32)


RULES: dict[str, Rule] = {
    "ConvInteger": integer_convolution,
    "DequantizeLinear": dequantize,
    "MatMulInteger": integer_product,
    "QLinearConv": quantized_convolution,
    "QLinearMatMul": quantized_product,
    "QuantizeLinear": quantize,
}
"""By the operator's name."""
