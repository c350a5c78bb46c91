"""Operations with a gradient of one's own: `minigrad.Function`."""

from __future__ import annotations

import gc
import weakref
from typing import Any

import numpy as np
import pytest

import minigrad as mg
from minigrad.errors import ArgumentError, FreedGraphError, GradientError
from minigrad.op import CATALOGUE


class Cube(mg.Function):
    @staticmethod
    def forward(ctx: Any, x: Any) -> Any:
        ctx.save_for_backward(x)
        return x**3

    @staticmethod
    def backward(ctx: Any, grad: Any) -> Any:
        (x,) = ctx.saved_tensors
        return 3 * x * x * grad


class Exp(mg.Function):
    @staticmethod
    def forward(ctx: Any, x: Any) -> Any:
        y = x.exp()
        ctx.save_for_backward(y)
        return y

    @staticmethod
    def backward(ctx: Any, grad: Any) -> Any:
        (y,) = ctx.saved_tensors
        return y * grad


class ScaledSum(mg.Function):
    """Two outputs, a number among the arguments, and attributes on ctx."""

    @staticmethod
    def forward(ctx: Any, x: Any, factor: float, y: Any) -> Any:
        ctx.factor = factor
        return x * factor + y, x.sum()

    @staticmethod
    def backward(ctx: Any, grad: Any, grad_sum: Any) -> Any:
        assert ctx.needs_input_grad == (True, False, True)
        by_x = None if grad is None else grad * ctx.factor
        if grad_sum is not None:
            by_x = grad_sum.expand(2) if by_x is None else by_x + grad_sum
        return by_x, None, grad


def variable(*values: float) -> Any:
    return mg.tensor(list(values), dtype="float64", requires_grad=True)


@pytest.mark.parametrize(
    ("function", "first", "second"),
    [(Cube, lambda x: 3 * x**2, lambda x: 6 * x), (Exp, np.exp, np.exp)],
)
def test_first_and_second_derivative(function: Any, first: Any, second: Any) -> None:
    x = variable(0.5, -1.5)
    (g,) = mg.grad(function.apply(x).sum(), x, create_graph=True)
    (h,) = mg.grad(g.sum(), x)
    np.testing.assert_allclose(g.detach().numpy(), first(x.detach().numpy()))
    np.testing.assert_allclose(h.numpy(), second(x.detach().numpy()))


def test_several_outputs_and_other_arguments() -> None:
    x, y = variable(1, 2), variable(3, 4)
    a, b = ScaledSum.apply(x, 10.0, y)
    assert a.tolist() == [13.0, 24.0] and b.item() == 3.0
    (a.sum() + 5 * b).backward()
    assert x.grad.tolist() == [15.0, 15.0] and y.grad.tolist() == [1.0, 1.0]
    x.grad = None
    ScaledSum.apply(x, 10.0, y)[1].backward()
    assert x.grad.tolist() == [1.0, 1.0]


def test_it_is_a_node_like_any_other() -> None:
    x = variable(2)
    y = Cube.apply(x)
    assert y._node.name == "Cube" and y._node.saved_bytes == 8
    assert "Cube" not in CATALOGUE
    y.sum().backward()
    with pytest.raises(FreedGraphError):
        y.sum().backward()


def test_without_a_gradient_nothing_is_recorded() -> None:
    assert not Cube.apply(mg.ones(2)).requires_grad
    with mg.no_grad():
        assert not Cube.apply(variable(1)).requires_grad


def test_freed_by_reference_counting() -> None:
    gc.disable()
    try:
        x = variable(1)
        y = Exp.apply(x)
        node = weakref.ref(y._node)
        y.sum().backward()
        del y
        assert node() is None
    finally:
        gc.enable()


def make(forward: Any = None, backward: Any = None) -> Any:
    return type(
        "Broken",
        (mg.Function,),
        {
            "forward": staticmethod(forward or (lambda ctx, x: x * 2)),
            "backward": staticmethod(backward or (lambda ctx, g: g)),
        },
    )


@pytest.mark.parametrize(
    ("backward", "mention"),
    [
        (lambda ctx, g: (g, g), "2 gradients"),
        (lambda ctx, g: g.sum(), "must be equal"),
        (lambda ctx, g: g.astype("float32"), "must be equal"),
        (lambda ctx, g: 3.0, "a gradient is a tensor"),
    ],
)
def test_a_wrong_backward_is_named(backward: Any, mention: str) -> None:
    with pytest.raises(GradientError, match=mention) as caught:
        make(backward=backward).apply(variable(1, 2)).sum().backward()
    assert "Broken" in str(caught.value)


def test_a_wrong_forward_is_named() -> None:
    with pytest.raises(ArgumentError, match="returns tensors, got float"):
        make(forward=lambda ctx, x: 1.0).apply(variable(1))
    with pytest.raises(ArgumentError, match="save_for_backward"):
        make(forward=lambda ctx, x: ctx.save_for_backward(3)).apply(variable(1))
    with pytest.raises(ArgumentError, match="static methods"):
        mg.Function.apply(variable(1))
