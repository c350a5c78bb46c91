"""Random calls of the public functions: each gives tensors or raises an error of minigrad.

What comes back has finite strides and real memory, so a kernel that ran out of bounds would show
as a wrong shape or a crash; a gradient, where there is one, has its input's spec.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import minigrad as mg
from minigrad import ops
from minigrad.errors import MinigradError
from minigrad.tensor import Tensor

DTYPES = ["float32", "float32", "float32", "float64", "int64", "uint8", "bool"]
SHAPES = hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4)
IMAGES = hnp.array_shapes(min_dims=4, max_dims=4, min_side=1, max_side=5)
SQUARES = st.integers(1, 4).map(lambda ndim: (2,) * ndim)


@st.composite
def arrays(draw: st.DrawFn, shapes: Any = SHAPES | IMAGES, dtypes: Any = tuple(DTYPES)) -> Any:
    """A tensor, an array, a number or a list of numbers."""
    kind = draw(st.integers(0, 9))
    if kind == 0:
        return draw(st.sampled_from([0, 1, -1, 2.5, True, float("nan"), [1.0, 2.0], [], None, "a"]))
    shape = draw(shapes)
    dtype = draw(st.sampled_from(dtypes))
    values = np.arange(np.prod(shape, dtype=int)).reshape(shape)
    array = (values % 2 if dtype == "uint8" else values % 5 - 1).astype(dtype)
    if kind == 1:
        return array
    return mg.tensor(array, requires_grad=array.dtype.kind == "f" and kind % 2 == 0)


INTEGERS = st.integers(-2, 5)
SIZES = (
    st.sampled_from([1, 1, 2])
    | INTEGERS
    | st.tuples(INTEGERS, INTEGERS)
    | st.sampled_from([None, 1.5, (1,), "x"])
)
PADDINGS = (
    st.sampled_from([0, 0, 1])
    | SIZES
    | st.tuples(st.tuples(INTEGERS, INTEGERS), st.tuples(INTEGERS, INTEGERS))
    | st.sampled_from(["same", "valid", "full"])
)
AXES = INTEGERS | st.none() | st.lists(INTEGERS, max_size=4).map(tuple) | st.just("axis")
LENGTHS = st.lists(st.integers(-2, 6), max_size=4).map(tuple) | INTEGERS
ENTRIES = (
    INTEGERS
    | st.sampled_from([None, ..., slice(None), slice(1, None), slice(None, None, -1), True, 0.5])
    | st.lists(INTEGERS, max_size=3)
    | arrays(hnp.array_shapes(min_dims=0, max_dims=2, max_side=4))
)
FLAGS = st.booleans()
SUBSCRIPTS = ["ij", "ii", "ij->j", "ij,jk", "ij,ij->i", "...i,i->...", "i,i,i", "...,..."]

# By the name of the parameter; what is not listed is an array.
ARGUMENTS: dict[str, st.SearchStrategy[Any]] = {
    "approximate": st.sampled_from(["none", "tanh", "other"]),
    "arrays": st.lists(arrays(), max_size=3) | arrays(),
    "axes": LENGTHS,
    "axis": AXES,
    "axis1": INTEGERS,
    "axis2": INTEGERS,
    "beta": st.sampled_from([1, 0.5, -2.0, 0, float("nan"), "b"]),
    "bias": st.none() | arrays(hnp.array_shapes(min_dims=1, max_dims=1, max_side=4)),
    "ceil_mode": FLAGS,
    "condition": arrays(SQUARES, ("bool",)) | arrays(),
    "correction": st.sampled_from([0, 1, 0.5, -1, float("nan"), "c"]),
    "count_include_pad": FLAGS,
    "descending": FLAGS,
    "divisor_override": INTEGERS | st.none(),
    "destination": AXES,
    "dilation": SIZES,
    "dtype": st.sampled_from([*DTYPES, "float16", "nope", None]),
    "end_dim": INTEGERS,
    "full_matrices": FLAGS,
    "eps": st.sampled_from([1e-5, 0, -1, float("nan"), "eps"]),
    "groups": st.sampled_from([1, 1, 2, 3, 0, -1, 1.5]),
    "include_initial": FLAGS,
    "ignore_index": INTEGERS,
    "index": ENTRIES | st.lists(ENTRIES, max_size=4).map(tuple),
    "indexing": st.sampled_from(["xy", "ij", "yx"]),
    "indices": arrays(SHAPES, ("uint8", "int64")) | arrays(),
    "indices_or_sections": LENGTHS,
    "k": INTEGERS,
    "keepdims": FLAGS,
    "kernel_size": SIZES,
    "largest": FLAGS,
    "mode": st.sampled_from(
        ["constant", "reflect", "edge", "circular", "complete", "reduced", None]
    ),
    "n": INTEGERS | st.just("n"),
    "norm_type": st.sampled_from([1, 2, 1.5, 0, -1, float("inf"), "p"]),
    "offset": INTEGERS | st.just("x"),
    "ord": st.sampled_from([None, 0, 1, 2, -2, 3, 0.5, float("inf"), "fro", "nuc", "x"]),
    "label_smoothing": st.sampled_from([0, 0.25, 1, -1, None]),
    "output_size": SIZES,
    "p": st.sampled_from([0, 0.5, 1, -1, float("nan"), "p"]),
    "pad_width": PADDINGS,
    "padding": PADDINGS,
    "reduction": st.sampled_from(["mean", "sum", "none", "other"]),
    "repeats": INTEGERS | arrays(hnp.array_shapes(min_dims=0, max_dims=1, max_side=4), ("int64",)),
    "repetitions": LENGTHS,
    "return_counts": FLAGS,
    "return_index": FLAGS,
    "return_indices": FLAGS,
    "return_inverse": FLAGS,
    "rtol": st.sampled_from([None, 0.1, 0, -1, "x"]),
    "shape": LENGTHS,
    "shift": LENGTHS,
    "side": st.sampled_from(["left", "right", "middle"]),
    "sorted": FLAGS,
    "source": AXES,
    "stable": FLAGS,
    "start_dim": INTEGERS,
    "stride": SIZES,
    "subscripts": st.sampled_from(SUBSCRIPTS) | st.text("ij.,->", max_size=8),
    "target": arrays(st.sampled_from([(2,), (2, 2)]), ("uint8",)) | arrays(),
    "threshold": st.sampled_from([20, 0.5, float("inf"), None]),
    "training": FLAGS,
    "upper": FLAGS,
    "value": st.sampled_from([0, 1, -2.5, float("inf")]) | arrays(),
}

# Where two random arrays would hardly ever fit: shapes and dtypes that often do.
WHOLE = arrays(SQUARES | SHAPES, ("int64", "int64", "uint8", "bool"))
BOOLEANS = arrays(SQUARES | SHAPES, ("bool", "bool", "bool", "float32"))
MATRICES = arrays(SQUARES, ("float32",))
FITTING: dict[str, st.SearchStrategy[Any]] = {
    **{name: arrays(IMAGES) for name in ops.__all__ if "pool" in name},
    "cholesky": MATRICES,
    "bitwise_and": WHOLE,
    "bitwise_left_shift": WHOLE,
    "bitwise_or": WHOLE,
    "bitwise_right_shift": WHOLE,
    "bitwise_xor": WHOLE,
    "conv2d": arrays(st.sampled_from([(1, 2, 3, 3), (2, 2, 2, 2), (2, 1, 4, 4)]), ("float32",)),
    "cross_entropy": arrays(SQUARES, ("float32",)),
    "det": MATRICES,
    "diag": MATRICES,
    "diagonal": MATRICES,
    "eigh": MATRICES,
    "eigvalsh": MATRICES,
    "einsum": MATRICES,
    "inner": MATRICES,
    "inv": MATRICES,
    "kron": MATRICES,
    "logical_and": BOOLEANS,
    "logical_not": BOOLEANS,
    "logical_or": BOOLEANS,
    "logical_xor": BOOLEANS,
    "matmul": arrays(SQUARES, ("float32",)),
    "matrix_norm": MATRICES,
    "matrix_power": MATRICES,
    "matrix_rank": MATRICES,
    "meshgrid": arrays(hnp.array_shapes(min_dims=0, max_dims=1, max_side=4)),
    "nll_loss": arrays(SQUARES, ("float32",)),
    "norm": MATRICES,
    "pinv": MATRICES,
    "qr": MATRICES,
    "searchsorted": arrays(st.just((3,)), ("int64",)),
    "slogdet": MATRICES,
    "solve": MATRICES,
    "svd": MATRICES,
    "svdvals": MATRICES,
    "tensordot": MATRICES,
    "trace": MATRICES,
    "vecdot": MATRICES,
    "vector_norm": MATRICES,
    "where": arrays(SQUARES, ("float32", "float32", "bool")),
}


def calls(function: Callable[..., Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Arguments of a function, the optional ones sometimes left out."""
    required, optional = {}, {}
    for name, parameter in inspect.signature(function).parameters.items():
        wanted = ARGUMENTS.get(name, arrays() | FITTING.get(function.__name__, arrays()))
        if parameter.kind is parameter.VAR_POSITIONAL:
            wanted = st.lists(FITTING.get(function.__name__, arrays()), max_size=3)
        (required if parameter.default is parameter.empty else optional)[name] = wanted
    return st.fixed_dictionaries(required, optional=optional)


