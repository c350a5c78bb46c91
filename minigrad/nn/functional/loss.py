"""Losses: how far an input is from a target, reduced to one number or not.

All take `reduction` "mean", "sum" or "none"; a mean of nothing is a ShapeError. Input and target
have one shape: nothing is broadcast that was not meant to be.
"""

from __future__ import annotations

from minigrad.errors import ArgumentError, ShapeError
from minigrad.nn.functional.similarity import pairwise_distance
from minigrad.ops import abs, exp, log, where
from minigrad.ops.loss import (
    bernoulli_loss,
    cross_entropy,
    logistic_loss,
    nll_loss,
    reduce_loss,
    require_reduction,
)
from minigrad.ops.number import as_number
from minigrad.spec import FLOATING, common_dtype, require_floating
from minigrad.tensor import Operand, Tensor, as_tensor

__all__ = [
    "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
    "cosine_embedding_loss",
    "cross_entropy",
    "hinge_embedding_loss",
    "huber_loss",
    "kl_div",
    "l1_loss",
    "margin_ranking_loss",
    "mse_loss",
    "nll_loss",
    "smooth_l1_loss",
    "soft_margin_loss",
    "triplet_margin_loss",
]


def _pair(op: str, input: Operand, target: Operand, reduction: str) -> tuple[Tensor, Tensor]:
    """Both as floating-point tensors of one shape and dtype."""
    require_reduction(op, reduction)
    x, t = as_tensor(input), as_tensor(target)
    require_floating(op, x.spec, t.spec)
    common_dtype(op, x.spec, t.spec)
    if x.shape != t.shape:
        raise ShapeError(
            f"{op}: input and target take one shape, got {x.shape} and {t.shape}; expand one"
        )
    return x, t


def _signs(op: str, target: Operand, like: Tensor) -> Tensor:
    """A target of 1 and -1, of integers too, in the dtype of another tensor."""
    t = as_tensor(target)
    if t.dtype in FLOATING:
        common_dtype(op, like.spec, t.spec)
    return t.astype(like.dtype)


def _positive_part(x: Tensor) -> Tensor:
    return where(x > 0, x, 0)


def mse_loss(input: Operand, target: Operand, *, reduction: str = "mean") -> Tensor:
    """(x - t)², the squared error."""
    x, t = _pair("mse_loss", input, target, reduction)
    difference = x - t
    return reduce_loss("mse_loss", difference * difference, reduction)


def l1_loss(input: Operand, target: Operand, *, reduction: str = "mean") -> Tensor:
    """|x - t|, the absolute error; its gradient at 0 is 0."""
    x, t = _pair("l1_loss", input, target, reduction)
    return reduce_loss("l1_loss", abs(x - t), reduction)


def smooth_l1_loss(
    input: Operand, target: Operand, *, reduction: str = "mean", beta: float = 1.0
) -> Tensor:
    """(x - t)² / (2 beta) where |x - t| < beta, else |x - t| - beta / 2 (Girshick 2015,
    equation 3). With beta 0 it is `l1_loss`."""
    x, t = _pair("smooth_l1_loss", input, target, reduction)
    width = as_number("smooth_l1_loss", "beta", beta, 0)
    distance = abs(x - t)
    losses = distance
    if width:
        square = distance * distance * (0.5 / width)
        losses = where(distance < width, square, distance - 0.5 * width)
    return reduce_loss("smooth_l1_loss", losses, reduction)


def huber_loss(
    input: Operand, target: Operand, reduction: str = "mean", delta: float = 1.0
) -> Tensor:
    """(x - t)² / 2 where |x - t| <= delta, else delta (|x - t| - delta / 2) (Huber 1964)."""
    x, t = _pair("huber_loss", input, target, reduction)
    width = as_number("huber_loss", "delta", delta, 0)
    if width == 0:
        raise ArgumentError("huber_loss: delta takes a number above 0, got 0")
    distance = abs(x - t)
    line = width * (distance - 0.5 * width)
    losses = where(distance <= width, 0.5 * distance * distance, line)
    return reduce_loss("huber_loss", losses, reduction)


def binary_cross_entropy(
    input: Operand, target: Operand, weight: Operand | None = None, *, reduction: str = "mean"
) -> Tensor:
    """-w (t ln x + (1 - t) ln(1 - x)) of probabilities x and t, the logarithms cut off at -100.

    `weight` broadcasts to the input. Raises ArgumentError where x is not between 0 and 1.
    """
    x, t = _pair("binary_cross_entropy", input, target, reduction)
    losses = _weighted("binary_cross_entropy", bernoulli_loss(x, t), weight)
    return reduce_loss("binary_cross_entropy", losses, reduction)


def binary_cross_entropy_with_logits(
    input: Operand,
    target: Operand,
    weight: Operand | None = None,
    *,
    reduction: str = "mean",
    pos_weight: Operand | None = None,
) -> Tensor:
    """-w (p t ln σ(x) + (1 - t) ln(1 - σ(x))) of scores x and probabilities t; overflows nowhere.

    `weight` w and `pos_weight` p (of the one class against the other) broadcast to the input.
    """
    op = "binary_cross_entropy_with_logits"
    x, t = _pair(op, input, target, reduction)
    if pos_weight is None:
        losses = logistic_loss(x, t)
    else:
        emphasized = _weighted(op, t * logistic_loss(x, 1.0), pos_weight, "pos_weight")
        losses = emphasized + (1 - t) * logistic_loss(x, 0.0)
    return reduce_loss(op, _weighted(op, losses, weight), reduction)


