"""What a row of the table of op samples is, and the generators of its inputs.

Inputs keep clear of the points where a derivative does not exist; these have tests of their own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numeric import STEP
from numpy.typing import NDArray

from minigrad.tensor import Tensor

Array = NDArray[Any]

FIXED = {"differentiable": False}
"""What a sample without a gradient says."""

_generator = np.random.default_rng(20240607)


@dataclass(frozen=True)
class Sample:
    """One call that runs the op named `op`.

    `function` takes the inputs as tensors, `reference` is the same in plain NumPy and settles the
    value and the dtype of the result. Floating-point inputs are float64 and are all
    differentiated by if the sample is `differentiable`; `step` is that of the central differences.
    """

    op: str
    label: str
    function: Callable[..., Tensor]
    reference: Callable[..., Any]
    inputs: tuple[Array, ...]
    differentiable: bool = True
    step: float = STEP

    @property
    def id(self) -> str:
        return f"{self.op}-{self.label}"


def normal(*shape: int) -> Array:
    """Numbers of the normal distribution."""
    return np.asarray(_generator.standard_normal(shape))


def away(*shape: int) -> Array:
    """Numbers between 0.5 and 1.5 from zero, of either sign."""
    return np.asarray(_generator.uniform(0.5, 1.5, shape) * _generator.choice([-1.0, 1.0], shape))


def positive(*shape: int) -> Array:
    """Numbers from 0.5 to 2."""
    return np.asarray(_generator.uniform(0.5, 2, shape))


def distinct(*shape: int) -> Array:
    """Numbers no two of which are near each other."""
    size = int(np.prod(shape))
    return (_generator.permutation(size) / 8 - size / 16).reshape(shape)


def eighths(*shape: int) -> Array:
    """Multiples of 1/8, exact in every floating-point dtype."""
    return np.asarray(_generator.integers(-16, 17, shape) / 8)


def whole(*shape: int, low: int = -5, high: int = 6, dtype: str = "int64") -> Array:
    """Integers from low to high - 1."""
    return np.asarray(_generator.integers(low, high, shape), dtype)


def mask(*shape: int) -> Array:
    """Truth values."""
    return np.asarray(_generator.random(shape) < 0.5)
