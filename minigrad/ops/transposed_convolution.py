"""Transposed convolution over one, two and three axes of space.

It is the gradient of a convolution by its input, taken as a layer of its own: it spreads every
position of the input by the weight, and so undoes the size that a stride took away.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from minigrad import kernels
from minigrad.errors import ArgumentError, ShapeError
from minigrad.ops.convolution import Pair, Spread, Triple
from minigrad.ops.convolution_arguments import SPACE, TAPS, as_filters, batched, window_over
from minigrad.ops.padding import pad
from minigrad.spec import Shape, Spec, Window, as_shape, per_axis
from minigrad.tensor import Array, Operand, Tensor, as_tensor

__all__ = ["conv_transpose1d", "conv_transpose2d", "conv_transpose3d"]


@dataclass(frozen=True)
class ConvTranspose(Spread):
    """y[n, c, j] = b[c] + Σ w[k, c, r] x[n, k, i] over the channels k of c's group, and i, r with
    i · stride + r · dilation - padding = j. The output is as long as the shortest input that the
    convolution with this window brings to the length of x, and `output_padding` longer:

    (n - 1) · stride - before - after + dilation · (kernel - 1) + 1 + output_padding
    (Dumoulin and Visin 2016, relationship 14).

    Its gradients are those of `Spread`.
    """

    output_padding: Shape

    def output_size(self, size: Shape) -> Shape:
        """Lengths of the output for an input of these lengths."""
        window = self.window
        return tuple(
            (n - 1) * stride - before - after + dilation * (kernel - 1) + 1 + extra
            for n, stride, (before, after), dilation, kernel, extra in zip(
                size,
                window.stride,
                window.padding,
                window.dilation,
                window.kernel_size,
                self.output_padding,
                strict=True,
            )
        )

    def infer(self, x: Spec, weight: Spec, *bias: Spec) -> Spec:
        op, groups, taps = self.name, self.groups, TAPS[self.axes]
        dtype = self.expect_arrays(x, weight)
        if x.shape[1] != weight.shape[0] or x.shape[1] % groups:
            raise ShapeError(
                f"{op}: takes a weight (C, K / groups, {taps}) and an input of as many channels "
                f"C, divisible by groups; got input {x.shape}, weight {weight.shape} and "
                f"groups {groups}"
            )
        size = self.output_size(x.shape[2:])
        if min(size) < 1:
            raise ShapeError(
                f"{op}: the output would have the size {size}, which must be at least 1 along "
                f"({SPACE[self.axes]}): the padding {self.window.padding} cuts off all of it "
                f"(input {x.shape}, weight {weight.shape})"
            )
        channels = weight.shape[1] * groups
        self.expect_bias(channels, x, bias)
        return Spec.of(as_shape(op, (x.shape[0], channels, *size)), dtype)

    def forward(self, x: Array, weight: Array, bias: Array | None = None) -> Array:
        size = self.output_size(x.shape[2:])
        y = kernels.convolution.convolve_input_grad(x, weight, size, *self.geometry)
        return y if bias is None else np.add(y, bias.reshape(-1, *[1] * self.axes), out=y)


class ConvTranspose1d(ConvTranspose):
    """y[n, c, j] = b[c] + Σ w[k, c, r] x[n, k, i] over k, i, r with i · stride + r · dilation -
    padding = j."""

    name: ClassVar[str] = "conv_transpose1d"


class ConvTranspose2d(ConvTranspose):
    """Over two axes of space, y[n, c, j] = b[c] + Σ w[k, c, r] x[n, k, i] over k, i, r with
    i · stride + r · dilation - padding = j."""

    name: ClassVar[str] = "conv_transpose2d"


class ConvTranspose3d(ConvTranspose):
    """Over three axes of space, y[n, c, j] = b[c] + Σ w[k, c, r] x[n, k, i] over k, i, r with
    i · stride + r · dilation - padding = j."""

    name: ClassVar[str] = "conv_transpose3d"


BY_AXES: dict[int, Callable[[Window, int, Shape], ConvTranspose]] = {
    1: ConvTranspose1d,
    2: ConvTranspose2d,
    3: ConvTranspose3d,
}


def conv_transpose1d(
    input: Operand,
    weight: Operand,
    bias: Operand | None = None,
    stride: int | tuple[int] = 1,
    padding: Any = 0,
    output_padding: int | tuple[int] = 0,
    groups: int = 1,
    dilation: int | tuple[int] = 1,
) -> Tensor:
    """The transposed convolution of `input` ([N,] C, L) with `weight` (C, K / groups, R).

    Returns ([N,] K, (L - 1) stride - before - after + dilation (R - 1) + output_padding + 1); all
    else as in `conv_transpose2d`. Raises ShapeError, DtypeError, ArgumentError.
    """
    how = stride, padding, output_padding, groups, dilation
    return _transposed("conv_transpose1d", 1, input, weight, bias, *how)


def conv_transpose2d(
    input: Operand,
    weight: Operand,
    bias: Operand | None = None,
    stride: Pair = 1,
    padding: Any = 0,
    output_padding: Pair = 0,
    groups: int = 1,
    dilation: Pair = 1,
) -> Tensor:
    """The transposed convolution of `input` ([N,] C, H, W) with `weight` (C, K / groups, R, S).

    `padding` is an integer, one a side of height and width, or ((top, bottom), (left, right)), and
    is cut off the output; `output_padding`, less than stride or dilation, makes it longer at the
    end, as several sizes of an input have an output of one size. Returns ([N,] K, OH, OW) with
    OH = (H - 1) stride - top - bottom + dilation (R - 1) + output_padding + 1
    (Dumoulin and Visin 2016, relationship 14). Raises ShapeError, DtypeError, ArgumentError.
    """
    how = stride, padding, output_padding, groups, dilation
    return _transposed("conv_transpose2d", 2, input, weight, bias, *how)


def conv_transpose3d(
    input: Operand,
    weight: Operand,
    bias: Operand | None = None,
    stride: Triple = 1,
    padding: Any = 0,
    output_padding: Triple = 0,
    groups: int = 1,
    dilation: Triple = 1,
) -> Tensor:
    """The transposed convolution of `input` ([N,] C, D, H, W) with `weight`
    (C, K / groups, Q, R, S).

    Returns ([N,] K, OD, OH, OW); all else as in `conv_transpose2d`. Raises ShapeError, DtypeError,
    ArgumentError.
    """
    how = stride, padding, output_padding, groups, dilation
    return _transposed("conv_transpose3d", 3, input, weight, bias, *how)


def _transposed(
    op: str,
    axes: int,
    input: Operand,
    weight: Operand,
    bias: Operand | None,
    stride: Any,
    padding: Any,
    output_padding: Any,
    groups: int,
    dilation: Any,
) -> Tensor:
    filters = as_filters(op, axes, f"(C, K / groups, {TAPS[axes]})", weight)
    if isinstance(padding, str):
        raise ArgumentError(f"{op}: padding takes integers, got {padding!r}")
    window, groups = window_over(op, filters.shape[2:], stride, padding, dilation, groups)
    extra = per_axis(op, "output_padding", output_padding, axes, 0)
    for n, step, spread in zip(extra, window.stride, window.dilation, strict=True):
        if n >= max(step, spread):
            raise ArgumentError(
                f"{op}: output_padding must be less than stride or dilation, got "
                f"{output_padding!r} with stride {window.stride} and dilation {window.dilation}"
            )
    x, extra = _within_stride(as_tensor(input), extra, window.stride)
    return batched(BY_AXES[axes](window, groups, extra), axes, x, filters, bias)


def _within_stride(x: Tensor, extra: Shape, stride: Shape) -> tuple[Tensor, Shape]:
    """x and an output padding less than the stride that give the same output.

    With a stride or more of it, the convolution of the output would be longer than x is: as long
    as x with zeros at its end, which add nothing to the output.
    """
    axes = len(stride)
    more = [n // step for n, step in zip(extra, stride, strict=True)]
    if any(more) and x.ndim > axes and 0 not in x.shape:
        x = pad(x, (*[(0, 0)] * (x.ndim - axes), *[(0, n) for n in more]))
    return x, tuple([n % step for n, step in zip(extra, stride, strict=True)])
