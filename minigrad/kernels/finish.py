"""What a convolution can do to its sums before they are stored, at no further pass over memory."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from minigrad.errors import ArgumentError, ShapeError
from minigrad.kernels.simd import bend
from minigrad.kernels.window import Lengths

__all__ = ["ACTIVATIONS", "Finish"]

# Activations by (slope below 0, largest value): slope * v where v < 0, else min(v, largest).
ACTIVATIONS = {
    None: (1.0, math.inf),
    "relu": (0.0, math.inf),
    "relu6": (0.0, 6.0),
    "leaky_relu": (0.01, math.inf),
}


class Finish(NamedTuple):
    """y = activation(sum + bias + residual); the residual lies in memory as the output does."""

    bias: np.ndarray | None = None
    residual: np.ndarray | None = None
    slope: float = 1.0
    most: float = math.inf

    @staticmethod
    def of(
        op: str,
        filters: int,
        dtype: np.dtype,
        bias: np.ndarray | None,
        residual: np.ndarray | None,
        activation: str | None,
    ) -> Finish:
        """From what a caller gives; the residual's shape is not looked at."""
        if activation not in ACTIVATIONS:
            known = ", ".join(repr(name) for name in ACTIVATIONS)
            raise ArgumentError(f"{op}: activation must be one of {known}, got {activation!r}")
        if bias is not None and (bias.shape != (filters,) or bias.dtype != dtype):
            raise ShapeError(
                f"{op}: bias must be {dtype} of shape ({filters},), got {bias.dtype} {bias.shape}"
            )
        return Finish(bias, residual, *ACTIVATIONS[activation])

    def padded_bias(self, columns: int, dtype: np.dtype) -> np.ndarray:
        """The bias and zeros up to so many columns."""
        padded = np.zeros(columns, dtype)
        if self.bias is not None:
            padded[: len(self.bias)] = self.bias
        return padded

    def flat_residual(self, dtype: np.dtype) -> np.ndarray:
        """The residual's memory, of no length where there is none."""
        return np.zeros(0, dtype) if self.residual is None else self.residual.reshape(-1)

    def alone(self, shape: Lengths, dtype: np.dtype) -> np.ndarray:
        """The result (N, *out, K) where nothing is summed, there being no channels or no pixels."""
        y = np.zeros(shape, dtype)
        for term in (self.bias, self.residual):
            if term is not None:
                y += term
        return bend(y, self.slope, self.most)
