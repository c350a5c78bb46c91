"""Initial values of parameters, with PyTorch's names; each writes into its tensor and returns it.

The numbers come from minigrad's own counter-based generator, so a seed gives the same network on
every machine. They are drawn in the tensor's own dtype: float32 takes half of float64's time.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import numpy as np

from minigrad import tape
from minigrad.errors import ArgumentError, ShapeError
from minigrad.random import generator, next_draw
from minigrad.spec import float32
from minigrad.tensor import Array, Tensor, asarray

_skipping: ContextVar[bool] = ContextVar("skipping", default=False)


@contextmanager
def skipped() -> Iterator[None]:
    """Within this block, in this thread, the functions below leave their tensors as they are.

    A layer made in it keeps the zeros (a normalization the ones) that it starts from, which take
    neither time nor memory until they are written: for a network that draws its first values by
    a rule of its own, or gets them from a `state_dict`.
    """
    token = _skipping.set(True)
    try:
        yield
    finally:
        _skipping.reset(token)


def _write(tensor: Tensor, values: Callable[[], Array]) -> Tensor:
    """Within `minigrad.abstract`, a tensor without values stays so."""
    if _skipping.get() or (tape.state.abstract and tensor.is_abstract):
        return tensor
    return tensor.assign(asarray(values().astype(tensor.dtype, copy=False)))


def _drawn_as(tensor: Tensor) -> type[np.float32] | type[np.float64]:
    """The type of the numbers drawn for a tensor: its own, where that is floating."""
    return np.float32 if tensor.dtype == float32 else np.float64


def uniform_(tensor: Tensor, a: float = 0.0, b: float = 1.0) -> Tensor:
    """Numbers uniform between a and b."""
    if not math.isfinite(b - a):
        raise ArgumentError(f"uniform_: a and b are finite numbers, got {a} and {b}")

    def values() -> Array:
        drawn = generator(next_draw()).random(tensor.shape, dtype=_drawn_as(tensor))
        drawn *= b - a
        drawn += a
        return drawn

    return _write(tensor, values)


def normal_(tensor: Tensor, mean: float = 0.0, std: float = 1.0) -> Tensor:
    """Numbers from the normal distribution."""
    if std < 0:
        raise ArgumentError(f"normal_: std must not be negative, got {std}")

    def values() -> Array:
        drawn = generator(next_draw()).standard_normal(tensor.shape, dtype=_drawn_as(tensor))
        drawn *= std
        drawn += mean
        return drawn

    return _write(tensor, values)


def constant_(tensor: Tensor, val: float) -> Tensor:
    """One value everywhere."""
    return _write(tensor, lambda: np.full(tensor.shape, val, tensor.dtype))


def zeros_(tensor: Tensor) -> Tensor:
    """Zeros."""
    return constant_(tensor, 0.0)


def ones_(tensor: Tensor) -> Tensor:
    """Ones."""
    return constant_(tensor, 1.0)


def fan(tensor: Tensor) -> tuple[int, int]:
    """Inputs and outputs that one unit of a weight (out, in, *kernel) is connected to."""
    if tensor.ndim < 2:
        raise ShapeError(f"fan in and fan out take at least 2 axes, got shape {tensor.shape}")
    receptive = math.prod(tensor.shape[2:])
    return tensor.shape[1] * receptive, tensor.shape[0] * receptive


GAINS = {
    "linear": 1.0,
    **{f"{conv}{axes}d": 1.0 for conv in ("conv", "conv_transpose") for axes in (1, 2, 3)},
    "sigmoid": 1.0,
    "tanh": 5 / 3,
    "relu": math.sqrt(2),
    "selu": 3 / 4,
}


def calculate_gain(nonlinearity: str, param: float | None = None) -> float:
    """The factor that keeps the variance of activations through a nonlinearity."""
    if nonlinearity == "leaky_relu":
        slope = 0.01 if param is None else param
        return math.sqrt(2 / (1 + slope**2))
    if nonlinearity not in GAINS:
        known = ", ".join([*GAINS, "leaky_relu"])
        raise ArgumentError(f"calculate_gain: takes {known}; got {nonlinearity!r}")
    return GAINS[nonlinearity]


def _fan_of(tensor: Tensor, mode: str) -> int:
    if mode not in ("fan_in", "fan_out"):
        raise ArgumentError(f"kaiming: mode takes 'fan_in' or 'fan_out', got {mode!r}")
    return fan(tensor)[mode == "fan_out"]


def kaiming_uniform_(
    tensor: Tensor, a: float = 0, mode: str = "fan_in", nonlinearity: str = "leaky_relu"
) -> Tensor:
    """Uniform within ±gain sqrt(3 / fan) (He et al. 2015, section 2.2)."""
    bound = calculate_gain(nonlinearity, a) * math.sqrt(3 / max(1, _fan_of(tensor, mode)))
    return uniform_(tensor, -bound, bound)


def kaiming_normal_(
    tensor: Tensor, a: float = 0, mode: str = "fan_in", nonlinearity: str = "leaky_relu"
) -> Tensor:
    """Normal with standard deviation gain / sqrt(fan) (He et al. 2015, section 2.2)."""
    std = calculate_gain(nonlinearity, a) / math.sqrt(max(1, _fan_of(tensor, mode)))
    return normal_(tensor, 0.0, std)


def xavier_uniform_(tensor: Tensor, gain: float = 1.0) -> Tensor:
    """Uniform within ±gain sqrt(6 / (fan_in + fan_out)) (Glorot and Bengio 2010, section 4.2)."""
    bound = gain * math.sqrt(6 / sum(fan(tensor)))
    return uniform_(tensor, -bound, bound)


def xavier_normal_(tensor: Tensor, gain: float = 1.0) -> Tensor:
    """Normal with standard deviation gain sqrt(2 / (fan_in + fan_out)) (Glorot and Bengio 2010)."""
    return normal_(tensor, 0.0, gain * math.sqrt(2 / sum(fan(tensor))))
