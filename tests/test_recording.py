"""When ops are recorded: `no_grad`, `enable_grad`, `detach`, assignment to parts, threads."""

from __future__ import annotations

import threading

import numpy as np
import pytest

import minigrad as mg
from minigrad.errors import GradientError
from minigrad.tensor import Tensor


def leaf(*values: float) -> Tensor:
    return mg.tensor(list(values), "float64", requires_grad=True)


# -- contexts ---------------------------------------------------------------------------------


def test_nothing_is_recorded_within_no_grad() -> None:
    x = leaf(1, 2)
    with mg.no_grad():
        assert not mg.is_grad_enabled()
        y = x * x
        with mg.enable_grad():
            assert mg.is_grad_enabled()
            z = x * x
        assert not mg.is_grad_enabled()
    assert mg.is_grad_enabled()
    assert not y.requires_grad
    assert y.is_leaf
    assert z.requires_grad


def test_a_leaf_made_within_no_grad_may_require_a_gradient() -> None:
    with mg.no_grad():
        x = leaf(1)
    assert x.requires_grad
    assert (x * 2).requires_grad


def test_as_decorators() -> None:
    x = leaf(1)

    @mg.no_grad()
    def frozen() -> Tensor:
        return x * x

    @mg.enable_grad()
    def recorded() -> Tensor:
        return x * x

    for _ in range(2):
        assert not frozen().requires_grad
        with mg.no_grad():
            assert recorded().requires_grad
        assert mg.is_grad_enabled()


def test_restored_after_an_exception() -> None:
    with pytest.raises(ZeroDivisionError), mg.no_grad():
        raise ZeroDivisionError
    assert mg.is_grad_enabled()
    with mg.no_grad():
        with pytest.raises(ZeroDivisionError), mg.enable_grad():
            raise ZeroDivisionError
        assert not mg.is_grad_enabled()


def test_backward_works_within_no_grad() -> None:
    x = leaf(3)
    y = (x * x).sum()
    with mg.no_grad():
        y.backward()
    assert x.grad.tolist() == [6]


def test_create_graph_works_within_no_grad() -> None:
    x = leaf(3)
    y = (x * x).sum()
    with mg.no_grad():
        (g,) = mg.grad(y, x, create_graph=True)
    assert mg.grad(g.sum(), x)[0].tolist() == [2]


def test_recording_is_of_one_thread() -> None:
    x = leaf(1)
    results = {}

    def other() -> None:
        results["enabled"] = mg.is_grad_enabled()
        results["recorded"] = (x * x).requires_grad

    with mg.no_grad():
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
    assert results == {"enabled": True, "recorded": True}


# -- detach, leaves ---------------------------------------------------------------------------


def test_detach_cuts() -> None:
    x = leaf(1, 2)
    y = (x * x).detach()
    assert not y.requires_grad
    assert y.is_leaf
    (y * x).sum().backward()
    assert x.grad.tolist() == [1, 4]
    assert x.detach().requires_grad is False
    assert x.requires_grad


def test_an_assignment_to_the_detached_leaves_the_original() -> None:
    x = leaf(1, 2)
    y = x.detach()
    y[0] = 100.0
    assert x.tolist() == [1, 2]


def test_requires_grad_is_set_on_leaves() -> None:
    x = mg.ones(2)
    assert x.requires_grad_().requires_grad
    y = x * 2
    with pytest.raises(GradientError, match=r"leaves only.*multiply"):
        y.requires_grad = False
    assert not x.requires_grad_(False).requires_grad


def test_a_leaf_that_no_longer_requires_a_gradient_gets_none() -> None:
    x, w = leaf(1), leaf(2)
    y = (x * w).sum()
    x.requires_grad = False
    y.backward()
    assert x.grad is None
    assert w.grad.tolist() == [1]


def test_a_leaf_that_requires_a_gradient_later() -> None:
    x, w = mg.tensor([1.0], "float64"), leaf(2)
    early = (x * w).sum()
    x.requires_grad = True
    (early + (x * 5).sum()).backward()
    assert x.grad.tolist() == [5]


def test_a_leaf_that_is_gone_takes_no_gradient() -> None:
    w = leaf(2)
    y = (leaf(1) * w).sum()
    y.backward()
    assert w.grad.tolist() == [1]


# -- x[index] = v -----------------------------------------------------------------------------


def test_earlier_uses_keep_the_old_value_and_gradient() -> None:
    w = leaf(1, 2, 3)
    x = w * 1.0
    before = x * x
    x[1] = 10.0
    after = x * x
    assert before.tolist() == [1, 4, 9]
    assert after.tolist() == [1, 100, 9]
    before.sum().backward(retain_graph=True)
    assert w.grad.tolist() == [2, 4, 6]
    w.grad = None
    after.sum().backward()
    assert w.grad.tolist() == [2, 0, 6]


