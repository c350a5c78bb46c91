"""Hooks on gradients, and `retain_grad`."""

from __future__ import annotations

import numpy as np
import pytest

import minigrad as mg
from minigrad.errors import GradientError, MinigradError
from minigrad.tensor import Tensor


def leaf(*values: float) -> Tensor:
    return mg.tensor(list(values), "float64", requires_grad=True)


def test_a_hook_sees_the_complete_gradient_once() -> None:
    x = leaf(1, 2)
    seen = []
    x.register_hook(lambda g: seen.append(g.tolist()))
    (x * x + 3 * x).sum().backward()
    assert seen == [[5, 7]]
    assert x.grad.tolist() == [5, 7]


@pytest.mark.parametrize("on_leaf", [True, False])
def test_what_a_hook_returns_takes_the_place(on_leaf: bool) -> None:
    x = leaf(1, 2)
    y = x * 3
    (x if on_leaf else y).register_hook(lambda g: g * 10)
    y.sum().backward()
    assert x.grad.tolist() == [30, 30]


def test_hooks_run_in_order_and_see_each_other() -> None:
    x = leaf(1)
    seen = []

    def hook(factor: int):
        def run(gradient: Tensor) -> Tensor:
            seen.append(gradient.tolist())
            return gradient * factor

        return run

    for factor in (2, 3, 5):
        x.register_hook(hook(factor))
    x.sum().backward()
    assert seen == [[1], [2], [6]]
    assert x.grad.tolist() == [30]


def test_a_removed_hook_does_not_run() -> None:
    x = leaf(1)
    handle = x.register_hook(lambda g: g * 2)
    with x.register_hook(lambda g: g * 100):
        pass
    x.sum().backward()
    assert x.grad.tolist() == [2]
    handle.remove()
    handle.remove()
    x.sum().backward()
    assert x.grad.tolist() == [3]


def test_removing_twice_spares_an_equal_hook() -> None:
    x = leaf(1)

    def double(gradient: Tensor) -> Tensor:
        return gradient * 2

    first = x.register_hook(double)
    x.register_hook(double)
    first.remove()
    first.remove()
    x.sum().backward()
    assert x.grad.tolist() == [2]


def test_a_hook_that_removes_itself() -> None:
    x = leaf(1)
    handles = []
    handles.append(x.register_hook(lambda g: handles[0].remove()))
    x.register_hook(lambda g: g * 2)
    for expected in (2, 4):
        x.sum().backward()
        assert x.grad.tolist() == [expected]


@pytest.mark.parametrize("on_leaf", [True, False])
@pytest.mark.parametrize(
    "returned", [mg.ones(3, "float64"), mg.ones(2, "float32"), 3, np.ones(2), "gradient"], ids=repr
)
def test_a_hook_that_returns_something_else(on_leaf: bool, returned: object) -> None:
    x = leaf(1, 2)
    y = x * 2
    (x if on_leaf else y).register_hook(lambda g: returned)
    with pytest.raises(GradientError, match=f"hook.*{'leaf' if on_leaf else 'multiply'}"):
        y.sum().backward()
    assert x.grad is None


def test_an_error_in_a_hook_leaves_every_gradient_as_it_was() -> None:
    x, w = leaf(1, 2), leaf(3, 4)

    def fail(gradient: Tensor) -> Tensor:
        raise ZeroDivisionError

    w.register_hook(fail)
    with pytest.raises(ZeroDivisionError):
        (x * w).sum().backward()
    assert x.grad is None
    assert w.grad is None


def test_hooks_take_part_in_grad_and_in_higher_orders() -> None:
    x = leaf(3)
    x.register_hook(lambda g: g * g)
    (first,) = mg.grad((x * x).sum(), x, create_graph=True)
    assert first.tolist() == [36]  # (2 x)²
    (second,) = mg.grad(first.sum(), x)
    assert second.tolist() == [(8 * 3) ** 2]  # the hook runs again


def test_a_hook_may_use_the_engine() -> None:
    x, w = leaf(1), leaf(2)

    def nested(gradient: Tensor) -> Tensor:
        with mg.enable_grad():
            (inner,) = mg.grad((w * w).sum(), w)
        return gradient * inner

    x.register_hook(nested)
    x.sum().backward()
    assert x.grad.tolist() == [4]


def test_no_hook_without_a_gradient() -> None:
    with pytest.raises(GradientError, match="register_hook"):
        mg.ones(2).register_hook(lambda g: None)


def test_a_hook_goes_with_the_value_not_with_the_name() -> None:
    x = leaf(1, 2)
    y = x * 1.0
    seen = []
    y.register_hook(lambda g: seen.append(g.tolist()))
    z = y * 2
    y[0] = 5.0
    (z + y).sum().backward()
    assert seen == [[2, 3]]


def test_retain_grad() -> None:
    x = leaf(1, 2)
    y = x * x
    y.retain_grad()
    z = y * 3
    z.sum().backward(retain_graph=True)
    assert y.grad.tolist() == [3, 3]
    assert z.grad is None
    z.sum().backward()
    assert y.grad.tolist() == [6, 6]


def test_retain_grad_of_a_leaf_changes_nothing() -> None:
    x = leaf(1, 2)
    x.retain_grad()
    x.sum().backward()
    assert x.grad.tolist() == [1, 1]


def test_retain_grad_twice_keeps_the_gradient_once() -> None:
    x = leaf(1, 2)
    y = x * x
    y.retain_grad()
    y.retain_grad()
    y.sum().backward()
    assert y.grad.tolist() == [1, 1]


def test_retain_grad_is_not_filled_by_grad() -> None:
    x = leaf(1, 2)
    y = x * x
    y.retain_grad()
    mg.grad(y.sum(), x)
    assert y.grad is None


def test_the_gradient_takes_only_its_own_spec() -> None:
    x = leaf(1, 2)
    for wrong in (mg.ones(3, "float64"), mg.ones(2), 5, np.ones(2)):
        with pytest.raises(MinigradError, match="grad takes None or a tensor"):
            x.grad = wrong
    x.grad = mg.ones(2, "float64")
    x.sum().backward()
    assert x.grad.tolist() == [2, 2]
