"""The two-dimensional convolution and its two gradients.

The three ops are closed under differentiation: each is linear in both its inputs, and the
gradient of any of them is one of the other two. Memory is channels-last; see `kernels.conv2d`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from minigrad import kernels
from minigrad.errors import ArgumentError, ShapeError
from minigrad.op import Call, Cost, Op, bytes_moved
from minigrad.spec import (
    Spec,
    Window,
    as_integer,
    as_padding,
    as_pair,
    common_dtype,
    require_floating,
)
from minigrad.tensor import Array, Operand, Tensor, apply, as_tensor


@dataclass(frozen=True)
class Convolution(Op):
    """What the three ops share: a window, and channels that are convolved in groups."""

    window: Window
    groups: int

    def output_spec(self, x: Spec, weight: Spec) -> Spec:
        """Spec of the convolution of x with weight; raises where the two do not fit."""
        op, groups = self.name, self.groups
        require_floating(op, x, weight)
        dtype = common_dtype(op, x, weight)
        self.expect_four_axes(x, weight)
        if 0 in x.shape or 0 in weight.shape:
            raise ShapeError(
                f"{op}: nothing to convolve, input {x.shape} and weight {weight.shape}; every "
                "length must be at least 1"
            )
        (n, c, h, w), (k, c_group) = x.shape, weight.shape[:2]
        if c % groups or k % groups or c_group * groups != c:
            raise ShapeError(
                f"{op}: an input of {c} channels in {groups} group(s) takes a weight of shape "
                f"(K, {c}/{groups}, R, S) with K divisible by {groups}; got input {x.shape} and "
                f"weight {weight.shape}"
            )
        return Spec.of((n, k, *self.window.output_size(op, (h, w))), dtype)

    def expect_four_axes(self, first: Spec, second: Spec) -> None:
        """Raise unless both can be images (N, C, H, W) or weights (K, C / groups, R, S)."""
        if first.ndim != 4 or second.ndim != 4:
            raise ShapeError(
                f"{self.name}: takes arrays of four axes, images (N, C, H, W) and weights "
                f"(K, C / groups, R, S), got shapes {first.shape} and {second.shape}"
            )

    def expect(self, what: str, got: Spec, wanted: Spec) -> None:
        """Raise unless the cotangent of a convolution has that convolution's spec."""
        if got != wanted:
            raise ShapeError(f"{self.name}: {what} must be {wanted}, got {got}")

    @property
    def geometry(self) -> tuple[Any, ...]:
        """Stride, padding, dilation and groups, as the kernels take them."""
        window = self.window
        return window.stride, window.padding, window.dilation, self.groups


def _cost(weight: Spec, output: Spec, *moved: Spec) -> Cost:
    n, _, height, width = output.shape
    macs = weight.size * n * height * width
    return Cost(macs, 2 * macs, bytes_moved(moved, ()))


