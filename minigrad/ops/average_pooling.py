"""Average pooling over one to three axes, adaptive and power-average (LP) pooling.

Averaging is linear: its gradient spreads each cotangent over its window, and the gradient of that
is the averaging again.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

from minigrad import kernels
from minigrad.errors import ArgumentError, ShapeError
from minigrad.op import Call
from minigrad.ops.elementwise import where
from minigrad.ops.pooling import Adaptive, AdaptiveSize, Pooling, Size, sliding_window
from minigrad.spec import Shape, Spec, as_integer
from minigrad.tensor import Array, Operand, Tensor, apply, as_tensor

__all__ = [
    "adaptive_avg_pool1d",
    "adaptive_avg_pool2d",
    "adaptive_avg_pool3d",
    "avg_pool1d",
    "avg_pool2d",
    "avg_pool3d",
    "lp_pool1d",
    "lp_pool2d",
    "lp_pool3d",
]


@dataclass(frozen=True)
class AvgPool(Pooling):
    """y = (1 / n) Σ x over each window, n being the positions that count.

    With `count_include_pad` the zeros of the padding count; `divisor_override` stands in the place
    of n. dy/dx = 1 / n in each window.
    """

    count_include_pad: bool = True
    divisor_override: int | None = None

    def infer(self, x: Spec) -> Spec:
        return self.pooled(x)

    def forward(self, x: Array) -> Array:
        tables = self.tables(x.shape[-self.axes :])
        return kernels.pooling.avg_pool(x, tables, self.count_include_pad, self.divisor_override)

    def backward(self, call: Call, cotangent: Tensor) -> Tensor:
        size = call.input_specs[0].shape[-self.axes :]
        spread = AvgPoolBackward(self.window, self.count_include_pad, self.divisor_override, size)
        gradient: Tensor = apply(spread, cotangent)
        return gradient


class AvgPool1d(AvgPool):
    """Average pooling of ([N,] C, L): see AvgPool."""

    name = "avg_pool1d"


class AvgPool2d(AvgPool):
    """Average pooling of ([N,] C, H, W): see AvgPool."""

    name = "avg_pool2d"


class AvgPool3d(AvgPool):
    """Average pooling of ([N,] C, D, H, W): see AvgPool."""

    name = "avg_pool3d"


class AdaptiveAvgPool1d(AvgPool):
    """Average pooling of ([N,] C, L) to a given length: see AvgPool and Adaptive."""

    name = "adaptive_avg_pool1d"


class AdaptiveAvgPool2d(AvgPool):
    """Average pooling of ([N,] C, H, W) to a given size: see AvgPool and Adaptive."""

    name = "adaptive_avg_pool2d"


class AdaptiveAvgPool3d(AvgPool):
    """Average pooling of ([N,] C, D, H, W) to a given size: see AvgPool and Adaptive."""

    name = "adaptive_avg_pool3d"


SLIDING: dict[int, type[AvgPool]] = {1: AvgPool1d, 2: AvgPool2d, 3: AvgPool3d}
ADAPTIVE: dict[int, type[AvgPool]] = {
    1: AdaptiveAvgPool1d,
    2: AdaptiveAvgPool2d,
    3: AdaptiveAvgPool3d,
}


@dataclass(frozen=True)
class AvgPoolBackward(AvgPool):
    """The gradient of an average pooling: each cotangent, divided by n, to all its window.

    Linear; its own gradient is the average pooling.
    """

    name: ClassVar[str] = "avg_pool_backward"
    input_size: Shape = ()

    def infer(self, grad: Spec) -> Spec:
        x = Spec.of((*grad.shape[: grad.ndim - self.axes], *self.input_size), grad.dtype)
        if self.pooled(x) != grad:
            raise ShapeError(
                f"{self.name}: {grad} is not a pooling of {self.input_size} by {self.window}"
            )
        return x

    def forward(self, grad: Array) -> Array:
        tables = self.tables(self.input_size)
        how = self.count_include_pad, self.divisor_override
        return kernels.pooling.avg_pool_backward(grad, tables, *how)

    def backward(self, call: Call, cotangent: Tensor) -> Tensor:
        pool = (ADAPTIVE if isinstance(self.window, Adaptive) else SLIDING)[self.axes]
        how = self.window, self.count_include_pad, self.divisor_override
        gradient: Tensor = apply(pool(*how), cotangent)
        return gradient


def _averaged(
    axes: int,
    input: Operand,
    kernel_size: Size,
    stride: Size | None,
    padding: Any,
    ceil_mode: bool,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Tensor:
    pool = SLIDING[axes]
    window = sliding_window(pool.name, axes, kernel_size, stride, padding, 1, ceil_mode)
    if divisor_override is not None:
        divisor_override = as_integer(pool.name, "divisor_override", divisor_override)
        if divisor_override == 0:
            raise ArgumentError(f"{pool.name}: divisor_override must not be 0")
    y: Tensor = apply(pool(window, bool(count_include_pad), divisor_override), as_tensor(input))
    return y


def avg_pool1d(
    input: Operand,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Any = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> Tensor:
    """The average over each window of `input` ([N,] C, L), as PyTorch's avg_pool1d."""
    return _averaged(1, input, kernel_size, stride, padding, ceil_mode, count_include_pad)


