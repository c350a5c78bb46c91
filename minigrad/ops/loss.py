"""The losses of classification: on log-probabilities, and on scores of two classes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from minigrad import kernels
from minigrad.errors import ArgumentError, IndexingError, ShapeError
from minigrad.op import Call, Cost, Op, bytes_moved
from minigrad.ops.activation import sigmoid
from minigrad.ops.elementwise import Elementwise, Gradients, log, operands, where
from minigrad.ops.movement import require_integers
from minigrad.ops.number import as_number
from minigrad.ops.softmax import log_softmax
from minigrad.spec import (
    FLOATING,
    Shape,
    Spec,
    as_integer,
    common_dtype,
    require_floating,
)
from minigrad.tensor import Array, Operand, Tensor, apply, as_tensor, constant

__all__ = ["bernoulli_loss", "cross_entropy", "logistic_loss", "nll_loss"]


class LogisticLoss(Elementwise):
    """y = ln(1 + e^x) - t x, the cross-entropy of the score x and the probability t of the one
    class against the other.  dy/dx = 1 / (1 + e^-x) - t,  dy/dt = -x  (Goodfellow et al. 2016,
    section 6.2.2.2)."""

    name = "logistic_loss"
    floating_only = True
    reads_inputs = ((0, 1), (0,))
    flops = 6

    def forward(self, x: Array, t: Array) -> Array:
        return np.logaddexp(x, x.dtype.type(0)) - t * x

    def vjp(self, call: Call, cotangent: Tensor) -> Gradients:
        x, t = call.inputs
        by_x = cotangent * (sigmoid(x) - t) if call.needs[0] else None
        return by_x, -(cotangent * x) if call.needs[1] else None


def logistic_loss(x: Operand, t: Operand) -> Tensor:
    """ln(1 + e^x) - t x, element by element: the cross-entropy of scores x and probabilities t.
    With t = 0 it is the softplus."""
    y: Tensor = apply(LogisticLoss(), *operands("logistic_loss", x, t))
    return y


class BernoulliLoss(Elementwise):
    """y = -t ln x - (1 - t) ln(1 - x), the cross-entropy of the probabilities x and t, with the
    logarithms cut off at -100.  dy/dx = (x - t) / max(x (1 - x), 1e-12), dy/dt = ln(1 - x) - ln x
    (the bounds are PyTorch's)."""

    name = "bernoulli_loss"
    floating_only = True
    reads_inputs = ((0, 1), (0,))
    flops = 6

    def forward(self, x: Array, t: Array) -> Array:
        bound = x.dtype.type(-100)
        by_no = np.maximum(np.log1p(-x), bound)
        return (t - 1) * by_no - t * np.maximum(np.log(x), bound)

    def vjp(self, call: Call, cotangent: Tensor) -> Gradients:
        x, t = call.inputs
        by_x = by_t = None
        if call.needs[0]:
            spread = x * (1 - x)
            by_x = cotangent * (x - t) / where(spread > 1e-12, spread, 1e-12)
        if call.needs[1]:
            by_t = cotangent * (_bounded_log(1 - x) - _bounded_log(x))
        return by_x, by_t


def _bounded_log(x: Tensor) -> Tensor:
    """max(ln x, -100), with gradient 0 where it is cut off."""
    inside = x > 3.8e-44
    return where(inside, log(where(inside, x, 1)), -100)


def bernoulli_loss(x: Operand, t: Operand) -> Tensor:
    """-t ln x - (1 - t) ln(1 - x), element by element, the logarithms cut off at -100. Raises
    ArgumentError where x is not between 0 and 1."""
    x, t = operands("bernoulli_loss", x, t)
    values = None if x.is_abstract else x.detach().numpy()
    if values is not None and not ((values >= 0) & (values <= 1)).all():
        raise ArgumentError(
            "bernoulli_loss: probabilities lie between 0 and 1; got "
            f"{values.min()} to {values.max()}; for scores there is logistic_loss "
            "(nn.functional.binary_cross_entropy_with_logits)"
        )
    y: Tensor = apply(BernoulliLoss(), x, t)
    return y


def nll_loss(
    input: Operand,
    target: Operand,
    weight: Operand | None = None,
    *,
    ignore_index: int = -100,
    reduction: str = "mean",
) -> Tensor:
    """The negative log-likelihood -weight[target[n]] input[n, target[n]] of log-probabilities.

    `input` is (N, C) or (N, C, d1, ...), `target` holds classes 0 to C - 1, of shape (N,) or
    (N, d1, ...); where it is `ignore_index` the loss is 0. `weight` (C,) is 1 by default.
    `reduction` is "mean" (the sum divided by the sum of the targets' weights), "sum" or "none".
    Raises ShapeError (also for a mean of nothing), DtypeError, IndexingError, ArgumentError.
    """
    scores, classes = as_tensor(input), as_tensor(target)
    kept = _check("nll_loss", scores, classes, ignore_index, reduction)
    weights = _class_weights("nll_loss", weight, scores)
    losses, shares = _nll(scores, classes, kept, weights)
    return _reduced("nll_loss", losses, shares, reduction)


@dataclass(frozen=True)
class CrossEntropy(Op):
    """y = -ln p[n, t[n]] where p = softmax(x) over the classes (axis 1) and t are whole numbers,
    for each n, or their sum or mean; and the slopes s = dy/dx = c (p - o), o being 1 at the class
    and 0 elsewhere, and c = 1 / N for the mean, else 1  (Goodfellow et al. 2016, section 6.2.2.3).

    dL/dx = s dL/dy;  for the cotangent u of s: c p (u - Σ p u).
    """

    name: ClassVar[str] = "cross_entropy"
    reads_inputs: ClassVar[tuple[tuple[int, ...], ...]] = ((1,), ())
    reads_outputs: ClassVar[tuple[tuple[int, ...], ...]] = ((1,), ())
    reduction: str

    def infer(self, x: Spec, classes: Spec) -> tuple[Spec, Spec]:
        require_floating(self.name, x)
        fits = x.ndim >= 2 and classes.shape == x.shape[:1] + x.shape[2:]
        if not fits or classes.dtype.kind not in "iu":
            raise ShapeError(
                f"{self.name}: takes scores (N, C, ...) and classes (N, ...) that are integers, "
                f"got {x} and {classes}"
            )
        return Spec.of(classes.shape if self.reduction == "none" else (), x.dtype), x

    def forward(self, x: Array, classes: Array) -> tuple[Array, Array]:
        losses, slopes = kernels.softmax.cross_entropy(x, classes, self._share(classes.size))
        if self.reduction == "none":
            return losses, slopes
        total = losses.sum(dtype=np.float64) * self._share(classes.size)
        return np.asarray(total, x.dtype), slopes

    def _share(self, count: int) -> float:
        return 1 / count if self.reduction == "mean" else 1.0

    def backward(self, call: Call, *cotangents: Tensor | None) -> tuple[Tensor | None, None]:
        by_loss, by_slopes = cotangents
        classes, slopes = call.inputs[1], call.outputs[1]
        by_x = None
        if by_loss is not None:
            n, *rest = classes.shape
            by_x = slopes * (by_loss if self.reduction != "none" else by_loss.reshape(n, 1, *rest))
        if by_slopes is not None:
            places = np.arange(slopes.shape[1], dtype=classes.dtype)
            numbers = places.reshape(-1, *[1] * (slopes.ndim - 2))
            n, *rest = classes.shape
            one_hot = (classes.reshape(n, 1, *rest) == constant(numbers)).astype(slopes.dtype)
            share = self._share(classes.size)
            weighted = (slopes / share + one_hot) * by_slopes
            p = slopes + share * one_hot
            more = weighted * share - p * weighted.sum(axis=1, keepdims=True)
            by_x = more if by_x is None else by_x + more
        return by_x, None

    def cost(self, inputs: Sequence[Spec], outputs: Sequence[Spec]) -> Cost:
        return Cost(0, 6 * inputs[0].size, bytes_moved(inputs, outputs))


def cross_entropy(
    input: Operand,
    target: Operand,
    weight: Operand | None = None,
    *,
    ignore_index: int = -100,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Tensor:
    """The cross-entropy of scores (logits) and classes: nll_loss(log_softmax(input, 1), target).

    Shapes, `weight`, `reduction` and errors are those of `nll_loss`. A floating-point `target` of
    the shape of `input` holds a probability for every class; its mean divides by the number of
    distributions. `label_smoothing` mixes that share of the uniform distribution into the target
    (Szegedy et al. 2016, section 7).
    """
    op = "cross_entropy"
    scores, goal = as_tensor(input), as_tensor(target)
    smoothing = as_number(op, "label_smoothing", label_smoothing, 0, 1)
    if goal.dtype in FLOATING and goal.shape == scores.shape and scores.ndim >= 2:
        return _soft_cross_entropy(scores, goal, weight, smoothing, reduction)
    kept = _check(op, scores, goal, ignore_index, reduction)
    weights = _class_weights(op, weight, scores)
    # In a trace the classes are not known; there the default stands for no class at all.
    every = kept is None or (goal.is_abstract and ignore_index == -100)
    if weights is None and not smoothing and every:
        loss: Tensor = apply(CrossEntropy(reduction), scores, goal)[0]
        return loss
    likelihoods = log_softmax(scores, 1)
    losses, shares = _nll(likelihoods, goal, kept, weights)
    if smoothing:
        weighted = likelihoods if weights is None else likelihoods * _per_channel(weights, scores)
        uniform = -weighted.mean(axis=1)
        if kept is not None:
            uniform = where(kept, uniform, 0)
        losses = (1 - smoothing) * losses + smoothing * uniform
    return _reduced(op, losses, shares, reduction)


def _soft_cross_entropy(
    scores: Tensor, goal: Tensor, weight: Operand | None, smoothing: float, reduction: str
) -> Tensor:
    """The cross-entropy of scores and probabilities of the classes, both (N, C, ...)."""
    op = "cross_entropy"
    require_reduction(op, reduction)
    common_dtype(op, scores.spec, goal.spec)
    if smoothing:
        goal = goal * (1 - smoothing) + smoothing / max(scores.shape[1], 1)
    products = log_softmax(scores, 1) * goal
    weights = _class_weights(op, weight, scores)
    if weights is not None:
        products = products * _per_channel(weights, scores)
    return reduce_loss(op, -products.sum(axis=1), reduction)


def require_reduction(op: str, reduction: str, *, also: tuple[str, ...] = ()) -> None:
    """Raise unless `reduction` is one of "mean", "sum", "none" (or of `also`)."""
    if reduction not in ("mean", "sum", "none", *also):
        names = ", ".join(repr(name) for name in ("mean", "sum", "none", *also))
        raise ArgumentError(f"{op}: reduction takes one of {names}, got {reduction!r}")


def reduce_loss(op: str, losses: Tensor, reduction: str) -> Tensor:
    """The losses as they are, their sum, or their mean, which raises ShapeError of nothing."""
    require_reduction(op, reduction)
    if reduction == "mean":
        if losses.size == 0:
            raise ShapeError(
                f"{op}: an empty batch has no mean loss: losses of shape {losses.shape}"
            )
        return losses.mean()
    return losses.sum() if reduction == "sum" else losses


def _check(
    op: str, scores: Tensor, target: Tensor, ignore_index: int, reduction: str
) -> Tensor | None:
    """Which targets count, None where all do, after all arguments were checked."""
    require_reduction(op, reduction)
    require_floating(op, scores.spec)
    require_integers(op, "target", target)
    if scores.ndim < 2 or target.shape != scores.shape[:1] + scores.shape[2:]:
        raise ShapeError(
            f"{op}: takes scores (N, C, ...) and classes (N, ...), got shapes {scores.shape} and "
            f"{target.shape}"
        )
    ignored = as_integer(op, "ignore_index", ignore_index)
    limits = np.iinfo(target.dtype)
    if target.is_abstract:
        return target != ignored if limits.min <= ignored <= limits.max else None
    classes = target.numpy()
    if classes.size:
        low, high = int(classes.min()), int(classes.max())
        if (low >= 0 and high < scores.shape[1]) and not low <= ignored <= high:
            return None
    kept = np.asarray(classes != ignored)
    if not kept.any():
        if reduction == "mean":
            reason = "an empty batch" if classes.size == 0 else "a batch that is ignored as a whole"
            raise ShapeError(f"{op}: {reason} has no mean loss: scores of shape {scores.shape}")
    else:
        _require_classes(op, classes[kept], scores.shape)
    return None if kept.all() and kept.size else constant(kept)


def _require_classes(op: str, classes: Array, scores: Shape) -> None:
    low, high = int(classes.min()), int(classes.max())
    if low < 0 or high >= scores[1]:
        raise IndexingError(
            f"{op}: classes lie between 0 and {scores[1] - 1} for scores of shape "
            f"{scores}, got {low if low < 0 else high}"
        )


def _class_weights(op: str, weight: Operand | None, scores: Tensor) -> Tensor | None:
    if weight is None:
        return None
    weights = as_tensor(weight)
    if weights.shape != scores.shape[1:2]:
        raise ShapeError(f"{op}: weight takes shape {scores.shape[1:2]}, got {weights.shape}")
    common_dtype(op, scores.spec, weights.spec)
    return weights


def _per_channel(weights: Tensor, scores: Tensor) -> Tensor:
    return weights.reshape(1, weights.size, *[1] * (scores.ndim - 2))


def _nll(
    likelihoods: Tensor, target: Tensor, kept: Tensor | None, weights: Tensor | None
) -> tuple[Tensor, Tensor | None]:
    """The loss of every target, and its share in the mean (None where all have the same)."""
    classes = target if kept is None else where(kept, target, 0)
    if likelihoods.shape[1] == 0:  # then no target is kept
        nothing = constant(np.zeros(classes.shape, likelihoods.dtype))
        return nothing, nothing
    n, *rest = np.ogrid[tuple([slice(length) for length in classes.shape])]
    losses = -likelihoods[(n, classes, *rest)]
    shares = None
    if weights is not None:
        shares = weights[classes]
        losses = losses * shares
    if kept is not None:
        losses = where(kept, losses, 0)
        one = constant(np.ones(classes.shape, likelihoods.dtype))
        shares = where(kept, one if shares is None else shares, 0)
    return losses, shares


def _reduced(op: str, losses: Tensor, shares: Tensor | None, reduction: str) -> Tensor:
    if reduction == "mean" and losses.size:
        return losses.sum() / (losses.size if shares is None else shares.sum())
    return reduce_loss(op, losses, reduction)