def call(function: Callable[..., Any], arguments: dict[str, Any]) -> Any:
    """The function with its arguments by name, those before `*arrays` and these by position."""
    parameters = list(inspect.signature(function).parameters.values())
    listed = [i for i, p in enumerate(parameters) if p.kind is p.VAR_POSITIONAL]
    if not listed:
        return function(**arguments)
    first = [p.name for p in parameters[: listed[0]]]
    rest = {n: v for n, v in arguments.items() if n not in (*first, parameters[listed[0]].name)}
    given = [arguments[name] for name in first]
    return function(*given, *arguments[parameters[listed[0]].name], **rest)


def tensors_in(value: Any) -> list[Tensor]:
    if isinstance(value, Tensor):
        return [value]
    return [t for v in value for t in tensors_in(v)] if isinstance(value, (list, tuple)) else []


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("name", ops.__all__)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_a_call_succeeds_or_raises_an_error_of_minigrad(name: str, data: st.DataObject) -> None:
    function = getattr(ops, name)
    arguments = data.draw(calls(function))
    try:
        results = tensors_in(call(function, arguments))
        assert results or name == "unstack"  # of nothing there are no parts
        for y in results:
            assert y.detach().numpy().shape == y.shape
            assert y.detach().numpy().dtype == y.dtype
            if y.requires_grad:
                y.backward(mg.ones(y.shape, y.dtype), retain_graph=True)
    except MinigradError as error:
        assert len(str(error)) > 10
    for x in tensors_in(list(arguments.values())):
        assert x.grad is None or x.grad.spec == x.spec
