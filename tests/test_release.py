"""What the record keeps and for how long: long chains, freed memory, released arrays."""

from __future__ import annotations

import gc
import tracemalloc
import weakref
from collections.abc import Iterator

import numpy as np
import pytest

import minigrad as mg
from minigrad import tape
from minigrad.errors import FreedGraphError
from minigrad.spec import Spec
from minigrad.tensor import Tensor

LONG = 100_000


def leaf(*values: float) -> Tensor:
    return mg.tensor(list(values), "float64", requires_grad=True)


def number(value: float) -> Tensor:
    return mg.tensor(value, "float64", requires_grad=True)


# -- long chains and memory --------------------------------------------------------------------


def chain(x: Tensor, length: int = LONG) -> Tensor:
    y = x
    for i in range(length):
        y = y * 1.0 if i % 2 else y + 0.0
    return y


def test_a_long_chain_runs_backward_and_is_freed() -> None:
    x = number(3)
    y = chain(x)
    y.backward()
    assert x.grad.item() == 1
    del y


def test_a_long_chain_is_freed_without_the_cyclic_collector() -> None:
    gc.collect()
    gc.disable()
    try:
        x = number(3)
        y = chain(x)
        oldest, newest = weakref.ref(tape.ancestors([y._node])[-2]), weakref.ref(y._node)
        assert oldest() is not None
        y.backward()
        del y
        assert newest() is None
        assert oldest() is None
    finally:
        gc.enable()


def test_a_long_chain_of_two_inputs_is_freed_unused() -> None:
    gc.collect()
    gc.disable()
    try:
        x = number(1)
        y = x
        for _ in range(LONG // 2):
            y = y + y
        node = weakref.ref(y._node)
        del y
        assert node() is None
    finally:
        gc.enable()


@pytest.fixture
def without_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("without_collector")
def test_intermediate_arrays_are_freed_when_nothing_reads_them() -> None:
    x = mg.ones(1_000_000, requires_grad=True)
    tracemalloc.start()
    y = x
    for _ in range(10):
        y = y + 1.0  # reads nothing
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert kept < 2 * y.nbytes


@pytest.mark.usefixtures("without_collector")
def test_a_training_step_leaves_no_memory_behind() -> None:
    x = mg.ones(100_000, requires_grad=True)

    def step() -> None:
        (x.exp() * x.sigmoid()).sum().backward()
        x.grad = None

    step()
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    for _ in range(5):
        step()
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert after - before < 50_000


@pytest.mark.usefixtures("without_collector")
def test_tensors_and_nodes_go_with_their_last_reference() -> None:
    x = leaf(1, 2)
    y = x.exp()
    z = (y * y).sum()
    z.backward()
    tensors = [weakref.ref(y), weakref.ref(z)]
    nodes = [weakref.ref(y._node), weakref.ref(z._node)]
    del y, z
    assert all(reference() is None for reference in tensors + nodes)


@pytest.mark.usefixtures("without_collector")
def test_a_second_order_graph_goes_with_its_last_reference() -> None:
    x = leaf(1, 2)
    (g,) = mg.grad((x.exp() * x).sum(), x, create_graph=True)
    node = weakref.ref(g._node)
    g.sum().backward()
    x.grad = None
    del g
    assert node() is None


# -- keeping and releasing --------------------------------------------------------------------


def test_a_second_backward_is_refused() -> None:
    x = leaf(1, 2)
    y = (x * x).sum()
    y.backward()
    with pytest.raises(FreedGraphError, match=r"multiply.*retain_graph=True"):
        y.backward()
    with pytest.raises(FreedGraphError):
        mg.grad(y, x)
    np.testing.assert_array_equal(x.grad.numpy(), [2, 4])


@pytest.mark.parametrize("how", [{"retain_graph": True}, {"create_graph": True}])
def test_a_retained_graph_serves_again(how: dict[str, bool]) -> None:
    x = leaf(1, 2)
    y = (x * x).sum()
    y.backward(**how)
    y.backward()
    np.testing.assert_array_equal(x.grad.numpy(), [4, 8])
    with pytest.raises(FreedGraphError):
        y.backward()


def test_a_graph_can_be_released_although_it_was_differentiated_again() -> None:
    x = leaf(1, 2)
    y = (x * x).sum()
    mg.grad(y, x, create_graph=True, retain_graph=False)
    with pytest.raises(FreedGraphError):
        y.backward()


def test_the_record_is_readable_after_its_release() -> None:
    x = leaf(1, 2)
    y = (x.exp() * x).sum()
    node = y._node

    def describe() -> list[tuple]:
        return [(n.name, n.input_specs, n.outputs, n.saved_bytes) for n in tape.ancestors([node])]

    before = describe()
    y.backward()
    assert describe() == before
    vector = Spec((2,), "float64")
    assert before == [
        ("sum", (vector,), (Spec((), "float64"),), 0),
        ("multiply", (vector, vector), (vector,), 32),
        ("exp", (vector,), (vector,), 16),
        ("leaf", (), (vector,), 0),
    ]


def test_both_edges_of_a_square_are_recorded() -> None:
    x = leaf(1, 2)
    node = (x * x)._node
    assert [value[0].name for value in node.inputs] == ["leaf", "leaf"]
    assert node.inputs[0] == node.inputs[1]


def test_only_what_a_gradient_reads_is_kept() -> None:
    x, constant = leaf(1, 2), mg.tensor([3.0, 4.0], "float64")
    assert (x * constant)._node.saved_bytes == 16  # of the constant alone
    assert (x + constant)._node.saved_bytes == 0
    assert (x * x)._node.saved_bytes == 32


def test_what_is_kept_does_not_follow_the_name() -> None:
    x = leaf(1, 2)
    y = (x * x).sum()
    with mg.no_grad():
        x[0] = 100
    y.backward()
    np.testing.assert_array_equal(x.grad.numpy(), [2, 4])
