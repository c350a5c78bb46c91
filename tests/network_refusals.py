"""Calls of what networks are made of that are refused: losses, layers, and the ops of backward
passes, which take indices and windows too.
"""

from __future__ import annotations

from refusal import CLASSES, WHOLE, Row, V, X, of_all

import minigrad as mg
from minigrad.errors import (
    ArgumentError,
    AxisError,
    DtypeError,
    IndexingError,
    ShapeError,
)
from minigrad.ops.activation import SigmoidBackward, TanhBackward
from minigrad.ops.indexing import ARRAY, IndexAdd
from minigrad.ops.linear import MatMul, linear
from minigrad.tensor import apply

REFUSED: list[Row] = [
    # losses
    *of_all("nll_loss", (X, X), DtypeError, ["target", "float32"]),
    *of_all("nll_loss cross_entropy", (X, V), DtypeError, ["target", "float32"]),
    *of_all("nll_loss cross_entropy", (X, mg.tensor([True, False])), DtypeError, ["bool"]),
    *of_all("nll_loss cross_entropy", (X, mg.tensor([0])), ShapeError, ["(2, 3)", "(1,)"]),
    *of_all("nll_loss cross_entropy", (V, mg.tensor(1)), ShapeError, ["(3,)", "()"]),
    *of_all("nll_loss cross_entropy", (X, mg.tensor([0, 3])), IndexingError, ["0 and 2", "3"]),
    *of_all("nll_loss cross_entropy", (X, mg.tensor([-1, 0])), IndexingError, ["-1"]),
    *of_all("nll_loss cross_entropy", (X[:0], CLASSES[:0]), ShapeError, ["empty", "(0, 3)"]),
    *of_all(
        "nll_loss cross_entropy", (X, CLASSES), ArgumentError, ["average"], reduction="average"
    ),
    *of_all("cross_entropy", (WHOLE, CLASSES), DtypeError, ["int64"]),
    *of_all("nll_loss cross_entropy", (X, CLASSES, V[:2]), ShapeError, ["weight", "(2,)"]),
    *of_all("nll_loss cross_entropy", (X, CLASSES, V.astype("float64")), DtypeError, ["float64"]),
    *of_all(
        "nll_loss cross_entropy", (X, CLASSES), ArgumentError, ["ignore_index"], ignore_index=0.5
    ),
    *of_all(
        "nll_loss cross_entropy", (X[:1], CLASSES[:1]), ShapeError, ["ignored"], ignore_index=0
    ),
    *of_all("cross_entropy", (X, CLASSES), ArgumentError, ["1.5"], label_smoothing=1.5),
    *of_all("cross_entropy", (X, X.astype("float64")), DtypeError, ["float64"]),
    *of_all("cross_entropy", (X[:0], X[:0]), ShapeError, ["empty"]),
    *of_all("logistic_loss bernoulli_loss", (X, V[:2]), ShapeError, ["(2, 3)", "(2,)"]),
    *of_all("logistic_loss bernoulli_loss", (WHOLE, WHOLE), DtypeError, ["int64"]),
    *of_all("logistic_loss bernoulli_loss", (X, V.astype("float64")), DtypeError, ["float64"]),
    *of_all("bernoulli_loss", (X + 2, X), ArgumentError, ["between 0 and 1", "2.0"]),
    *of_all("bernoulli_loss", (X - 2, X), ArgumentError, ["between 0 and 1", "-2.0"]),
    # normalization
    *of_all("standardize", (WHOLE,), DtypeError, ["int64"]),
    *of_all("standardize", (X, 2), AxisError, ["axis 2"]),
    *of_all("standardize", (X[:0], 0), ShapeError, ["(0, 3)"]),
    *of_all("standardize", (X, 0, -1), ArgumentError, ["eps", "-1"]),
    *of_all("standardize", (X, 0, "small"), ArgumentError, ["eps", "small"]),
    *of_all("batch_normalize", (X, V, V[:2]), ShapeError, ["(2, 3)", "(2,)"]),
    *of_all("batch_normalize", (V, V, V), ShapeError, ["(3,)"]),
    *of_all("batch_normalize", (X[:0], V, V), ShapeError, ["(0, 3)"]),
    *of_all("batch_normalize", (WHOLE, V, V), DtypeError, ["int64"]),
    *of_all("batch_normalize", (X, V, V.astype("float64")), DtypeError, ["float64"]),
    *of_all("batch_normalize", (X, V, V, float("nan")), ArgumentError, ["eps", "nan"]),
    # dropout
    *of_all("dropout", (X, 1.5), ArgumentError, ["1.5"]),
    *of_all("dropout", (X, -0.1), ArgumentError, ["-0.1"]),
    *of_all("dropout", (X, float("nan")), ArgumentError, ["nan"]),
    *of_all("dropout", (X, "half"), ArgumentError, ["half"]),
    # the ops of backward passes, whose windows a user can hold in her hands
    ("matmul", lambda: apply(MatMul(), V, V), ShapeError, ["(3,)"]),
    ("linear", lambda: linear(X, V), ShapeError, ["(2, 3)", "(3,)"]),
    ("linear", lambda: linear(X, X, X), ShapeError, ["(2,)", "(2, 3)"]),
    ("linear", lambda: linear(WHOLE, WHOLE), DtypeError, ["int64"]),
    ("linear", lambda: linear(X, X.astype("float64")), DtypeError, ["float64"]),
    ("sigmoid_backward", lambda: apply(SigmoidBackward(), X, V), ShapeError, ["(2, 3)", "(3,)"]),
    ("tanh_backward", lambda: apply(TanhBackward(), X, V), ShapeError, ["(2, 3)", "(3,)"]),
    (
        "index_add",
        lambda: apply(IndexAdd((ARRAY,), (4,)), V, mg.tensor([0, 1])),
        ShapeError,
        ["(2,)", "(3,)"],
    ),
]