class Conv2d(Convolution):
    """y[n, k, i, j] = b[k] + Σ w[k, c, r, s] x[n, c, i·stride + r·dilation - padding, j·...] over
    c, r, s: a cross-correlation, as in every network library.

    dL/dx and dL/dw are the two ops below,
    dL/db = Σ over n, i, j of dL/dy  (Dumoulin and Visin 2016, "A guide to convolution
    arithmetic", chapters 2 and 4).
    """

    name = "conv2d"
    reads_inputs = ((1,), (0,), ())

    def infer(self, x: Spec, weight: Spec, *bias: Spec) -> Spec:
        y = self.output_spec(x, weight)
        for b in bias:
            common_dtype("conv2d", x, b)
            if b.shape != (weight.shape[0],):
                raise ShapeError(
                    f"conv2d: the bias takes shape ({weight.shape[0]},), got {b.shape}"
                )
        return y

    def forward(self, x: Array, weight: Array, bias: Array | None = None) -> Array:
        size = self.window.output_size("conv2d", x.shape[2:])
        return kernels.conv2d.conv2d(x, weight, bias, size, *self.geometry)

    def backward(self, call: Call, cotangent: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, *_ = call.inputs
        by_x = by_weight = by_bias = None
        if call.needs[0]:
            op = Conv2dInputGrad(self.window, self.groups, call.input_specs[0].plane)
            by_x = apply(op, cotangent, weight)
        if call.needs[1]:
            by_weight = apply(Conv2dWeightGrad(self.window, self.groups), x, cotangent)
        if len(call.needs) == 3 and call.needs[2]:
            by_bias = cotangent.sum(axis=(0, 2, 3))
        return (by_x, by_weight, by_bias)[: len(call.needs)]

    def cost(self, inputs: Any, outputs: Any) -> Cost:
        return _cost(inputs[1], outputs[0], *inputs, *outputs)


@dataclass(frozen=True)
class Conv2dInputGrad(Convolution):
    """The gradient of a convolution by its input: the convolution of the cotangent, spread out by
    the stride, with the turned weight (Dumoulin and Visin 2016, relationship 14).

    Linear in the cotangent g and in the weight w: with u the cotangent of the result,
    dL/dg = conv2d(u, w) and dL/dw = conv2d_weight_grad(u, g).
    """

    name: ClassVar[str] = "conv2d_input_grad"
    reads_inputs: ClassVar[tuple[tuple[int, ...], ...]] = ((1,), (0,))
    input_size: tuple[int, int]

    def infer(self, grad: Spec, weight: Spec) -> Spec:
        self.expect_four_axes(grad, weight)
        x = Spec.of((grad.shape[0], weight.shape[1] * self.groups, *self.input_size), grad.dtype)
        self.expect("the cotangent", grad, self.output_spec(x, weight))
        return x

    def forward(self, grad: Array, weight: Array) -> Array:
        return kernels.conv2d.conv2d_input_grad(grad, weight, self.input_size, *self.geometry)

    def backward(self, call: Call, cotangent: Tensor) -> tuple[Tensor | None, ...]:
        grad, weight = call.inputs
        need_grad, need_weight = call.needs
        return (
            apply(Conv2d(self.window, self.groups), cotangent, weight) if need_grad else None,
            apply(Conv2dWeightGrad(self.window, self.groups), cotangent, grad)
            if need_weight
            else None,
        )

    def cost(self, inputs: Any, outputs: Any) -> Cost:
        return _cost(inputs[1], inputs[0], *inputs, *outputs)


class Conv2dWeightGrad(Convolution):
    """The gradient of a convolution by its weight: the correlation of the input with the
    cotangent (Dumoulin and Visin 2016, chapter 4).

    Linear in the input x and in the cotangent g: with u the cotangent of the result,
    dL/dx = conv2d_input_grad(g, u) and dL/dg = conv2d(x, u).
    """

    name = "conv2d_weight_grad"
    reads_inputs = ((1,), (0,))

    def infer(self, x: Spec, grad: Spec) -> Spec:
        self.expect_four_axes(x, grad)
        channels = x.shape[1] // self.groups
        weight = Spec.of((grad.shape[1], channels, *self.window.kernel_size), x.dtype)
        self.expect("the cotangent", grad, self.output_spec(x, weight))
        return weight

    def forward(self, x: Array, grad: Array) -> Array:
        return kernels.conv2d.conv2d_weight_grad(x, grad, self.window.kernel_size, *self.geometry)

    def backward(self, call: Call, cotangent: Tensor) -> tuple[Tensor | None, ...]:
        x, grad = call.inputs
        need_x, need_grad = call.needs
        input_grad = Conv2dInputGrad(self.window, self.groups, call.input_specs[0].plane)
        return (
            apply(input_grad, grad, cotangent) if need_x else None,
            apply(Conv2d(self.window, self.groups), x, cotangent) if need_grad else None,
        )

    def cost(self, inputs: Any, outputs: Any) -> Cost:
        return _cost(outputs[0], inputs[1], *inputs, *outputs)


def conv2d(
    input: Operand,
    weight: Operand,
    bias: Operand | None = None,
    stride: int | tuple[int, int] = 1,
    padding: Any = 0,
    dilation: int | tuple[int, int] = 1,
    groups: int = 1,
) -> Tensor:
    """The convolution of `input` (N, C, H, W) with `weight` (K, C / groups, R, S).

    `padding` is an integer, one a side of height and width, ((top, bottom), (left, right)),
    "valid" (none) or "same" (the output is as large as the input, for stride 1). Returns
    (N, K, OH, OW) with channels-last strides. Raises ShapeError, DtypeError, ArgumentError.
    """
    x, weight = as_tensor(input), as_tensor(weight)
    if weight.ndim != 4:
        raise ShapeError(
            f"conv2d: the weight takes shape (K, C / groups, R, S), got {weight.shape}"
        )
    groups = as_integer("conv2d", "groups", groups)
    if groups < 1:
        raise ArgumentError(f"conv2d: groups must be at least 1, got {groups}")
    kernel_size = (weight.shape[2], weight.shape[3])
    strides = as_pair("conv2d", "stride", stride, 1)
    dilations = as_pair("conv2d", "dilation", dilation, 1)
    if isinstance(padding, str):
        padding = _named_padding(padding, kernel_size, strides, dilations)
    window = Window(kernel_size, strides, as_padding("conv2d", padding), dilations)
    inputs = (x, weight) if bias is None else (x, weight, as_tensor(bias))
    y: Tensor = apply(Conv2d(window, groups), *inputs)
    return y


def _named_padding(
    name: str, kernel_size: tuple[int, int], stride: tuple[int, int], dilation: tuple[int, int]
) -> Any:
    if name == "valid":
        return 0
    if name != "same":
        raise ArgumentError(f"conv2d: padding takes integers, 'valid' or 'same', got {name!r}")
    if stride != (1, 1):
        raise ArgumentError(f"conv2d: padding 'same' takes stride 1, got {stride}")
    total = [d * (k - 1) for d, k in zip(dilation, kernel_size, strict=True)]
    return tuple([(t // 2, t - t // 2) for t in total])
