"""NumPy's own functions on tensors give tensors that differentiate, or an error that says why."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import minigrad as mg
from minigrad.errors import ArgumentError, GradientError
from minigrad.ops.protocol import FUNCTIONS

A = np.array([[1.0, 2.0], [3.0, 4.5]])

CALLS: dict[str, Callable[[Any], Any]] = {
    "sin-like": np.tanh,
    "exp": np.exp,
    "log": np.log,
    "sqrt": np.sqrt,
    "abs": np.abs,
    "negative": np.negative,
    "add": lambda x: np.add(x, 1),
    "power": lambda x: np.power(x, 3),
    "maximum of a comparison": lambda x: np.where(np.greater(x, 2.5), x, 0),
    "sum": np.sum,
    "sum over an axis": lambda x: np.sum(x, axis=1),
    "mean": lambda x: np.mean(x, axis=0, keepdims=True),
    "max": lambda x: np.max(x, axis=1),
    "amax": lambda x: np.amax(x, axis=0),
    "concatenate": lambda x: np.concatenate([x, x * 2], axis=1),
    "reshape": lambda x: np.reshape(x, (4,)),
    "transpose": np.transpose,
    "transpose by axes": lambda x: np.transpose(x, (1, 0)),
    "matmul": lambda x: np.matmul(x, A),
    "array @ tensor": lambda x: A @ x,
    "array + tensor": lambda x: A + x,
    "array / tensor": lambda x: A / x,
    "tensor - array": lambda x: x - A,
    "NumPy's number * tensor": lambda x: np.float64(3) * x,
    "broadcast_to": lambda x: np.broadcast_to(x, (3, 2, 2)),
    "ravel": np.ravel,
}


@pytest.mark.parametrize("name", CALLS)
def test_value_and_gradient_are_those_of_the_op(name: str) -> None:
    call = CALLS[name]
    x = mg.tensor(A, requires_grad=True)
    y = call(x)
    assert isinstance(y, mg.Tensor)
    np.testing.assert_allclose(y.detach().numpy(), call(A))
    y.sum().backward()
    assert x.grad is not None
    step, direction = 1e-6, np.array([[1.0, -2.0], [0.5, 3.0]])
    plus, minus = call(A + step * direction), call(A - step * direction)
    slope = (np.sum(plus) - np.sum(minus)) / (2 * step)
    assert np.sum(x.grad.numpy() * direction) == pytest.approx(slope, rel=1e-6)


def test_every_function_of_the_table_is_numpys() -> None:
    assert len(FUNCTIONS) > 25
    assert all(getattr(f, "__module__", "numpy").startswith("numpy") for f in FUNCTIONS)


@pytest.mark.parametrize(
    ("call", "mention"),
    [
        (lambda x: np.fft.fft(x), "numpy.fft has no differentiable counterpart"),
        (lambda x: np.i0(x), "i0"),
        (lambda x: np.add.reduce(x), "numpy.add.reduce"),
        (lambda x: np.add(x, 1, out=np.zeros((2, 2))), "out="),
        (lambda x: np.sum(x, where=True), "where"),
        (lambda x: np.mean(x, dtype="float32"), "dtype"),
    ],
)
def test_what_has_no_counterpart_is_named(call: Callable[[Any], Any], mention: str) -> None:
    for requires_grad in (False, True):
        with pytest.raises(ArgumentError, match=mention):
            call(mg.tensor(A, requires_grad=requires_grad))


def test_an_array_is_not_changed_in_place_by_a_tensor() -> None:
    a = A.copy()
    with pytest.raises(ArgumentError, match="out="):
        a += mg.tensor(A)
    assert (a == A).all()


def test_functions_that_only_ask_answer_as_numpy() -> None:
    x = mg.tensor(A, requires_grad=True)
    assert np.allclose(x, A) and np.shape(x) == (2, 2) and np.ndim(x) == 2
    assert np.array_equal(x, A)


def test_a_tensor_without_a_gradient_is_an_array_where_one_is_wanted() -> None:
    np.testing.assert_array_equal(mg.tensor(A), A)
    with pytest.raises(GradientError, match=r"x\.detach\(\)\.numpy\(\)"):
        np.asarray(mg.tensor(A, requires_grad=True))


def test_dlpack_shares_memory() -> None:
    x = mg.tensor(A)
    assert np.shares_memory(np.from_dlpack(x), x.numpy())
    assert x.__dlpack_device__() == (1, 0)
    array = A.copy()
    assert np.shares_memory(mg.from_dlpack(array).numpy(), array)
    with pytest.raises(ArgumentError, match="from_dlpack"):
        mg.from_dlpack([1.0])
    with pytest.raises(GradientError):
        np.from_dlpack(mg.tensor(A, requires_grad=True))
