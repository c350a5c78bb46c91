"""Lengths, angles and distances of vectors along an axis."""

from __future__ import annotations

import math

from minigrad.errors import ShapeError
from minigrad.ops import abs, where
from minigrad.ops.number import as_number
from minigrad.spec import broadcast_shapes, common_dtype, normalize_axis, require_floating
from minigrad.tensor import Operand, Tensor, as_tensor

__all__ = ["cosine_similarity", "normalize", "pairwise_distance"]


def _length(op: str, x: Tensor, p: float, axis: int, keepdims: bool) -> Tensor:
    """(Σ |x|^p)^(1/p), with gradient 0 where it is 0."""
    order = as_number(op, "p", p, 0)
    if order == 2:
        return (x * x).sum(axis=axis, keepdims=keepdims).sqrt()
    if order == 1:
        return abs(x).sum(axis=axis, keepdims=keepdims)
    if order == math.inf:
        return abs(x).max(axis=axis, keepdims=keepdims)
    if order == 0:
        return (x != 0).astype(x.dtype).sum(axis=axis, keepdims=keepdims)
    nothing = x == 0
    powers = where(nothing, 0, abs(where(nothing, 1, x)) ** order)
    total = powers.sum(axis=axis, keepdims=keepdims)
    zero = total == 0
    return where(zero, 0, where(zero, 1, total) ** (1 / order))


def normalize(input: Operand, p: float = 2.0, dim: int = 1, eps: float = 1e-12) -> Tensor:
    """x / max(‖x‖, eps) with the norm of order `p` along `dim`."""
    x = as_tensor(input)
    require_floating("normalize", x.spec)
    axis = normalize_axis("normalize", dim, x.ndim)
    floor = as_number("normalize", "eps", eps, 0)
    length = _length("normalize", x, p, axis, True)
    return x / where(length > floor, length, floor)


def cosine_similarity(x1: Operand, x2: Operand, dim: int = 1, eps: float = 1e-8) -> Tensor:
    """x1 · x2 / (max(‖x1‖, eps) max(‖x2‖, eps)) along `dim`, the inputs broadcast."""
    a, b = as_tensor(x1), as_tensor(x2)
    require_floating("cosine_similarity", a.spec, b.spec)
    common_dtype("cosine_similarity", a.spec, b.spec)
    shape = broadcast_shapes("cosine_similarity", a.shape, b.shape)
    axis = normalize_axis("cosine_similarity", dim, len(shape))
    floor = as_number("cosine_similarity", "eps", eps, 0)
    lengths = []
    for x in (a, b):
        length = _length("cosine_similarity", x.expand(shape), 2, axis, False)
        lengths.append(where(length > floor, length, floor))
    return (a * b).sum(axis=axis) / (lengths[0] * lengths[1])


def pairwise_distance(
    x1: Operand, x2: Operand, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False
) -> Tensor:
    """‖x1 - x2 + eps‖ of order `p` along the last axis, the inputs broadcast."""
    a, b = as_tensor(x1), as_tensor(x2)
    require_floating("pairwise_distance", a.spec, b.spec)
    common_dtype("pairwise_distance", a.spec, b.spec)
    difference = a - b + as_number("pairwise_distance", "eps", eps)
    if difference.ndim == 0:
        raise ShapeError("pairwise_distance: takes vectors, got two 0-d arrays")
    return _length("pairwise_distance", difference, p, -1, bool(keepdim))
