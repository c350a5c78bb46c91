"""Initial values of parameters, with PyTorch's names; each writes into its tensor and returns it.

The numbers come from minigrad's own counter-based generator, so a seed gives the same network on
every machine.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from minigrad import tape
from minigrad.errors import ArgumentError, ShapeError
from minigrad.random import generator, next_draw
from minigrad.tensor import Array, Tensor, asarray


def _write(tensor: Tensor, draw: Callable[[], Array]) -> Tensor:
    """Within `minigrad.abstract`, a tensor without values stays so."""
    if tape.state.abstract and tensor.is_abstract:
        return tensor
    return tensor.assign(asarray(draw().astype(tensor.dtype)))


def uniform_(tensor: Tensor, a: float = 0.0, b: float = 1.0) -> Tensor:
    """Numbers uniform between a and b."""
    if not math.isfinite(b - a):
        raise ArgumentError(f"uniform_: a and b are finite numbers, got {a} and {b}")
    drawn = generator(next_draw())
    return _write(tensor, lambda: drawn.uniform(a, b, tensor.shape))


def normal_(tensor: Tensor, mean: float = 0.0, std: float = 1.0) -> Tensor:
    """Numbers from the normal distribution."""
    if std < 0:
        raise ArgumentError(f"normal_: std must not be negative, got {std}")
    drawn = generator(next_draw())
    return _write(tensor, lambda: drawn.normal(mean, std, tensor.shape))


def constant_(tensor: Tensor, val: float) -> Tensor:
    """One value everywhere."""
    return _write(tensor, lambda: np.full(tensor.shape, val))


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
