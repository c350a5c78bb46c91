"""The reverse sweep: what it adds up, how far it walks, and when it refuses."""

from __future__ import annotations

import numpy as np
import pytest
from conftest import Execution

import minigrad as mg
from minigrad.errors import ArgumentError, GradientError
from minigrad.op import Call, Op
from minigrad.spec import Spec
from minigrad.tensor import Tensor, apply


def leaf(*values: float) -> Tensor:
    return mg.tensor(list(values), "float64", requires_grad=True)


def number(value: float) -> Tensor:
    return mg.tensor(value, "float64", requires_grad=True)


# -- adding up --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("function", "derivative"),
    [
        (lambda x: x * x, 6.0),
        (lambda x: x + x, 2.0),
        (lambda x: x - x, 0.0),
        (lambda x: x * x * x, 27.0),
        (lambda x: (x * x) * (x * x), 108.0),
        (lambda x: (x + 1) * (x - 1), 6.0),
        (lambda x: x, 1.0),
        (lambda x: mg.concat([x.reshape(1)] * 4).sum(), 4.0),
        (lambda x: x * x.detach(), 3.0),
    ],
)
def test_a_value_that_is_used_more_than_once(function, derivative: float) -> None:
    x = number(3)
    function(x).backward()
    assert x.grad is not None
    assert x.grad.item() == derivative
    assert x.grad.spec == x.spec


def test_a_diamond_runs_each_op_once(executions: list[Execution]) -> None:
    x = number(2)
    a = x.exp()
    y = (a * 2) * (a + 1)
    executions.clear()
    y.backward()
    # d/dx (2 a² + 2 a) = (4 a + 2) a
    a = np.exp(2.0)
    np.testing.assert_allclose(x.grad.item(), (4 * a + 2) * a)
    assert [run.op.name for run in executions].count("multiply") == 4  # y has 2, a * 2 and exp 1


def test_a_ladder_of_diamonds_takes_linear_time() -> None:
    x = number(1)
    y = x
    for _ in range(200):
        y = y * 0.5 + y * 0.5
    y.backward()
    assert x.grad.item() == 1


def test_backward_adds_to_what_is_there() -> None:
    x = leaf(1, 2)
    for times in (1, 2, 3):
        (x * x).sum().backward()
        np.testing.assert_array_equal(x.grad.numpy(), [2 * times, 4 * times])
    x.grad = None
    (3 * x).sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), [3, 3])


def test_a_gradient_once_read_does_not_change() -> None:
    x = leaf(1, 2)
    x.sum().backward()
    earlier = x.grad
    x.sum().backward()
    np.testing.assert_array_equal(earlier.numpy(), [1, 1])


def test_leaves_of_one_cotangent_have_gradients_of_their_own() -> None:
    x, y = leaf(1, 2), leaf(3, 4)
    (x + y).backward(mg.tensor([5.0, 6.0], "float64"))
    assert x.grad is not y.grad
    with mg.no_grad():
        x.grad[0] = 100
    np.testing.assert_array_equal(y.grad.numpy(), [5, 6])


def test_the_cotangent_handed_in_is_not_the_gradient() -> None:
    x = leaf(1, 2)
    cotangent = mg.tensor([1.0, 1.0], "float64")
    x.clone().backward(cotangent)
    cotangent[0] = 7
    np.testing.assert_array_equal(x.grad.numpy(), [1, 1])


def test_zero_dimensional_values() -> None:
    x, y = number(2), number(5)
    (x * y + x).backward()
    assert (x.grad.item(), y.grad.item()) == (6, 2)
    assert x.grad.shape == ()


def test_empty_values() -> None:
    x = mg.zeros((0, 3), requires_grad=True)
    (x * 2).sum().backward()
    assert x.grad.spec == x.spec


def test_only_what_requires_a_gradient_gets_one() -> None:
    x, constant = number(2), mg.tensor(3.0, "float64")
    (x * constant).backward()
    assert constant.grad is None
    assert not (constant * constant).requires_grad


# -- higher orders ----------------------------------------------------------------------------


