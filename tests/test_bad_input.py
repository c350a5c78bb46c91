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
    MinigradError,
    ShapeError,
)
from minigrad.ops.convolution import Conv2d, Conv2dInputGrad, Conv2dWeightGrad
from minigrad.ops.indexing import ARRAY, IndexAdd
from minigrad.ops.linear import MatMul
from minigrad.ops.pooling import (
    AvgPool2dBackward,
    MaxPool2dBackward,
    MaxPool2dGather,
    max_pool2d_gather,
)
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

ROWS: list[Row] = [
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
    # matrix products
    *_of_all("matmul", (X, X), ShapeError, ["(2, 3)"]),
    *_of_all("matmul", (X, mg.tensor(1.0)), ShapeError, ["(2, 3)", "()"]),
    *_of_all("matmul", (V, mg.zeros(2)), ShapeError, ["(3,)", "(2,)"]),
    *_of_all("matmul", (mg.zeros((2, 2, 3)), mg.zeros((3, 3, 1))), ShapeError, ["(2,)", "(3,)"]),
    *_of_all("matmul", (WHOLE, WHOLE.T), DtypeError, ["int64"]),
    *_of_all("matmul", (X, mg.zeros((3, 2), "float64")), DtypeError, ["float64"]),
    # losses
    *_of_all("nll_loss cross_entropy", (X, X), DtypeError, ["target", "float32"]),
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
    takes_anything = {"abs", "clone", "astype", "getitem", "setitem", "broadcast_to"}
    assert set(ops.__all__) - {row[0] for row in ROWS} <= takes_anything


@pytest.mark.parametrize("name", ops.__all__)
@pytest.mark.parametrize("wrong", [None, "text", 1j, object(), {}, np.zeros(2, complex)], ids=repr)
def test_what_is_no_array_is_refused(name: str, wrong: Any) -> None:
    others = {
        "astype": ["float32"],
        "avg_pool2d": [2],
        "broadcast_to": [(2,)],
        "concat": [],
        "expand": [(2,)],
        "getitem": [0],
        "max_pool2d": [2],
        "permute_dims": [(0,)],
        "reshape": [(2,)],
        "setitem": [0, 1.0],
        "where": [X, X],
    }
    unary = "abs argmax clone dropout exp flatten log log_softmax logical_not matrix_transpose max"
    unary += " mean negative relu sigmoid sqrt sum tanh"
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
