"""Linear maps of the last axis: linear, bilinear."""

from __future__ import annotations

from minigrad.errors import ShapeError
from minigrad.ops import matmul, matrix_transpose
from minigrad.tensor import Operand, Tensor, as_tensor

__all__ = ["bilinear", "linear"]


def linear(input: Operand, weight: Operand, bias: Operand | None = None) -> Tensor:
    """y = x Wᵀ + b for x (..., in_features), W (out_features, in_features), b (out_features,)."""
    x, weight = as_tensor(input), as_tensor(weight)
    if weight.ndim != 2 or x.ndim < 1 or x.shape[-1] != weight.shape[1]:
        raise ShapeError(
            "linear: takes an input (..., in_features) and a weight (out_features, in_features), "
            f"got shapes {x.shape} and {weight.shape}"
        )
    return _shifted("linear", matmul(x, matrix_transpose(weight)), bias)


def bilinear(
    input1: Operand, input2: Operand, weight: Operand, bias: Operand | None = None
) -> Tensor:
    """y_k = x1ᵀ W_k x2 + b_k for x1 (..., in1), x2 (..., in2), W (out, in1, in2), b (out,)."""
    x1, x2, weight = as_tensor(input1), as_tensor(input2), as_tensor(weight)
    fits = weight.ndim == 3 and x1.ndim >= 1 and x1.shape[:-1] == x2.shape[:-1] and x2.ndim >= 1
    if not fits or (x1.shape[-1], x2.shape[-1]) != weight.shape[1:]:
        raise ShapeError(
            "bilinear: takes inputs (..., in1) and (..., in2) and a weight (out, in1, in2), got "
            f"shapes {x1.shape}, {x2.shape} and {weight.shape}"
        )
    out, in1, in2 = weight.shape
    columns = weight.permute_dims(1, 0, 2).reshape(in1, out * in2)
    products = matmul(x1, columns).reshape(*x1.shape[:-1], out, in2)
    y = (products * x2.reshape(*x2.shape[:-1], 1, in2)).sum(axis=-1)
    return _shifted("bilinear", y, bias)


def _shifted(op: str, y: Tensor, bias: Operand | None) -> Tensor:
    if bias is None:
        return y
    bias = as_tensor(bias)
    if bias.shape != y.shape[-1:]:
        raise ShapeError(f"{op}: the bias takes shape {y.shape[-1:]}, got {bias.shape}")
    return y + bias
