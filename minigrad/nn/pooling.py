"""Pooling layers over one, two and three axes: each holds the options of a function of `ops`, and
plain subsampling.

What layers of one kind share stands in a class without a number of axes; see there.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from minigrad import ops
from minigrad.nn import functional
from minigrad.nn.module import Module
from minigrad.ops.pooling import Adaptive, AdaptiveSize, Size, sliding_window
from minigrad.spec import per_axis
from minigrad.tensor import Tensor

__all__ = [
    "AdaptiveAvgPool1d",
    "AdaptiveAvgPool2d",
    "AdaptiveAvgPool3d",
    "AdaptiveMaxPool1d",
    "AdaptiveMaxPool2d",
    "AdaptiveMaxPool3d",
    "AvgPool1d",
    "AvgPool2d",
    "AvgPool3d",
    "LPPool1d",
    "LPPool2d",
    "LPPool3d",
    "MaxPool1d",
    "MaxPool2d",
    "MaxPool3d",
    "MaxUnpool1d",
    "MaxUnpool2d",
    "MaxUnpool3d",
    "Subsample1d",
    "Subsample2d",
    "Subsample3d",
]


class Pooling(Module):
    """A layer that calls `function`, whose windows lie on the `axes` last axes."""

    axes: ClassVar[int]
    function: ClassVar[Callable[..., Any]]
    shown: ClassVar[tuple[str, ...]]

    def extra_repr(self) -> str:
        return ", ".join(f"{name}={getattr(self, name)}" for name in self.shown)


class MaxPool(Pooling):
    """The maximum over each window, with `return_indices` also where it is."""

    shown = "kernel_size", "stride", "padding", "dilation", "ceil_mode"

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
        sliding_window(type(self).__name__, self.axes, kernel_size, stride, padding, dilation)

    def forward(self, input: Tensor) -> Any:
        how = self.kernel_size, self.stride, self.padding, self.dilation
        return type(self).function(input, *how, self.ceil_mode, self.return_indices)


class MaxPool1d(MaxPool):
    """The maximum over each window of ([N,] C, L); see `ops.max_pool1d`."""

    axes, function = 1, ops.max_pool1d


class MaxPool2d(MaxPool):
    """The maximum over each window of ([N,] C, H, W); see `ops.max_pool2d`."""

    axes, function = 2, ops.max_pool2d


class MaxPool3d(MaxPool):
    """The maximum over each window of ([N,] C, D, H, W); see `ops.max_pool3d`."""

    axes, function = 3, ops.max_pool3d


class AvgPool(Pooling):
    """The average over each window, which may be divided by another number."""

    shown = "kernel_size", "stride", "padding"

    def __init__(
        self,
        kernel_size: Size,
        stride: Size | None = None,
        padding: Any = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
        divisor_override: int | None = None,
    ) -> None:
        super().__init__()
        self.kernel_size = kernel_size
        self.stride = kernel_size if stride is None else stride
        self.padding = padding
        self.ceil_mode = ceil_mode
        self.count_include_pad = count_include_pad
        self.divisor_override = divisor_override
        sliding_window(type(self).__name__, self.axes, kernel_size, stride, padding)

    def forward(self, input: Tensor) -> Tensor:
        how = self.kernel_size, self.stride, self.padding, self.ceil_mode, self.count_include_pad
        y: Tensor = type(self).function(input, *how, self.divisor_override)
        return y


class AvgPool1d(AvgPool):
    """The average over each window of ([N,] C, L); see `ops.avg_pool1d`."""

    axes = 1

    def __init__(
        self,
        kernel_size: Size,
        stride: Size | None = None,
        padding: Any = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
    ) -> None:
        super().__init__(kernel_size, stride, padding, ceil_mode, count_include_pad)
        # One number each, as tuples: so PyTorch keeps and prints them.
        self.kernel_size = per_axis("AvgPool1d", "kernel_size", self.kernel_size, 1, 1)
        self.stride = per_axis("AvgPool1d", "stride", self.stride, 1, 1)
        self.padding = padding if isinstance(padding, (tuple, list)) else (padding,)

    def forward(self, input: Tensor) -> Tensor:
        how = self.kernel_size, self.stride, self.padding, self.ceil_mode, self.count_include_pad
        return ops.avg_pool1d(input, *how)


class AvgPool2d(AvgPool):
    """The average over each window of ([N,] C, H, W); see `ops.avg_pool2d`."""

    axes, function = 2, ops.avg_pool2d


class AvgPool3d(AvgPool):
    """The average over each window of ([N,] C, D, H, W); see `ops.avg_pool3d`."""

    axes, function = 3, ops.avg_pool3d


class LPPool(Pooling):
    """The root of the sum of powers of each window."""

    shown = "norm_type", "kernel_size", "stride", "ceil_mode"

    def __init__(
        self,
        norm_type: float,
        kernel_size: Size,
        stride: Size | None = None,
        ceil_mode: bool = False,
    ) -> None:
        super().__init__()
        self.norm_type = norm_type
        self.kernel_size = kernel_size
        self.stride = stride
        self.ceil_mode = ceil_mode
        sliding_window(type(self).__name__, self.axes, kernel_size, stride, 0)

    def forward(self, input: Tensor) -> Tensor:
        how = self.norm_type, self.kernel_size, self.stride, self.ceil_mode
        y: Tensor = type(self).function(input, *how)
        return y


class LPPool1d(LPPool):
    """(Σ x^p)^(1 / p) over each window of ([N,] C, L); see `ops.lp_pool1d`."""

    axes, function = 1, ops.lp_pool1d


class LPPool2d(LPPool):
    """(Σ x^p)^(1 / p) over each window of ([N,] C, H, W); see `ops.lp_pool2d`."""

    axes, function = 2, ops.lp_pool2d


class LPPool3d(LPPool):
    """(Σ x^p)^(1 / p) over each window of ([N,] C, D, H, W); see `ops.lp_pool3d`."""

    axes, function = 3, ops.lp_pool3d


class AdaptiveAvgPool(Pooling):
    """The averages over as many windows as asked for."""

    shown = ("output_size",)

    def __init__(self, output_size: AdaptiveSize) -> None:
        super().__init__()
        self.output_size = output_size
        Adaptive.of(type(self).__name__, self.axes, output_size)

    def forward(self, input: Tensor) -> Tensor:
        y: Tensor = type(self).function(input, self.output_size)
        return y


class AdaptiveAvgPool1d(AdaptiveAvgPool):
    """([N,] C, L) to ([N,] C, output_size); see `ops.adaptive_avg_pool1d`."""

    axes, function = 1, ops.adaptive_avg_pool1d


class AdaptiveAvgPool2d(AdaptiveAvgPool):
    """([N,] C, H, W) to ([N,] C, *output_size); see `ops.adaptive_avg_pool2d`."""

    axes, function = 2, ops.adaptive_avg_pool2d


class AdaptiveAvgPool3d(AdaptiveAvgPool):
    """([N,] C, D, H, W) to ([N,] C, *output_size); see `ops.adaptive_avg_pool3d`."""

    axes, function = 3, ops.adaptive_avg_pool3d


class AdaptiveMaxPool(Pooling):
    """The maxima of as many windows as asked for, with `return_indices` also where they are."""

    shown = ("output_size",)

    def __init__(self, output_size: AdaptiveSize, return_indices: bool = False) -> None:
        super().__init__()
        self.output_size = output_size
        self.return_indices = return_indices
        Adaptive.of(type(self).__name__, self.axes, output_size)

    def forward(self, input: Tensor) -> Any:
        return type(self).function(input, self.output_size, self.return_indices)


class AdaptiveMaxPool1d(AdaptiveMaxPool):
    """([N,] C, L) to ([N,] C, output_size); see `ops.adaptive_max_pool1d`."""

    axes, function = 1, ops.adaptive_max_pool1d


class AdaptiveMaxPool2d(AdaptiveMaxPool):
    """([N,] C, H, W) to ([N,] C, *output_size); see `ops.adaptive_max_pool2d`."""

    axes, function = 2, ops.adaptive_max_pool2d


class AdaptiveMaxPool3d(AdaptiveMaxPool):
    """([N,] C, D, H, W) to ([N,] C, *output_size); see `ops.adaptive_max_pool3d`."""

    axes, function = 3, ops.adaptive_max_pool3d


class MaxUnpool(Pooling):
    """Values put back where a max pooling found them, with zeros around."""

    shown = "kernel_size", "stride", "padding"

    def __init__(self, kernel_size: Size, stride: Size | None = None, padding: Any = 0) -> None:
        super().__init__()
        name = type(self).__name__
        window = sliding_window(name, self.axes, kernel_size, stride, padding)
        self.kernel_size = window.kernel_size
        self.stride = window.stride
        self.padding = padding if isinstance(padding, (tuple, list)) else (padding,) * self.axes

    def forward(self, input: Tensor, indices: Tensor, output_size: Any = None) -> Tensor:
        how = self.kernel_size, self.stride, self.padding, output_size
        y: Tensor = type(self).function(input, indices, *how)
        return y


class MaxUnpool1d(MaxUnpool):
    """The partial inverse of MaxPool1d; see `ops.max_unpool1d`."""

    axes, function = 1, ops.max_unpool1d


class MaxUnpool2d(MaxUnpool):
    """The partial inverse of MaxPool2d; see `ops.max_unpool2d`."""

    axes, function = 2, ops.max_unpool2d


class MaxUnpool3d(MaxUnpool):
    """The partial inverse of MaxPool3d; see `ops.max_unpool3d`."""

    axes, function = 3, ops.max_unpool3d


class Subsample(Pooling):
    """Every `stride`-th position along each axis, the others dropped: the cheapest pooling."""

    shown = ("stride",)

    def __init__(self, stride: Size) -> None:
        super().__init__()
        self.stride = stride
        self.steps = per_axis(type(self).__name__, "stride", stride, self.axes, 1)

    def forward(self, input: Tensor) -> Tensor:
        return functional.subsample(input, self.steps)


class Subsample1d(Subsample):
    """x[..., ::s] of ([N,] C, L); see `nn.functional.subsample`."""

    axes = 1


class Subsample2d(Subsample):
    """x[..., ::s, ::s] of ([N,] C, H, W); see `nn.functional.subsample`."""

    axes = 2


class Subsample3d(Subsample):
    """x[..., ::s, ::s, ::s] of ([N,] C, D, H, W); see `nn.functional.subsample`."""

    axes = 3
