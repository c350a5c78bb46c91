"""Op samples of what normalizes by mean and variance, each output and their sum weighted."""

from __future__ import annotations

from typing import Any

import numpy as np
from sample import Array, Sample, normal, positive

import minigrad as mg
from minigrad import ops

AXES: dict[str, tuple[tuple[int, ...], Any]] = {
    "all": ((2, 3), None),
    "last": ((3, 4), -1),
    "first": ((4, 2, 3), 0),
    "two": ((2, 3, 4), (0, -1)),
    "planes": ((2, 3, 3, 2), (2, 3)),
    "no_axes": ((2, 3), ()),
    "empty_batch": ((0, 3), 1),
}


def _standardized(x: Array, axis: Any, eps: float) -> tuple[Array, Array, Array]:
    mean = np.mean(x, axis=axis, keepdims=True)
    variance = np.mean((x - mean) ** 2, axis=axis, keepdims=True)
    return (x - mean) / np.sqrt(variance + x.dtype.type(eps)), mean, variance


def _batch(x: Array, w: Array, b: Array, eps: float) -> tuple[Array, Array, Array]:
    axes = (0, *range(2, x.ndim))
    shape = (1, -1, *[1] * (x.ndim - 2))
    y, mean, variance = _standardized(x, axes, eps)
    return y * w.reshape(shape) + b.reshape(shape), mean.reshape(-1), variance.reshape(-1)


def _part(function: Any, which: int | None, **options: Any) -> Any:
    """One output of a function of several, or (None) a sum that every output is part of."""

    def call(*inputs: Any) -> Any:
        outputs = function(*inputs, **options)
        if which is not None:
            return outputs[which]
        y, mean, variance = outputs
        if mean.ndim != y.ndim:
            shape = (1, mean.shape[0], *[1] * (y.ndim - 2))
            mean, variance = mean.reshape(shape), variance.reshape(shape)
        return y * variance + y * mean + variance * variance

    return call


OUTPUTS = {"value": 0, "mean": 1, "variance": 2, "sum": None}

NORMALIZATIONS = [
    Sample(
        "standardize",
        f"{label}_{output}_{eps}",
        _part(ops.standardize, which, axis=axis, eps=eps),
        _part(_standardized, which, axis=axis, eps=eps),
        (normal(*shape),),
    )
    for label, (shape, axis) in AXES.items()
    for output, which in OUTPUTS.items()
    for eps in (0.5, 1e-5)
    if not (label == "no_axes" and eps < 0.1)
]
NORMALIZATIONS += [
    Sample(
        "batch_normalize",
        f"{label}_{output}",
        _part(ops.batch_normalize, which, eps=eps),
        _part(_batch, which, eps=eps),
        (normal(*shape), positive(shape[1]), normal(shape[1])),
    )
    for label, shape, eps in [
        ("rows", (5, 3), 1e-5),
        ("planes", (2, 3, 2, 2), 0.25),
        ("volumes", (2, 1, 2, 1, 3), 1e-3),
    ]
    for output, which in [("value", 0), ("sum", None)]
]
NORMALIZATIONS += [
    Sample(
        "standardize",
        "0d",
        lambda x: ops.standardize(x, eps=1.0)[0] + mg.multiply(x, x),
        lambda x: np.asarray(x * x, x.dtype),
        (normal(),),
    )
]
