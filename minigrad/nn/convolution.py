"""Convolution layers over one, two and three axes, and transposed ones.

What they share stands in `Convolution`; a subclass adds its number of axes and its function of
`ops`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, ClassVar

from minigrad import ops
from minigrad.creation import zeros
from minigrad.errors import ArgumentError, ShapeError
from minigrad.nn import init
from minigrad.nn.module import Module
from minigrad.nn.parameter import Parameter
from minigrad.ops.convolution_arguments import named_padding
from minigrad.ops.padding import torch_pad
from minigrad.spec import Shape, as_integer, as_padding, float32, per_axis
from minigrad.tensor import Tensor

__all__ = [
    "Conv1d",
    "Conv2d",
    "Conv3d",
    "ConvTranspose1d",
    "ConvTranspose2d",
    "ConvTranspose3d",
]

PADDING_MODES = "zeros", "reflect", "replicate", "circular"

Lengths = int | tuple[int, ...]


class Convolution(Module):
    """Weight and bias of a convolution over `axes` axes with `out_channels` filters.

    Both start uniform within ±1 / sqrt(fan), fan being the second length of the weight times its
    lengths of space: PyTorch's default.
    """

    axes: ClassVar[int]
    function: ClassVar[Callable[..., Any]]
    weight: Parameter
    bias: Parameter | None

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Lengths,
        stride: Lengths,
        padding: Any,
        dilation: Lengths,
        groups: int,
        bias: bool,
        padding_mode: str,
        dtype: Any,
        output_padding: Lengths = 0,
        transposed: bool = False,
    ) -> None:
        super().__init__()
        name, axes = type(self).__name__, self.axes
        _expect_channels(name, in_channels, out_channels, groups)
        modes = PADDING_MODES[:1] if transposed else PADDING_MODES
        if padding_mode not in modes:
            known = ", ".join(map(repr, modes))
            raise ArgumentError(f"{name}: padding_mode takes {known}; got {padding_mode!r}")
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.kernel_size = per_axis(name, "kernel_size", kernel_size, axes, 1)
        self.stride = per_axis(name, "stride", stride, axes, 1)
        self.dilation = per_axis(name, "dilation", dilation, axes, 1)
        self.output_padding = per_axis(name, "output_padding", output_padding, axes, 0)
        self.groups = groups
        self.padding_mode = padding_mode
        self.transposed = transposed
        self.padding = self._padding(padding)
        first, second = (in_channels, out_channels) if transposed else (out_channels, in_channels)
        self.weight = Parameter(zeros((first, second // groups, *self.kernel_size), dtype))
        self.register_parameter("bias", Parameter(zeros(out_channels, dtype)) if bias else None)
        self.reset_parameters()

    def _padding(self, padding: Any) -> Any:
        """The padding as PyTorch keeps and prints it: a name, or one number a side, or pairs."""
        name = type(self).__name__
        if isinstance(padding, str) and not self.transposed:
            named_padding(name, padding, self.kernel_size, self.stride, self.dilation)
            return padding
        pairs = as_padding(name, padding, self.axes)
        even = all(before == after for before, after in pairs)
        return tuple([before for before, _ in pairs]) if even else pairs

    def reset_parameters(self) -> None:
        """Draw weight and bias anew."""
        init.kaiming_uniform_(self.weight, a=math.sqrt(5))
        if self.bias is not None:
            bound = 1 / math.sqrt(init.fan(self.weight)[0])
            init.uniform_(self.bias, -bound, bound)

    def forward(self, input: Tensor) -> Tensor:
        padding = self.padding
        if self.padding_mode != "zeros":
            input = torch_pad(input, self._sides(), self.padding_mode)
            padding = 0
        how = self.stride, padding, self.dilation, self.groups
        y: Tensor = type(self).function(input, self.weight, self.bias, *how)
        return y

    def _sides(self) -> list[int]:
        """The padding as `torch_pad` takes it: before and after of the last axis first."""
        name, padding = type(self).__name__, self.padding
        if isinstance(padding, str):
            padding = named_padding(name, padding, self.kernel_size, self.stride, self.dilation)
        return [n for pair in reversed(as_padding(name, padding, self.axes)) for n in pair]

    def extra_repr(self) -> str:
        text = f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}"
        text += f", stride={self.stride}"
        usual: list[tuple[str, Any]] = [
            ("padding", (0,) * self.axes),
            ("dilation", (1,) * self.axes),
            ("output_padding", (0,) * self.axes),
            ("groups", 1),
        ]
        for name, value in usual:
            if getattr(self, name) != value:
                text += f", {name}={getattr(self, name)}"
        if self.bias is None:
            text += ", bias=False"
        return text if self.padding_mode == "zeros" else f"{text}, padding_mode={self.padding_mode}"


def _expect_channels(name: str, in_channels: int, out_channels: int, groups: int) -> None:
    counts = {"in_channels": in_channels, "out_channels": out_channels, "groups": groups}
    for argument, value in counts.items():
        if as_integer(name, argument, value) < 1:
            raise ArgumentError(f"{name}: {argument} must be at least 1, got {value}")
    if in_channels % groups or out_channels % groups:
        raise ArgumentError(
            f"{name}: in_channels {in_channels} and out_channels {out_channels} must be "
            f"divisible by groups {groups}"
        )


class Conv(Convolution):
    """A convolution of ([N,] in_channels, *space); weight (out_channels, in_channels / groups,
    *kernel_size).

    `padding_mode` says what lies outside: "zeros", "reflect", "replicate" or "circular", as in
    `nn.functional.pad`.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Lengths,
        stride: Lengths = 1,
        padding: Any = 0,
        dilation: Lengths = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        dtype: Any = float32,
    ) -> None:
        how = stride, padding, dilation, groups, bias, padding_mode, dtype
        super().__init__(in_channels, out_channels, kernel_size, *how)


