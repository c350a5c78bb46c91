"""vjp, jvp, jacobian, hessian, hvp against formulas; checkpoint against the plain computation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import minigrad as mg
from minigrad import nn
from minigrad.errors import ArgumentError, DtypeError, MinigradError, ShapeError
from minigrad.tensor import Tensor

generator = np.random.default_rng(7)


def vector(*shape: int) -> Tensor:
    return mg.tensor(generator.standard_normal(shape))


def close(found: Tensor, expected: Any) -> None:
    np.testing.assert_allclose(found.detach().numpy(), expected, rtol=1e-10, atol=1e-12)


def test_vjp_of_a_matrix_product() -> None:
    a, b, c = vector(3, 4), vector(4, 2), vector(3, 2)
    y, pullback = mg.vjp(mg.matmul, a, b)
    by_a, by_b = pullback(c)
    close(y, a.numpy() @ b.numpy())
    close(by_a, c.numpy() @ b.numpy().T)
    close(by_b, a.numpy().T @ c.numpy())
    close(pullback(c)[0], by_a.numpy())  # a second time
    assert not y.requires_grad and not by_a.requires_grad


def test_vjp_of_several_outputs_and_an_unused_input() -> None:
    x, unused = vector(3), vector(2)
    (y, z), pullback = mg.vjp(lambda x, unused: (x * x, x.sum()), x, unused)
    close(y, x.numpy() ** 2)
    close(z, x.numpy().sum())
    by_x, by_unused = pullback(mg.ones(3, "float64"), mg.tensor(2.0, "float64"))
    close(by_x, 2 * x.numpy() + 2)
    close(by_unused, np.zeros(2))


def test_jvp_is_the_derivative_along_a_direction() -> None:
    x, v = vector(4), vector(4)
    y, dy = mg.jvp(lambda x: x.tanh() * x.sum(), (x,), (v,))
    a, d = x.numpy(), v.numpy()
    close(y, np.tanh(a) * a.sum())
    close(dy, d / np.cosh(a) ** 2 * a.sum() + np.tanh(a) * d.sum())


def test_jvp_keeps_the_structure_of_the_value() -> None:
    x = vector(3)
    (y, z), (dy, dz) = mg.jvp(lambda x: (2 * x, mg.tensor([1.0])), (x,), (x,))
    close(dy, 2 * x.numpy())
    close(dz, [0.0])
    assert (y.shape, z.shape) == ((3,), (1,))


def test_jacobian_and_vjp_and_jvp_agree() -> None:
    x, v, u = vector(3), vector(3), vector(2, 3)

    def fn(x: Tensor) -> Tensor:
        return mg.concat([(x * x).reshape(1, 3), x.exp().reshape(1, 3) * x.sum()])

    jacobian = mg.jacobian(fn, x).numpy()
    assert jacobian.shape == (2, 3, 3)
    close(mg.jvp(fn, (x,), (v,))[1], jacobian @ v.numpy())
    close(mg.vjp(fn, x)[1](u)[0], np.einsum("ij,ijk->k", u.numpy(), jacobian))


def test_jacobian_by_several_inputs() -> None:
    a, b = vector(2), vector(3)
    by_a, by_b = mg.jacobian(lambda a, b: a.sum() * b, (a, b))
    close(by_a, np.repeat(b.numpy()[:, None], 2, axis=1))
    close(by_b, a.numpy().sum() * np.eye(3))


def test_hessian_and_hvp() -> None:
    x, v = vector(3), vector(3)

    def fn(x: Tensor) -> Tensor:
        return (x**3).sum() + x[0] * x[1]

    expected = np.diag(6 * x.numpy())
    expected[0, 1] = expected[1, 0] = 1
    close(mg.hessian(fn, x), expected)
    y, product = mg.hvp(fn, x, v)
    close(y, fn(x).numpy())
    close(product, expected @ v.numpy())


def test_transforms_nest() -> None:
    x = vector(3)
    third = mg.jacobian(lambda x: mg.hessian(lambda y: (y**4).sum(), x, create_graph=True), x)
    expected = np.zeros((3, 3, 3))
    for i in range(3):
        expected[i, i, i] = 24 * x.numpy()[i]
    close(third, expected)
    squares = mg.jacobian(lambda x: mg.jvp(lambda y: y**3, (x,), (x,))[1], x)
    close(squares, np.diag(9 * x.numpy() ** 2))


def test_transforms_stay_connected_to_what_they_depend_on() -> None:
    w = mg.tensor([2.0, 3.0], requires_grad=True)
    y, pullback = mg.vjp(lambda x: x * x * w, mg.tensor([1.0, 4.0]))
    pullback(mg.ones(2))[0].sum().backward()
    assert w.grad is not None and w.grad.tolist() == [2.0, 8.0]
    assert y.requires_grad


def test_nothing_is_left_in_grad() -> None:
    x = mg.tensor([1.0, 2.0], requires_grad=True)
    mg.jacobian(lambda x: x * x, x)
    mg.hvp(lambda x: (x * x).sum(), x, mg.ones(2))
    assert x.grad is None


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda x: mg.hessian(lambda x: x, x), ShapeError),
        (lambda x: mg.hvp(lambda x: x.sum(), x, mg.ones(4)), ShapeError),
        (lambda x: mg.jvp(lambda x: x, (x,), (mg.ones(4),)), ShapeError),
        (lambda x: mg.jvp(lambda x: x, (x,), ()), ShapeError),
        (lambda x: mg.vjp(lambda x: 3, x), ArgumentError),
        (lambda x: mg.vjp(lambda x: x, x)[1](), ArgumentError),
        (lambda x: mg.vjp(lambda x: x, x)[1](mg.ones(5)), MinigradError),
        (lambda x: mg.jacobian(lambda x: (x, x), x), ArgumentError),
        (lambda x: mg.jacobian(lambda x: x, mg.tensor([1])), DtypeError),
    ],
)
def test_bad_arguments(call: Callable[[Tensor], Any], error: type[MinigradError]) -> None:
    with pytest.raises(error):
        call(mg.ones(3))


# -- checkpoint -------------------------------------------------------------------------------


def gradients(with_checkpoint: bool, order: int) -> list[Any]:
    """Gradients of a network in which a part is recomputed, or is not."""
    mg.manual_seed(3)
    part = nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Dropout(0.5), nn.Linear(8, 3)).double()
    x = mg.randn((4, 3), "float64", requires_grad=True)
    h = x * 2  # is an argument, and is used from outside of it

    def block(a: Tensor) -> Tensor:
        return part(a) * h

    y = mg.checkpoint(block, h) if with_checkpoint else block(h)
    inputs = [x, *part.parameters()]
    found = mg.grad((y**3).sum() + h.sum(), inputs, create_graph=order == 2)
    if order == 2:
        found = mg.grad(sum((g * g).sum() for g in found if g is not None), inputs)
    return [g.detach().numpy() for g in found if g is not None]


@pytest.mark.parametrize("order", [1, 2])
def test_checkpoint_gives_the_same_gradients(order: int) -> None:
    found, expected = gradients(True, order), gradients(False, order)
    assert len(found) == len(expected) == 5
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12)


def test_checkpoint_keeps_nothing_of_what_lies_between() -> None:
    x = mg.ones((8, 8), requires_grad=True)
    y = mg.checkpoint(lambda x: x.exp().exp().tanh(), x)
    assert y.requires_grad and y._node is not None
    assert y._node.name == "checkpoint" and y._node.saved_bytes == 0
    assert [value[0].op for value in y._node.inputs] == [None]


def test_checkpoint_draws_the_same_numbers_again_and_disturbs_no_others() -> None:
    mg.manual_seed(0)
    x = mg.ones(1000, requires_grad=True)
    y = mg.checkpoint(lambda x: nn.functional.dropout(x, 0.5), x)
    state = mg.get_rng_state()
    y.sum().backward()
    assert mg.get_rng_state() == state
    assert x.grad is not None and x.grad.tolist() == y.tolist()


def test_checkpoint_of_several_outputs_and_without_gradients() -> None:
    x = mg.tensor([1.0, 2.0], requires_grad=True)
    a, b = mg.checkpoint(lambda x: (x * x, x * 3), x)
    (a.sum() + b.sum()).backward()
    assert x.grad is not None and x.grad.tolist() == [5.0, 7.0]
    with mg.no_grad():
        assert not mg.checkpoint(lambda x: x * x, x).requires_grad
    assert mg.checkpoint(lambda: mg.ones(2)).tolist() == [1.0, 1.0]


def test_checkpoint_runs_hooks_once() -> None:
    seen = []
    x = mg.tensor([1.0], requires_grad=True)
    h = x * 2
    h.register_hook(lambda g: seen.append(g.item()))
    mg.checkpoint(lambda h: h * h, h).sum().backward()
    assert seen == [4.0]
