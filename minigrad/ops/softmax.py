"""softmax, scores as shares of 1, and its logarithm: the maximum taken out, nothing overflows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from minigrad import kernels
from minigrad.errors import ShapeError
from minigrad.op import Call, Cost, Op, bytes_moved
from minigrad.spec import Spec, normalize_axis, require_floating
from minigrad.tensor import Array, Operand, Tensor, apply, as_tensor

__all__ = ["log_softmax", "softmax"]


@dataclass(frozen=True)
class Shares(Op):
    """An op of scores that are shares of 1 along an axis, or stand for them."""

    reads_outputs: ClassVar[tuple[tuple[int, ...], ...]] = ((0,),)
    axis: int

    def infer(self, x: Spec) -> Spec:
        require_floating(self.name, x)
        if x.shape[self.axis] == 0:
            raise ShapeError(f"{self.name}: axis {self.axis} of shape {x.shape} is empty")
        return x

    def cost(self, inputs: Sequence[Spec], outputs: Sequence[Spec]) -> Cost:
        return Cost(0, 5 * inputs[0].size, bytes_moved(inputs, outputs))


class Softmax(Shares):
    """y = e^x / Σ e^x along the axis, computed with the maximum taken out so that nothing
    overflows.  dL/dx = y (dL/dy - Σ y dL/dy)  (Goodfellow et al. 2016, section 6.2.2.3)."""

    name = "softmax"

    def forward(self, x: Array) -> Array:
        return kernels.softmax.softmax(x, self.axis) if x.size else x.copy()

    def backward(self, call: Call, cotangent: Tensor) -> Tensor:
        (y,) = call.outputs
        weighted = y * cotangent
        return weighted - y * weighted.sum(axis=self.axis, keepdims=True)


def softmax(x: Operand, axis: int = -1) -> Tensor:
    """e^x / Σ e^x along `axis`: positive shares whose sum is 1.

    Raises ShapeError where the axis is empty, DtypeError for what is not floating-point.
    """
    x = as_tensor(x)
    return apply(Softmax(normalize_axis("softmax", axis, x.ndim)), x)


class LogSoftmax(Shares):
    """y = x - ln Σ e^x along the axis, computed with the maximum taken out so that nothing
    overflows.  dL/dx = dL/dy - e^y Σ dL/dy  (Goodfellow et al. 2016, section 6.2.2.3)."""

    name = "log_softmax"

    def forward(self, x: Array) -> Array:
        return kernels.softmax.log_softmax(x, self.axis) if x.size else x.copy()

    def backward(self, call: Call, cotangent: Tensor) -> Tensor:
        (y,) = call.outputs
        return cotangent - y.exp() * cotangent.sum(axis=self.axis, keepdims=True)


def log_softmax(x: Operand, axis: int = -1) -> Tensor:
    """The logarithm of the softmax of x along `axis`; raises what `softmax` raises."""
    x = as_tensor(x)
    return apply(LogSoftmax(normalize_axis("log_softmax", axis, x.ndim)), x)
