"""Along what derivatives are taken: element by element, or along random directions.

Each comes with the scale of its step, a power of two: adding one to a value loses no digits of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from minigrad.spec import Shape
from minigrad.tensor import Array


class Directions(Protocol):
    """Pairs of a direction and the scale of the step along it."""

    def __len__(self) -> int: ...
    def __getitem__(self, index: int, /) -> tuple[Array, float]: ...


class Units:
    """The elements one by one, with a step that suits each value."""

    def __init__(self, x: Array) -> None:
        self._x = x

    def __len__(self) -> int:
        return self._x.size

    def __getitem__(self, index: int) -> tuple[Array, float]:
        unit = np.zeros(self._x.shape)
        unit.flat[index] = 1
        return unit, power_of_two(max(1.0, abs(float(self._x.flat[index]))))


def drawn(rng: np.random.Generator, x: Array, count: int) -> Sequence[tuple[Array, float]]:
    """`count` random directions in which every element of `x` moves; none if it has none."""
    if not x.size:
        return []
    scale = power_of_two(max(1.0, float(np.median(np.abs(x)))))
    return [(weights(rng, x.shape), scale) for _ in range(count)]


def weights(rng: np.random.Generator, shape: Shape) -> Array:
    """Random numbers between 0.5 and 1.5 from zero: none lets an element go unseen."""
    return np.asarray(rng.uniform(0.5, 1.5, shape) * rng.choice([-1.0, 1.0], shape))


def power_of_two(value: float) -> float:
    """The power of two at or below a positive number."""
    return float(2.0 ** np.floor(np.log2(value)))