def test_derivatives_of_any_order() -> None:
    x = number(1.5)
    y = x**5
    for expected in (5 * 1.5**4, 20 * 1.5**3, 60 * 1.5**2, 120 * 1.5, 120.0):
        (y,) = mg.grad(y, x, create_graph=True)
        np.testing.assert_allclose(y.item(), expected, rtol=1e-14)


@pytest.mark.parametrize(
    ("function", "third"),
    [
        (mg.exp, np.exp(0.7)),
        (mg.log, 2 / 0.7**3),
        (mg.sqrt, 3 / 8 * 0.7**-2.5),
        (mg.tanh, None),
        (mg.sigmoid, None),
        (lambda x: 1 / x, -6 / 0.7**4),
        (lambda x: x.exp().exp(), None),
        (lambda x: mg.log_softmax(mg.concat([x.reshape(1), (2 * x).reshape(1)]))[0], None),
    ],
)
def test_third_derivative(function, third: float | None) -> None:
    def second(value: float) -> float:
        x = number(value)
        (g,) = mg.grad(function(x), x, create_graph=True)
        return mg.grad(g, x)[0].item()

    x = number(0.7)
    y = function(x)
    for _ in range(3):
        (y,) = mg.grad(y, x, create_graph=True)
    expected = third if third is not None else (second(0.70001) - second(0.69999)) / 2e-5
    np.testing.assert_allclose(y.item(), expected, rtol=1e-8)


def test_backward_with_create_graph_leaves_a_gradient_to_differentiate() -> None:
    x = number(3)
    (x**3).backward(create_graph=True)
    first = x.grad
    assert first.requires_grad
    x.grad = None
    first.backward()
    assert x.grad.item() == 18


def test_a_gradient_without_create_graph_has_no_record() -> None:
    x = number(3)
    (first,) = mg.grad(x**3, x)
    assert not first.requires_grad
    assert first.is_leaf


def test_gradient_penalty() -> None:
    """d/dw of |d(w x²)/dx|², which goes through both records at once."""
    w, x = number(2), number(3)
    (by_x,) = mg.grad(w * x * x, x, create_graph=True)
    (by_x * by_x).backward()
    assert w.grad.item() == 8 * 2 * 9  # (2 w x)² by w
    assert x.grad.item() == 8 * 4 * 3


def test_higher_derivatives_of_a_chain() -> None:
    x = number(3)
    y = x
    for _ in range(1000):
        y = y * 1.0
    (first,) = mg.grad(y * y, x, create_graph=True)
    (second,) = mg.grad(first, x)
    assert (first.item(), second.item()) == (6, 2)


# -- grad() -----------------------------------------------------------------------------------


def test_grad_by_an_intermediate_value() -> None:
    x = number(2)
    y = x * x
    z = y.exp()
    by_y, by_x = mg.grad(z, [y, x])
    np.testing.assert_allclose([by_y.item(), by_x.item()], [np.exp(4), 4 * np.exp(4)])
    assert x.grad is None
    assert y.grad is None


def test_grad_of_a_value_by_itself() -> None:
    x = number(2)
    y = x * x
    assert mg.grad(y, y)[0].item() == 1
    assert mg.grad([x, x], x)[0].item() == 2


def test_grad_of_several_outputs_adds() -> None:
    x = number(2)
    (g,) = mg.grad([x * x, 3 * x], x)
    assert g.item() == 7
    outputs = [x * x, mg.concat([x.reshape(1), x.reshape(1)])]
    (g,) = mg.grad(outputs, x, [None, mg.tensor([1.0, 10.0], "float64")])
    assert g.item() == 15


def test_grad_of_an_unused_input() -> None:
    x, unused = number(2), leaf(1, 2, 3)
    with pytest.raises(GradientError, match=r"input 1 \(of shape \(3,\)\).*allow_unused"):
        mg.grad(x * x, [x, unused])
    used, none = mg.grad(x * x, [x, unused], allow_unused=True)
    assert used.item() == 4
    assert none is None


def test_grad_of_one_input_twice() -> None:
    x = number(2)
    first, second = mg.grad(x * x, [x, x])
    assert first.item() == second.item() == 4


