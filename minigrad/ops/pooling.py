"""Average and maximum pooling over windows of the two last axes, with their gradients.

Average pooling is linear; max pooling keeps the indices of its maxima, through which both its
gradient (a scatter) and the gradient of that (a gather) go.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from minigrad import kernels
from minigrad.errors import ShapeError
from minigrad.op import Call, Cost, Op, bytes_moved
from minigrad.ops.movement import require_integers
from minigrad.spec import Spec, Window, as_padding, as_pair, int64, require_floating
from minigrad.tensor import Array, Operand, Tensor, apply, as_tensor

Size = tuple[int, int]


def _pooled(op: str, x: Spec, window: Window) -> Spec:
    """Spec of a pooling of x."""
    require_floating(op, x)
    if x.ndim != 4 or 0 in x.shape:
        raise ShapeError(
            f"{op}: takes an input (N, C, H, W) with every length at least 1, got shape {x.shape}"
        )
    n, c, h, w = x.shape
    return Spec.of((n, c, *window.output_size(op, (h, w))), x.dtype)


@dataclass(frozen=True)
class Pooling(Op):
    """What both poolings share: a window."""

    window: Window

    def cost(self, inputs: Any, outputs: Any) -> Cost:
        r, s = self.window.kernel_size
        pooled = min(inputs[0].size, outputs[0].size)
        return Cost(0, r * s * pooled, bytes_moved(inputs, outputs))


@dataclass(frozen=True)
class AvgPool2d(Pooling):
    """y = (1 / n) Σ x over each window, n being the positions that count.

    With `count_include_pad` the zeros of the padding count. dy/dx = 1 / n in each window.
    """

    name: ClassVar[str] = "avg_pool2d"
    count_include_pad: bool

    def infer(self, x: Spec) -> Spec:
        return _pooled("avg_pool2d", x, self.window)

    def forward(self, x: Array) -> Array:
        window = self.window
        size = window.output_size("avg_pool2d", x.shape[2:])
        return kernels.pool2d.avg_pool2d(
            x, size, window.kernel_size, window.stride, window.padding, self.count_include_pad
        )

    def backward(self, call: Call, cotangent: Tensor) -> Tensor:
        size = call.input_specs[0].plane
        gradient: Tensor = apply(
            AvgPool2dBackward(self.window, self.count_include_pad, size), cotangent
        )
        return gradient


@dataclass(frozen=True)
class AvgPool2dBackward(Pooling):
    """The gradient of an average pooling: each cotangent, divided by n, to all its window.

    Linear; its own gradient is the average pooling.
    """

    name: ClassVar[str] = "avg_pool2d_backward"
    count_include_pad: bool
    input_size: Size

    def infer(self, grad: Spec) -> Spec:
        x = Spec.of((*grad.shape[:2], *self.input_size), grad.dtype)
        if _pooled("avg_pool2d_backward", x, self.window) != grad:
            raise ShapeError(
                f"avg_pool2d_backward: {grad} is not a pooling of {self.input_size} by "
                f"{self.window}"
            )
        return x

    def forward(self, grad: Array) -> Array:
        window = self.window
        return kernels.pool2d.avg_pool2d_backward(
            grad,
            self.input_size,
            window.kernel_size,
            window.stride,
            window.padding,
            self.count_include_pad,
        )

    def backward(self, call: Call, cotangent: Tensor) -> Tensor:
        gradient: Tensor = apply(AvgPool2d(self.window, self.count_include_pad), cotangent)
        return gradient


class MaxPool2d(Pooling):
    """y = max x over each window, with the flat index h W + w of the maximum.

    The first in window order wins a tie, and NaN wins over numbers. dy/dx = 1 at the maximum.
    """

    name = "max_pool2d"
    reads_outputs = ((1,),)

    def infer(self, x: Spec) -> tuple[Spec, Spec]:
        y = _pooled("max_pool2d", x, self.window)
        return y, Spec.of(y.shape, int64)

    def forward(self, x: Array) -> tuple[Array, Array]:
        window = self.window
        size = window.output_size("max_pool2d", x.shape[2:])
        return kernels.pool2d.max_pool2d(
            x, size, window.kernel_size, window.stride, window.padding, window.dilation
        )

    def backward(self, call: Call, cotangent: Tensor, _: Tensor | None) -> Tensor:
        size = call.input_specs[0].plane
        gradient: Tensor = apply(MaxPool2dBackward(size), cotangent, call.outputs[1])
        return gradient


@dataclass(frozen=True)
class MaxPool2dBackward(Op):
    """The gradient of a max pooling: each cotangent is added at the index of its maximum.

    Linear; its own gradient is the gather at these indices.
    """

    name: ClassVar[str] = "max_pool2d_backward"
    reads_inputs: ClassVar[tuple[tuple[int, ...], ...]] = ((1,),)
    input_size: Size

    def infer(self, grad: Spec, indices: Spec) -> Spec:
        if grad.ndim != 4 or indices != Spec.of(grad.shape, int64):
            raise ShapeError(f"max_pool2d_backward: {grad} and indices {indices} do not fit")
        return Spec.of((*grad.shape[:2], *self.input_size), grad.dtype)

    def forward(self, grad: Array, indices: Array) -> Array:
        return kernels.pool2d.max_pool2d_backward(grad, indices, self.input_size)

    def backward(self, call: Call, cotangent: Tensor) -> tuple[Tensor, None]:
        return apply(MaxPool2dGather(), cotangent, call.inputs[1]), None


class MaxPool2dGather(Op):
    """y[n, c, i, j] = x[n, c] at the flat index of (n, c, i, j). Its gradient is the scatter."""

    name = "max_pool2d_gather"
    reads_inputs = ((1,),)

    def infer(self, x: Spec, indices: Spec) -> Spec:
        if x.ndim != 4 or indices.ndim != 4 or x.shape[:2] != indices.shape[:2]:
            raise ShapeError(f"max_pool2d_gather: {x} and indices {indices} do not fit")
        return Spec.of(indices.shape, x.dtype)

    def forward(self, x: Array, indices: Array) -> Array:
        return kernels.pool2d.max_pool2d_gather(x, indices)

    def backward(self, call: Call, cotangent: Tensor) -> tuple[Tensor, None]:
        size = call.input_specs[0].plane
        return apply(MaxPool2dBackward(size), cotangent, call.inputs[1]), None


def _window(
    op: str, kernel_size: Any, stride: Any, padding: Any, dilation: Any, ceil_mode: bool
) -> Window:
    """The window of a pooling; by default it moves on by its own size."""
    kernel = as_pair(op, "kernel_size", kernel_size, 1)
    window = Window(
        kernel,
        kernel if stride is None else as_pair(op, "stride", stride, 1),
        as_padding(op, padding),
        as_pair(op, "dilation", dilation, 1),
        bool(ceil_mode),
    )
    for pads, size in zip(window.padding, kernel, strict=True):
        if max(pads) > size // 2:
            raise ShapeError(
                f"{op}: padding may be at most half the kernel_size {kernel}, got {padding}"
            )
    return window


def avg_pool2d(
    input: Operand,
    kernel_size: int | Size,
    stride: int | Size | None = None,
    padding: Any = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> Tensor:
    """The average over each window of `input` (N, C, H, W), as PyTorch's avg_pool2d."""
    window = _window("avg_pool2d", kernel_size, stride, padding, 1, ceil_mode)
    y: Tensor = apply(AvgPool2d(window, bool(count_include_pad)), as_tensor(input))
    return y


def max_pool2d(
    input: Operand,
    kernel_size: int | Size,
    stride: int | Size | None = None,
    padding: Any = 0,
    dilation: int | Size = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """The maximum over each window of `input` (N, C, H, W), as PyTorch's max_pool2d.

    With `return_indices` also where it was: flat indices h W + w into each plane, int64.
    """
    window = _window("max_pool2d", kernel_size, stride, padding, dilation, ceil_mode)
    y, indices = apply(MaxPool2d(window), as_tensor(input))
    return (y, indices) if return_indices else y


def max_pool2d_gather(x: Operand, indices: Operand) -> Tensor:
    """The values of x (N, C, H, W) at flat indices into each plane, of shape (N, C, OH, OW)."""
    positions = as_tensor(indices)
    require_integers("max_pool2d_gather", "indices", positions)
    y: Tensor = apply(MaxPool2dGather(), as_tensor(x), positions.astype(int64))
    return y
