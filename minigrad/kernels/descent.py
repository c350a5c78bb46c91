"""A step of gradient descent with momentum as one pass over the memory of a parameter."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import numpy as np

from minigrad.kernels.jit import kernel, prange
from minigrad.kernels.simd import fill, fma, lanes
from minigrad.kernels.streaming import drain, part, put

__all__ = ["descend", "examples"]

# Elements that a thread takes at a time.
CHUNK = 1 << 14


@kernel(light=True)
def descend(
    value: np.ndarray,
    grad: np.ndarray,
    velocity: np.ndarray,
    numbers: np.ndarray,
    nesterov: bool,
    streamed: bool,
    new_value: np.ndarray,
    new_velocity: np.ndarray,
) -> None:
    """v' = momentum v + share d and θ' = rate d' + θ, where d = g + decay θ, and d' is v', or
    d + momentum v' if `nesterov`; arrays are flat, numbers: decay, momentum, share, rate."""
    step = lanes(value)
    for job in prange((len(value) + CHUNK - 1) // CHUNK):
        stop = min(len(value), (job + 1) * CHUNK)
        decay, momentum = fill(value, numbers[0]), fill(value, numbers[1])
        share, rate = fill(value, numbers[2]), fill(value, numbers[3])
        for i in range(job * CHUNK, stop, step):
            count = stop - i
            weight, direction = part(value, i, count), part(grad, i, count)
            if numbers[0] != 0:
                direction = fma(weight, decay, direction)
            speed = fma(part(velocity, i, count), momentum, direction * share)
            put(new_velocity, i, speed, count, streamed)
            if nesterov:
                speed = fma(speed, momentum, direction)
            put(new_value, i, fma(speed, rate, weight), count, streamed)
        drain(new_value)


def examples(dtype: np.dtype) -> Iterator[Callable[[], object]]:
    """A call of each."""
    x = np.zeros(1, dtype)
    yield partial(descend, x, x, x, np.zeros(4, dtype), False, False, x.copy(), x.copy())