def avg_pool2d(
    input: Operand,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Any = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Tensor:
    """The average over each window of `input` ([N,] C, H, W), as PyTorch's avg_pool2d.

    `stride` is by default the kernel_size; `padding` is zeros, at most half a window, one number
    an axis or pairs (before, after), counted with `count_include_pad`. With `ceil_mode` the last
    window may stick out. A `divisor_override` stands in the place of the count. Raises ShapeError,
    DtypeError, ArgumentError.
    """
    how = padding, ceil_mode, count_include_pad, divisor_override
    return _averaged(2, input, kernel_size, stride, *how)


def avg_pool3d(
    input: Operand,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Any = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Tensor:
    """The average over each window of `input` ([N,] C, D, H, W): see `avg_pool2d`."""
    how = padding, ceil_mode, count_include_pad, divisor_override
    return _averaged(3, input, kernel_size, stride, *how)


def _adapted(axes: int, input: Operand, output_size: AdaptiveSize) -> Tensor:
    pool = ADAPTIVE[axes]
    y: Tensor = apply(pool(Adaptive.of(pool.name, axes, output_size)), as_tensor(input))
    return y


def adaptive_avg_pool1d(input: Operand, output_size: AdaptiveSize) -> Tensor:
    """The averages over `output_size` windows of `input` ([N,] C, L): see `adaptive_avg_pool2d`."""
    return _adapted(1, input, output_size)


def adaptive_avg_pool2d(input: Operand, output_size: AdaptiveSize) -> Tensor:
    """([N,] C, H, W) to ([N,] C, *output_size), as PyTorch's adaptive_avg_pool2d.

    Of n windows along a length L, window o is the average from floor(o L / n) to, and not with,
    ceil((o + 1) L / n). None leaves a length as it is; (1, 1) is the average of the plane.
    """
    return _adapted(2, input, output_size)


def adaptive_avg_pool3d(input: Operand, output_size: AdaptiveSize) -> Tensor:
    """([N,] C, D, H, W) to ([N,] C, *output_size): see `adaptive_avg_pool2d`."""
    return _adapted(3, input, output_size)


def _powered(
    axes: int,
    input: Operand,
    norm_type: float,
    kernel_size: Size,
    stride: Size | None,
    ceil_mode: bool,
) -> Tensor:
    name = f"lp_pool{axes}d"
    if isinstance(norm_type, bool) or not isinstance(norm_type, (int, float)):
        raise ArgumentError(f"{name}: norm_type takes a number, got {norm_type!r}")
    if not 0 < norm_type < math.inf:
        raise ArgumentError(f"{name}: norm_type must be positive and finite, got {norm_type!r}")
    window = sliding_window(name, axes, kernel_size, stride, 0, 1, ceil_mode)
    x = as_tensor(input)
    how = window.kernel_size, window.stride, window.padding, ceil_mode
    if norm_type == 1:
        return _averaged(axes, x, *how) * math.prod(window.kernel_size)
    total = _averaged(axes, x**norm_type, *how) * math.prod(window.kernel_size)
    empty = total == 0  # there the root has no derivative
    return where(empty, 0.0, where(empty, 1.0, total) ** (1 / norm_type))


def lp_pool1d(
    input: Operand,
    norm_type: float,
    kernel_size: Size,
    stride: Size | None = None,
    ceil_mode: bool = False,
) -> Tensor:
    """(Σ x^p)^(1 / p) over each window of `input` ([N,] C, L): see `lp_pool2d`."""
    return _powered(1, input, norm_type, kernel_size, stride, ceil_mode)


def lp_pool2d(
    input: Operand,
    norm_type: float,
    kernel_size: Size,
    stride: Size | None = None,
    ceil_mode: bool = False,
) -> Tensor:
    """(Σ x^p)^(1 / p) over each window of `input` ([N,] C, H, W), as PyTorch's lp_pool2d.

    p is `norm_type`, positive: 1 sums, and the larger p, the nearer the maximum of |x|. Where the
    sum is 0 the gradient is 0. A window that sticks out (`ceil_mode`) takes the mean of its
    elements for those it lacks. NaN where a negative number has no root.
    """
    return _powered(2, input, norm_type, kernel_size, stride, ceil_mode)


def lp_pool3d(
    input: Operand,
    norm_type: float,
    kernel_size: Size,
    stride: Size | None = None,
    ceil_mode: bool = False,
) -> Tensor:
    """(Σ x^p)^(1 / p) over each window of `input` ([N,] C, D, H, W): see `lp_pool2d`."""
    return _powered(3, input, norm_type, kernel_size, stride, ceil_mode)
