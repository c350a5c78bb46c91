"""Dropout layers."""

from __future__ import annotations

from minigrad.errors import ArgumentError
from minigrad.nn import functional
from minigrad.nn.module import Module
from minigrad.tensor import Tensor

__all__ = ["AlphaDropout", "Dropout", "Dropout1d", "Dropout2d", "Dropout3d"]


class RandomDrop(Module):
    """What all dropout layers share: the probability p.

    `inplace` is taken and printed as PyTorch's; recorded values never change, so it has no effect.
    """

    def __init__(self, p: float = 0.5, inplace: bool = False) -> None:
        super().__init__()
        if not isinstance(p, (int, float)) or not 0 <= p <= 1:
            layer = type(self).__name__
            raise ArgumentError(f"{layer}: p is a probability between 0 and 1, got {p!r}")
        self.p = p
        self.inplace = inplace

    def extra_repr(self) -> str:
        return f"p={self.p}, inplace={self.inplace}"


class Dropout(RandomDrop):
    """In training, zeroes each element with probability p; see `functional.dropout`."""

    def forward(self, input: Tensor) -> Tensor:
        return functional.dropout(input, self.p, self.training)


class Dropout1d(RandomDrop):
    """In training, zeroes each channel of (N, C, L); see `functional.dropout1d`."""

    def forward(self, input: Tensor) -> Tensor:
        return functional.dropout1d(input, self.p, self.training)


class Dropout2d(RandomDrop):
    """In training, zeroes each channel of (N, C, H, W); see `functional.dropout2d`."""

    def forward(self, input: Tensor) -> Tensor:
        return functional.dropout2d(input, self.p, self.training)


class Dropout3d(RandomDrop):
    """In training, zeroes each channel of (N, C, D, H, W); see `functional.dropout3d`."""

    def forward(self, input: Tensor) -> Tensor:
        return functional.dropout3d(input, self.p, self.training)


class AlphaDropout(RandomDrop):
    """Dropout that keeps mean and variance of SELU's results; see `functional.alpha_dropout`."""

    def forward(self, input: Tensor) -> Tensor:
        return functional.alpha_dropout(input, self.p, self.training)
