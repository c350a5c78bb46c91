"""Op samples of what normalizes by mean and variance, each output and their sum weighted."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from sample import Array, Sample, away, normal, positive

import minigrad as mg
from minigrad import ops
from minigrad.nn.functional import local_response_norm
from minigrad.ops.activation import ReLUBackward, SigmoidBackward, TanhBackward
from minigrad.ops.channels import channel_affine, channel_sums
from minigrad.ops.normalization import BatchNormalizeBackward
from minigrad.ops.response import LocalResponseNormBackward
from minigrad.tensor import apply

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


def _along_channels(values: Array, ndim: int) -> Array:
    return values.reshape((1, -1, *[1] * (ndim - 2)))


def _batch_backward(
    g: Array, x: Array, w: Array, mean: Array, variance: Array, eps: float
) -> tuple[Array, Array, Array]:
    axes = (0, *range(2, x.ndim))
    w, mean, variance = (_along_channels(values, x.ndim) for values in (w, mean, variance))
    r = (variance + x.dtype.type(eps)) ** x.dtype.type(-0.5)
    d = x - mean
    product = np.mean(g * d, axis=axes, keepdims=True)
    by_x = w * r * (g - np.mean(g, axis=axes, keepdims=True) - r * r * d * product)
    return by_x, (r * np.sum(g * d, axis=axes, keepdims=True)).reshape(-1), np.sum(g, axis=axes)


def _all_of(by_x: Any, by_weight: Any, by_bias: Any) -> Any:
    """One array that every output is part of."""
    shape = (1, by_weight.shape[0], *[1] * (by_x.ndim - 2))
    return by_x * by_bias.reshape(shape) + by_weight.reshape(shape)


def _response(x: Array, size: int, alpha: float, beta: float, k: float) -> Array:
    number = x.dtype.type
    return x * (number(k) + number(alpha / size) * _windows(x * x, size)) ** number(-beta)


def _windows(x: Array, size: int, mirrored: bool = False) -> Array:
    sides = size // 2, (size - 1) // 2
    before, after = sides[::-1] if mirrored else sides
    sums = [x[:, max(0, c - before) : c + after + 1].sum(axis=1) for c in range(x.shape[1])]
    return np.stack(sums, axis=1)


def _response_backward(g: Array, x: Array, size: int, alpha: float, beta: float, k: float) -> Array:
    number = x.dtype.type
    base = number(k) + number(alpha / size) * _windows(x * x, size)
    p = base ** number(-beta)
    shares = _windows(g * x * p / base, size, mirrored=True)
    return g * p - number(2 * alpha * beta / size) * x * shares


NUMBERS = "size", "alpha", "beta", "k"
IMAGES: dict[str, tuple[int, ...]] = {
    "rows": (5, 3),
    "planes": (2, 3, 2, 2),
    "volumes": (2, 1, 2, 1, 3),
}
RESPONSES = [(5, 0.3, 0.75, 1.0), (4, 0.5, 0.6, 2.0), (1, 0.2, 0.75, 1.0), (9, 1.0, 0.75, 1.0)]

NORMALIZATIONS += [
    *[
        Sample(
            "batch_normalize_backward",
            label,
            lambda *inputs, eps=eps: _all_of(*apply(BatchNormalizeBackward(eps), *inputs)),
            lambda *inputs, eps=eps: _all_of(*_batch_backward(*inputs, eps)),
            (normal(*shape), normal(*shape), *[positive(shape[1]) for _ in range(3)]),
        )
        for (label, shape), eps in zip(IMAGES.items(), (1e-5, 0.25, 1e-3), strict=True)
    ],
    *[
        Sample(
            "channel_affine",
            label,
            channel_affine,
            lambda x, s, t: x * _along_channels(s, x.ndim) + _along_channels(t, x.ndim),
            (normal(*shape), normal(shape[1]), normal(shape[1])),
        )
        for label, shape in {**IMAGES, "empty": (0, 3, 2)}.items()
    ],
    *[
        Sample(
            "channel_sums",
            f"{label}_{which}",
            lambda g, x, which=which: channel_sums(g, x)[which] + (g * x).sum(),
            lambda g, x, which=which: np.asarray(
                np.sum(g * (x, 1)[which], axis=(0, *range(2, x.ndim))) + np.sum(g * x), x.dtype
            ),
            (normal(*shape), normal(*shape)),
        )
        for label, shape in {**IMAGES, "empty": (0, 3, 2)}.items()
        for which in (0, 1)
    ],
    *[
        Sample(
            "local_response_norm",
            f"{numbers[0]}_{len(shape)}d",
            partial(local_response_norm, **dict(zip(NUMBERS, numbers, strict=True))),
            partial(_response, **dict(zip(NUMBERS, numbers, strict=True))),
            (normal(*shape),),
        )
        for numbers in RESPONSES
        for shape in [(2, 6, 2), (1, 3, 2, 2)]
    ],
    *[
        Sample(
            "local_response_norm_backward",
            f"{numbers[0]}_{len(shape)}d",
            lambda g, x, numbers=numbers: apply(LocalResponseNormBackward(*numbers), g, x),
            partial(_response_backward, **dict(zip(NUMBERS, numbers, strict=True))),
            (normal(*shape), normal(*shape)),
        )
        for numbers in RESPONSES
        for shape in [(2, 6, 2), (1, 3, 2, 2)]
    ],
    *[
        Sample(
            "relu_backward",
            label,
            lambda y, g: apply(ReLUBackward(), y, g) + y * g,
            lambda y, g: np.where(y > 0, g, 0).astype(g.dtype) + y * g,
            (away(*shape), normal(*shape)),
        )
        for label, shape in {"matrix": (3, 4), "0d": (), "empty": (0, 3)}.items()
    ],
    *[
        Sample(
            op.name,
            label,
            lambda y, g, op=op: apply(op(), y, g),
            reference,
            (normal(*shape), normal(*shape)),
        )
        for op, reference in [
            (SigmoidBackward, lambda y, g: g * y * (1 - y)),
            (TanhBackward, lambda y, g: g * (1 - y * y)),
        ]
        for label, shape in {
            "matrix": (3, 4),
            "0d": (),
            "empty": (0, 3),
            "4d": (2, 3, 2, 2),
        }.items()
    ],
]
