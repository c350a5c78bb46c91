"""Derivatives by central differences, against which those of the engine are held.

The error of a central difference is about h² f''' + eps / h, which h = eps^(1/3) makes smallest:
about 1e-10 for float64.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

STEP = 6e-6


def central_differences(
    function: Callable[..., float], arrays: Sequence[NDArray], step: float = STEP
) -> list[NDArray]:
    """The derivative of a scalar function by every element of every array."""
    gradients = []
    for i, array in enumerate(arrays):
        gradient = np.zeros(array.shape, np.float64)
        for position in np.ndindex(array.shape):
            ends = []
            for sign in (1, -1):
                moved = array.copy()
                moved[position] += sign * step
                ends.append(function(*arrays[:i], moved, *arrays[i + 1 :]))
            gradient[position] = (ends[0] - ends[1]) / (2 * step)
        gradients.append(gradient)
    return gradients


def along(
    function: Callable[..., float],
    arrays: Sequence[NDArray],
    direction: Sequence[NDArray],
    step: float = STEP,
) -> float:
    """The derivative of a scalar function of all arrays in one direction."""
    ends = [
        function(*[a + sign * step * d for a, d in zip(arrays, direction, strict=True)])
        for sign in (1, -1)
    ]
    return (ends[0] - ends[1]) / (2 * step)
