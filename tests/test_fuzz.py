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

# By the name of the parameter; what is not listed is an array.
ARGUMENTS: dict[str, st.SearchStrategy[Any]] = {
    "arrays": st.lists(arrays(), max_size=3) | arrays(),
    "axes": LENGTHS,
    "axis": AXES,
    "bias": st.none() | arrays(hnp.array_shapes(min_dims=1, max_dims=1, max_side=4)),
    "ceil_mode": FLAGS,
    "condition": arrays(SQUARES, ("bool",)) | arrays(),
    "count_include_pad": FLAGS,
    "dilation": SIZES,
    "dtype": st.sampled_from([*DTYPES, "float16", "nope", None]),
    "end_dim": INTEGERS,
    "groups": st.sampled_from([1, 1, 2, 3, 0, -1, 1.5]),
    "index": ENTRIES | st.lists(ENTRIES, max_size=4).map(tuple),
    "keepdims": FLAGS,
    "kernel_size": SIZES,
    "p": st.sampled_from([0, 0.5, 1, -1, float("nan"), "p"]),
    "padding": PADDINGS,
    "reduction": st.sampled_from(["mean", "sum", "none", "other"]),
    "return_indices": FLAGS,
    "shape": LENGTHS,
    "start_dim": INTEGERS,
    "stride": SIZES,
    "target": arrays(st.sampled_from([(2,), (2, 2)]), ("uint8",)) | arrays(),
    "training": FLAGS,
}

# Where two random arrays would hardly ever fit: shapes and dtypes that often do.
BOOLEANS = arrays(SQUARES | SHAPES, ("bool", "bool", "bool", "float32"))
FITTING: dict[str, st.SearchStrategy[Any]] = {
    "avg_pool2d": arrays(IMAGES),
    "conv2d": arrays(st.sampled_from([(1, 2, 3, 3), (2, 2, 2, 2), (2, 1, 4, 4)]), ("float32",)),
    "cross_entropy": arrays(SQUARES, ("float32",)),
    "logical_and": BOOLEANS,
    "logical_not": BOOLEANS,
    "logical_or": BOOLEANS,
    "matmul": arrays(SQUARES, ("float32",)),
    "max_pool2d": arrays(IMAGES),
    "nll_loss": arrays(SQUARES, ("float32",)),
    "where": arrays(SQUARES, ("float32", "float32", "bool")),
}


def calls(function: Callable[..., Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Arguments of a function, the optional ones sometimes left out."""
    required, optional = {}, {}
    for name, parameter in inspect.signature(function).parameters.items():
        wanted = ARGUMENTS.get(name, arrays() | FITTING.get(function.__name__, arrays()))
        (required if parameter.default is parameter.empty else optional)[name] = wanted
    return st.fixed_dictionaries(required, optional=optional)


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
        results = tensors_in(function(**arguments))
        assert results
        for y in results:
            assert y.detach().numpy().shape == y.shape
            assert y.detach().numpy().dtype == y.dtype
            if y.requires_grad:
                y.backward(mg.ones(y.shape, y.dtype), retain_graph=True)
    except MinigradError as error:
        assert len(str(error)) > 10
    for x in tensors_in(list(arguments.values())):
        assert x.grad is None or x.grad.spec == x.spec