def test_grad_runs_only_what_lies_between(executions: list[Execution]) -> None:
    x, w = number(2), number(5)
    a = w.exp()
    b = a.tanh()
    y = x * x + b * b
    executions.clear()
    mg.grad(y, b, retain_graph=True)
    # b's side alone: two products and their sum, nothing of tanh, exp or x * x.
    assert sorted(run.op.name for run in executions) == ["add", "multiply", "multiply"]


def test_what_grad_did_not_walk_is_not_released() -> None:
    x, w = number(2), number(5)
    a = x * x
    b = w * w
    mg.grad(a + b, x)
    assert mg.grad(b, w)[0].item() == 10


def test_backward_of_part_of_a_graph() -> None:
    x = number(2)
    a = x * x
    b = a * 3
    b.backward(retain_graph=True)
    a.backward()
    assert x.grad.item() == 16


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda x, y: mg.grad(x * 2, x), GradientError, r"shape \(2,\)"),
        (lambda x, y: (x * 2).backward(), GradientError, r"shape \(2,\)"),
        (lambda x, y: mg.grad(y, mg.ones(2)), GradientError, "input 0"),
        (lambda x, y: mg.grad(mg.ones(()), x), GradientError, "does not depend"),
        (lambda x, y: mg.ones(()).backward(), GradientError, "does not depend"),
        (lambda x, y: mg.grad([y, y], x, [None]), ArgumentError, "1 grad_outputs for 2 outputs"),
        (lambda x, y: mg.grad(y, x, mg.ones(3, "float64")), GradientError, r"\(3,\)"),
        (lambda x, y: y.backward(mg.ones(())), GradientError, "float32"),
        (lambda x, y: mg.grad(3, x), ArgumentError, "int"),
        (lambda x, y: mg.grad(y, 3), ArgumentError, "int"),
        (lambda x, y: mg.grad([3], x), ArgumentError, "int"),
    ],
)
def test_gradients_that_do_not_exist(call, error: type[Exception], message: str) -> None:
    x = leaf(1, 2)
    with pytest.raises(error, match=message):
        call(x, x.sum())


# -- ops that break their promise -------------------------------------------------------------


class Careless(Op):
    """y = x, with the gradients it is made with. Its class has no name, so that the catalogue does
    not list it."""

    def __init__(self, gradients: object) -> None:
        self.name = "careless"
        self.gradients = gradients

    def infer(self, x: Spec) -> Spec:
        return x

    def forward(self, x: np.ndarray) -> np.ndarray:
        return x

    def backward(self, call: Call, cotangent: Tensor) -> object:
        if isinstance(self.gradients, Exception):
            raise self.gradients
        return self.gradients


@pytest.mark.parametrize(
    ("gradients", "message"),
    [
        (mg.ones(3, "float64"), r"careless.*input 0 is Spec\(\(3,\), float64\)"),
        (mg.ones(2, "float32"), "careless.*float32"),
        ((mg.ones(2, "float64"), None), "careless.*2 gradients for 1"),
        ((), "careless.*0 gradients for 1"),
    ],
)
def test_a_gradient_of_another_spec_is_an_error(gradients: object, message: str) -> None:
    x = leaf(1, 2)
    with pytest.raises(GradientError, match=message):
        apply(Careless(gradients), x).sum().backward()
    assert x.grad is None


def test_a_failing_backward_leaves_every_gradient_as_it_was() -> None:
    x, w = leaf(1, 2), leaf(3, 4)
    (x * w).sum().backward()
    before = x.grad, w.grad
    failing = apply(Careless(ZeroDivisionError("within")), x * 1.0)
    middle = x * 2
    middle.retain_grad()
    y = failing + middle * w
    with pytest.raises(ZeroDivisionError):
        y.sum().backward()
    assert x.grad is before[0]
    assert w.grad is before[1]
    assert middle.grad is None
    assert mg.is_grad_enabled()


def test_recording_goes_on_after_a_failing_backward() -> None:
    x = leaf(1, 2)
    with pytest.raises(ZeroDivisionError):
        apply(Careless(ZeroDivisionError()), x).sum().backward()
    assert (x * x).requires_grad
