"""Linear maps of the last axis: linear, bilinear."""

from __future__ import annotations

from minigrad.errors import ShapeError
from minigrad.ops import matmul
from minigrad.ops.linear import linear
from minigrad.tensor import Operand, Tensor, as_tensor

__all__ = ["bilinear", "linear"]


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
    if bias is None:
        return y
    bias = as_tensor(bias)
    if bias.shape != y.shape[-1:]:
        raise ShapeError(f"bilinear: the bias takes shape {y.shape[-1:]}, got {bias.shape}")
    return y + bias
