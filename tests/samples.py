"""The table of op samples: what the tests of every op run over.

At least one row for each op of the catalogue; a test fails while an op has none. What moves
values has its rows in `movement_samples`, what slides a window in `window_samples`
and `pooling_samples`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from elementwise_samples import ELEMENTWISE
from linalg_samples import LINEAR_ALGEBRA
from loss_samples import CLASSIFICATION
from movement_samples import INDEXING, MOVEMENTS
from normalization_samples import NORMALIZATIONS
from pooling_samples import POOLED
from rearrange_samples import REARRANGED
from reduction_samples import REDUCTIONS
from sample import (
    FIXED,
    Array,
    Sample,
    away,
    eighths,
    mask,
    normal,
    positive,
    whole,
)
from window_samples import WINDOWS

import minigrad as mg
from minigrad import ops
from minigrad.ops.linear import linear
from minigrad.ops.movement import Clone
from minigrad.random import generator
from minigrad.tensor import Tensor, apply


def _unary(
    op: str, function: Callable[..., Tensor], reference: Callable[..., Any], inputs: Any
) -> list[Sample]:
    shapes = {"matrix": (3, 4), "0d": (), "empty": (0, 3), "4d": (2, 3, 2, 2)}
    return [
        Sample(op, label, function, reference, (inputs(*shape),)) for label, shape in shapes.items()
    ]


UNARY = [
    *_unary("negative", mg.negative, np.negative, normal),
    *_unary("abs", mg.abs, np.abs, away),
    *_unary("exp", mg.exp, np.exp, normal),
    *_unary("log", mg.log, np.log, positive),
    *_unary("sqrt", mg.sqrt, np.sqrt, positive),
    *_unary("sigmoid", mg.sigmoid, lambda x: 1 / (1 + np.exp(-x)), normal),
    *_unary("tanh", mg.tanh, np.tanh, normal),
    *_unary("relu", mg.ops.relu, lambda x: np.maximum(x, 0), away),
    *_unary("clone", mg.clone, np.copy, normal),
    Sample("clone", "of_a_plain_call", partial(apply, Clone()), np.copy, (normal(3),)),
    Sample("negative", "integers", mg.negative, np.negative, (whole(2, 3),), **FIXED),
    Sample("abs", "integers", mg.abs, np.abs, (whole(2, 3, dtype="int8"),), **FIXED),
]


def _binary(
    op: str,
    function: Callable[..., Tensor],
    reference: Callable[..., Any],
    left: Any,
    right: Any,
    **options: Any,
) -> list[Sample]:
    pairs = {
        "same_shape": ((3, 4), (3, 4)),
        "row_and_column": ((3, 1), (1, 4)),
        "new_axes": ((4,), (2, 3, 4)),
        "0d": ((), (2, 3)),
        "both_0d": ((), ()),
        "both_sides": ((2, 1, 3), (4, 1)),
        "empty": ((0, 3), (1, 3)),
        "one_against_none": ((2, 1), (2, 0)),
        "channels": ((2, 3, 2, 2), (1, 3, 1, 1)),
    }
    return [
        Sample(op, label, function, reference, (left(*a), right(*b)), **options)
        for label, (a, b) in pairs.items()
    ]


def _number(op: str, label: str, function: Callable[..., Any], inputs: Any) -> Sample:
    return Sample(op, label, function, function, (inputs(2, 3),))


BINARY = [
    *_binary("add", mg.add, np.add, normal, normal),
    *_binary("subtract", mg.subtract, np.subtract, normal, normal),
    *_binary("multiply", mg.multiply, np.multiply, normal, normal),
    *_binary("divide", mg.divide, np.divide, normal, away),
    *_binary("power", mg.power, np.power, positive, normal),
    _number("add", "number", lambda x: x + 2, normal),
    _number("add", "number_on_the_left", lambda x: 0.5 + x, normal),
    _number("subtract", "number", lambda x: x - 2.5, normal),
    _number("subtract", "number_on_the_left", lambda x: 2 - x, normal),
    _number("multiply", "number_on_the_left", lambda x: 3 * x, normal),
    _number("divide", "number", lambda x: x / 4, normal),
    _number("divide", "number_on_the_left", lambda x: 1 / x, away),
    _number("power", "square_of_negatives", lambda x: x**2, away),
    _number("power", "cube_of_negatives", lambda x: x**3, away),
    _number("power", "inverse", lambda x: x**-1, away),
    _number("power", "root", lambda x: x**0.5, positive),
    _number("power", "constant", lambda x: x**0, away),
    _number("power", "number_on_the_left", lambda x: 2.0**x, normal),
    Sample("add", "twice_the_same", lambda x: x + x, lambda x: x + x, (normal(3),)),
    Sample("multiply", "square", lambda x: x * x, lambda x: x * x, (normal(3),)),
    Sample("divide", "by_itself", lambda x: x / x, lambda x: x / x, (away(3),)),
    Sample("power", "by_itself", lambda x: x**x, lambda x: x**x, (positive(3),)),
    Sample("add", "integers", mg.add, np.add, (whole(2, 3), whole(3)), **FIXED),
    Sample(
        "subtract",
        "bytes_wrap",
        mg.subtract,
        np.subtract,
        (whole(4, low=0, dtype="uint8"), whole(4, low=0, dtype="uint8")),
        **FIXED,
    ),
    Sample("multiply", "integers", mg.multiply, np.multiply, (whole(2, 3), whole(3)), **FIXED),
    Sample("power", "integers", mg.power, np.power, (whole(2, 3), whole(3, low=0)), **FIXED),
]

COMPARISONS = [
    sample
    for op, function, reference in [
        ("equal", mg.equal, np.equal),
        ("not_equal", mg.not_equal, np.not_equal),
        ("less", mg.less, np.less),
        ("less_equal", mg.less_equal, np.less_equal),
        ("greater", mg.greater, np.greater),
        ("greater_equal", mg.greater_equal, np.greater_equal),
    ]
    for sample in [
        *_binary(op, function, reference, eighths, eighths, **FIXED),
        Sample(op, "integers", function, reference, (whole(3, 4), whole(4)), **FIXED),
        Sample(op, "booleans", function, reference, (mask(8), mask(8)), **FIXED),
    ]
]

LOGIC = [
    *_binary("logical_and", mg.logical_and, np.logical_and, mask, mask, **FIXED),
    *_binary("logical_or", mg.logical_or, np.logical_or, mask, mask, **FIXED),
    Sample("logical_not", "matrix", mg.logical_not, np.logical_not, (mask(3, 4),), **FIXED),
    Sample("logical_not", "0d", mg.logical_not, np.logical_not, (mask(),), **FIXED),
]

WHERE = [
    Sample("where", label, mg.where, np.where, (mask(*c), normal(*a), normal(*b)))
    for label, c, a, b in [
        ("same_shape", (3, 4), (3, 4), (3, 4)),
        ("broadcast", (3, 1), (4,), (2, 1, 1)),
        ("0d", (), (2,), ()),
        ("empty", (0,), (1,), (0,)),
    ]
]
WHERE += [
    Sample(
        "where",
        "number",
        lambda c, x: mg.where(c, x, 0),
        lambda c, x: np.where(c, x, x.dtype.type(0)),
        (mask(5), normal(5)),
    ),
    Sample("where", "integers", mg.where, np.where, (mask(4), whole(4), whole(4)), **FIXED),
]


MATMULS = [
    Sample("matmul", label, mg.matmul, np.matmul, (normal(*a), normal(*b)))
    for label, a, b in [
        ("matrices", (3, 4), (4, 2)),
        ("batches", (2, 3, 4), (2, 4, 5)),
        ("rows_of_a_batch", (2, 3, 4), (4, 5)),
        ("broadcast_left", (3, 4), (2, 4, 5)),
        ("broadcast_both", (2, 1, 3, 4), (3, 4, 2)),
        ("vectors", (4,), (4,)),
        ("row", (4,), (4, 3)),
        ("column", (3, 4), (4,)),
        ("row_of_a_batch", (4,), (2, 4, 3)),
        ("column_of_a_batch", (2, 3, 4), (4,)),
        ("no_rows", (0, 4), (4, 2)),
        ("nothing_between", (3, 0), (0, 2)),
        ("no_batch", (0, 3, 4), (0, 4, 2)),
        ("one", (1, 1), (1, 1)),
    ]
]
MATMULS += [
    Sample(
        "linear",
        f"{label}{'' if bias else '_without_bias'}",
        linear,
        lambda x, w, b=0: np.einsum("...i,oi->...o", x, w) + b,
        (normal(*x), normal(*w), normal(w[0]))[: 2 + bias],
    )
    for label, x, w in [
        ("matrix", (4, 3), (2, 3)),
        ("vector", (3,), (2, 3)),
        ("stack", (2, 4, 3), (2, 3)),
        ("no_vectors", (0, 3), (2, 3)),
        ("nothing_in", (4, 0), (2, 0)),
        ("nothing_out", (4, 3), (0, 3)),
    ]
    for bias in (True, False)
]
MATMULS += [
    Sample("matmul", "square", lambda x: x @ x, lambda x: x @ x, (normal(3, 3),)),
    Sample("matmul", "gram", lambda x: x.T @ x, lambda x: x.T @ x, (normal(3, 2),)),
]


def _log_softmax(x: Array, axis: int) -> Array:
    return x - np.log(np.sum(np.exp(x), axis=axis, keepdims=True))


def _nll(x: Array, target: Array, reduction: str) -> Array:
    picked = -np.take_along_axis(x, np.expand_dims(target.astype(np.int64), 1), axis=1)[:, 0]
    return {"none": lambda a: a, "mean": np.mean, "sum": np.sum}[reduction](picked)


def _cross_entropy(x: Array, target: Array, reduction: str) -> Array:
    return _nll(_log_softmax(x, 1), target, reduction)


LOSSES = [
    *[
        Sample(
            "log_softmax",
            f"axis_{axis}_of_{len(shape)}",
            partial(mg.log_softmax, axis=axis),
            partial(_log_softmax, axis=axis),
            (normal(*shape),),
        )
        for axis, shape in [(-1, (3, 4)), (0, (3, 4)), (1, (2, 3, 2, 2)), (0, (4,)), (1, (0, 3))]
    ],
    *[
        Sample(
            op,
            f"{name}_{reduction}_{label}",
            partial(function, reduction=reduction),
            partial(reference, reduction=reduction),
            (normal(*scores), whole(*classes, low=0, high=3, dtype=dtype)),
        )
        for op, name, function, reference in [
            ("getitem", "nll_loss", ops.nll_loss, _nll),
            ("cross_entropy", "classes", ops.cross_entropy, _cross_entropy),
        ]
        for reduction in ("mean", "sum", "none")
        for label, scores, classes, dtype in [
            ("vectors", (4, 3), (4,), "int64"),
            ("bytes", (4, 3), (4,), "uint8"),
            ("planes", (2, 3, 2, 2), (2, 2, 2), "int64"),
        ]
    ],
]


def _dropout(x: Tensor, p: float) -> Tensor:
    mg.manual_seed(7)
    return ops.dropout(x, p)


def _dropped(x: Array, p: float) -> Array:
    kept = generator((7, 0)).random(x.shape, dtype=np.float32) >= p
    return np.where(kept, x / x.dtype.type(1 - p), x.dtype.type(0))


DROPOUTS = [
    Sample(
        "dropout",
        f"{p}_of_{len(shape)}d",
        partial(_dropout, p=p),
        partial(_dropped, p=p) if p < 1 else np.zeros_like,
        (normal(*shape),),
    )
    for p, shape in [(0.5, (4, 5)), (0.1, (2, 3, 2, 2)), (0.9, (0, 3)), (0.5, ()), (1, (3, 2))]
]

SAMPLES: list[Sample] = [
    *UNARY,
    *BINARY,
    *COMPARISONS,
    *LOGIC,
    *WHERE,
    *ELEMENTWISE,
    *REDUCTIONS,
    *REARRANGED,
    *MOVEMENTS,
    *MATMULS,
    *LINEAR_ALGEBRA,
    *INDEXING,
    *LOSSES,
    *NORMALIZATIONS,
    *CLASSIFICATION,
    *DROPOUTS,
    *WINDOWS,
    *POOLED,
]
