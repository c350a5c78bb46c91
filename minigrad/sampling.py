"""Tensors of random numbers.

Every function takes one draw of the generator that `manual_seed` sets.
"""

from __future__ import annotations

import math
from contextlib import suppress
from typing import Any

import numpy as np

from minigrad.creation import Lengths, made
from minigrad.errors import ArgumentError, DtypeError
from minigrad.random import generator, next_draw
from minigrad.spec import (
    FLOATING,
    as_dtype,
    as_integer,
    as_shape,
    float32,
    int64,
    require_floating,
)
from minigrad.tensor import Operand, Tensor, as_tensor, asarray

__all__ = [
    "bernoulli",
    "normal",
    "rand",
    "rand_like",
    "randint",
    "randn",
    "randn_like",
    "randperm",
    "uniform",
]


def _finite(op: str, argument: str, value: Any) -> float:
    numeric = (int, float, np.integer, np.floating)
    if isinstance(value, numeric) and not isinstance(value, bool):
        with suppress(OverflowError):
            number = float(value)
            if math.isfinite(number):
                return number
    raise ArgumentError(f"{op}: {argument} takes a finite number, got {value!r}")


def _floating(op: str, dtype: Any) -> np.dtype[Any]:
    chosen = as_dtype(dtype)
    if chosen not in FLOATING:
        raise DtypeError(f"{op}: dtype takes float32 or float64, got {chosen}")
    return chosen


def rand(shape: Lengths, dtype: Any = float32, requires_grad: bool = False) -> Tensor:
    """Independent numbers uniform on [0, 1)."""
    chosen = _floating("rand", dtype)
    drawn = made(as_shape("rand", shape), chosen, generator(next_draw()).random)
    return drawn.requires_grad_(requires_grad)


def randn(shape: Lengths, dtype: Any = float32, requires_grad: bool = False) -> Tensor:
    """Independent numbers from the normal distribution of mean 0 and variance 1."""
    chosen = _floating("randn", dtype)
    drawn = made(as_shape("randn", shape), chosen, generator(next_draw()).standard_normal)
    return drawn.requires_grad_(requires_grad)


def rand_like(x: Operand, dtype: Any = None, requires_grad: bool = False) -> Tensor:
    """`rand` of the shape and, unless given, the dtype of x."""
    x = as_tensor(x)
    return rand(x.shape, x.dtype if dtype is None else dtype, requires_grad)


def randn_like(x: Operand, dtype: Any = None, requires_grad: bool = False) -> Tensor:
    """`randn` of the shape and, unless given, the dtype of x."""
    x = as_tensor(x)
    return randn(x.shape, x.dtype if dtype is None else dtype, requires_grad)


def uniform(
    low: float, high: float, shape: Lengths, dtype: Any = float32, requires_grad: bool = False
) -> Tensor:
    """Independent numbers uniform on [low, high). Raises ArgumentError unless low <= high."""
    first, last = _finite("uniform", "low", low), _finite("uniform", "high", high)
    if first > last or not math.isfinite(last - first):
        raise ArgumentError(f"uniform: low must not exceed high, got {low!r} and {high!r}")
    x = rand(as_shape("uniform", shape), dtype) * (last - first) + first
    return x.requires_grad_(requires_grad)


def normal(
    mean: float, std: float, shape: Lengths, dtype: Any = float32, requires_grad: bool = False
) -> Tensor:
    """Independent numbers from the normal distribution. Raises ArgumentError for a negative std."""
    center, deviation = _finite("normal", "mean", mean), _finite("normal", "std", std)
    if deviation < 0:
        raise ArgumentError(f"normal: std must not be negative, got {std!r}")
    x = randn(as_shape("normal", shape), dtype) * deviation + center
    return x.requires_grad_(requires_grad)


def randint(low: int, high: int, shape: Lengths, dtype: Any = int64) -> Tensor:
    """Independent integers from low to high - 1, all equally likely.

    Raises ArgumentError if there are none, DtypeError if the dtype does not hold them.
    """
    first, stop = as_integer("randint", "low", low), as_integer("randint", "high", high)
    chosen = as_dtype(dtype)
    if first >= stop:
        raise ArgumentError(f"randint: low must lie below high, got {first} and {stop}")
    if chosen.kind not in "iu":
        raise DtypeError(f"randint: dtype takes an integer dtype, got {chosen}")
    limits = np.iinfo(chosen)
    if first < limits.min or stop - 1 > limits.max:
        raise DtypeError(f"randint: {chosen} does not hold all from {first} to {stop - 1}")
    lengths = as_shape("randint", shape)
    return asarray(generator(next_draw()).integers(first, stop, lengths, dtype=chosen.type))


def randperm(n: int, dtype: Any = int64) -> Tensor:
    """The integers from 0 to n - 1 in random order."""
    (count,) = as_shape("randperm", as_integer("randperm", "n", n))
    chosen = as_dtype(dtype)
    if chosen.kind == "b" or (chosen.kind in "iu" and count - 1 > np.iinfo(chosen).max):
        raise DtypeError(f"randperm: {chosen} does not hold the integers below {count}")
    return asarray(generator(next_draw()).permutation(count).astype(chosen))


def bernoulli(p: Operand) -> Tensor:
    """Ones with the probabilities `p`, each independently, and zeros, of the spec of p.

    No gradient. Raises DtypeError, and ArgumentError for what is no probability.
    """
    x = as_tensor(p).detach()
    require_floating("bernoulli", x.spec)
    values = x.numpy()
    if not ((values >= 0) & (values <= 1)).all():
        raise ArgumentError("bernoulli: p lies between 0 and 1 everywhere")
    drawn = generator(next_draw()).random(x.shape, dtype=x.dtype.type)
    return asarray((drawn < values).astype(x.dtype))
