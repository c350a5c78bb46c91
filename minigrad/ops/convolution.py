"""Convolution over one, two and three axes of space, and its two gradients.

The three ops of a number of axes are closed under differentiation: each is linear in both its
inputs, and the gradient of any of them is one of the other two. Their mathematics stands once, in
`Convolve`, `InputGrad` and `WeightGrad`. Memory is channels-last; see `kernels.convolution`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import prod
from typing import Any, ClassVar

import numpy as np

from minigrad import kernels
from minigrad.errors import ShapeError
from minigrad.op import Call, Cost, Op, bytes_moved
from minigrad.ops.convolution_arguments import SPACE, TAPS, as_filters, batched, window_over
from minigrad.spec import (
    Shape,
    Spec,
    Window,
    as_shape,
    common_dtype,
    require_floating,
)
from minigrad.tensor import Array, Operand, Tensor, apply

__all__ = ["conv1d", "conv2d", "conv3d"]


@dataclass(frozen=True)
class Convolution(Op):
    """What these ops share: a window, and channels that are convolved in groups."""

    window: Window
    groups: int

    @property
    def axes(self) -> int:
        """How many axes of space there are."""
        return len(self.window.kernel_size)

    @property
    def family(self) -> tuple[type[Convolve], type[InputGrad], type[WeightGrad]]:
        """The three ops over as many axes."""
        return FAMILIES[self.axes]

    @property
    def geometry(self) -> tuple[Any, ...]:
        """Stride, padding, dilation and groups, as the kernels take them."""
        window = self.window
        return window.stride, window.padding, window.dilation, self.groups

    def output_spec(self, x: Spec, weight: Spec) -> Spec:
        """Spec of the convolution of x with weight; raises where the two do not fit."""
        return _output_spec(self, x, weight)

    def find_output_spec(self, x: Spec, weight: Spec) -> Spec:
        """The same, which is kept for specs that came before."""
        op, groups = self.name, self.groups
        dtype = self.expect_arrays(x, weight)
        c, (k, c_group) = x.shape[1], weight.shape[:2]
        if c % groups or k % groups or c_group * groups != c:
            raise ShapeError(
                f"{op}: an input of {c} channels in {groups} group(s) takes a weight of shape "
                f"(K, {c}/{groups}, {TAPS[self.axes]}) with K divisible by {groups}; got input "
                f"{x.shape} and weight {weight.shape}"
            )
        sides = zip(x.shape[2:], self.window.padding, strict=True)
        as_shape(op, (*x.shape[:2], *[before + n + after for n, (before, after) in sides]))
        lengths = self.window.output_size(op, x.shape[2:])
        return Spec.of(as_shape(op, (x.shape[0], k, *lengths)), dtype)

    def expect_arrays(self, x: Spec, weight: Spec) -> np.dtype[Any]:
        """The dtype of both; raises unless they can be an input and a weight, and not empty."""
        require_floating(self.name, x, weight)
        dtype = common_dtype(self.name, x, weight)
        self.expect_axes(x, weight)
        if 0 in x.shape or 0 in weight.shape:
            raise ShapeError(
                f"{self.name}: nothing to convolve, input {x.shape} and weight {weight.shape}; "
                "every length must be at least 1"
            )
        return dtype

    def expect_axes(self, first: Spec, second: Spec) -> None:
        """Raise unless both have batch or filters, channels, and the axes of space."""
        axes = self.axes
        if first.ndim != axes + 2 or second.ndim != axes + 2:
            raise ShapeError(
                f"{self.name}: takes arrays of {axes + 2} axes, inputs (N, C, {SPACE[axes]}) and "
                f"weights (K, C / groups, {TAPS[axes]}), got shapes {first.shape} and "
                f"{second.shape}"
            )

    def expect_bias(self, channels: int, x: Spec, bias: tuple[Spec, ...]) -> None:
        """Raise unless a bias, if there is one, has a number for each channel."""
        for b in bias:
            common_dtype(self.name, x, b)
            if b.shape != (channels,):
                raise ShapeError(f"{self.name}: the bias takes shape ({channels},), got {b.shape}")

    def expect_cotangent(self, got: Spec, wanted: Spec) -> None:
        """Raise unless the cotangent of a convolution has that convolution's spec."""
        if got != wanted:
            raise ShapeError(f"{self.name}: the cotangent must be {wanted}, got {got}")

    def by_bias(self, call: Call, cotangent: Tensor) -> tuple[Tensor | None, ...]:
        """The cotangent of the bias, Σ over n and all positions, if the call has one."""
        if len(call.needs) < 3:
            return ()
        axes = (0, *range(2, self.axes + 2))
        return (cotangent.sum(axis=axes) if call.needs[2] else None,)


