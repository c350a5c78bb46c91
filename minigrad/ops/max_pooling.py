"""Max pooling over one to three axes, adaptive max pooling, and what undoes them.

A max pooling keeps which tap of each window won, mostly one byte; its gradient hands the
cotangents to these taps, and the gradient of that gathers from them.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any, ClassVar

import numpy as np

from minigrad import kernels
from minigrad.errors import ArgumentError, IndexingError, ShapeError
from minigrad.op import Call
from minigrad.ops.indexing import setitem
from minigrad.ops.movement import require_integers
from minigrad.ops.pooling import Adaptive, AdaptiveSize, Pooling, Size, sliding_window
from minigrad.spec import Shape, Spec, Window, as_integer, int64, require_floating
from minigrad.tensor import Array, Operand, Tensor, apply, as_tensor, constant

__all__ = [
    "adaptive_max_pool1d",
    "adaptive_max_pool2d",
    "adaptive_max_pool3d",
    "max_pool1d",
    "max_pool2d",
    "max_pool3d",
    "max_unpool1d",
    "max_unpool2d",
    "max_unpool3d",
]


class MaxPool(Pooling):
    """y = max x over each window, with the number of the tap that it is at.

    The first in window order wins a tie, and NaN wins over numbers. dy/dx = 1 at the maximum.
    """

    reads_outputs = ((1,),)

    def infer(self, x: Spec) -> tuple[Spec, Spec]:
        y = self.pooled(x)
        tables = self.tables(x.shape[-self.axes :])
        kernels.pooling_windows.require_real_taps(self.name, tables)
        return y, Spec.of(y.shape, kernels.pooling_windows.taps_dtype(tables))

    def forward(self, x: Array) -> tuple[Array, Array]:
        return kernels.pooling.max_pool(x, self.tables(x.shape[-self.axes :]))

    def backward(self, call: Call, cotangent: Tensor | None, _: Tensor | None) -> Tensor | None:
        size = call.input_specs[0].shape[-self.axes :]
        if cotangent is None:
            return None
        gradient: Tensor = apply(MaxPoolBackward(self.window, size), cotangent, call.outputs[1])
        return gradient


class MaxPool1d(MaxPool):
    """Max pooling of ([N,] C, L): see MaxPool."""

    name = "max_pool1d"


class MaxPool2d(MaxPool):
    """Max pooling of ([N,] C, H, W): see MaxPool."""

    name = "max_pool2d"


class MaxPool3d(MaxPool):
    """Max pooling of ([N,] C, D, H, W): see MaxPool."""

    name = "max_pool3d"


class AdaptiveMaxPool1d(MaxPool):
    """Max pooling of ([N,] C, L) to a given length: see MaxPool and Adaptive."""

    name = "adaptive_max_pool1d"


class AdaptiveMaxPool2d(MaxPool):
    """Max pooling of ([N,] C, H, W) to a given size: see MaxPool and Adaptive."""

    name = "adaptive_max_pool2d"


class AdaptiveMaxPool3d(MaxPool):
    """Max pooling of ([N,] C, D, H, W) to a given size: see MaxPool and Adaptive."""

    name = "adaptive_max_pool3d"


@dataclass(frozen=True)
class TapPooling(Pooling):
    """What reads the taps of a max pooling of an input of this size."""

    input_size: Shape

    def check_taps(self, taps: Spec, shape: Shape) -> None:
        """Raise unless these are the taps of a result of this shape."""
        expected = Spec.of(shape, kernels.pooling_windows.taps_dtype(self.tables(self.input_size)))
        if taps != expected:
            raise ShapeError(f"{self.name}: takes taps {expected}, got {taps}")


@dataclass(frozen=True)
class MaxPoolBackward(TapPooling):
    """The gradient of a max pooling: each cotangent is added at the tap of its maximum (a tap on
    the padding adds nothing).

    Linear; its own gradient is the gather at these taps.
    """

    name: ClassVar[str] = "max_pool_backward"
    reads_inputs: ClassVar[tuple[tuple[int, ...], ...]] = ((1,),)

    def infer(self, grad: Spec, taps: Spec) -> Spec:
        x = Spec.of((*grad.shape[: grad.ndim - self.axes], *self.input_size), grad.dtype)
        if self.pooled(x) != grad:
            raise ShapeError(
                f"{self.name}: {grad} is not a pooling of {self.input_size} by {self.window}"
            )
        self.check_taps(taps, grad.shape)
        return x

    def forward(self, grad: Array, taps: Array) -> Array:
        return kernels.pooling.max_pool_backward(grad, taps, self.tables(self.input_size))

    def backward(self, call: Call, cotangent: Tensor) -> tuple[Tensor, None]:
        gather = MaxPoolGather(self.window, self.input_size)
        return apply(gather, cotangent, call.inputs[1]), None


@dataclass(frozen=True)
class MaxPoolGather(TapPooling):
    """y = x at one tap of each window, 0 at a tap on the padding. Its gradient puts each cotangent
    there."""

    name: ClassVar[str] = "max_pool_gather"
    reads_inputs: ClassVar[tuple[tuple[int, ...], ...]] = ((1,),)

    def infer(self, x: Spec, taps: Spec) -> Spec:
        y = self.pooled(x)
        if x.shape[-self.axes :] != self.input_size:
            raise ShapeError(f"{self.name}: takes an input of {self.input_size}, got {x}")
        self.check_taps(taps, y.shape)
        return y

    def forward(self, x: Array, taps: Array) -> Array:
        return kernels.pooling.max_pool_gather(x, taps, self.tables(self.input_size))

    def backward(self, call: Call, cotangent: Tensor) -> tuple[Tensor, None]:
        spread = MaxPoolBackward(self.window, self.input_size)
        return apply(spread, cotangent, call.inputs[1]), None


@dataclass(frozen=True)
class MaxPoolIndices(TapPooling):
    """The flat indices (d H + h) W + w into each plane of the taps of its windows."""

    name: ClassVar[str] = "max_pool_indices"
    differentiable: ClassVar[bool] = False

    def infer(self, taps: Spec) -> Spec:
        lengths = self.window.output_size(self.name, self.input_size)
        self.check_taps(taps, (*taps.shape[: taps.ndim - self.axes], *lengths))
        return Spec.of(taps.shape, int64)

    def forward(self, taps: Array) -> Array:
        return kernels.pooling.max_pool_indices(taps, self.tables(self.input_size))


SLIDING: dict[int, type[MaxPool]] = {1: MaxPool1d, 2: MaxPool2d, 3: MaxPool3d}
ADAPTIVE: dict[int, type[MaxPool]] = {
    1: AdaptiveMaxPool1d,
    2: AdaptiveMaxPool2d,
    3: AdaptiveMaxPool3d,
}


def _pooled(pool: MaxPool, input: Operand, return_indices: bool) -> Any:
    x = as_tensor(input)
    y, taps = apply(pool, x)
    if not return_indices:
        return y
    return y, apply(MaxPoolIndices(pool.window, x.shape[-pool.axes :]), taps)


def max_pool1d(
    input: Operand,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Any = 0,
    dilation: Size = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """The maximum over each window of `input` ([N,] C, L): see `max_pool2d`."""
    how = kernel_size, stride, padding, dilation, ceil_mode
    return _pooled(MaxPool1d(sliding_window("max_pool1d", 1, *how)), input, return_indices)


def max_pool2d(
    input: Operand,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Any = 0,
    dilation: Size = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """The maximum over each window of `input` ([N,] C, H, W), as PyTorch's max_pool2d.

    `stride` is by default the kernel_size; `padding`, at most half a window, never wins. With
    `ceil_mode` the last window may stick out. With `return_indices` also where the maximum was:
    flat indices h W + w into each plane, int64. The first of equal elements wins, and receives
    the gradient; NaN beats numbers. Raises ShapeError, DtypeError, ArgumentError.
    """
    how = kernel_size, stride, padding, dilation, ceil_mode
    return _pooled(MaxPool2d(sliding_window("max_pool2d", 2, *how)), input, return_indices)


def max_pool3d(
    input: Operand,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Any = 0,
    dilation: Size = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """The maximum over each window of `input` ([N,] C, D, H, W): see `max_pool2d`."""
    how = kernel_size, stride, padding, dilation, ceil_mode
    return _pooled(MaxPool3d(sliding_window("max_pool3d", 3, *how)), input, return_indices)


def _adapted(axes: int, input: Operand, output_size: AdaptiveSize, return_indices: bool) -> Any:
    pool = ADAPTIVE[axes]
    return _pooled(pool(Adaptive.of(pool.name, axes, output_size)), input, return_indices)


def adaptive_max_pool1d(
    input: Operand, output_size: AdaptiveSize, return_indices: bool = False
) -> Any:
    """The maxima of `output_size` windows of `input` ([N,] C, L): see `adaptive_max_pool2d`."""
    return _adapted(1, input, output_size, return_indices)


def adaptive_max_pool2d(
    input: Operand, output_size: AdaptiveSize, return_indices: bool = False
) -> Any:
    """([N,] C, H, W) to ([N,] C, *output_size), as PyTorch's adaptive_max_pool2d.

    Of n windows along a length L, window o is the maximum from floor(o L / n) to, and not with,
    ceil((o + 1) L / n). None leaves a length as it is. Ties, NaN and indices as in `max_pool2d`.
    """
    return _adapted(2, input, output_size, return_indices)


def adaptive_max_pool3d(
    input: Operand, output_size: AdaptiveSize, return_indices: bool = False
) -> Any:
    """([N,] C, D, H, W) to ([N,] C, *output_size): see `adaptive_max_pool2d`."""
    return _adapted(3, input, output_size, return_indices)


def _unpooled_size(op: str, window: Window, pooled: Shape, output_size: Any) -> Shape:
    """(n - 1) stride - padding + kernel, or what is asked for if it is less than a stride off."""
    usual = tuple(
        [
            (n - 1) * step - before - after + size
            for n, step, (before, after), size in zip(
                pooled, window.stride, window.padding, window.kernel_size, strict=True
            )
        ]
    )
    if output_size is None:
        if min(usual) < 1:
            raise ShapeError(f"{op}: the result would have the size {usual}")
        return usual
    listed = tuple(output_size) if isinstance(output_size, (tuple, list)) else (output_size,)
    size = tuple([as_integer(op, "output_size", n) for n in listed[-len(usual) :]])
    near = zip(size, usual, window.stride, strict=False)
    if len(size) != len(usual) or not all(abs(n - u) < s and n > 0 for n, u, s in near):
        raise ArgumentError(
            f"{op}: output_size must be less than the stride {window.stride} away from {usual}, "
            f"got {output_size!r}"
        )
    return size


def _unpooled(
    axes: int,
    input: Operand,
    indices: Operand,
    kernel_size: Size,
    stride: Size | None,
    padding: Any,
    output_size: Any,
) -> Tensor:
    op, x, places = f"max_unpool{axes}d", as_tensor(input), as_tensor(indices)
    require_floating(op, x.spec)
    require_integers(op, "indices", places)
    window = sliding_window(op, axes, kernel_size, stride, padding)
    if x.ndim - axes not in (1, 2) or x.shape != places.shape or 0 in x.shape:
        raise ShapeError(
            f"{op}: takes an input ([N,] C, ...) with {axes} axes of space, none empty, and "
            f"indices of the same shape, got {x.shape} and {places.shape}"
        )
    lead = x.shape[: x.ndim - axes]
    size = _unpooled_size(op, window, x.shape[x.ndim - axes :], output_size)
    length = prod(size)
    if not places.is_abstract:
        positions = places.numpy()
        if positions.min() < 0 or positions.max() >= length:
            raise IndexingError(
                f"{op}: indices into planes of {size} lie in 0 <= index < {length}, got "
                f"{positions.min()} to {positions.max()}"
            )
    planes = np.repeat(np.arange(prod(lead)) * length, x.size // prod(lead))
    zeros = constant(np.zeros(prod(lead) * length, x.dtype))
    flat = places.reshape(-1).astype("int64") + constant(planes)
    return setitem(zeros, flat, x.reshape(-1)).reshape((*lead, *size))


def max_unpool1d(
    input: Operand,
    indices: Operand,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Any = 0,
    output_size: Any = None,
) -> Tensor:
    """`input` ([N,] C, L) put where a max_pool1d found it: see `max_unpool2d`."""
    return _unpooled(1, input, indices, kernel_size, stride, padding, output_size)


def max_unpool2d(
    input: Operand,
    indices: Operand,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Any = 0,
    output_size: Any = None,
) -> Tensor:
    """Zeros, with `input` ([N,] C, H, W) at the flat `indices` that `max_pool2d` gave.

    The result has (n - 1) stride - padding before and after + kernel_size along each axis, or
    `output_size`, less than a stride away. Of values at one place the last stays, and receives
    the gradient. Raises ShapeError, ArgumentError, IndexingError.
    """
    return _unpooled(2, input, indices, kernel_size, stride, padding, output_size)


def max_unpool3d(
    input: Operand,
    indices: Operand,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Any = 0,
    output_size: Any = None,
) -> Tensor:
    """`input` ([N,] C, D, H, W) put where a max_pool3d found it: see `max_unpool2d`."""
    return _unpooled(3, input, indices, kernel_size, stride, padding, output_size)
