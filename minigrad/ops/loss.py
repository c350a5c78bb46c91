"""log_softmax, and the losses on it: nll_loss and cross_entropy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from minigrad.errors import ArgumentError, IndexingError, ShapeError
from minigrad.op import Call, Cost, Op, bytes_moved
from minigrad.ops.movement import require_integers
from minigrad.spec import Spec, normalize_axis, require_floating
from minigrad.tensor import Array, Operand, Tensor, apply, as_tensor


@dataclass(frozen=True)
class LogSoftmax(Op):
    """y = x - ln Σ e^x along the axis, computed with the maximum taken out so that nothing
    overflows.  dL/dx = dL/dy - e^y Σ dL/dy  (Goodfellow et al. 2016, section 6.2.2.3)."""

    name: ClassVar[str] = "log_softmax"
    reads_outputs: ClassVar[tuple[tuple[int, ...], ...]] = ((0,),)
    axis: int

    def infer(self, x: Spec) -> Spec:
        require_floating("log_softmax", x)
        if x.shape[self.axis] == 0:
            raise ShapeError(f"log_softmax: axis {self.axis} of shape {x.shape} is empty")
        return x

    def forward(self, x: Array) -> Array:
        shifted = x - np.max(x, axis=self.axis, keepdims=True)
        total = np.sum(np.exp(shifted), axis=self.axis, keepdims=True)
        result: Array = shifted - np.log(total)
        return result

    def backward(self, call: Call, cotangent: Tensor) -> Tensor:
        (y,) = call.outputs
        return cotangent - y.exp() * cotangent.sum(axis=self.axis, keepdims=True)

    def cost(self, inputs: Sequence[Spec], outputs: Sequence[Spec]) -> Cost:
        return Cost(0, 5 * inputs[0].size, bytes_moved(inputs, outputs))


def log_softmax(x: Operand, axis: int = -1) -> Tensor:
    """The logarithm of the softmax of x along `axis`."""
    x = as_tensor(x)
    return apply(LogSoftmax(normalize_axis("log_softmax", axis, x.ndim)), x)


def nll_loss(input: Operand, target: Operand, *, reduction: str = "mean") -> Tensor:
    """The negative log-likelihood -input[n, target[n]] of log-probabilities.

    `input` is (N, C) or (N, C, d1, ...), `target` holds classes 0 to C - 1, of shape (N,) or
    (N, d1, ...). `reduction` is "mean", "sum" or "none". Raises ShapeError (also for an empty
    batch, which has no mean), DtypeError, IndexingError, ArgumentError.
    """
    return _nll("nll_loss", as_tensor(input), as_tensor(target), reduction)


def cross_entropy(input: Operand, target: Operand, *, reduction: str = "mean") -> Tensor:
    """The cross-entropy of scores (logits) and classes: nll_loss(log_softmax(input, 1), target).

    Shapes, `reduction` and errors are those of `nll_loss`.
    """
    scores, classes = as_tensor(input), as_tensor(target)
    _check("cross_entropy", scores, classes, reduction)
    return _nll("cross_entropy", log_softmax(scores, 1), classes, reduction)


def _check(op: str, scores: Tensor, target: Tensor, reduction: str) -> None:
    if reduction not in ("mean", "sum", "none"):
        raise ArgumentError(f"{op}: reduction takes 'mean', 'sum' or 'none', got {reduction!r}")
    require_floating(op, scores.spec)
    require_integers(op, "target", target)
    if scores.ndim < 2 or target.shape != scores.shape[:1] + scores.shape[2:]:
        raise ShapeError(
            f"{op}: takes scores (N, C, ...) and classes (N, ...), got shapes {scores.shape} and "
            f"{target.shape}"
        )
    if target.size == 0:
        raise ShapeError(f"{op}: an empty batch has no loss: scores of shape {scores.shape}")
    low, high = int(target.numpy().min()), int(target.numpy().max())
    if low < 0 or high >= scores.shape[1]:
        raise IndexingError(
            f"{op}: classes lie between 0 and {scores.shape[1] - 1} for scores of shape "
            f"{scores.shape}, got {low if low < 0 else high}"
        )


def _nll(op: str, log_probabilities: Tensor, target: Tensor, reduction: str) -> Tensor:
    _check(op, log_probabilities, target, reduction)
    classes = target.numpy()
    n, *rest = np.ogrid[tuple([slice(length) for length in classes.shape])]
    losses = -log_probabilities[(n, classes, *rest)]
    if reduction == "none":
        return losses
    return losses.mean() if reduction == "mean" else losses.sum()
