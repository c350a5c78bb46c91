"""Convolution layers."""

from __future__ import annotations

import math
from typing import Any

from minigrad import ops
from minigrad.creation import zeros
from minigrad.errors import ArgumentError
from minigrad.nn import init
from minigrad.nn.module import Module
from minigrad.nn.parameter import Parameter
from minigrad.spec import as_integer, as_padding, as_pair, float32
from minigrad.tensor import Tensor


class Conv2d(Module):
    """The convolution of (N, in_channels, H, W) with `out_channels` filters; see `ops.conv2d`.

    Weight (out_channels, in_channels / groups, R, S) and bias start uniform within
    ±1 / sqrt(in_channels / groups · R · S), PyTorch's default.
    """

    weight: Parameter
    bias: Parameter | None

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int, int],
        stride: int | tuple[int, int] = 1,
        padding: Any = 0,
        dilation: int | tuple[int, int] = 1,
        groups: int = 1,
        bias: bool = True,
        dtype: Any = float32,
    ) -> None:
        super().__init__()
        counts = {"in_channels": in_channels, "out_channels": out_channels, "groups": groups}
        for name, value in counts.items():
            if as_integer("Conv2d", name, value) < 1:
                raise ArgumentError(f"Conv2d: {name} must be at least 1, got {value}")
        if in_channels % groups or out_channels % groups:
            raise ArgumentError(
                f"Conv2d: in_channels {in_channels} and out_channels {out_channels} must be "
                f"divisible by groups {groups}"
            )
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.kernel_size = as_pair("Conv2d", "kernel_size", kernel_size, 1)
        self.stride = as_pair("Conv2d", "stride", stride, 1)
        self.padding = _padding(padding, self.stride)
        self.dilation = as_pair("Conv2d", "dilation", dilation, 1)
        self.groups = groups
        shape = (out_channels, in_channels // groups, *self.kernel_size)
        self.weight = Parameter(zeros(shape, dtype))
        self.register_parameter("bias", Parameter(zeros(out_channels, dtype)) if bias else None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw weight and bias anew."""
        init.kaiming_uniform_(self.weight, a=math.sqrt(5))
        if self.bias is not None:
            bound = 1 / math.sqrt(init.fan(self.weight)[0])
            init.uniform_(self.bias, -bound, bound)

    def forward(self, input: Tensor) -> Tensor:
        return ops.conv2d(
            input, self.weight, self.bias, self.stride, self.padding, self.dilation, self.groups
        )

    def extra_repr(self) -> str:
        text = f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}"
        text += f", stride={self.stride}"
        if self.padding != (0, 0):
            text += f", padding={self.padding}"
        if self.dilation != (1, 1):
            text += f", dilation={self.dilation}"
        if self.groups != 1:
            text += f", groups={self.groups}"
        return text if self.bias is not None else f"{text}, bias=False"


def _padding(padding: Any, stride: tuple[int, int]) -> Any:
    """The padding as PyTorch keeps and prints it: a name, or one number a side, or pairs."""
    if not isinstance(padding, str):
        vertical, horizontal = as_padding("Conv2d", padding)
        even = vertical[0] == vertical[1] and horizontal[0] == horizontal[1]
        return (vertical[0], horizontal[0]) if even else (vertical, horizontal)
    if padding not in ("valid", "same"):
        raise ArgumentError(f"Conv2d: padding takes integers, 'valid' or 'same', got {padding!r}")
    if padding == "same" and stride != (1, 1):
        raise ArgumentError(f"Conv2d: padding 'same' takes stride 1, got {stride}")
    return padding