def _weighted(op: str, losses: Tensor, weight: Operand | None, argument: str = "weight") -> Tensor:
    """The losses times a weight that broadcasts to their shape."""
    if weight is None:
        return losses
    w = as_tensor(weight)
    common_dtype(op, losses.spec, w.spec)
    fits = all(n in (1, m) for n, m in zip(w.shape[::-1], losses.shape[::-1], strict=False))
    if w.ndim > losses.ndim or not fits:
        raise ShapeError(f"{op}: {argument} of {w.shape} does not broadcast to {losses.shape}")
    return losses * w


def kl_div(
    input: Operand, target: Operand, *, reduction: str = "mean", log_target: bool = False
) -> Tensor:
    """t (ln t - x), the Kullback-Leibler divergence of log-probabilities x from probabilities t.

    With `log_target` the target holds ln t. 0 ln 0 is 0, with gradient 0. "mean" divides by the
    number of elements; "batchmean" by the first length, as the divergence of distributions does.
    """
    require_reduction("kl_div", reduction, also=("batchmean",))
    batchmean = reduction == "batchmean"
    x, t = _pair("kl_div", input, target, "sum" if batchmean else reduction)
    losses = exp(t) * (t - x) if log_target else t * log(where(t == 0, 1, t)) - t * x
    if not batchmean:
        return reduce_loss("kl_div", losses, reduction)
    if x.ndim == 0 or x.shape[0] == 0:
        raise ShapeError(f"kl_div: shape {x.shape} has no batch to take a mean over")
    return losses.sum() / x.shape[0]


def hinge_embedding_loss(
    input: Operand, target: Operand, *, margin: float = 1.0, reduction: str = "mean"
) -> Tensor:
    """x where the target is 1, max(0, margin - x) where it is -1; of distances x."""
    op = "hinge_embedding_loss"
    x = as_tensor(input)
    require_floating(op, x.spec)
    x, t = _pair(op, x, _signs(op, target, x), reduction)
    hinge = _positive_part(as_number(op, "margin", margin) - x)
    losses = where(t == 1, 0, hinge) + where(t == -1, 0, x)
    return reduce_loss(op, losses, reduction)


def margin_ranking_loss(
    input1: Operand,
    input2: Operand,
    target: Operand,
    *,
    margin: float = 0,
    reduction: str = "mean",
) -> Tensor:
    """max(0, -t (x1 - x2) + margin): the first should rank higher where t is 1, lower where -1."""
    op = "margin_ranking_loss"
    x1, x2 = _pair(op, input1, input2, reduction)
    x1, t = _pair(op, x1, _signs(op, target, x1), reduction)
    losses = _positive_part(as_number(op, "margin", margin) - t * (x1 - x2))
    return reduce_loss(op, losses, reduction)


def cosine_embedding_loss(
    input1: Operand,
    input2: Operand,
    target: Operand,
    *,
    margin: float = 0,
    reduction: str = "mean",
) -> Tensor:
    """1 - cos(x1, x2) where the target is 1, max(0, cos(x1, x2) - margin) where it is -1.

    The inputs are (N, D) with targets (N,), or (D,) with a 0-d target.
    """
    op = "cosine_embedding_loss"
    x1, x2 = _pair(op, input1, input2, reduction)
    t = _signs(op, target, x1)
    if x1.ndim not in (1, 2) or t.shape != x1.shape[:-1]:
        raise ShapeError(
            f"{op}: takes inputs (N, D) and targets (N,), or (D,) and (), got shapes {x1.shape} "
            f"and {t.shape}"
        )
    product = (x1 * x2).sum(axis=-1)
    squares = ((x1 * x1).sum(axis=-1) + 1e-12) * ((x2 * x2).sum(axis=-1) + 1e-12)
    cosine = product / squares.sqrt()
    hinge = _positive_part(cosine - as_number(op, "margin", margin))
    losses = where(t == 1, 1 - cosine, 0) + where(t == -1, hinge, 0)
    return reduce_loss(op, losses, reduction)


def soft_margin_loss(input: Operand, target: Operand, *, reduction: str = "mean") -> Tensor:
    """ln(1 + e^(-t x)) of scores x and targets t of 1 and -1."""
    op = "soft_margin_loss"
    x = as_tensor(input)
    require_floating(op, x.spec)
    x, t = _pair(op, x, _signs(op, target, x), reduction)
    return reduce_loss(op, logistic_loss(-(t * x), 0.0), reduction)


def triplet_margin_loss(
    anchor: Operand,
    positive: Operand,
    negative: Operand,
    margin: float = 1.0,
    p: float = 2,
    eps: float = 1e-6,
    swap: bool = False,
    *,
    reduction: str = "mean",
) -> Tensor:
    """max(0, d(a, p) - d(a, n) + margin) with d the `pairwise_distance` of order `p`.

    With `swap`, d(p, n) stands for d(a, n) where it is smaller (Balntas et al. 2016).
    """
    op = "triplet_margin_loss"
    a, far = _pair(op, anchor, negative, reduction)
    a, near = _pair(op, a, positive, reduction)
    to_near, to_far = pairwise_distance(a, near, p, eps), pairwise_distance(a, far, p, eps)
    if swap:
        between = pairwise_distance(near, far, p, eps)
        to_far = where(between < to_far, between, to_far)
    losses = _positive_part(to_near - to_far + as_number(op, "margin", margin))
    return reduce_loss(op, losses, reduction)
