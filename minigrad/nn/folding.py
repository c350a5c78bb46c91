"""Layers that take images apart into the blocks a window sees, and add them up again."""

from __future__ import annotations

from typing import Any

from minigrad.nn import functional
from minigrad.nn.module import Module
from minigrad.tensor import Tensor

__all__ = ["Fold", "Unfold"]

Pair = int | tuple[int, int]


class Unfold(Module):
    """([N,] C, H, W) to the columns ([N,] C · R · S, L); see `functional.unfold`."""

    def __init__(
        self, kernel_size: Pair, dilation: Pair = 1, padding: Any = 0, stride: Pair = 1
    ) -> None:
        super().__init__()
        self.kernel_size = kernel_size
        self.dilation = dilation
        self.padding = padding
        self.stride = stride

    def forward(self, input: Tensor) -> Tensor:
        how = self.kernel_size, self.dilation, self.padding, self.stride
        return functional.unfold(input, *how)

    def extra_repr(self) -> str:
        shown = "kernel_size", "dilation", "padding", "stride"
        return ", ".join(f"{name}={getattr(self, name)}" for name in shown)


class Fold(Module):
    """The columns ([N,] C · R · S, L) summed to ([N,] C, *output_size); see `functional.fold`."""

    def __init__(
        self,
        output_size: Pair,
        kernel_size: Pair,
        dilation: Pair = 1,
        padding: Any = 0,
        stride: Pair = 1,
    ) -> None:
        super().__init__()
        self.output_size = output_size
        self.kernel_size = kernel_size
        self.dilation = dilation
        self.padding = padding
        self.stride = stride

    def forward(self, input: Tensor) -> Tensor:
        how = self.kernel_size, self.dilation, self.padding, self.stride
        return functional.fold(input, self.output_size, *how)

    def extra_repr(self) -> str:
        shown = "output_size", "kernel_size", "dilation", "padding", "stride"
        return ", ".join(f"{name}={getattr(self, name)}" for name in shown)
