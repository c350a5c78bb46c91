"""Activations, with PyTorch's names, signatures and defaults.

`inplace` is taken where PyTorch takes it and has no effect, since recorded values never change.
At a kink the gradient is PyTorch's; nothing overflows for large |x|.
"""

from __future__ import annotations

import math
from typing import Any

from minigrad import ops
from minigrad.errors import ArgumentError, ShapeError
from minigrad.ops import abs, expm1, where
from minigrad.ops.number import as_number
from minigrad.ops.piecewise import hardtanh as _hardtanh
from minigrad.spec import common_dtype, normalize_axis, require_floating
from minigrad.tensor import Operand, Tensor, as_tensor

__all__ = [
    "celu",
    "elu",
    "gelu",
    "glu",
    "hardsigmoid",
    "hardswish",
    "hardtanh",
    "leaky_relu",
    "log_softmax",
    "logsigmoid",
    "mish",
    "prelu",
    "relu",
    "relu6",
    "selu",
    "sigmoid",
    "silu",
    "softmax",
    "softmin",
    "softplus",
    "softsign",
    "tanh",
]

SELU_ALPHA = 1.6732632423543772848170429916717
SELU_SCALE = 1.0507009873554804934193349852946
"""The fixed point with mean 0 and variance 1 (Klambauer et al. 2017, equation 14)."""


def _floating(op: str, input: Operand) -> Tensor:
    x = as_tensor(input)
    require_floating(op, x.spec)
    return x


def relu(input: Operand, inplace: bool = False) -> Tensor:
    """max(x, 0); the gradient at 0 is 0."""
    return ops.relu(input)


def sigmoid(input: Operand) -> Tensor:
    """1 / (1 + e^-x)."""
    return ops.sigmoid(input)


def tanh(input: Operand) -> Tensor:
    """The hyperbolic tangent."""
    return ops.tanh(input)


def softplus(input: Operand, beta: float = 1.0, threshold: float = 20.0) -> Tensor:
    """ln(1 + e^(beta x)) / beta, and x where beta x > threshold."""
    return ops.softplus(input, beta, threshold)


def relu6(input: Operand, inplace: bool = False) -> Tensor:
    """min(max(x, 0), 6); the gradient at 0 and 6 is 0."""
    return _hardtanh(_floating("relu6", input), 0.0, 6.0)


def hardtanh(
    input: Operand, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False
) -> Tensor:
    """min(max(x, min_val), max_val); the gradient at the two is 0."""
    return _hardtanh(input, min_val, max_val)


def hardsigmoid(input: Operand, inplace: bool = False) -> Tensor:
    """min(max(x + 3, 0), 6) / 6."""
    return relu6(_floating("hardsigmoid", input) + 3) / 6


def hardswish(input: Operand, inplace: bool = False) -> Tensor:
    """x min(max(x + 3, 0), 6) / 6 (Howard et al. 2019, section 5.2)."""
    x = _floating("hardswish", input)
    return x * hardsigmoid(x)


def leaky_relu(input: Operand, negative_slope: float = 0.01, inplace: bool = False) -> Tensor:
    """x where x > 0, else negative_slope · x."""
    x = _floating("leaky_relu", input)
    return where(x > 0, x, x * as_number("leaky_relu", "negative_slope", negative_slope))


def prelu(input: Operand, weight: Operand) -> Tensor:
    """x where x > 0, else w x, where w is one number, or one a channel of (N, C, ...)
    (He et al. 2015, equation 1)."""
    x, w = _floating("prelu", input), as_tensor(weight)
    common_dtype("prelu", x.spec, w.spec)
    channels = x.shape[1] if x.ndim > 1 else 1
    if w.ndim > 1 or w.size not in (1, channels):
        raise ShapeError(
            f"prelu: weight takes one number or one a channel, ({channels},) for an input of shape "
            f"{x.shape}, got shape {w.shape}"
        )
    axes = (1, w.size, *[1] * (x.ndim - 2)) if x.ndim > 1 else ()
    return where(x > 0, x, x * w.reshape(axes))


