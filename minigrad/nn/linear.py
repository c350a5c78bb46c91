"""Fully connected layers, and the reshaping around them: Linear, Flatten, Identity."""

from __future__ import annotations

import math
from typing import Any

from minigrad import ops
from minigrad.creation import zeros
from minigrad.errors import ArgumentError
from minigrad.nn import functional, init
from minigrad.nn.module import Module
from minigrad.nn.parameter import Parameter
from minigrad.spec import as_integer, float32
from minigrad.tensor import Tensor

__all__ = ["Bilinear", "Flatten", "Identity", "Linear"]


class Linear(Module):
    """y = x Wᵀ + b for x (..., in_features).

    Weight (out_features, in_features) and bias start uniform within ±1 / sqrt(in_features),
    PyTorch's default.
    """

    weight: Parameter
    bias: Parameter | None

    def __init__(
        self, in_features: int, out_features: int, bias: bool = True, dtype: Any = float32
    ) -> None:
        super().__init__()
        for name, value in {"in_features": in_features, "out_features": out_features}.items():
            if as_integer("Linear", name, value) < 1:
                raise ArgumentError(f"Linear: {name} must be at least 1, got {value}")
        self.in_features = in_features
        self.out_features = out_features
        self.weight = Parameter(zeros((out_features, in_features), dtype))
        self.register_parameter("bias", Parameter(zeros(out_features, dtype)) if bias else None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw weight and bias anew."""
        init.kaiming_uniform_(self.weight, a=math.sqrt(5))
        if self.bias is not None:
            bound = 1 / math.sqrt(self.in_features)
            init.uniform_(self.bias, -bound, bound)

    def forward(self, input: Tensor) -> Tensor:
        return functional.linear(input, self.weight, self.bias)

    def extra_repr(self) -> str:
        return (
            f"in_features={self.in_features}, out_features={self.out_features}, "
            f"bias={self.bias is not None}"
        )


class Bilinear(Module):
    """y_k = x1ᵀ W_k x2 + b_k; see `functional.bilinear`.

    Weight (out_features, in1_features, in2_features) and bias start uniform within
    ±1 / sqrt(in1_features), PyTorch's default.
    """

    weight: Parameter
    bias: Parameter | None

    def __init__(
        self,
        in1_features: int,
        in2_features: int,
        out_features: int,
        bias: bool = True,
        dtype: Any = float32,
    ) -> None:
        super().__init__()
        sizes = {"in1_features": in1_features, "in2_features": in2_features}
        for name, value in {**sizes, "out_features": out_features}.items():
            if as_integer("Bilinear", name, value) < 1:
                raise ArgumentError(f"Bilinear: {name} must be at least 1, got {value}")
        self.in1_features = in1_features
        self.in2_features = in2_features
        self.out_features = out_features
        self.weight = Parameter(zeros((out_features, in1_features, in2_features), dtype))
        self.register_parameter("bias", Parameter(zeros(out_features, dtype)) if bias else None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw weight and bias anew."""
        bound = 1 / math.sqrt(self.in1_features)
        init.uniform_(self.weight, -bound, bound)
        if self.bias is not None:
            init.uniform_(self.bias, -bound, bound)

    def forward(self, input1: Tensor, input2: Tensor) -> Tensor:
        return functional.bilinear(input1, input2, self.weight, self.bias)

    def extra_repr(self) -> str:
        return (
            f"in1_features={self.in1_features}, in2_features={self.in2_features}, "
            f"out_features={self.out_features}, bias={self.bias is not None}"
        )


class Flatten(Module):
    """Makes the axes from `start_dim` to `end_dim` one; by default all but the batch axis."""

    def __init__(self, start_dim: int = 1, end_dim: int = -1) -> None:
        super().__init__()
        self.start_dim = start_dim
        self.end_dim = end_dim

    def forward(self, input: Tensor) -> Tensor:
        return ops.flatten(input, self.start_dim, self.end_dim)

    def extra_repr(self) -> str:
        return f"start_dim={self.start_dim}, end_dim={self.end_dim}"


class Identity(Module):
    """Returns its input; takes any arguments and ignores them, as PyTorch's."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__()

    def forward(self, input: Tensor) -> Tensor:
        return input
