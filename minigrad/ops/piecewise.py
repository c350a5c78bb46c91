"""hardtanh: the identity between two numbers, flat outside."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from minigrad.errors import ArgumentError
from minigrad.op import Call
from minigrad.ops.elementwise import Elementwise, unary, where
from minigrad.ops.number import as_number
from minigrad.tensor import Array, Operand, Tensor


@dataclass(frozen=True)
class Hardtanh(Elementwise):
    """y = min(max(x, low), high).  dy/dx = 1 where low < x < high, else 0 (at the bounds a
    subgradient)."""

    name = "hardtanh"
    floating_only = True
    reads_outputs = ((0,),)
    low: float
    high: float

    def forward(self, x: Array) -> Array:
        return np.clip(x, x.dtype.type(self.low), x.dtype.type(self.high))

    def vjp(self, call: Call, cotangent: Tensor) -> Tensor:
        (y,) = call.outputs
        return where((y > self.low) & (y < self.high), cotangent, 0)


def hardtanh(x: Operand, min_val: float = -1.0, max_val: float = 1.0) -> Tensor:
    """x kept between two numbers, element by element; the gradient at these is 0. Raises
    ArgumentError where min_val > max_val."""
    low = as_number("hardtanh", "min_val", min_val)
    high = as_number("hardtanh", "max_val", max_val)
    if low > high:
        raise ArgumentError(f"hardtanh: min_val {low} is above max_val {high}")
    return unary(Hardtanh(low, high), x)
