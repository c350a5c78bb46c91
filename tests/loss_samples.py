"""Op samples of the losses of two classes, and of what the classification losses are made of."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from sample import Array, Sample, away, normal, positive

from minigrad import ops


def _logistic(x: Array, t: Array) -> Array:
    return np.log(1 + np.exp(x)) - t * x


def _bernoulli(x: Array, t: Array) -> Array:
    return -t * np.log(x) - (1 - t) * np.log(1 - x)


def _unit(*shape: int) -> Array:
    return np.asarray(0.1 + 0.4 * (positive(*shape) - 0.5))


SHAPES: dict[str, tuple[tuple[int, ...], tuple[int, ...]]] = {
    "matrix": ((3, 4), (3, 4)),
    "broadcast": ((3, 1), (2, 1, 4)),
    "0d": ((), ()),
    "empty": ((0, 3), (1, 3)),
}

IGNORED = np.array([2, -1, 0, -1, 1])
PLANES = np.array([[[0, 1], [2, 2]], [[1, -1], [0, 2]]])


def _shares(x: Array, target: Array, weight: Array) -> tuple[Array, Array]:
    """-log-softmax weighted, at every class, and each target's one-hot share."""
    shifted = np.log(np.sum(np.exp(x), axis=1, keepdims=True)) - x
    chosen = np.moveaxis(target[..., None] == np.arange(x.shape[1]), -1, 1).astype(x.dtype)
    shape = (1, -1, *[1] * (x.ndim - 2))
    return shifted * weight.reshape(shape), chosen


def _cross_entropy(
    x: Array, target: Array, weight: Array, reduction: str, smoothing: float
) -> Array:
    costs, chosen = _shares(x, target, weight)
    losses = (1 - smoothing) * np.sum(costs * chosen, axis=1)
    losses = losses + smoothing * np.mean(costs, axis=1) * (target >= 0)
    if reduction == "none":
        return np.asarray(losses, x.dtype)
    total = 1.0 if reduction == "sum" else np.sum(weight[target] * (target >= 0))
    return np.asarray(np.sum(losses) / total, x.dtype)


def _ours(x: Any, target: Any, weight: Any, reduction: str, smoothing: float) -> Any:
    return ops.cross_entropy(
        x, target, weight, ignore_index=-1, reduction=reduction, label_smoothing=smoothing
    )


def _soft(x: Array, t: Array, smoothing: float) -> Array:
    t = t * x.dtype.type(1 - smoothing) + x.dtype.type(smoothing / x.shape[1])
    costs = np.log(np.sum(np.exp(x), axis=1, keepdims=True)) - x
    return np.asarray(np.sum(costs * t, axis=1).mean(), x.dtype)


CLASSIFICATION = [
    *[
        Sample(op, label, getattr(ops, op), reference, (inputs(*shapes[0]), targets(*shapes[1])))
        for op, reference, inputs, targets in [
            ("logistic_loss", _logistic, normal, normal),
            ("bernoulli_loss", _bernoulli, _unit, _unit),
        ]
        for label, shapes in SHAPES.items()
    ],
    Sample(
        "logistic_loss",
        "number",
        lambda x: ops.logistic_loss(x, 0.5),
        lambda x: _logistic(x, x.dtype.type(0.5)),
        (away(5),),
    ),
    *[
        Sample(
            "log_softmax",
            f"cross_entropy_weighted_{label}_{reduction}_{smoothing}",
            partial(_ours, reduction=reduction, smoothing=smoothing),
            partial(_cross_entropy, reduction=reduction, smoothing=smoothing),
            (normal(*shape), target, positive(3)),
        )
        for label, shape, target in [("rows", (5, 3), IGNORED), ("planes", (2, 3, 2, 2), PLANES)]
        for reduction in ("mean", "sum", "none")
        for smoothing in (0.0, 0.25)
    ],
    *[
        Sample(
            "log_softmax",
            f"cross_entropy_of_probabilities_{len(shape)}d_{smoothing}",
            partial(ops.cross_entropy, label_smoothing=smoothing),
            partial(_soft, smoothing=smoothing),
            (normal(*shape), positive(*shape)),
        )
        for shape in [(5, 3), (2, 3, 2, 2)]
        for smoothing in (0.0, 0.25)
    ],
]
