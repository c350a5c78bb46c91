"""A step of an optimizer as one pass over the memory of a parameter.

What is new may lie where the old was: every vector is read before it is written.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
from llvmlite import ir

from minigrad.kernels.jit import kernel, prange
from minigrad.kernels.simd import (
    VectorType,
    fill,
    fma,
    intrinsic,
    lanes,
    primitive,
    quotient,
    suffix,
)
from minigrad.kernels.streaming import drain, part, put

__all__ = ["adapt", "descend", "examples"]

# Elements that a thread takes at a time.
CHUNK = 1 << 12


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
    """v' = momentum v + share d and θ' = rate d' + θ, where d = sign g + decay θ, and d' is v', or
    d + momentum v' if `nesterov`; arrays are flat, numbers: sign, decay, momentum, share, rate.
    Without momentum d' is d, and neither velocity is touched."""
    step = lanes(value)
    for job in prange((len(value) + CHUNK - 1) // CHUNK):
        stop = min(len(value), (job + 1) * CHUNK)
        sign, decay = fill(value, numbers[0]), fill(value, numbers[1])
        momentum, share = fill(value, numbers[2]), fill(value, numbers[3])
        rate = fill(value, numbers[4])
        for i in range(job * CHUNK, stop, step):
            count = stop - i
            weight, direction = part(value, i, count), part(grad, i, count) * sign
            if numbers[1] != 0:
                direction = fma(weight, decay, direction)
            if numbers[2] != 0:
                speed = fma(part(velocity, i, count), momentum, direction * share)
                put(new_velocity, i, speed, count, streamed)
                direction = fma(speed, momentum, direction) if nesterov else speed
            put(new_value, i, fma(direction, rate, weight), count, streamed)
        drain(new_value)


def root(v: np.ndarray) -> np.ndarray:
    """The square root, correctly rounded."""
    return np.sqrt(v)


@primitive(root, lambda v: v, VectorType)
def _(builder: ir.IRBuilder, kinds: tuple, values: tuple) -> ir.Value:
    (kind,) = kinds
    return intrinsic(builder, f"llvm.sqrt.{suffix(kind)}", kind.llvm, list(values))


def maximum(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The larger of the two, NaN where either is."""
    return np.maximum(a, b)


@primitive(maximum, lambda a, b: a, VectorType, VectorType)
def _(builder: ir.IRBuilder, kinds: tuple, values: tuple) -> ir.Value:
    a, b = values
    largest = builder.select(builder.fcmp_unordered(">", b, a), b, a)  # b where a is NaN
    return builder.select(builder.fcmp_unordered("uno", a, a), a, largest)


@kernel(light=True)
def adapt(
    value: np.ndarray,
    grad: np.ndarray,
    mean: np.ndarray,
    square: np.ndarray,
    largest: np.ndarray,
    numbers: np.ndarray,
    amsgrad: bool,
    streamed: bool,
    new_value: np.ndarray,
    new_mean: np.ndarray,
    new_square: np.ndarray,
    new_largest: np.ndarray,
) -> None:
    """m' = β₁ m + (1 - β₁) d and v' = β₂ v + (1 - β₂) d², where d = sign g + decay θ, and then
    θ' = shrink θ + rate m' / (sqrt(v') / spread + eps), with l' = max(l, v') in place of v' if
    `amsgrad`; else neither largest is touched. Arrays are flat, numbers: sign, decay, shrink, rate,
    β₁, 1 - β₁, β₂, 1 - β₂, spread, eps."""
    step = lanes(value)
    for job in prange((len(value) + CHUNK - 1) // CHUNK):
        stop = min(len(value), (job + 1) * CHUNK)
        sign, decay = fill(value, numbers[0]), fill(value, numbers[1])
        shrink, rate = fill(value, numbers[2]), fill(value, numbers[3])
        keep, share = fill(value, numbers[4]), fill(value, numbers[5])
        keep_square, share_square = fill(value, numbers[6]), fill(value, numbers[7])
        spread, eps = fill(value, numbers[8]), fill(value, numbers[9])
        for i in range(job * CHUNK, stop, step):
            count = stop - i
            weight, direction = part(value, i, count), part(grad, i, count) * sign
            if numbers[1] != 0:
                direction = fma(weight, decay, direction)
            first = fma(part(mean, i, count), keep, direction * share)
            put(new_mean, i, first, count, streamed)
            second = direction * direction * share_square
            second = fma(part(square, i, count), keep_square, second)
            put(new_square, i, second, count, streamed)
            if amsgrad:
                second = maximum(part(largest, i, count), second)
                put(new_largest, i, second, count, streamed)
            change = quotient(first * rate, quotient(root(second), spread) + eps)
            put(new_value, i, fma(weight, shrink, change), count, streamed)
        drain(new_value)


def examples(dtype: np.dtype) -> Iterator[Callable[[], object]]:
    """A call of each."""
    x = np.zeros(1, dtype)
    out = [x.copy() for _ in range(4)]
    yield partial(descend, x, x, x, np.zeros(5, dtype), False, False, *out[:2])
    yield partial(adapt, x, x, x, x, x, np.ones(10, dtype), False, False, *out)
