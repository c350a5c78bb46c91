"""softmax: scores as shares of 1. Its logarithm stands with the losses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from minigrad.errors import ShapeError
from minigrad.op import Call, Cost, Op, bytes_moved
from minigrad.spec import Spec, normalize_axis, require_floating
from minigrad.tensor import Array, Operand, Tensor, apply, as_tensor


@dataclass(frozen=True)
class Softmax(Op):
    """y = e^x / Σ e^x along the axis, computed with the maximum taken out so that nothing
    overflows.  dL/dx = y (dL/dy - Σ y dL/dy)  (Goodfellow et al. 2016, section 6.2.2.3)."""

    name: ClassVar[str] = "softmax"
    reads_outputs: ClassVar[tuple[tuple[int, ...], ...]] = ((0,),)
    axis: int

    def infer(self, x: Spec) -> Spec:
        require_floating("softmax", x)
        if x.shape[self.axis] == 0:
            raise ShapeError(f"softmax: axis {self.axis} of shape {x.shape} is empty")
        return x

    def forward(self, x: Array) -> Array:
        y = x - np.max(x, axis=self.axis, keepdims=True)
        np.exp(y, out=y)
        y /= np.sum(y, axis=self.axis, keepdims=True)
        result: Array = y
        return result

    def backward(self, call: Call, cotangent: Tensor) -> Tensor:
        (y,) = call.outputs
        weighted = y * cotangent
        return weighted - y * weighted.sum(axis=self.axis, keepdims=True)

    def cost(self, inputs: Sequence[Spec], outputs: Sequence[Spec]) -> Cost:
        return Cost(0, 5 * inputs[0].size, bytes_moved(inputs, outputs))


def softmax(x: Operand, axis: int = -1) -> Tensor:
    """e^x / Σ e^x along `axis`: positive shares whose sum is 1."""
    x = as_tensor(x)
    return apply(Softmax(normalize_axis("softmax", axis, x.ndim)), x)
