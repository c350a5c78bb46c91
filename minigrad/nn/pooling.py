"""Pooling layers."""

from __future__ import annotations

from typing import Any

from minigrad import ops
from minigrad.nn.module import Module
from minigrad.spec import as_padding, as_pair
from minigrad.tensor import Tensor

Size = int | tuple[int, int]


class AvgPool2d(Module):
    """The average over each window of (N, C, H, W); see `ops.avg_pool2d`."""

    def __init__(
        self,
        kernel_size: Size,
        stride: Size | None = None,
        padding: Any = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
    ) -> None:
        super().__init__()
        self.kernel_size = kernel_size
        self.stride = kernel_size if stride is None else stride
        self.padding = padding
        self.ceil_mode = ceil_mode
        self.count_include_pad = count_include_pad
        _check("AvgPool2d", kernel_size, self.stride, padding)

    def forward(self, input: Tensor) -> Tensor:
        return ops.avg_pool2d(
            input,
            self.kernel_size,
            self.stride,
            self.padding,
            self.ceil_mode,
            self.count_include_pad,
        )

    def extra_repr(self) -> str:
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class MaxPool2d(Module):
    """The maximum over each window of (N, C, H, W); see `ops.max_pool2d`."""

    def __init__(
        self,
        kernel_size: Size,
        stride: Size | None = None,
        padding: Any = 0,
        dilation: Size = 1,
        return_indices: bool = False,
        ceil_mode: bool = False,
    ) -> None:
        super().__init__()
        self.kernel_size = kernel_size
        self.stride = kernel_size if stride is None else stride
        self.padding = padding
        self.dilation = dilation
        self.return_indices = return_indices
        self.ceil_mode = ceil_mode
        _check("MaxPool2d", kernel_size, self.stride, padding)
        as_pair("MaxPool2d", "dilation", dilation, 1)

    def forward(self, input: Tensor) -> Any:
        return ops.max_pool2d(
            input,
            self.kernel_size,
            self.stride,
            self.padding,
            self.dilation,
            self.ceil_mode,
            self.return_indices,
        )

    def extra_repr(self) -> str:
        return (
            f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}, "
            f"dilation={self.dilation}, ceil_mode={self.ceil_mode}"
        )


def _check(layer: str, kernel_size: Size, stride: Size, padding: Any) -> None:
    as_pair(layer, "kernel_size", kernel_size, 1)
    as_pair(layer, "stride", stride, 1)
    as_padding(layer, padding)
