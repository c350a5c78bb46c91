"""Dropout layers."""

from __future__ import annotations

from minigrad import ops
from minigrad.errors import ArgumentError
from minigrad.nn.module import Module
from minigrad.tensor import Tensor


class Dropout(Module):
    """In training, zeroes each element with probability p; see `ops.dropout`.

    `inplace` is taken and printed as PyTorch's; recorded values never change, so it has no effect.
    """

    def __init__(self, p: float = 0.5, inplace: bool = False) -> None:
        super().__init__()
        if not isinstance(p, (int, float)) or not 0 <= p <= 1:
            raise ArgumentError(f"Dropout: p is a probability between 0 and 1, got {p!r}")
        self.p = p
        self.inplace = inplace

    def forward(self, input: Tensor) -> Tensor:
        return ops.dropout(input, self.p, self.training)

    def extra_repr(self) -> str:
        return f"p={self.p}, inplace={self.inplace}"