@lru_cache(maxsize=1024)
def _output_spec(op: Convolution, x: Spec, weight: Spec) -> Spec:
    return op.find_output_spec(x, weight)


def products_cost(weight: Spec, output: Spec, *moved: Spec) -> Cost:
    """A multiply-add for each element of the weight at each position of the convolution's output:
    of the convolution and of both its gradients."""
    macs = weight.size * output.shape[0] * prod(output.shape[2:])
    return Cost(macs, 2 * macs, bytes_moved(moved, ()))


class Convolve(Convolution):
    """y[n, k, i] = b[k] + Σ w[k, c, r] x[n, c, i · stride + r · dilation - padding] over the
    channels c of k's group and the taps r, where i and r have an entry for each axis of space: a
    cross-correlation, as in every network library.

    dL/dx is `InputGrad` and dL/dw `WeightGrad` of dL/dy; dL/db = Σ over n, i of dL/dy
    (Dumoulin and Visin 2016, "A guide to convolution arithmetic", chapters 2 and 4).
    """

    reads_inputs = ((1,), (0,), ())

    def infer(self, x: Spec, weight: Spec, *bias: Spec) -> Spec:
        y = self.output_spec(x, weight)
        self.expect_bias(weight.shape[0], x, bias)
        return y

    def forward(self, x: Array, weight: Array, bias: Array | None = None) -> Array:
        size = self.window.output_size(self.name, x.shape[2:])
        return kernels.convolution.convolve(x, weight, bias, size, *self.geometry)

    def backward(self, call: Call, cotangent: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, *_ = call.inputs
        _, input_grad, weight_grad = self.family
        by_x = by_weight = None
        if call.needs[0]:
            op = input_grad(self.window, self.groups, call.input_specs[0].shape[2:])
            by_x = apply(op, cotangent, weight)
        if call.needs[1]:
            by_weight = apply(weight_grad(self.window, self.groups), x, cotangent)
        return by_x, by_weight, *self.by_bias(call, cotangent)

    def cost(self, inputs: Any, outputs: Any) -> Cost:
        return products_cost(inputs[1], outputs[0], *inputs, *outputs)


class Spread(Convolution):
    """x[n, c, j] = Σ w[k, c, r] g[n, k, i] over k, i, r with i · stride + r · dilation - padding
    = j: what a convolution gathers, scattered (Dumoulin and Visin 2016, relationship 14).

    Linear in g and in the weight w: with u the cotangent of the result, dL/dg is the convolution
    of u with w, and dL/dw the gradient by its weight of the convolution of u, whose cotangent is g.
    """

    reads_inputs = ((1,), (0,), ())

    def backward(self, call: Call, cotangent: Tensor) -> tuple[Tensor | None, ...]:
        grad, weight, *_ = call.inputs
        convolve, _, weight_grad = self.family
        by_grad = by_weight = None
        if call.needs[0]:
            by_grad = apply(convolve(self.window, self.groups), cotangent, weight)
        if call.needs[1]:
            by_weight = apply(weight_grad(self.window, self.groups), cotangent, grad)
        return by_grad, by_weight, *self.by_bias(call, cotangent)

    def cost(self, inputs: Any, outputs: Any) -> Cost:
        return products_cost(inputs[1], inputs[0], *inputs, *outputs)


@dataclass(frozen=True)
class InputGrad(Spread):
    """The gradient of a convolution by its input, of the size `input_size`: the cotangent of the
    output spread with the weight, dL/dx[n, c, j] = Σ w[k, c, r] g[n, k, i]; see `Spread`."""

    input_size: Shape

    def infer(self, grad: Spec, weight: Spec) -> Spec:
        self.expect_axes(grad, weight)
        x = Spec.of((grad.shape[0], weight.shape[1] * self.groups, *self.input_size), grad.dtype)
        self.expect_cotangent(grad, self.output_spec(x, weight))
        return x

    def forward(self, grad: Array, weight: Array) -> Array:
        size = self.input_size
        return kernels.convolution.convolve_input_grad(grad, weight, size, *self.geometry)


class WeightGrad(Convolution):
    """The gradient of a convolution by its weight, dL/dw[k, c, r] = Σ over n, i of
    g[n, k, i] x[n, c, i · stride + r · dilation - padding]: the correlation of the input with the
    cotangent g of the output (Dumoulin and Visin 2016, chapter 4).

    Linear in x and in g: with u the cotangent of the result, dL/dx is the `InputGrad` of g with
    the weight u, and dL/dg the convolution of x with u.
    """

    reads_inputs = ((1,), (0,))

    def infer(self, x: Spec, grad: Spec) -> Spec:
        self.expect_axes(x, grad)
        channels = x.shape[1] // self.groups
        weight = Spec.of((grad.shape[1], channels, *self.window.kernel_size), x.dtype)
        self.expect_cotangent(grad, self.output_spec(x, weight))
        return weight

    def forward(self, x: Array, grad: Array) -> Array:
        size = self.window.kernel_size
        return kernels.convolution.convolve_weight_grad(x, grad, size, *self.geometry)

    def backward(self, call: Call, cotangent: Tensor) -> tuple[Tensor | None, ...]:
        x, grad = call.inputs
        convolve, input_grad, _ = self.family
        by_x = by_grad = None
        if call.needs[0]:
            op = input_grad(self.window, self.groups, call.input_specs[0].shape[2:])
            by_x = apply(op, grad, cotangent)
        if call.needs[1]:
            by_grad = apply(convolve(self.window, self.groups), x, cotangent)
        return by_x, by_grad

    def cost(self, inputs: Any, outputs: Any) -> Cost:
        return products_cost(outputs[0], inputs[1], *inputs, *outputs)


class Conv1d(Convolve):
    """y[n, k, i] = b[k] + Σ w[k, c, r] x[n, c, i · stride + r · dilation - padding] over c, r."""

    name = "conv1d"


class Conv1dInputGrad(InputGrad):
    """dL/dx[n, c, j] = Σ w[k, c, r] g[n, k, i] over k, i, r with i · stride + r · dilation -
    padding = j."""

    name: ClassVar[str] = "conv1d_input_grad"


class Conv1dWeightGrad(WeightGrad):
    """dL/dw[k, c, r] = Σ g[n, k, i] x[n, c, i · stride + r · dilation - padding] over n, i."""

    name = "conv1d_weight_grad"


class Conv2d(Convolve):
    """y[n, k, i, j] = b[k] + Σ w[k, c, r, s] x[n, c, i · stride + r · dilation - padding, j · ...]
    over c, r, s: a cross-correlation, as in every network library."""

    name = "conv2d"


class Conv2dInputGrad(InputGrad):
    """The gradient of a convolution by its input: the convolution of the cotangent, spread out by
    the stride, with the turned weight (Dumoulin and Visin 2016, relationship 14)."""

    name: ClassVar[str] = "conv2d_input_grad"


class Conv2dWeightGrad(WeightGrad):
    """The gradient of a convolution by its weight: the correlation of the input with the
    cotangent (Dumoulin and Visin 2016, chapter 4)."""

    name = "conv2d_weight_grad"


class Conv3d(Convolve):
    """y[n, k, h, i, j] = b[k] + Σ w[k, c, q, r, s] x[n, c, h · stride + q · dilation - padding,
    i · ..., j · ...] over c, q, r, s."""

    name = "conv3d"


class Conv3dInputGrad(InputGrad):
    """The gradient of a convolution over three axes by its input; see `InputGrad`."""

    name: ClassVar[str] = "conv3d_input_grad"


class Conv3dWeightGrad(WeightGrad):
    """The gradient of a convolution over three axes by its weight; see `WeightGrad`."""

    name = "conv3d_weight_grad"


FAMILIES: dict[int, tuple[type[Convolve], type[InputGrad], type[WeightGrad]]] = {
    1: (Conv1d, Conv1dInputGrad, Conv1dWeightGrad),
    2: (Conv2d, Conv2dInputGrad, Conv2dWeightGrad),
    3: (Conv3d, Conv3dInputGrad, Conv3dWeightGrad),
}


Pair = int | tuple[int, int]
Triple = int | tuple[int, int, int]


def conv1d(
    input: Operand,
    weight: Operand,
    bias: Operand | None = None,
    stride: int | tuple[int] = 1,
    padding: Any = 0,
    dilation: int | tuple[int] = 1,
    groups: int = 1,
) -> Tensor:
    """The convolution of `input` ([N,] C, L) with `weight` (K, C / groups, R).

    Returns ([N,] K, OL), OL = floor((L + before + after - dilation (R - 1) - 1) / stride) + 1;
    all else as in `conv2d`. Raises ShapeError, DtypeError, ArgumentError.
    """
    return _convolve("conv1d", 1, input, weight, bias, stride, padding, dilation, groups)


def conv2d(
    input: Operand,
    weight: Operand,
    bias: Operand | None = None,
    stride: Pair = 1,
    padding: Any = 0,
    dilation: Pair = 1,
    groups: int = 1,
) -> Tensor:
    """The convolution of `input` ([N,] C, H, W) with `weight` (K, C / groups, R, S).

    `padding` is an integer, one a side of height and width, ((top, bottom), (left, right)),
    "valid" (none) or "same" (the output is as large as the input, for stride 1). Returns
    ([N,] K, OH, OW) with channels-last strides (Dumoulin and Visin 2016, relationship 15).
    Raises ShapeError, DtypeError, ArgumentError.
    """
    return _convolve("conv2d", 2, input, weight, bias, stride, padding, dilation, groups)


def conv3d(
    input: Operand,
    weight: Operand,
    bias: Operand | None = None,
    stride: Triple = 1,
    padding: Any = 0,
    dilation: Triple = 1,
    groups: int = 1,
) -> Tensor:
    """The convolution of `input` ([N,] C, D, H, W) with `weight` (K, C / groups, Q, R, S).

    Returns ([N,] K, OD, OH, OW); all else as in `conv2d`. Raises ShapeError, DtypeError,
    ArgumentError.
    """
    return _convolve("conv3d", 3, input, weight, bias, stride, padding, dilation, groups)


def _convolve(
    op: str,
    axes: int,
    input: Operand,
    weight: Operand,
    bias: Operand | None,
    stride: Any,
    padding: Any,
    dilation: Any,
    groups: int,
) -> Tensor:
    filters = as_filters(op, axes, f"(K, C / groups, {TAPS[axes]})", weight)
    window, groups = window_over(op, filters.shape[2:], stride, padding, dilation, groups)
    convolve, _, _ = FAMILIES[axes]
    return batched(convolve(window, groups), axes, input, filters, bias)
