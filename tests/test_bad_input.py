"""What does not fit is refused: with an error of minigrad that names the op and what it got.

Bad indices have their tests in `test_indexing`, data that is no number in `test_tensor`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import minigrad as mg
from minigrad import ops
from minigrad.errors import (
    ArgumentError,
    AxisError,
    DtypeError,
    IndexingError,
    LinAlgError,
    MinigradError,
    ShapeError,
)
from minigrad.ops.convolution import Conv2d, Conv2dInputGrad, Conv2dWeightGrad
from minigrad.ops.decompositions import QR, InverseGaps
from minigrad.ops.indexing import ARRAY, IndexAdd
from minigrad.ops.inverse import Cofactor
from minigrad.ops.linear import MatMul
from minigrad.ops.pooling import (
    AvgPool2dBackward,
    MaxPool2dBackward,
    MaxPool2dGather,
    max_pool2d_gather,
)
from minigrad.ops.triangle import DiagonalEmbed
from minigrad.spec import Padding, Spec, Window
from minigrad.tensor import apply

X = mg.zeros((2, 3))
V = mg.zeros(3)
WHOLE = mg.zeros((2, 3), "int64")
BOOLS = mg.zeros((2, 3), "bool")
IMAGE = mg.zeros((1, 2, 5, 6))
WEIGHT = mg.zeros((4, 2, 3, 3))
CLASSES = mg.tensor([0, 2])
NONE: Padding = ((0, 0), (0, 0))

Row = tuple[str, Callable[[], Any], type[MinigradError], list[str]]


def _of_all(
    names: str, arguments: tuple, error: type[MinigradError], got: list[str], **options: Any
) -> list[Row]:
    """The same mistake in several functions, each named in its message."""
    return [
        (name, lambda name=name: getattr(ops, name)(*arguments, **options), error, got)
        for name in names.split()
    ]


BINARY = "add subtract multiply divide power equal not_equal less less_equal greater greater_equal"

SQUARE = "inv det slogdet cholesky eigh eigvalsh"

FLOATING = "acos acosh asin asinh atan atanh cos cosh erf exp2 expm1 gelu log10 log1p log2"
FLOATING += " reciprocal signbit sin sinc sinh softmax softplus tan"
BINARY_FLOATING = "atan2 copysign hypot logaddexp nextafter"
BINARY_NUMERIC = "clip floor_divide maximum minimum remainder"
BITWISE = "bitwise_and bitwise_or bitwise_xor"
SHIFTS = "bitwise_left_shift bitwise_right_shift"

ROWS: list[Row] = [
    # elementwise functions
    *_of_all(FLOATING, (WHOLE,), DtypeError, ["int64", "(2, 3)"]),
    *_of_all(BINARY_FLOATING, (WHOLE, WHOLE), DtypeError, ["int64", "(2, 3)"]),
    *_of_all(f"{BINARY_FLOATING} {BINARY_NUMERIC}", (X, mg.zeros(2)), ShapeError, ["(2,)"]),
    *_of_all(f"{BINARY_FLOATING} {BINARY_NUMERIC}", (X, X.astype("float64")), DtypeError, ["64"]),
    *_of_all(BINARY_NUMERIC, (BOOLS, BOOLS), DtypeError, ["bool"]),
    *_of_all(BINARY_NUMERIC, (WHOLE, 1.5), DtypeError, ["1.5", "int64"]),
    *_of_all("ceil floor positive round sign square trunc", (BOOLS,), DtypeError, ["bool"]),
    *_of_all(f"{BITWISE} {SHIFTS}", (X, X), DtypeError, ["float32", "integers"]),
    *_of_all(f"{BITWISE} {SHIFTS}", (WHOLE, 1.5), DtypeError, ["1.5", "int64"]),
    *_of_all(f"{BITWISE} {SHIFTS}", (WHOLE, mg.zeros((2, 2), "int64")), ShapeError, ["(2, 2)"]),
    *_of_all(SHIFTS, (BOOLS, BOOLS), DtypeError, ["bool", "integers"]),
    *_of_all("bitwise_invert", (X,), DtypeError, ["float32"]),
    *_of_all("logical_xor", (BOOLS, X), DtypeError, ["float32"]),
    *_of_all("clip", (X,), ArgumentError, ["min", "max", "neither"]),
    *_of_all("gelu", (X, "sigmoid"), ArgumentError, ["approximate", "sigmoid"]),
    *_of_all("softplus", (X, 0), ArgumentError, ["beta", "0"]),
    *_of_all("softplus", (X, 1, "high"), ArgumentError, ["threshold", "high"]),
    *_of_all("softmax", (X, 2), AxisError, ["axis 2"]),
    *_of_all("softmax", (mg.zeros((2, 0)),), ShapeError, ["(2, 0)"]),
    *_of_all(BINARY, (X, mg.zeros((2, 2))), ShapeError, ["(2, 3)", "(2, 2)"]),
    *_of_all(BINARY, (X, mg.zeros(3, "float64")), DtypeError, ["float32", "float64"]),
    *_of_all(BINARY, (WHOLE, 1.5), DtypeError, ["1.5", "int64"]),
    *_of_all("add subtract multiply power", (BOOLS, BOOLS), DtypeError, ["bool"]),
    *_of_all("divide", (WHOLE, WHOLE), DtypeError, ["int64", "(2, 3)"]),
    *_of_all("power", (WHOLE, -1), ArgumentError, ["int64", "negative"]),
    *_of_all("exp log sqrt sigmoid tanh relu", (WHOLE,), DtypeError, ["int64", "(2, 3)"]),
    *_of_all("mean log_softmax dropout", (WHOLE,), DtypeError, ["int64", "(2, 3)"]),
    *_of_all("negative", (BOOLS,), DtypeError, ["bool"]),
    *_of_all("logical_and logical_or", (BOOLS, X), DtypeError, ["float32"]),
    *_of_all("logical_and logical_or", (BOOLS, mg.zeros(2, "bool")), ShapeError, ["(2,)"]),
    *_of_all("logical_not", (X,), DtypeError, ["float32"]),
    *_of_all("where", (X, X, X), DtypeError, ["condition", "float32"]),
    *_of_all("where", (BOOLS, X, mg.zeros(2)), ShapeError, ["(2, 3)", "(2,)"]),
    *_of_all("where", (BOOLS, X, WHOLE), DtypeError, ["float32", "int64"]),
    # reductions and axes
    *_of_all("sum mean max argmax", (X, 2), AxisError, ["axis 2", "2 axes"]),
    *_of_all("sum mean max argmax", (X, -3), AxisError, ["axis -3", "2 axes"]),
    *_of_all("sum mean max argmax", (mg.tensor(1.0), 0), AxisError, ["axis 0", "0 axes"]),
    *_of_all("sum mean max", (X, (0, 0)), AxisError, ["(0, 0)", "twice"]),
    *_of_all("sum mean max", (X, (1, -1)), AxisError, ["(1, -1)", "twice"]),
    *_of_all("sum mean max argmax", (X, 0.5), ArgumentError, ["axis", "0.5"]),
    *_of_all("sum mean max argmax", (X, "rows"), ArgumentError, ["axis", "rows"]),
    *_of_all("sum mean max argmax", (X, True), ArgumentError, ["axis", "True"]),
    *_of_all("argmax", (X, (0, 1)), ArgumentError, ["axis", "(0, 1)"]),
    *_of_all("max argmax", (mg.zeros((2, 0)),), ShapeError, ["(2, 0)"]),
    *_of_all("max argmax", (mg.zeros((2, 0)), 1), ShapeError, ["(2, 0)"]),
    *_of_all("log_softmax", (X, 2), AxisError, ["axis 2"]),
    *_of_all("log_softmax", (mg.zeros((2, 0)),), ShapeError, ["(2, 0)"]),
    # movements
    *_of_all("reshape", (X, (4, 2)), ShapeError, ["(2, 3)", "(4, 2)"]),
    *_of_all("reshape", (X, (-1, -1)), ShapeError, ["(-1, -1)"]),
    *_of_all("reshape", (X, (-2, -3)), ShapeError, ["(-2, -3)"]),
    *_of_all("reshape", (X, (4, -1)), ShapeError, ["(4, -1)"]),
    *_of_all("reshape", (X, (0, -1)), ShapeError, ["(0, -1)"]),
    *_of_all("reshape", (X, (2.0, 3)), ArgumentError, ["2.0"]),
    *_of_all("reshape", (X, "six"), ArgumentError, ["six"]),
    *_of_all("flatten", (X, 1, 0), AxisError, ["start_dim 1", "end_dim 0"]),
    *_of_all("flatten", (X, 0, 2), AxisError, ["2"]),
    *_of_all("permute_dims", (X, (0,)), AxisError, ["(0,)", "(2, 3)"]),
    *_of_all("permute_dims", (X, (0, 0)), AxisError, ["(0, 0)"]),
    *_of_all("permute_dims", (X, (0, 2)), AxisError, ["axis 2"]),
    *_of_all("permute_dims", (X, 1), ArgumentError, ["axes", "1"]),
    *_of_all("permute_dims", (X, ("a", 1)), ArgumentError, ["'a'"]),
    *_of_all("matrix_transpose", (V,), ShapeError, ["(3,)"]),
    *_of_all("expand", (X, (2,)), ShapeError, ["(2, 3)", "(2,)"]),
    *_of_all("expand", (X, (3, 3)), ShapeError, ["(2, 3)", "(3, 3)"]),
    *_of_all("expand", (X, (-1, 3)), ShapeError, ["-1"]),
    *_of_all("expand", (X, 1.5), ArgumentError, ["1.5"]),
    *_of_all("concat", ([],), ShapeError, ["none"]),
    *_of_all("concat", (5,), ArgumentError, ["5"]),
    *_of_all("concat", ([X, V],), ShapeError, ["(2, 3)", "(3,)"]),
    *_of_all("concat", ([X, mg.zeros((2, 2))],), ShapeError, ["(2, 2)"]),
    *_of_all("concat", ([X, WHOLE],), DtypeError, ["int64"]),
    *_of_all("concat", ([X, X], 2), AxisError, ["axis 2"]),
    *_of_all("concat", ([mg.tensor(1.0)],), ShapeError, ["0-d"]),
    # extrema, products, moments, truths
    *_of_all("min argmin prod any all std var logsumexp", (X, 2), AxisError, ["axis 2"]),
    *_of_all("min prod any all std var logsumexp", (X, (1, -1)), AxisError, ["(1, -1)", "twice"]),
    *_of_all("min argmin prod count_nonzero", (X, "rows"), ArgumentError, ["axis", "rows"]),
    *_of_all("argmin", (X, (0, 1)), ArgumentError, ["axis", "(0, 1)"]),
    *_of_all("min argmin logsumexp", (mg.zeros((2, 0)),), ShapeError, ["(2, 0)"]),
    *_of_all("var std logsumexp", (WHOLE,), DtypeError, ["int64", "(2, 3)"]),
    *_of_all("var std", (X, None, "one"), ArgumentError, ["correction", "one"]),
    *_of_all("var std", (X, None, float("nan")), ArgumentError, ["correction", "nan"]),
    *_of_all("cumulative_sum cumulative_prod", (X,), ArgumentError, ["(2, 3)", "axis"]),
    *_of_all("cumulative_sum cumulative_prod", (X, 2), AxisError, ["axis 2"]),
    # compositions of movements
    *_of_all("moveaxis", (X, (0, 0), (0, 1)), AxisError, ["(0, 0)", "twice"]),
    *_of_all("moveaxis", (X, (0, 1), 0), AxisError, ["(0, 1)", "differ"]),
    *_of_all("moveaxis", (X, 2, 0), AxisError, ["axis 2"]),
    *_of_all("squeeze", (X, 0), ShapeError, ["axis 0", "(2, 3)", "length 2"]),
    *_of_all("squeeze flip", (X, (0, -2)), AxisError, ["twice"]),
    *_of_all("expand_dims", (X, 3), AxisError, ["axis 3"]),
    *_of_all("expand_dims", (X, (0, 0)), AxisError, ["twice"]),
    *_of_all("broadcast_arrays", (X, mg.zeros((2, 2))), ShapeError, ["(2, 3)", "(2, 2)"]),
    *_of_all("broadcast_arrays meshgrid", (), ShapeError, ["none"]),
    *_of_all("meshgrid", (X,), ShapeError, ["(2, 3)"]),
    *_of_all("meshgrid", (V,), ArgumentError, ["indexing", "'yx'"], indexing="yx"),
    *_of_all("roll", (X, (1, 2), (0, 1, 1)), ArgumentError, ["(1, 2)", "(0, 1, 1)"]),
    *_of_all("roll", (X, 0.5), ArgumentError, ["shift", "0.5"]),
    *_of_all("roll", (X, 1, 2), AxisError, ["axis 2"]),
    *_of_all("flip", (X, 2), AxisError, ["axis 2"]),
    *_of_all("repeat", (X, -1), ArgumentError, ["repeats", "-1"]),
    *_of_all("repeat", (X, 1.5), DtypeError, ["repeats", "float32"]),
    *_of_all("repeat", (X, [1, 2], 1), ShapeError, ["repeats", "(2,)"]),
    *_of_all("tile", (X, (2, -1)), ArgumentError, ["repetitions", "(2, -1)"]),
    *_of_all("tile", (X, 1.5), ArgumentError, ["repetitions", "1.5"]),
    *_of_all("stack", ([X, V],), ShapeError, ["(2, 3)", "(3,)"]),
    *_of_all("stack", ([],), ShapeError, ["none"]),
    *_of_all("stack", (5,), ArgumentError, ["5"]),
    *_of_all("stack", ([X, X], 3), AxisError, ["axis 3"]),
    *_of_all("split", (X, 2, 1), ShapeError, ["axis 1", "(2, 3)", "2 equal"]),
    *_of_all("split", (X, 0), ShapeError, ["0 equal"]),
    *_of_all("split", (X, "ab"), ArgumentError, ["'ab'"]),
    *_of_all("unstack", (mg.tensor(1.0),), AxisError, ["axis 0"]),
    *_of_all("pad", (X, -1), ArgumentError, ["pad_width", "-1"]),
    *_of_all("pad", (X, (1, 2, 3)), ArgumentError, ["pad_width", "(1, 2, 3)"]),
    *_of_all("pad", (X, ((1, 2),) * 3), ShapeError, ["3 pairs", "(2, 3)"]),
    *_of_all("pad", (X, 0.5), ArgumentError, ["pad_width", "0.5"]),
    *_of_all("pad", (X, 1, "mirror"), ArgumentError, ["mode", "mirror"]),
    *_of_all("pad", (mg.zeros((0, 2)), 1, "reflect"), ShapeError, ["axis 0", "(0, 2)"]),
    *_of_all("pad", (WHOLE, 1, "constant", 0.5), ArgumentError, ["value", "0.5", "int64"]),
    # positions and order
    *_of_all("take", (X, [0.5], 0), DtypeError, ["indices", "float32"]),
    *_of_all("take", (X, [2], 0), IndexingError, ["index 2", "axis 0"]),
    *_of_all("take", (X, [0], 2), AxisError, ["axis 2"]),
    *_of_all("take_along_axis", (X, V), DtypeError, ["indices", "float32"]),
    *_of_all("take_along_axis", (X, CLASSES), ShapeError, ["(2,)", "(2, 3)"]),
    *_of_all("take_along_axis", (X, mg.zeros((3, 1), "int8")), ShapeError, ["(2, 1)", "(3, 1)"]),
    *_of_all("take_along_axis", (X, WHOLE + 3), IndexingError, ["index 3", "axis 1"]),
    *_of_all("scatter_add", (X, WHOLE, X.astype("float64")), DtypeError, ["float64"]),
    *_of_all("scatter_add", (X, WHOLE, mg.zeros((2, 2))), ShapeError, ["(2, 3)", "(2, 2)"]),
    *_of_all("scatter_add", (X, WHOLE - 4, X), IndexingError, ["index -4"]),
    *_of_all("sort argsort", (X, 2), AxisError, ["axis 2"]),
    *_of_all("sort argsort", (mg.tensor(1.0),), AxisError, ["axis -1", "0 axes"]),
    *_of_all("topk", (X, 4), ArgumentError, ["k", "4", "3"]),
    *_of_all("topk", (X, 1.5), ArgumentError, ["k", "1.5"]),
    *_of_all("searchsorted", (X, X), ShapeError, ["(2, 3)"]),
    *_of_all("searchsorted", (V, WHOLE), DtypeError, ["float32", "int64"]),
    *_of_all("searchsorted", (V, V, "middle"), ArgumentError, ["side", "middle"]),
    *_of_all("nonzero", (mg.tensor(1.0),), ShapeError, ["0-d"]),
    # matrix products
    *_of_all("matmul", (X, X), ShapeError, ["(2, 3)"]),
    *_of_all("matmul", (X, mg.tensor(1.0)), ShapeError, ["(2, 3)", "()"]),
    *_of_all("matmul", (V, mg.zeros(2)), ShapeError, ["(3,)", "(2,)"]),
    *_of_all("matmul", (mg.zeros((2, 2, 3)), mg.zeros((3, 3, 1))), ShapeError, ["(2,)", "(3,)"]),
    *_of_all("matmul", (WHOLE, WHOLE.T), DtypeError, ["int64"]),
    *_of_all("matmul", (X, mg.zeros((3, 2), "float64")), DtypeError, ["float64"]),
    # linear algebra
    *_of_all(SQUARE, (X,), ShapeError, ["square", "(2, 3)"]),
    *_of_all(SQUARE, (V,), ShapeError, ["2 axes", "(3,)"]),
    *_of_all(SQUARE, (mg.zeros((2, 2), "int64"),), DtypeError, ["int64"]),
    *_of_all("matrix_power", (X, 2), ShapeError, ["square", "(2, 3)"]),
    *_of_all("matrix_power", (mg.eye(2), 0.5), ArgumentError, ["n", "0.5"]),
    *_of_all("inv", (mg.zeros((2, 2)),), LinAlgError, ["singular"]),
    *_of_all("solve", (mg.zeros((2, 2)), mg.ones(2)), LinAlgError, ["singular"]),
    *_of_all("solve", (mg.eye(2), V), ShapeError, ["(2, 2)", "(3, 1)"]),
    *_of_all("solve", (mg.eye(2), mg.tensor(1.0)), ShapeError, ["()"]),
    *_of_all("solve", (mg.eye(3), V.astype("float64")), DtypeError, ["float64"]),
    *_of_all("cholesky", (-mg.eye(2),), LinAlgError, ["positive definite"]),
    *_of_all("qr svd svdvals pinv", (V,), ShapeError, ["(3,)"]),
    *_of_all("qr svd svdvals pinv", (WHOLE,), DtypeError, ["int64"]),
    *_of_all("qr", (X, "complete"), ArgumentError, ["mode", "complete"]),
    *_of_all("svd", (X, True), ArgumentError, ["full_matrices", "True"]),
    *_of_all("pinv", (X, -1.0), ArgumentError, ["rtol", "-1.0"]),
    *_of_all("pinv", (X, "a"), ArgumentError, ["rtol", "a"]),
    *_of_all("diagonal trace tril triu", (V,), ShapeError, ["(3,)"]),
    *_of_all("diagonal trace", (X, 0, 1, -1), AxisError, ["axis1 1", "axis2 -1"]),
    *_of_all("diagonal trace", (X, 0, 0, 2), AxisError, ["axis 2"]),
    *_of_all("diagonal diag tril triu", (X, 0.5), ArgumentError, ["0.5"]),
    *_of_all("diag", (IMAGE,), ShapeError, ["(1, 2, 5, 6)"]),
    *_of_all("einsum", (5, X), ArgumentError, ["subscripts", "5"]),
    *_of_all("einsum", ("ij", X, X), ArgumentError, ["'ij'", "1 operands", "2"]),
    *_of_all("einsum", ("i;->i", X), ArgumentError, ["'i;->i'"]),
    *_of_all("einsum", ("i......", X), ArgumentError, ["i......"]),
    *_of_all("einsum", ("ij->ik", X), ArgumentError, ["'ij->ik'"]),
    *_of_all("einsum", ("ij->ii", X), ArgumentError, ["'ij->ii'"]),
    *_of_all("einsum", ("i...->i", X), ArgumentError, ["'i...->i'", "'...'"]),
    *_of_all("einsum", ("ijk", X), ShapeError, ["'ijk'", "2 axes"]),
    *_of_all("einsum", ("i", X), ShapeError, ["'i'", "2 axes"]),
    *_of_all("einsum", ("ii", X), ShapeError, ["'i'", "(2, 3)"]),
    *_of_all("einsum", ("ij,jk", X, X), ShapeError, ["'j'", "(2, 3)"]),
    *_of_all("einsum", ("ij", WHOLE), DtypeError, ["int64"]),
    *_of_all("einsum", ("i,i", V, V.astype("float64")), DtypeError, ["float64"]),
    *_of_all("tensordot", (X, X, 1), ShapeError, ["(2, 3)"]),
    *_of_all("tensordot", (X, V, 2), AxisError, ["axes 2"]),
    *_of_all("tensordot", (X, X, -1), AxisError, ["axes -1"]),
    *_of_all("tensordot", (X, X, "a"), ArgumentError, ["axes", "a"]),
    *_of_all("tensordot", (X, X, (0, 1, 2)), ArgumentError, ["(0, 1, 2)"]),
    *_of_all("tensordot", (X, X, ([0], [0, 1])), AxisError, ["[0, 1]"]),
    *_of_all("tensordot", (WHOLE, WHOLE), DtypeError, ["int64"]),
    *_of_all("inner", (X, mg.zeros(2)), ShapeError, ["(2, 3)", "(2,)"]),
    *_of_all("outer", (X, V), ShapeError, ["(2, 3)", "(3,)"]),
    *_of_all("outer kron vecdot cross", (V, V.astype("float64")), DtypeError, ["float64"]),
    *_of_all("vecdot cross", (X, mg.zeros(2)), ShapeError, ["(2, 3)", "(2,)"]),
    *_of_all("vecdot cross", (X, V, 0), AxisError, ["axis -2"]),
    *_of_all("vecdot cross", (X, X, 2), AxisError, ["axis 2"]),
    *_of_all("vecdot", (X, mg.tensor(1.0)), ShapeError, ["()"]),
    *_of_all("cross", (X, X, 0), ShapeError, ["length 3"]),
    *_of_all("vector_norm matrix_norm", (WHOLE,), DtypeError, ["int64"]),
    *_of_all("vector_norm matrix_norm", (X,), ArgumentError, ["ord", "'two'"], ord="two"),
    *_of_all("matrix_norm", (X, 3), ArgumentError, ["ord", "3"]),
    *_of_all("matrix_norm", (X[:, :0], 1), ShapeError, ["(2, 0)"]),
    *_of_all("vector_norm", (X[:, :0],), ShapeError, ["(2, 0)"], ord=float("inf")),
    *_of_all("norm", (IMAGE, 2), ShapeError, ["axis", "(1, 2, 5, 6)"]),
    *_of_all("norm", (X, "fro", 0), ArgumentError, ["'fro'", "axis 0"]),
    *_of_all("norm", (IMAGE, 2, (0, 1, 2)), ArgumentError, ["(0, 1, 2)"]),
    *_of_all("norm", (X, 2, (0, 0)), AxisError, ["twice"]),
    (
        "inverse_gaps",
        lambda: apply(InverseGaps(), mg.tensor([1.0, 2.0, 1.0])),
        LinAlgError,
        ["equal"],
    ),
    (
        "diagonal_embed",
        lambda: apply(DiagonalEmbed(1, 3, 3), V),
        ShapeError,
        ["2 elements", "(3,)"],
    ),
    ("cofactor", lambda: apply(Cofactor(), X), ShapeError, ["(2, 3)"]),
    ("qr", lambda: apply(QR(), X), ArgumentError, ["(2, 3)"]),
    # losses
    *_of_all("nll_loss", (X, X), DtypeError, ["target", "float32"]),
    *_of_all("nll_loss cross_entropy", (X, V), DtypeError, ["target", "float32"]),
    *_of_all("nll_loss cross_entropy", (X, mg.tensor([True, False])), DtypeError, ["bool"]),
    *_of_all("nll_loss cross_entropy", (X, mg.tensor([0])), ShapeError, ["(2, 3)", "(1,)"]),
    *_of_all("nll_loss cross_entropy", (V, mg.tensor(1)), ShapeError, ["(3,)", "()"]),
    *_of_all("nll_loss cross_entropy", (X, mg.tensor([0, 3])), IndexingError, ["0 and 2", "3"]),
    *_of_all("nll_loss cross_entropy", (X, mg.tensor([-1, 0])), IndexingError, ["-1"]),
    *_of_all("nll_loss cross_entropy", (X[:0], CLASSES[:0]), ShapeError, ["empty", "(0, 3)"]),
    *_of_all(
        "nll_loss cross_entropy", (X, CLASSES), ArgumentError, ["average"], reduction="average"
    ),
    *_of_all("cross_entropy", (WHOLE, CLASSES), DtypeError, ["int64"]),
    *_of_all("nll_loss cross_entropy", (X, CLASSES, V[:2]), ShapeError, ["weight", "(2,)"]),
    *_of_all("nll_loss cross_entropy", (X, CLASSES, V.astype("float64")), DtypeError, ["float64"]),
    *_of_all(
        "nll_loss cross_entropy", (X, CLASSES), ArgumentError, ["ignore_index"], ignore_index=0.5
    ),
    *_of_all(
        "nll_loss cross_entropy", (X[:1], CLASSES[:1]), ShapeError, ["ignored"], ignore_index=0
    ),
    *_of_all("cross_entropy", (X, CLASSES), ArgumentError, ["1.5"], label_smoothing=1.5),
    *_of_all("cross_entropy", (X, X.astype("float64")), DtypeError, ["float64"]),
    *_of_all("cross_entropy", (X[:0], X[:0]), ShapeError, ["empty"]),
    *_of_all("logistic_loss bernoulli_loss", (X, V[:2]), ShapeError, ["(2, 3)", "(2,)"]),
    *_of_all("logistic_loss bernoulli_loss", (WHOLE, WHOLE), DtypeError, ["int64"]),
    *_of_all("logistic_loss bernoulli_loss", (X, V.astype("float64")), DtypeError, ["float64"]),
    *_of_all("bernoulli_loss", (X + 2, X), ArgumentError, ["between 0 and 1", "2.0"]),
    *_of_all("bernoulli_loss", (X - 2, X), ArgumentError, ["between 0 and 1", "-2.0"]),
    # normalization
    *_of_all("standardize", (WHOLE,), DtypeError, ["int64"]),
    *_of_all("standardize", (X, 2), AxisError, ["axis 2"]),
    *_of_all("standardize", (X[:0], 0), ShapeError, ["(0, 3)"]),
    *_of_all("standardize", (X, 0, -1), ArgumentError, ["eps", "-1"]),
    *_of_all("standardize", (X, 0, "small"), ArgumentError, ["eps", "small"]),
    *_of_all("batch_normalize", (X, V, V[:2]), ShapeError, ["(2, 3)", "(2,)"]),
    *_of_all("batch_normalize", (V, V, V), ShapeError, ["(3,)"]),
    *_of_all("batch_normalize", (X[:0], V, V), ShapeError, ["(0, 3)"]),
    *_of_all("batch_normalize", (WHOLE, V, V), DtypeError, ["int64"]),
    *_of_all("batch_normalize", (X, V, V.astype("float64")), DtypeError, ["float64"]),
    *_of_all("batch_normalize", (X, V, V, float("nan")), ArgumentError, ["eps", "nan"]),
    # dropout
    *_of_all("dropout", (X, 1.5), ArgumentError, ["1.5"]),
    *_of_all("dropout", (X, -0.1), ArgumentError, ["-0.1"]),
    *_of_all("dropout", (X, float("nan")), ArgumentError, ["nan"]),
    *_of_all("dropout", (X, "half"), ArgumentError, ["half"]),
    # convolution
    *_of_all("conv2d", (IMAGE[0], WEIGHT), ShapeError, ["(2, 5, 6)", "(4, 2, 3, 3)"]),
    *_of_all("conv2d", (IMAGE, WEIGHT[0]), ShapeError, ["weight", "(2, 3, 3)"]),
    *_of_all("conv2d", (IMAGE[:0], WEIGHT), ShapeError, ["(0, 2, 5, 6)"]),
    *_of_all("conv2d", (IMAGE[:, :, :0], WEIGHT), ShapeError, ["(1, 2, 0, 6)"]),
    *_of_all("conv2d", (IMAGE, WEIGHT[:, :, :0]), ShapeError, ["(4, 2, 0, 3)"]),
    *_of_all("conv2d", (IMAGE[:, :1], WEIGHT), ShapeError, ["1 channels", "(4, 2, 3, 3)"]),
    *_of_all("conv2d", (IMAGE[:, :, :2], WEIGHT), ShapeError, ["window of 3", "height of 2"]),
    *_of_all("conv2d", (IMAGE, WEIGHT, None, 1, 0, 3), ShapeError, ["window of 7"]),
    *_of_all("conv2d", (IMAGE, WEIGHT.astype("float64")), DtypeError, ["float64"]),
    *_of_all("conv2d", (IMAGE.astype("int64"), WEIGHT), DtypeError, ["int64"]),
    *_of_all("conv2d", (IMAGE, WEIGHT, V), ShapeError, ["bias", "(4,)", "(3,)"]),
    *_of_all("conv2d", (IMAGE, WEIGHT, mg.zeros(4, "float64")), DtypeError, ["float64"]),
    *_of_all("conv2d", (IMAGE, WEIGHT, None, 0), ArgumentError, ["stride", "0"]),
    *_of_all("conv2d", (IMAGE, WEIGHT, None, (1, -2)), ArgumentError, ["stride", "-2"]),
    *_of_all("conv2d", (IMAGE, WEIGHT, None, (1, 1, 1)), ArgumentError, ["stride", "(1, 1, 1)"]),
    *_of_all("conv2d", (IMAGE, WEIGHT, None, 1.5), ArgumentError, ["stride", "1.5"]),
    *_of_all("conv2d", (IMAGE, WEIGHT, None, 1, -1), ArgumentError, ["padding", "-1"]),
    *_of_all("conv2d", (IMAGE, WEIGHT, None, 1, ((0, 1),)), ArgumentError, ["padding", "(0, 1)"]),
    *_of_all("conv2d", (IMAGE, WEIGHT, None, 1, "full"), ArgumentError, ["padding", "full"]),
    *_of_all("conv2d", (IMAGE, WEIGHT, None, 2, "same"), ArgumentError, ["same", "stride"]),
    *_of_all("conv2d", (IMAGE, WEIGHT, None, 1, 0, 0), ArgumentError, ["dilation", "0"]),
    *_of_all("conv2d", (IMAGE, WEIGHT, None, 1, 0, 1, 0), ArgumentError, ["groups", "0"]),
    *_of_all("conv2d", (IMAGE, WEIGHT, None, 1, 0, 1, -1), ArgumentError, ["groups", "-1"]),
    *_of_all("conv2d", (IMAGE, WEIGHT, None, 1, 0, 1, 3), ShapeError, ["3 group"]),
    *_of_all("conv2d", (IMAGE, WEIGHT, None, 1, 0, 1, 1.5), ArgumentError, ["groups", "1.5"]),
    # pooling
    *_of_all("avg_pool2d max_pool2d", (IMAGE[0], 2), ShapeError, ["(2, 5, 6)"]),
    *_of_all("avg_pool2d max_pool2d", (IMAGE[:0], 2), ShapeError, ["(0, 2, 5, 6)"]),
    *_of_all("avg_pool2d max_pool2d", (IMAGE[:, :0], 2), ShapeError, ["(1, 0, 5, 6)"]),
    *_of_all("avg_pool2d max_pool2d", (IMAGE.astype("int8"), 2), DtypeError, ["int8"]),
    *_of_all("avg_pool2d max_pool2d", (IMAGE, 6), ShapeError, ["window of 6", "height of 5"]),
    *_of_all("avg_pool2d max_pool2d", (IMAGE, 0), ArgumentError, ["kernel_size", "0"]),
    *_of_all("avg_pool2d max_pool2d", (IMAGE, -2), ArgumentError, ["kernel_size", "-2"]),
    *_of_all("avg_pool2d max_pool2d", (IMAGE, "2"), ArgumentError, ["kernel_size", "'2'"]),
    *_of_all("avg_pool2d max_pool2d", (IMAGE, 2, 0), ArgumentError, ["stride", "0"]),
    *_of_all("avg_pool2d max_pool2d", (IMAGE, 2, 1, -1), ArgumentError, ["padding", "-1"]),
    *_of_all("avg_pool2d max_pool2d", (IMAGE, 2, 1, 2), ShapeError, ["padding", "2"]),
    *_of_all("max_pool2d", (IMAGE, 2, 1, 0, 0), ArgumentError, ["dilation", "0"]),
    *_of_all("max_pool2d", (IMAGE[:, :, :2], 2, 1, 1, 3), ShapeError, ["padding"]),
    (
        "max_pool2d_gather",
        lambda: max_pool2d_gather(IMAGE, mg.zeros((1, 2, 1, 1))),
        DtypeError,
        ["indices", "float32"],
    ),
    # the ops of backward passes, whose indices and windows a user can hold in her hands
    *[
        (
            "max_pool2d_gather",
            lambda i=i: apply(MaxPool2dGather(), IMAGE, mg.full((1, 2, 1, 1), i)),
            IndexingError,
            [str(i)],
        )
        for i in (30, -1)
    ],
    *[
        (
            "max_pool2d_backward",
            lambda i=i: apply(
                MaxPool2dBackward((5, 6)), mg.zeros((1, 2, 1, 1)), mg.full((1, 2, 1, 1), i)
            ),
            IndexingError,
            [str(i)],
        )
        for i in (30, -1)
    ],
    (
        "max_pool2d_gather",
        lambda: apply(MaxPool2dGather(), IMAGE, mg.zeros((2, 2, 1, 1), "int64")),
        ShapeError,
        ["(1, 2, 5, 6)", "(2, 2, 1, 1)"],
    ),
    (
        "max_pool2d_backward",
        lambda: apply(MaxPool2dBackward((5, 6)), IMAGE, mg.zeros((1, 2, 1, 1), "int64")),
        ShapeError,
        ["(1, 2, 5, 6)", "(1, 2, 1, 1)"],
    ),
    (
        "avg_pool2d_backward",
        lambda: apply(AvgPool2dBackward(Window((2, 2)), True, (5, 6)), IMAGE),
        ShapeError,
        ["(1, 2, 5, 6)", "(5, 6)"],
    ),
    (
        "conv2d_input_grad",
        lambda: apply(Conv2dInputGrad(Window((3, 3)), 1, (5, 6)), mg.zeros((1, 4, 3, 3)), WEIGHT),
        ShapeError,
        ["(1, 4, 3, 4)", "(1, 4, 3, 3)"],
    ),
    (
        "conv2d_weight_grad",
        lambda: apply(Conv2dWeightGrad(Window((3, 3)), 1), IMAGE, mg.zeros((1, 4, 3, 3))),
        ShapeError,
        ["(1, 4, 3, 4)", "(1, 4, 3, 3)"],
    ),
    *[
        (op.name, lambda op=op: apply(op, V, V), ShapeError, ["(3,)"])
        for op in (
            Conv2d(Window((3, 3)), 1),
            Conv2dInputGrad(Window((3, 3)), 1, (5, 6)),
            Conv2dWeightGrad(Window((3, 3)), 1),
            MatMul(),
        )
    ],
    (
        "index_add",
        lambda: apply(IndexAdd((ARRAY,), (4,)), V, mg.tensor([0, 1])),
        ShapeError,
        ["(2,)", "(3,)"],
    ),
    # making tensors
    ("zeros", lambda: mg.zeros(-1), ShapeError, ["-1"]),
    ("zeros", lambda: mg.zeros((2, 1.5)), ArgumentError, ["1.5"]),
    ("ones", lambda: mg.ones("three"), ArgumentError, ["three"]),
    ("ones", lambda: mg.ones(True), ArgumentError, ["True"]),
    ("zeros", lambda: mg.zeros((10**10, 10**10)), ShapeError, [str(10**10)]),
    ("full", lambda: mg.full((2, -3), 1), ShapeError, ["-3"]),
    ("full", lambda: mg.full(2, "a"), ArgumentError, ["'a'"]),
    ("full", lambda: mg.full(2, [1, 2]), ArgumentError, ["[1, 2]"]),
    ("full", lambda: mg.full(2, 300, "uint8"), ArgumentError, ["300", "uint8"]),
    ("full", lambda: mg.full(2, float("nan"), "int64"), ArgumentError, ["nan", "int64"]),
    ("arange", lambda: mg.arange(0, 5, 0), ArgumentError, ["step"]),
    ("arange", lambda: mg.arange("a"), ArgumentError, ["'a'"]),
    ("arange", lambda: mg.arange(None), ArgumentError, ["None"]),  # type: ignore[arg-type]
    ("arange", lambda: mg.arange(float("inf")), ArgumentError, ["inf"]),
    ("arange", lambda: mg.arange(0, 1, float("nan")), ArgumentError, ["nan"]),
    ("linspace", lambda: mg.linspace(0, 1, -1), ArgumentError, ["num", "-1"]),
    ("linspace", lambda: mg.linspace(0, 1, 2.5), ArgumentError, ["num", "2.5"]),  # type: ignore[arg-type]
    ("linspace", lambda: mg.linspace("a", 1, 2), ArgumentError, ["'a'"]),  # type: ignore[arg-type]
    ("eye", lambda: mg.eye(-1), ShapeError, ["-1"]),
    ("rand", lambda: mg.rand(2, "int64"), DtypeError, ["int64"]),
    ("randn", lambda: mg.randn(-2), ShapeError, ["-2"]),
    ("full", lambda: mg.full_like(WHOLE, 0.5), ArgumentError, ["0.5", "int64"]),
    ("empty", lambda: mg.empty((2, -1)), ShapeError, ["-1"]),
    ("rand", lambda: mg.rand_like(WHOLE), DtypeError, ["int64"]),
    ("uniform", lambda: mg.uniform(1, 0, 2), ArgumentError, ["low", "1", "0"]),
    ("uniform", lambda: mg.uniform("a", 0, 2), ArgumentError, ["low", "'a'"]),  # type: ignore[arg-type]
    ("normal", lambda: mg.normal(0, -1, 2), ArgumentError, ["std", "-1"]),
    ("normal", lambda: mg.normal(float("inf"), 1, 2), ArgumentError, ["mean", "inf"]),
    ("randint", lambda: mg.randint(3, 3, 2), ArgumentError, ["low", "3"]),
    ("randint", lambda: mg.randint(0, 2, 2, "float32"), DtypeError, ["float32"]),
    ("randint", lambda: mg.randint(0, 300, 2, "uint8"), DtypeError, ["uint8", "299"]),
    ("randint", lambda: mg.randint(0.5, 2, 2), ArgumentError, ["low", "0.5"]),  # type: ignore[arg-type]
    ("randperm", lambda: mg.randperm(-1), ShapeError, ["-1"]),
    ("randperm", lambda: mg.randperm(200, "int8"), DtypeError, ["int8", "200"]),
    ("bernoulli", lambda: mg.bernoulli(V + 2), ArgumentError, ["p", "0 and 1"]),
    ("bernoulli", lambda: mg.bernoulli(WHOLE), DtypeError, ["int64"]),
    ("result_type", lambda: mg.result_type(), ArgumentError, ["at least one"]),
    ("nope", lambda: mg.result_type("nope"), DtypeError, ["float32"]),
    ("isdtype", lambda: mg.isdtype("float32", "round"), ArgumentError, ["round"]),
    ("finfo", lambda: mg.finfo("int8"), DtypeError, ["int8", "iinfo"]),
    ("iinfo", lambda: mg.iinfo(X), DtypeError, ["float32", "finfo"]),
    ("at.multiply", lambda: X.at[[0, 0]].multiply(2), IndexingError, ["twice"]),
    ("at.add", lambda: X.at[2].add(1), IndexingError, ["index 2"]),
    ("at.set", lambda: X.at[0].set(V.astype("float64")), DtypeError, ["float64"]),
    ("at.add", lambda: X.at[0].add(mg.zeros(2)), ShapeError, ["(2,)", "(3,)"]),
    ("pad", lambda: mg.nn.functional.pad(X, (1, 1, 1)), ArgumentError, ["3"]),
    ("pad", lambda: mg.nn.functional.pad(X, (-2, -2)), ShapeError, ["(-2, -2)"]),
    ("pad", lambda: mg.nn.functional.pad(X, (-1, 0), "reflect"), ArgumentError, ["negative"]),
    ("manual_seed", lambda: mg.manual_seed(-1), ArgumentError, ["-1"]),
    ("manual_seed", lambda: mg.manual_seed(2**64), ArgumentError, [str(2**64)]),
    ("manual_seed", lambda: mg.manual_seed("a"), ArgumentError, ["'a'"]),  # type: ignore[arg-type]
    ("set_rng_state", lambda: mg.set_rng_state((1, -1)), ArgumentError, ["-1"]),
    ("set_rng_state", lambda: mg.set_rng_state((1,)), ArgumentError, ["(1,)"]),  # type: ignore[arg-type]
    ("set_rng_state", lambda: mg.set_rng_state(5), ArgumentError, ["5"]),  # type: ignore[arg-type]
    ("Spec", lambda: Spec((1, -2)), ShapeError, ["-2"]),
    ("float16", lambda: Spec(3, "float16"), DtypeError, ["float16", "float32"]),
]


@pytest.mark.parametrize(
    ("op", "call", "error", "fragments"),
    [pytest.param(*row, id=f"{row[0]}-{'-'.join(row[3])}".replace(" ", "_")) for row in ROWS],
)
def test_is_refused(
    op: str, call: Callable[[], Any], error: type[MinigradError], fragments: list[str]
) -> None:
    with pytest.raises(error) as caught:
        call()
    message = str(caught.value)
    assert re.search(rf"\b{op}\b", message), message
    for fragment in fragments:
        assert fragment in message


def test_every_public_function_is_given_something_bad() -> None:
    """Those that take anything are given what is no array at all."""
    takes_anything = {
        "abs",
        "amax",
        "amin",
        "astype",
        "broadcast_to",
        "clone",
        "getitem",
        "isfinite",
        "isinf",
        "isnan",
        "setitem",
        "unique",
        "unique_values",
    }
    assert set(ops.__all__) - {row[0] for row in ROWS} <= takes_anything


@pytest.mark.parametrize("name", ops.__all__)
@pytest.mark.parametrize(
    "wrong",
    [None, "text", 1j, object(), {}, np.zeros(2, complex)],
    ids=lambda wrong: type(wrong).__name__,
)
def test_what_is_no_array_is_refused(name: str, wrong: Any) -> None:
    others = {
        "astype": ["float32"],
        "avg_pool2d": [2],
        "batch_normalize": [V, V],
        "broadcast_to": [(2,)],
        "concat": [],
        "expand": [(2,)],
        "getitem": [0],
        "matrix_power": [2],
        "max_pool2d": [2],
        "moveaxis": [0, 0],
        "pad": [1],
        "permute_dims": [(0,)],
        "repeat": [2],
        "reshape": [(2,)],
        "roll": [1],
        "scatter_add": [[0], 1.0],
        "setitem": [0, 1.0],
        "split": [1],
        "tile": [2],
        "topk": [1],
        "where": [X, X],
    }
    unary = "abs argmax clone dropout exp flatten log log_softmax logical_not matrix_transpose max"
    unary += " mean negative relu sigmoid sqrt standardize sum tanh"
    unary += " cholesky det diag diagonal eigh eigvalsh inv matrix_norm norm pinv qr slogdet svd"
    unary += " svdvals trace tril triu vector_norm"
    unary += " all amax amin any argmin argsort broadcast_arrays count_nonzero cumulative_prod"
    unary += " cumulative_sum expand_dims flip logsumexp meshgrid min nonzero prod sort squeeze"
    unary += " stack std unique unique_values unstack var"
    unary += f" {FLOATING} bitwise_invert ceil floor isfinite isinf isnan positive round"
    unary += " sign square trunc"
    arguments = others.get(name, [] if name in unary.split() else [X])
    with pytest.raises(MinigradError):
        getattr(ops, name)(wrong, *arguments)


@pytest.mark.parametrize("error", MinigradError.__subclasses__(), ids=lambda e: e.__name__)
def test_every_error_is_a_builtin_one_too(error: type[MinigradError]) -> None:
    assert issubclass(error, (ValueError, TypeError, RuntimeError))


def test_a_refused_call_records_nothing() -> None:
    x = mg.ones((2, 3), requires_grad=True)
    for _, call, _, _ in ROWS[:20]:
        with pytest.raises(MinigradError):
            call()
    with pytest.raises(ShapeError):
        x + mg.ones((2, 2))
    assert x._node is None
