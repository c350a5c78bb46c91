"""Op samples of elementwise functions: trigonometry, exponentials, rounding, extrema, bits, erf."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from sample import FIXED, Array, Sample, away, distinct, eighths, mask, normal, positive, whole

import minigrad as mg
from minigrad.nn import functional

SHAPES = {"matrix": (3, 4), "0d": (), "empty": (0, 3), "4d": (2, 3, 2, 2)}
PAIRS = {
    "same_shape": ((3, 4), (3, 4)),
    "row_and_column": ((3, 1), (1, 4)),
    "new_axes": ((4,), (2, 3, 4)),
    "both_0d": ((), ()),
    "both_sides": ((2, 1, 3), (4, 1)),
    "empty": ((0, 3), (1, 3)),
    "one_against_none": ((2, 1), (2, 0)),
}


def within_one(*shape: int) -> Array:
    """Numbers between -0.75 and 0.75."""
    return np.asarray(away(*shape) / 2)


def above_one(*shape: int) -> Array:
    """Numbers from 1.5 to 3."""
    return np.asarray(positive(*shape) + 1)


def between_steps(*shape: int) -> Array:
    """Numbers at least 1/4 away from every half of a whole number."""
    return np.asarray(whole(*shape) / 2 + 0.25)


def truths(*shape: int) -> Array:
    return mask(*shape)


def amounts(*shape: int) -> Array:
    """Numbers of bits to shift by."""
    return whole(*shape, low=0, high=7)


def wrong_way(*shape: int) -> Array:
    """Numbers that no element of `distinct` is near to."""
    return np.asarray(distinct(*shape) + 1 / 32)


def _one(
    op: str,
    function: Callable[..., Any],
    reference: Callable[..., Any],
    inputs: Any,
    **options: Any,
) -> list[Sample]:
    return [
        Sample(op, label, function, reference, (inputs(*shape),), **options)
        for label, shape in SHAPES.items()
    ]


def _two(
    op: str,
    function: Callable[..., Any],
    reference: Callable[..., Any],
    x: Any,
    y: Any,
    **options: Any,
) -> list[Sample]:
    return [
        Sample(op, label, function, reference, (x(*a), y(*b)), **options)
        for label, (a, b) in PAIRS.items()
    ]


def _erf(x: Array) -> Array:
    return np.asarray(np.vectorize(math.erf, otypes=[np.float64])(x), x.dtype)


def _gelu(x: Array) -> Array:
    return np.asarray(x * (1 + _erf(np.float64(x) / math.sqrt(2))) / 2, x.dtype)


def _gelu_tanh(x: Array) -> Array:
    return np.asarray(
        x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))) / 2, x.dtype
    )


def _softplus(x: Array, beta: float = 1, threshold: float = 20) -> Array:
    curve = np.log1p(np.exp(beta * x)) / beta
    return np.asarray(np.where(beta * x > threshold, x, curve), x.dtype)


def _softmax(x: Array, axis: int = -1) -> Array:
    return np.asarray(np.exp(x) / np.sum(np.exp(x), axis=axis, keepdims=True))


SMOOTH = [
    sample
    for op, function, reference, inputs in [
        ("sin", mg.sin, np.sin, normal),
        ("cos", mg.cos, np.cos, normal),
        ("tan", mg.tan, np.tan, within_one),
        ("asin", mg.asin, np.arcsin, within_one),
        ("acos", mg.acos, np.arccos, within_one),
        ("atan", mg.atan, np.arctan, normal),
        ("sinh", mg.sinh, np.sinh, normal),
        ("cosh", mg.cosh, np.cosh, normal),
        ("asinh", mg.asinh, np.arcsinh, normal),
        ("acosh", mg.acosh, np.arccosh, above_one),
        ("atanh", mg.atanh, np.arctanh, within_one),
        ("sinc", mg.sinc, np.sinc, normal),
        ("exp2", mg.exp2, np.exp2, normal),
        ("expm1", mg.expm1, np.expm1, normal),
        ("log1p", mg.log1p, np.log1p, within_one),
        ("log2", mg.log2, np.log2, positive),
        ("log10", mg.log10, np.log10, positive),
        ("erf", mg.erf, _erf, normal),
        ("gelu", mg.gelu, _gelu, normal),
        ("gelu_tanh", partial(mg.gelu, approximate="tanh"), _gelu_tanh, normal),
        ("softplus", mg.softplus, _softplus, normal),
    ]
    for sample in _one(op, function, reference, inputs)
]
SMOOTH += [
    Sample("sinc", "near_0", mg.sinc, np.sinc, (np.array([0.0, 0.01, -0.09, 0.11, -1e-9, 1.0]),)),
    Sample("erf", "both_ranges", mg.erf, _erf, (np.linspace(-6.5, 6.5, 40),)),
    Sample("gelu", "both_sides", mg.gelu, _gelu, (np.linspace(-9, 9, 20),)),
    Sample(
        "gelu_tanh",
        "both_sides",
        partial(mg.gelu, approximate="tanh"),
        _gelu_tanh,
        (np.linspace(-12, 12, 20),),
    ),
    *[
        Sample(
            "softplus",
            f"beta_{beta}_threshold_{threshold}",
            partial(mg.softplus, beta=beta, threshold=threshold),
            partial(_softplus, beta=beta, threshold=threshold),
            (away(3, 4),),
        )
        for beta, threshold in [(2.0, 20.0), (0.5, 0.01), (-3.0, 1.0), (1, math.inf)]
    ],
    *_two("atan2", mg.atan2, np.arctan2, away, away),
    *_two("hypot", mg.hypot, np.hypot, away, away),
    *_two("logaddexp", mg.logaddexp, np.logaddexp, normal, normal),
    Sample(
        "logaddexp",
        "of_itself",
        lambda x: mg.logaddexp(x, x),
        lambda x: np.logaddexp(x, x),
        (normal(3),),
    ),
]
SMOOTH += [
    Sample(op, f"{name}_{label}", function, reference, (inputs(*shape),))
    for label, shape in SHAPES.items()
    for op, name, function, reference, inputs in [
        ("multiply", "square", mg.square, np.square, normal),
        ("divide", "reciprocal", mg.reciprocal, np.reciprocal, away),
        ("clone", "positive", mg.positive, np.positive, normal),
    ]
]
SMOOTH += [
    Sample(
        "softmax",
        f"axis_{axis}_of_{len(shape)}",
        partial(mg.softmax, axis=axis),
        partial(_softmax, axis=axis),
        (normal(*shape),),
    )
    for axis, shape in [(-1, (3, 4)), (0, (3, 4)), (1, (2, 3, 2, 2)), (0, (4,)), (1, (0, 3))]
]

STEPS = [
    sample
    for op, function, reference in [
        ("sign", mg.sign, np.sign),
        ("floor", mg.floor, np.floor),
        ("ceil", mg.ceil, np.ceil),
        ("round", mg.round, np.rint),
        ("trunc", mg.trunc, np.trunc),
    ]
    for sample in [
        *_one(op, function, reference, between_steps),
        Sample(op, "at_steps", function, reference, (eighths(20),), **FIXED),
        Sample(
            op,
            "integers",
            function,
            np.sign if op == "sign" else np.copy,
            (whole(2, 3, dtype="int16"),),
            **FIXED,
        ),
    ]
]
STEPS += [
    *[
        Sample(
            "round",
            f"to_{decimals}_{x.dtype}",
            partial(mg.round, decimals=decimals),
            partial(np.round, decimals=decimals),
            (x,),
            **how,
        )
        for decimals in (2, 1, -1)
        for x, how in [
            (between_steps(7) / 10.0**decimals, {"step": 1e-5}),
            (whole(20, low=-99, high=100, dtype="int16") * 5, FIXED),
        ]
    ],
    *_two("floor_divide", mg.floor_divide, np.floor_divide, normal, away),
    *_two("remainder", mg.remainder, np.remainder, normal, away),
    *_two("copysign", mg.copysign, np.copysign, away, away),
    *_two("nextafter", mg.nextafter, np.nextafter, normal, normal, **FIXED),
    *[
        Sample(op, label, function, reference, (whole(20, dtype=dtype), steps), **FIXED)
        for op, function, reference in [
            ("floor_divide", lambda x, y: x // y, np.floor_divide),
            ("remainder", lambda x, y: x % y, np.remainder),
        ]
        for label, dtype, steps in [
            ("integers", "int64", whole(20, low=1)),
            ("negative_integers", "int8", whole(20, low=-5, high=0, dtype="int8")),
        ]
    ],
    Sample("remainder", "number_on_the_left", lambda x: 2.5 % x, lambda x: 2.5 % x, (positive(3),)),
    Sample("floor_divide", "number", lambda x: x // 2, lambda x: x // 2, (between_steps(5),)),
]

EXTREMA = [
    *_two("maximum", mg.maximum, np.maximum, distinct, wrong_way),
    *_two("minimum", mg.minimum, np.minimum, distinct, wrong_way),
    Sample("maximum", "integers", mg.maximum, np.maximum, (whole(2, 3), whole(3)), **FIXED),
    Sample("minimum", "integers", mg.minimum, np.minimum, (whole(2, 3), whole(3)), **FIXED),
    Sample("where", "clip", mg.clip, np.clip, (distinct(9), wrong_way(9), wrong_way(9))),
    Sample(
        "where", "clip_broadcast", mg.clip, np.clip, (distinct(4), wrong_way(3, 1), np.array(0.11))
    ),
    *[
        Sample(
            "where",
            f"clip_{low}_{high}_{label}",
            partial(mg.clip, min=low, max=high),
            partial(np.clip, a_min=low, a_max=high),
            (between_steps(*shape),),
        )
        for label, shape in SHAPES.items()
        for low, high in [(-1, 1), (0.5, None), (None, 0), (1, -1)]
    ],
    Sample(
        "where",
        "clip_integers",
        partial(mg.clip, min=-2, max=3),
        lambda x: np.clip(x, -2, 3),
        (whole(9, dtype="int8"),),
        **FIXED,
    ),
]


def _exponential(x: Array, alpha: float, width: float = 1.0, scale: float = 1.0) -> Array:
    return np.asarray(scale * np.where(x > 0, x, alpha * np.expm1(x / width)), x.dtype)


def _hard(x: Array) -> Array:
    return np.asarray(np.minimum(np.maximum(x + 3, 0), 6) / 6, x.dtype)


def _prelu(x: Array, w: Array) -> Array:
    return np.where(x > 0, x, x * w.reshape((-1, *[1] * (x.ndim - 2)) if x.ndim > 1 else ()))


def _sigmoid(x: Array) -> Array:
    return np.asarray(1 / (1 + np.exp(-x)))


ACTIVATIONS = [
    Sample(op, f"{name}_{label}", function, reference, (away(*shape) * 2,))
    for label, shape in {"matrix": (3, 4), "empty": (0, 2), "4d": (2, 4, 2, 2)}.items()
    for op, name, function, reference in [
        (
            "hardtanh",
            "hardtanh",
            partial(functional.hardtanh, min_val=-0.9),
            lambda x: np.clip(x, -0.9, 1),
        ),
        ("hardtanh", "relu6", functional.relu6, lambda x: np.clip(x, 0, 6)),
        ("hardtanh", "hardsigmoid", functional.hardsigmoid, _hard),
        ("multiply", "hardswish", functional.hardswish, lambda x: x * _hard(x)),
        ("where", "leaky_relu", functional.leaky_relu, lambda x: np.where(x > 0, x, x / 100)),
        ("expm1", "elu", partial(functional.elu, alpha=0.7), partial(_exponential, alpha=0.7)),
        (
            "expm1",
            "selu",
            functional.selu,
            partial(_exponential, alpha=1.6732632423543772, scale=1.0507009873554805),
        ),
        (
            "expm1",
            "celu",
            partial(functional.celu, alpha=2),
            partial(_exponential, alpha=2, width=2),
        ),
        ("sigmoid", "silu", functional.silu, lambda x: x * _sigmoid(x)),
        ("softplus", "mish", functional.mish, lambda x: x * np.tanh(np.log1p(np.exp(x)))),
        ("divide", "softsign", functional.softsign, lambda x: x / (1 + np.abs(x))),
        ("softplus", "logsigmoid", functional.logsigmoid, lambda x: -np.log1p(np.exp(-x))),
        (
            "sigmoid",
            "glu",
            partial(functional.glu, dim=1),
            lambda x: x[:, : x.shape[1] // 2] * _sigmoid(x[:, x.shape[1] // 2 :]),
        ),
        ("softmax", "softmin", partial(functional.softmin, dim=1), lambda x: _softmax(-x, 1)),
    ]
]
ACTIVATIONS += [
    Sample("where", f"prelu_{label}", functional.prelu, _prelu, (away(*shape), normal(count)))
    for label, shape, count in [
        ("channels", (2, 3, 2), 3),
        ("one", (2, 3, 2, 2), 1),
        ("vector", (5,), 1),
        ("0d", (), 1),
        ("empty", (0, 3), 3),
    ]
]

SPECIAL = np.array([0.0, -0.0, 1.5, -1.5, np.inf, -np.inf, np.nan])
QUESTIONS = [
    sample
    for op, function, reference in [
        ("isfinite", mg.isfinite, np.isfinite),
        ("isinf", mg.isinf, np.isinf),
        ("isnan", mg.isnan, np.isnan),
        ("signbit", mg.signbit, np.signbit),
    ]
    for sample in [
        *_one(op, function, reference, normal, **FIXED),
        Sample(op, "special", function, reference, (SPECIAL,), **FIXED),
    ]
]

BITS = [
    sample
    for op, function, reference, left, right in [
        ("bitwise_and", mg.bitwise_and, np.bitwise_and, whole, whole),
        ("bitwise_or", mg.bitwise_or, np.bitwise_or, whole, whole),
        ("bitwise_xor", mg.bitwise_xor, np.bitwise_xor, whole, whole),
        ("bitwise_left_shift", mg.bitwise_left_shift, np.left_shift, whole, amounts),
        ("bitwise_right_shift", mg.bitwise_right_shift, np.right_shift, whole, amounts),
        ("logical_xor", mg.logical_xor, np.logical_xor, truths, truths),
    ]
    for sample in _two(op, function, reference, left, right, **FIXED)
]
BITS += [
    *_one("bitwise_invert", mg.bitwise_invert, np.invert, whole, **FIXED),
    *[
        Sample(op, "booleans", function, function, (mask(8), mask(8)), **FIXED)
        for op, function in [
            ("bitwise_and", lambda x, y: x & y),
            ("bitwise_or", lambda x, y: x | y),
            ("bitwise_xor", lambda x, y: x ^ y),
        ]
    ],
    Sample("bitwise_invert", "booleans", lambda x: ~x, lambda x: ~x, (mask(8),), **FIXED),
    *[
        Sample(
            op, "operator", function, function, (whole(8, low=0, high=5, dtype="uint8"),), **FIXED
        )
        for op, function in [
            ("bitwise_and", lambda x: 3 & x),
            ("bitwise_or", lambda x: x | 3),
            ("bitwise_xor", lambda x: 3 ^ x),
            ("bitwise_left_shift", lambda x: x << 2),
            ("bitwise_right_shift", lambda x: 64 >> x),
        ]
    ],
]

ELEMENTWISE = [*ACTIVATIONS, *SMOOTH, *STEPS, *EXTREMA, *QUESTIONS, *BITS]