def test_the_assigned_value_receives_its_gradient() -> None:
    x, v = leaf(1, 2, 3), leaf(5)
    y = x.clone()
    y[1:2] = v
    (y * mg.tensor([1.0, 10.0, 100.0], "float64")).sum().backward()
    assert x.grad.tolist() == [1, 0, 100]
    assert v.grad.tolist() == [10]


def test_a_tensor_without_gradient_takes_over_that_of_the_value() -> None:
    x, v = mg.zeros(3, "float64"), leaf(5)
    x[0] = v[0]
    assert x.requires_grad
    (x * 2).sum().backward()
    assert v.grad.tolist() == [2]
    assert x.grad is None


def test_of_doubly_assigned_elements_the_last_counts() -> None:
    v = leaf(1, 2, 3)
    x = mg.zeros(2, "float64")
    x[[0, 0, 1]] = v
    assert x.tolist() == [2, 3]
    x.sum().backward()
    assert v.grad.tolist() == [0, 1, 1]


def test_a_leaf_that_requires_a_gradient_is_not_assigned_to() -> None:
    x = leaf(1, 2)
    with pytest.raises(GradientError, match=r"leaf.*clone"):
        x[0] = 3.0
    assert x.tolist() == [1, 2]
    with mg.no_grad():
        x[0] = 3.0
    assert x.tolist() == [3, 2]
    assert x.is_leaf
    (x * x).sum().backward()
    assert x.grad.tolist() == [6, 4]


def test_a_view_keeps_its_value() -> None:
    x = mg.tensor([[1.0, 2.0], [3.0, 4.0]])
    row, turned, flat, same = x[0], x.T, x.reshape(4), x.clone()
    x[0, 0] = 100.0
    assert row.tolist() == [1, 2]
    assert turned.tolist() == [[1, 3], [2, 4]]
    assert flat.tolist() == [1, 2, 3, 4]
    assert same.tolist() == [[1, 2], [3, 4]]
    row[0] = -1.0
    assert x.tolist() == [[100, 2], [3, 4]]


def test_assignment_in_a_loop_and_to_itself() -> None:
    w = leaf(1, 2, 3)
    x = w.clone()
    for i in range(3):
        x[i] = x[i] * x[i]
    x[:] = x[::-1]
    (x * mg.tensor([1.0, 10.0, 100.0], "float64")).sum().backward()
    assert x.tolist() == [9, 4, 1]
    assert w.grad.tolist() == [200, 40, 6]


def test_what_left_its_leaf_behind_gets_no_gradient_of_the_leaf() -> None:
    x, v = leaf(1, 2), leaf(5)
    y = (x * x).sum()
    x.requires_grad = False
    x[0] = v[0]
    y.backward()
    assert x.grad is None


def test_assign_gives_a_leaf_a_new_value() -> None:
    x = leaf(1, 2)
    y = (x * x).sum()
    x.assign([5, 6])
    assert x.tolist() == [5, 6]
    y.backward()
    assert x.grad.tolist() == [2, 4]
    with pytest.raises(GradientError, match=r"assign.*multiply"):
        (x * 2).assign([1, 2])


# -- threads ----------------------------------------------------------------------------------


def run_all(tasks: list) -> None:
    errors = []

    def guarded(task) -> None:
        try:
            task()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=guarded, args=(task,)) for task in tasks]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors


def test_gradients_flow_in_several_threads_at_once() -> None:
    shared = leaf(*np.linspace(-1, 1, 50))
    expected = np.exp(shared.detach().numpy())
    results: dict[int, list] = {}

    def work(number: int) -> None:
        own = leaf(*np.full(50, float(number)))
        for _ in range(20):
            own.grad = None
            y = (shared.exp() * own).sum()
            (by_shared,) = mg.grad(y, shared, retain_graph=True)
            y.backward(mg.tensor(1.0, "float64"))
            results.setdefault(number, []).append((by_shared.numpy(), own.grad.numpy()))

    run_all([lambda n=n: work(n) for n in range(1, 5)])
    for number, pairs in results.items():
        assert len(pairs) == 20
        for by_shared, by_own in pairs:
            np.testing.assert_allclose(by_shared, expected * number)
            np.testing.assert_allclose(by_own, expected)


def test_a_graph_of_one_thread_is_differentiated_in_another() -> None:
    x = leaf(1, 2)
    y = (x * x).sum()
    run_all([y.backward])
    assert x.grad.tolist() == [2, 4]


def test_an_array_operand_can_be_changed_after_its_use() -> None:
    x = mg.tensor([1.0, 2.0], requires_grad=True)
    factor = np.array([3.0, 4.0], np.float32)
    y = (x * factor).sum()
    factor[:] = 100
    y.backward()
    assert x.grad is not None and x.grad.tolist() == [3.0, 4.0]
