"""Dropout of elements, of whole channels, and the one that keeps SELU's mean and variance."""

from __future__ import annotations

from minigrad.creation import ones
from minigrad.errors import ShapeError
from minigrad.ops import dropout, where
from minigrad.ops.number import as_number
from minigrad.spec import require_floating
from minigrad.tensor import Operand, Tensor, as_tensor

__all__ = ["alpha_dropout", "dropout", "dropout1d", "dropout2d", "dropout3d"]

SELU_SATURATION = 1.7580993408473766
"""-SELU(-∞) = λ α (Klambauer et al. 2017, section 3)."""


def _channels(op: str, input: Operand, p: float, training: bool, axes: int) -> Tensor:
    """Zero whole channels of (N, C, ...) with `axes` axes behind, or of (C, ...)."""
    x = as_tensor(input)
    require_floating(op, x.spec)
    as_number(op, "p", p, 0, 1)
    if x.ndim not in (axes + 1, axes + 2):
        raise ShapeError(
            f"{op}: takes (N, C, ...) or (C, ...) with {axes} axes behind the channels, got "
            f"{x.shape}"
        )
    if not training or p == 0:
        return x
    channels = x.shape[: x.ndim - axes] + (1,) * axes
    return x * dropout(ones(channels, x.dtype), p)


def dropout1d(input: Operand, p: float = 0.5, training: bool = True) -> Tensor:
    """In training, zero each channel of (N, C, L) or (C, L) with probability p, and scale the
    others by 1 / (1 - p) (Tompson et al. 2015)."""
    return _channels("dropout1d", input, p, training, 1)


def dropout2d(input: Operand, p: float = 0.5, training: bool = True) -> Tensor:
    """In training, zero each channel of (N, C, H, W) with probability p, and scale the others by
    1 / (1 - p) (Tompson et al. 2015). Three axes are (N, C, L), as in PyTorch."""
    x = as_tensor(input)
    if x.ndim not in (3, 4):
        raise ShapeError(f"dropout2d: takes (N, C, H, W) or (N, C, L), got {x.shape}")
    return _channels("dropout2d", x, p, training, x.ndim - 2)


def dropout3d(input: Operand, p: float = 0.5, training: bool = True) -> Tensor:
    """In training, zero each channel of (N, C, D, H, W) or (C, D, H, W) with probability p, and
    scale the others by 1 / (1 - p)."""
    return _channels("dropout3d", input, p, training, 3)


def alpha_dropout(input: Operand, p: float = 0.5, training: bool = False) -> Tensor:
    """In training, set each element to SELU's lower bound with probability p, then scale and shift
    so that mean 0 and variance 1 are kept (Klambauer et al. 2017, section 3)."""
    x = as_tensor(input)
    require_floating("alpha_dropout", x.spec)
    share = as_number("alpha_dropout", "p", p, 0, 1)
    if not training or share == 0:
        return x
    if share == 1:
        return x * 0.0
    kept = dropout(ones(x.shape, x.dtype), share) > 0
    scale = ((SELU_SATURATION**2 * share + 1) * (1 - share)) ** -0.5
    shift = SELU_SATURATION * scale
    return where(kept, x * scale, -shift) + shift * share