class Conv1d(Conv):
    """The convolution of ([N,] in_channels, L) with `out_channels` filters; see `ops.conv1d`."""

    axes, function = 1, ops.conv1d


class Conv2d(Conv):
    """The convolution of ([N,] in_channels, H, W) with `out_channels` filters; see `ops.conv2d`."""

    axes, function = 2, ops.conv2d


class Conv3d(Conv):
    """The convolution of ([N,] in_channels, D, H, W) with `out_channels` filters; see
    `ops.conv3d`."""

    axes, function = 3, ops.conv3d


class ConvTranspose(Convolution):
    """A transposed convolution of ([N,] in_channels, *space); weight (in_channels,
    out_channels / groups, *kernel_size).

    Its `padding` is cut off the output. Called with an `output_size`, it chooses the
    `output_padding` that gives it.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Lengths,
        stride: Lengths = 1,
        padding: Any = 0,
        output_padding: Lengths = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: Lengths = 1,
        padding_mode: str = "zeros",
        dtype: Any = float32,
    ) -> None:
        how = stride, padding, dilation, groups, bias, padding_mode, dtype
        super().__init__(in_channels, out_channels, kernel_size, *how, output_padding, True)

    def forward(self, input: Tensor, output_size: Any = None) -> Tensor:
        extra = self.output_padding if output_size is None else self._reach(input, output_size)
        how = self.stride, self.padding, extra, self.groups, self.dilation
        y: Tensor = type(self).function(input, self.weight, self.bias, *how)
        return y

    def _reach(self, input: Tensor, output_size: Any) -> Shape:
        """The output padding that makes the output as large as `output_size` says, which may name
        batch and channels too."""
        name, axes = type(self).__name__, self.axes
        listed = isinstance(output_size, (tuple, list))
        given = output_size[-axes:] if listed and len(output_size) == input.ndim else output_size
        wanted = per_axis(name, "output_size", given, axes, 1)
        least = []
        for axis, (before, after) in enumerate(as_padding(name, self.padding, axes)):
            spread = (input.shape[axis - axes] - 1) * self.stride[axis]
            reach = self.dilation[axis] * (self.kernel_size[axis] - 1) + 1
            least.append(spread + reach - before - after)
        extra = tuple([n - m for n, m in zip(wanted, least, strict=True)])
        if any(not 0 <= n < stride for n, stride in zip(extra, self.stride, strict=True)):
            most = tuple([m + stride - 1 for m, stride in zip(least, self.stride, strict=True)])
            raise ShapeError(
                f"{name}: output_size must be from {tuple(least)} to {most} for an input of "
                f"{input.shape}, got {output_size!r}"
            )
        return extra


class ConvTranspose1d(ConvTranspose):
    """The transposed convolution of ([N,] in_channels, L); see `ops.conv_transpose1d`."""

    axes, function = 1, ops.conv_transpose1d


class ConvTranspose2d(ConvTranspose):
    """The transposed convolution of ([N,] in_channels, H, W); see `ops.conv_transpose2d`."""

    axes, function = 2, ops.conv_transpose2d


class ConvTranspose3d(ConvTranspose):
    """The transposed convolution of ([N,] in_channels, D, H, W); see `ops.conv_transpose3d`."""

    axes, function = 3, ops.conv_transpose3d