def _exponential(x: Tensor, alpha: float, beta: float) -> Tensor:
    """x where x > 0, else alpha (e^(beta x) - 1), whose exponential never sees a positive x."""
    above = x > 0
    return where(above, x, expm1(where(above, 0, x) * beta) * alpha)


def elu(input: Operand, alpha: float = 1.0, inplace: bool = False) -> Tensor:
    """x where x > 0, else alpha (e^x - 1) (Clevert et al. 2016, equation 15)."""
    return _exponential(_floating("elu", input), as_number("elu", "alpha", alpha), 1.0)


def selu(input: Operand, inplace: bool = False) -> Tensor:
    """λ x where x > 0, else λ α (e^x - 1) (Klambauer et al. 2017, equation 2)."""
    return _exponential(_floating("selu", input), SELU_ALPHA, 1.0) * SELU_SCALE


def celu(input: Operand, alpha: float = 1.0, inplace: bool = False) -> Tensor:
    """x where x > 0, else alpha (e^(x / alpha) - 1) (Barron 2017, equation 2)."""
    x, width = _floating("celu", input), as_number("celu", "alpha", alpha)
    if width == 0:
        raise ArgumentError("celu: alpha takes a number other than 0, got 0")
    return _exponential(x, width, 1 / width)


def gelu(input: Operand, approximate: str = "none") -> Tensor:
    """x Φ(x), where Φ is the normal distribution, exact or (`approximate="tanh"`) by tanh."""
    return ops.gelu(input, approximate)


def silu(input: Operand, inplace: bool = False) -> Tensor:
    """x σ(x), where σ is the sigmoid (Elfwing et al. 2018, equation 6)."""
    x = _floating("silu", input)
    return x * sigmoid(x)


def mish(input: Operand, inplace: bool = False) -> Tensor:
    """x tanh(ln(1 + e^x)) (Misra 2019, equation 1)."""
    x = _floating("mish", input)
    return x * tanh(softplus(x))


def softsign(input: Operand) -> Tensor:
    """x / (1 + |x|)."""
    x = _floating("softsign", input)
    return x / (1 + abs(x))


def logsigmoid(input: Operand) -> Tensor:
    """ln σ(x), where σ is the sigmoid."""
    return -softplus(-_floating("logsigmoid", input), threshold=math.inf)


def glu(input: Operand, dim: int = -1) -> Tensor:
    """a σ(b) of the two halves a and b of x along `dim` (Dauphin et al. 2017, equation 1)."""
    x = _floating("glu", input)
    axis = normalize_axis("glu", dim, x.ndim)
    if x.shape[axis] % 2:
        raise ShapeError(f"glu: takes an even length along axis {axis}, got shape {x.shape}")
    a, b = ops.split(x, 2, axis)
    return a * sigmoid(b)


def _scores(op: str, input: Operand, dim: int | None, dtype: Any) -> tuple[Tensor, int]:
    """The input in the dtype asked for, and the axis: without one PyTorch's old choice."""
    x = as_tensor(input)
    x = x if dtype is None else x.astype(dtype)
    if dim is None:
        dim = 0 if x.ndim in (0, 1, 3) else 1
    return _floating(op, x), normalize_axis(op, dim, x.ndim)


def softmax(input: Operand, dim: int | None = None, *, dtype: Any = None) -> Tensor:
    """e^x / Σ e^x along `dim`; by default 0 for one axis or three, else 1, as in PyTorch."""
    return ops.softmax(*_scores("softmax", input, dim, dtype))


def softmin(input: Operand, dim: int | None = None, *, dtype: Any = None) -> Tensor:
    """The softmax of -x along `dim`; by default as `softmax`."""
    x, axis = _scores("softmin", input, dim, dtype)
    return ops.softmax(-x, axis)


def log_softmax(input: Operand, dim: int | None = None, *, dtype: Any = None) -> Tensor:
    """The logarithm of the softmax of `input` along `dim`; by default as `softmax`."""
    return ops.log_softmax(*_scores("log_softmax", input, dim, dtype))
