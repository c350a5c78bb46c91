"""Tensors from nothing: of one value, of equal steps, of ones on the diagonal."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import numpy as np

from minigrad import tape
from minigrad.errors import ArgumentError
from minigrad.spec import Spec, as_dtype, as_integer, as_shape, float32, int64
from minigrad.tensor import Array, Operand, Tensor, asarray, of_spec

__all__ = [
    "abstract",
    "arange",
    "empty",
    "empty_like",
    "eye",
    "full",
    "full_like",
    "linspace",
    "ones",
    "ones_like",
    "zeros",
    "zeros_like",
]

Lengths = int | Sequence[int]


@contextmanager
def abstract() -> Iterator[None]:
    """Within: zeros, ones, full, empty, the random functions and `nn.init` make or leave tensors
    of a shape and a dtype alone, so a network of any size is built at once, to be traced or
    summarized. Values can be loaded into it (`load_state_dict`)."""
    previous = tape.state.abstract
    tape.state.abstract = True
    try:
        yield
    finally:
        tape.state.abstract = previous


def made(shape: tuple[int, ...], dtype: Any, make: Callable[..., Array]) -> Tensor:
    """make(shape, dtype) as a tensor; within `abstract`, one without values."""
    chosen = as_dtype(dtype)
    if tape.state.abstract:
        return of_spec(Spec.of(shape, chosen))
    return asarray(make(shape, chosen))


def _require_numbers(op: str, *values: Any) -> None:
    for value in values:
        if not isinstance(value, (int, float, np.bool_, np.integer, np.floating)):
            raise ArgumentError(f"{op}: takes real numbers, got {value!r}")


def zeros(shape: Lengths, dtype: Any = float32, requires_grad: bool = False) -> Tensor:
    """A tensor of zeros."""
    return made(as_shape("zeros", shape), dtype, np.zeros).requires_grad_(requires_grad)


def ones(shape: Lengths, dtype: Any = float32, requires_grad: bool = False) -> Tensor:
    """A tensor of ones."""
    return made(as_shape("ones", shape), dtype, np.ones).requires_grad_(requires_grad)


def full(
    shape: Lengths, fill_value: float, dtype: Any = None, requires_grad: bool = False
) -> Tensor:
    """A tensor of one value; its dtype is that of the value unless given."""
    lengths = as_shape("full", shape)
    _require_numbers("full", fill_value)
    chosen = asarray(fill_value).dtype if dtype is None else as_dtype(dtype)
    with np.errstate(all="ignore"), suppress(OverflowError):
        value = np.asarray(fill_value).astype(chosen)
        if chosen.kind not in "iu" or value == fill_value:
            filled = made(lengths, chosen, lambda shape, dtype: np.full(shape, value, dtype))
            return filled.requires_grad_(requires_grad)
    raise ArgumentError(f"full: fill_value {fill_value!r} is no {chosen}")


def zeros_like(x: Operand, dtype: Any = None, requires_grad: bool = False) -> Tensor:
    """Zeros of the shape and, unless given, the dtype of x."""
    x = asarray(x)
    return zeros(x.shape, x.dtype if dtype is None else dtype, requires_grad)


def ones_like(x: Operand, dtype: Any = None, requires_grad: bool = False) -> Tensor:
    """Ones of the shape and, unless given, the dtype of x."""
    x = asarray(x)
    return ones(x.shape, x.dtype if dtype is None else dtype, requires_grad)


def empty(shape: Lengths, dtype: Any = float32, requires_grad: bool = False) -> Tensor:
    """A tensor whose values nobody may rely on. They are zeros."""
    return made(as_shape("empty", shape), dtype, np.zeros).requires_grad_(requires_grad)


def empty_like(x: Operand, dtype: Any = None, requires_grad: bool = False) -> Tensor:
    """`empty` of the shape and, unless given, the dtype of x."""
    x = asarray(x)
    return zeros(x.shape, x.dtype if dtype is None else dtype, requires_grad)


def full_like(
    x: Operand, fill_value: float, dtype: Any = None, requires_grad: bool = False
) -> Tensor:
    """`full` of the shape and, unless given, the dtype of x."""
    x = asarray(x)
    return full(x.shape, fill_value, x.dtype if dtype is None else dtype, requires_grad)


def arange(
    start: float,
    stop: float | None = None,
    step: float = 1,
    dtype: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """start, start + step, ... below stop; with one argument from 0. int64 if all are integers."""
    if step == 0:
        raise ArgumentError("arange: step must not be 0")
    first, last = (0, start) if stop is None else (start, stop)
    _require_numbers("arange", first, last, step)
    whole = all(isinstance(v, (int, np.integer)) for v in (first, last, step))
    chosen = as_dtype(dtype) if dtype is not None else (int64 if whole else float32)
    try:
        values = np.arange(first, last, step).astype(chosen)
    except (ValueError, OverflowError) as error:
        raise ArgumentError(f"arange: from {first} to {last} by {step}: {error}") from None
    return asarray(values).requires_grad_(requires_grad)


def linspace(
    start: float,
    stop: float,
    num: int,
    dtype: Any = float32,
    endpoint: bool = True,
    requires_grad: bool = False,
) -> Tensor:
    """`num` values at equal distances from start to stop."""
    count = as_integer("linspace", "num", num)
    if count < 0:
        raise ArgumentError(f"linspace: num must not be negative, got {count}")
    _require_numbers("linspace", start, stop)
    values = np.linspace(start, stop, count, endpoint=endpoint).astype(as_dtype(dtype))
    return asarray(values).requires_grad_(requires_grad)


def eye(
    n_rows: int, n_cols: int | None = None, dtype: Any = float32, requires_grad: bool = False
) -> Tensor:
    """Ones on the diagonal, zeros elsewhere."""
    rows, columns = as_shape("eye", (n_rows, n_rows if n_cols is None else n_cols))
    return asarray(np.eye(rows, columns, dtype=as_dtype(dtype))).requires_grad_(requires_grad)
