"""What layers compute, as functions, with PyTorch's names and signatures."""

from __future__ import annotations

from minigrad import ops
from minigrad.errors import ShapeError
from minigrad.ops import (
    avg_pool2d,
    conv2d,
    cross_entropy,
    dropout,
    matmul,
    matrix_transpose,
    max_pool2d,
    nll_loss,
    relu,
    sigmoid,
    tanh,
)
from minigrad.tensor import Operand, Tensor, as_tensor

__all__ = [
    "avg_pool2d",
    "conv2d",
    "cross_entropy",
    "dropout",
    "linear",
    "log_softmax",
    "max_pool2d",
    "nll_loss",
    "relu",
    "sigmoid",
    "tanh",
]


def linear(input: Operand, weight: Operand, bias: Operand | None = None) -> Tensor:
    """y = x Wᵀ + b for x (..., in_features), W (out_features, in_features), b (out_features,)."""
    x, weight = as_tensor(input), as_tensor(weight)
    if weight.ndim != 2 or x.ndim < 1 or x.shape[-1] != weight.shape[1]:
        raise ShapeError(
            "linear: takes an input (..., in_features) and a weight (out_features, in_features), "
            f"got shapes {x.shape} and {weight.shape}"
        )
    y = matmul(x, matrix_transpose(weight))
    if bias is None:
        return y
    bias = as_tensor(bias)
    if bias.shape != weight.shape[:1]:
        raise ShapeError(f"linear: the bias takes shape {weight.shape[:1]}, got {bias.shape}")
    return y + bias


def log_softmax(input: Operand, dim: int) -> Tensor:
    """The logarithm of the softmax of `input` along `dim`."""
    return ops.log_softmax(input, dim)
