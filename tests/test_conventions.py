"""The corners where a derivative or a value is a matter of convention, or of overflow."""

from __future__ import annotations

import numpy as np
import pytest

import minigrad as mg
from minigrad.ops import cross_entropy, dropout, max_pool2d
from minigrad.tensor import Tensor

INF, NAN = float("inf"), float("nan")


def derivative(function, *values: float) -> list[float]:
    x = mg.tensor(list(values), "float64", requires_grad=True)
    function(x).sum().backward()
    return x.grad.tolist()


@pytest.mark.parametrize("function", [mg.ops.relu, mg.abs, mg.sqrt])
def test_the_gradient_at_zero_is_zero(function) -> None:
    assert derivative(function, 0.0, -0.0) == [0, 0]


def test_the_second_derivative_of_sqrt_at_zero_is_zero() -> None:
    x = mg.tensor([0.0, 4.0], "float64", requires_grad=True)
    (first,) = mg.grad(mg.sqrt(x).sum(), x, create_graph=True)
    (second,) = mg.grad(first.sum(), x)
    assert second.tolist() == [0, -1 / 32]


def test_ties_of_a_maximum_share_the_gradient() -> None:
    assert derivative(mg.max, 1, 3, 3, 2, 3) == [0, 1 / 3, 1 / 3, 0, 1 / 3]
    x = mg.tensor([[1.0, 1.0], [0.0, 2.0]], requires_grad=True)
    x.max(axis=1).sum().backward()
    assert x.grad.tolist() == [[0.5, 0.5], [0, 1]]


def test_the_first_of_a_window_wins_a_tie() -> None:
    x = mg.zeros((1, 1, 2, 2), requires_grad=True)
    y, index = max_pool2d(x, 2, return_indices=True)
    y.sum().backward()
    assert index.item() == 0
    assert x.grad.tolist() == [[[[1, 0], [0, 0]]]]


def test_nan_is_the_maximum() -> None:
    x = mg.tensor([1.0, NAN, 2.0])
    assert np.isnan(x.max().item())
    assert x.argmax().item() == 1
    assert np.isnan(max_pool2d(x.reshape(1, 1, 1, 3), (1, 3)).item())


def test_argmax_takes_the_first() -> None:
    assert mg.tensor([1, 3, 3]).argmax().item() == 1


@pytest.mark.parametrize(
    ("base", "exponent", "by_base", "by_exponent"),
    [
        (2.0, 3.0, 12.0, 8 * np.log(2)),
        (0.0, 2.0, 0.0, 0.0),
        (0.0, 1.0, 1.0, 0.0),
        (0.0, 0.0, 0.0, 0.0),
        (5.0, 0.0, 0.0, np.log(5)),
        (-2.0, 3.0, 12.0, NAN),
        (-2.0, 0.0, 0.0, NAN),
        (0.0, 0.5, INF, 0.0),
    ],
)
def test_power(base: float, exponent: float, by_base: float, by_exponent: float) -> None:
    for shape in ((), (2,)):
        x, y = (
            mg.tensor(np.full(shape, v), "float64", requires_grad=True) for v in (base, exponent)
        )
        (x**y).sum().backward()
        np.testing.assert_array_equal(x.grad.numpy(), np.full(shape, by_base))
        np.testing.assert_array_equal(y.grad.numpy(), np.full(shape, by_exponent))


def test_higher_derivatives_of_a_square_at_zero() -> None:
    x = mg.tensor(0.0, "float64", requires_grad=True)
    values = []
    y: Tensor = x**2
    for _ in range(3):
        (y,) = mg.grad(y, x, create_graph=True)
        values.append(y.item())
    assert values == [0, 2, 0]


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    ("function", "at", "value"),
    [
        (mg.sigmoid, -1000.0, 0.0),
        (mg.sigmoid, 1000.0, 1.0),
        (mg.sigmoid, -INF, 0.0),
        (mg.exp, 1000.0, INF),
        (mg.log, 0.0, -INF),
        (mg.log, -1.0, NAN),
        (mg.sqrt, -1.0, NAN),
        (lambda x: 1 / x, 0.0, INF),
        (lambda x: x / x, 0.0, NAN),
        (mg.ops.relu, NAN, NAN),
        (lambda x: mg.mean(x[:0]), 1.0, NAN),
    ],
)
def test_overflow_and_nan_are_numbers_not_warnings(function, at: float, value: float) -> None:
    for dtype in ("float32", "float64"):
        x = mg.tensor([at], dtype, requires_grad=True)
        y = function(x)
        np.testing.assert_array_equal(y.detach().numpy(), np.full(y.shape, value))
        y.sum().backward()


def test_sigmoid_saturates_without_nan() -> None:
    assert derivative(mg.sigmoid, -1000.0, 1000.0) == [0, 0]


def test_log_softmax_does_not_overflow() -> None:
    x = mg.tensor([[1000.0, 0.0], [-1000.0, -1000.0]], requires_grad=True)
    y = mg.log_softmax(x, 1)
    np.testing.assert_allclose(y.detach().numpy(), [[0, -1000], [np.log(0.5), np.log(0.5)]])
    y[1].sum().backward()
    assert np.isfinite(x.grad.numpy()).all()


def test_cross_entropy_of_certainty() -> None:
    x = mg.tensor([[1000.0, 0.0]], requires_grad=True)
    loss = cross_entropy(x, mg.tensor([0]))
    loss.backward()
    assert loss.item() == 0
    assert x.grad.tolist() == [[0, 0]]


def test_dropout_keeps_the_expectation_and_the_seed() -> None:
    x = mg.ones((100, 100))
    mg.manual_seed(3)
    first = dropout(x, 0.25).numpy()
    mg.manual_seed(3)
    again = dropout(x, 0.25).numpy()
    other = dropout(x, 0.25).numpy()
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()
    assert set(np.unique(first)) == {0, np.float32(1 / 0.75)}
    assert abs(first.mean() - 1) < 0.03
    assert dropout(x, 0.25, training=False) is x
    assert dropout(x, 0) is x
    assert dropout(x, 1).numpy().max() == 0


def test_integers_wrap_and_count_in_64_bits() -> None:
    assert mg.tensor([200, 100], "uint8").sum().item() == 300
    assert (mg.tensor([200], "uint8") + 100).item() == 44
    assert mg.tensor([True, True]).sum().item() == 2
