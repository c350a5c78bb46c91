"""Linear algebra at its corners: singular matrices, norms at 0, readings of `einsum`, and what the
factors of a factorization must be; ties of eigenvalues are in `test_linalg_ties`."""

from __future__ import annotations

import string
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import minigrad as mg
from minigrad import linalg
from minigrad.errors import LinAlgError
from minigrad.tensor import Tensor


def leaf(values: Any) -> Tensor:
    return mg.tensor(values, "float64", requires_grad=True)


def gradient(function: Callable[[Tensor], Tensor], values: Any) -> np.ndarray:
    x = leaf(values)
    (found,) = mg.grad(function(x).sum(), x)
    return found.numpy()


# -- einsum -----------------------------------------------------------------------------------


@st.composite
def contractions(draw: st.DrawFn) -> tuple[str, list[np.ndarray]]:
    """Subscripts with repeated labels, broadcast axes, and an output or none."""
    letters = draw(st.permutations(string.ascii_letters))[:4]
    lengths = {letter: draw(st.integers(0, 3)) for letter in letters}
    count = draw(st.integers(1, 4))
    terms, arrays, dots = [], [], draw(st.booleans())
    for _ in range(count):
        term = draw(st.lists(st.sampled_from(letters), max_size=4))
        at = draw(st.integers(0, len(term)))
        wide = draw(st.lists(st.sampled_from([1, 2]), max_size=2)) if dots else []
        shape = [lengths[c] for c in term]
        shape[at:at] = [n if n == 1 else 2 for n in wide]
        terms.append("".join([*term[:at], "..." if dots else "", *term[at:]]))
        arrays.append(np.random.default_rng(len(terms)).standard_normal(shape))
    subscripts = ",".join(terms)
    if draw(st.booleans()):
        used = sorted(set("".join(terms)) - {"."})
        output = draw(st.lists(st.sampled_from(used), unique=True)) if used else []
        subscripts += "->" + ("..." if dots else "") + "".join(output)
    return subscripts, arrays


@settings(max_examples=150, deadline=None)
@given(contractions())
def test_einsum_is_that_of_numpy(contraction: tuple[str, list[np.ndarray]]) -> None:
    subscripts, arrays = contraction
    y = mg.einsum(subscripts, *arrays)
    expected = np.einsum(subscripts, *arrays)
    assert y.shape == expected.shape
    np.testing.assert_allclose(y.numpy(), expected, rtol=1e-10, atol=1e-12)


def test_einsum_of_many_operands_never_holds_them_all_at_once(executions: list) -> None:
    """A chain of 6 matrices takes 5 matrix products and no array of more than two axes."""
    matrices = [mg.ones((4, 4)) for _ in range(6)]
    y = mg.einsum("ab,bc,cd,de,ef,fg->ag", *matrices)
    assert y.tolist() == [[4.0**5] * 4] * 4
    assert sum(run.op.name == "matmul" for run in executions) == 5
    assert max(spec.size for run in executions for spec in run.outputs) == 16


# -- singular matrices ------------------------------------------------------------------------

SINGULAR = [[1.0, 2.0], [2.0, 4.0]]


def test_determinant_of_a_singular_matrix_has_a_gradient() -> None:
    np.testing.assert_allclose(gradient(linalg.det, SINGULAR), [[4, -2], [-2, 1]], atol=1e-14)
    np.testing.assert_allclose(gradient(linalg.det, np.zeros((2, 2))), np.zeros((2, 2)))
    np.testing.assert_allclose(gradient(linalg.det, np.zeros((1, 1))), [[1]])


def test_logarithm_of_the_determinant_of_a_singular_matrix() -> None:
    x = leaf(np.zeros((2, 2)))
    sign, logarithm = linalg.slogdet(x)
    assert (sign.item(), logarithm.item()) == (0, -np.inf)
    with pytest.raises(LinAlgError, match="singular"):
        logarithm.backward()


def test_sign_of_a_determinant_is_constant() -> None:
    x = leaf([[0.0, 1.0], [1.0, 0.0]])
    sign, _ = linalg.slogdet(x)
    assert sign.item() == -1
    (found,) = mg.grad(sign, x)
    assert not found.numpy().any()


def test_one_singular_matrix_of_a_stack_is_enough() -> None:
    stack = mg.tensor([np.eye(2), SINGULAR])
    for refuse in (linalg.inv, lambda x: linalg.solve(x, mg.ones(2, "float64"))):
        with pytest.raises(LinAlgError):
            refuse(stack)


def test_pseudo_inverse_of_a_singular_matrix() -> None:
    """Along directions that keep the rank: A = u vᵀ has A⁺ = v uᵀ / (|u|² |v|²)."""
    u, v = leaf([1.0, 2.0]), leaf([3.0, 1.0, 1.0])
    weight = np.arange(6.0).reshape(3, 2)
    results = []
    for y in (linalg.pinv(mg.outer(u, v)), mg.outer(v, u) / ((u * u).sum() * (v * v).sum())):
        results.append([y.detach(), *mg.grad((y * weight).sum(), [u, v])])
    for got, expected in zip(*results, strict=True):
        np.testing.assert_allclose(got.numpy(), expected.numpy(), rtol=1e-12, atol=1e-14)


def test_power_zero_is_the_unit_matrix() -> None:
    assert linalg.matrix_power(mg.ones((2, 2, 2)), 0).tolist() == [np.eye(2).tolist()] * 2


# -- factorizations ---------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(4, 4), (5, 3), (3, 5), (2, 4, 3)])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_factors_multiply_to_the_matrix(shape: tuple[int, ...], dtype: str) -> None:
    x = mg.randn(shape, dtype)
    tolerance = {"atol": 1e-5 if dtype == "float32" else 1e-13}
    u, s, vh = linalg.svd(x, full_matrices=False)
    q, r = linalg.qr(x)
    for product in ((u * s.reshape(*s.shape[:-1], 1, -1)) @ vh, q @ r):
        assert product.dtype == dtype
        np.testing.assert_allclose(product.numpy(), x.numpy(), **tolerance)
    for factor in (u, q, vh.mT):
        unit = np.eye(factor.shape[-1])
        gram = (factor.mT @ factor).numpy()
        np.testing.assert_allclose(gram, np.broadcast_to(unit, gram.shape), **tolerance)
    assert not mg.tril(r, -1).numpy().any()
    assert linalg.svd(x).S.shape == linalg.svdvals(x).shape


def test_cholesky_and_eigh_read_the_lower_triangle() -> None:
    full = np.array([[2.0, 1.0], [1.0, 3.0]])
    lower = np.tril(full)
    assert linalg.cholesky(lower).tolist() == linalg.cholesky(full).tolist()
    assert linalg.eigvalsh(lower).tolist() == linalg.eigvalsh(full).tolist()
    upper = linalg.cholesky(full, upper=True)
    np.testing.assert_allclose((upper.mT @ upper).numpy(), full)


@pytest.mark.parametrize("function", [linalg.cholesky, linalg.eigvalsh])
def test_gradients_of_symmetric_matrices_are_symmetric(function: Any) -> None:
    found = gradient(lambda x: function(x) ** 3, [[2.0, 0.5], [0.5, 3.0]])
    np.testing.assert_allclose(found, found.T, rtol=1e-12)
    assert abs(found[0, 1]) > 0.1


# -- norms ------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", [1, 2, 3, 1.5, 0.5, -1, -2.5, np.inf, -np.inf])
def test_gradient_of_a_vector_norm_at_zero_is_zero(order: float) -> None:
    assert gradient(lambda x: linalg.vector_norm(x, ord=order), np.zeros(3)).tolist() == [0, 0, 0]


@pytest.mark.parametrize("order", ["fro", "nuc", 1, -1, 2, -2, np.inf, -np.inf])
def test_gradient_of_a_matrix_norm_at_zero_is_zero(order: Any) -> None:
    found = gradient(lambda x: linalg.matrix_norm(x, ord=order), np.zeros((2, 3)))
    assert found.tolist() == np.zeros((2, 3)).tolist()


@pytest.mark.parametrize("order", [1, 2, 3, 1.5, 0.5, -1, np.inf, -np.inf])
@pytest.mark.parametrize("values", [[0.0, 0.0], [0.0, 2.0], [], [np.inf, 1.0], [np.nan, 1.0]])
def test_vector_norm_at_the_edges_is_that_of_numpy(order: float, values: list[float]) -> None:
    if not values and np.isinf(order):
        return
    with np.errstate(all="ignore"):
        expected = np.linalg.vector_norm(np.array(values), ord=order)
    assert linalg.vector_norm(leaf(values), ord=order).item() == pytest.approx(
        expected, nan_ok=True
    )


@pytest.mark.parametrize("order", [2, 3, 1.5, 1])
def test_an_element_of_zero_takes_no_gradient(order: float) -> None:
    found = gradient(lambda x: linalg.vector_norm(x, ord=order), [0.0, -2.0])
    np.testing.assert_allclose(found, [0, -1])


def test_largest_elements_share_the_gradient_of_a_norm() -> None:
    found = gradient(lambda x: linalg.vector_norm(x, ord=np.inf), [3.0, -3.0, 1.0])
    assert found.tolist() == [0.5, -0.5, 0]
    found = gradient(lambda x: linalg.matrix_norm(x, ord=1), np.ones((2, 2)))
    assert found.tolist() == [[0.5, 0.5], [0.5, 0.5]]


# -- names ------------------------------------------------------------------------------------


def test_linalg_offers_what_it_lists() -> None:
    assert mg.linalg is linalg
    assert linalg.__all__ == sorted(set(linalg.__all__))
    for name in linalg.__all__:
        assert getattr(linalg, name) is getattr(mg.ops, name)


@pytest.mark.parametrize(
    "function",
    [
        np.trace,
        np.diagonal,
        np.linalg.trace,
        np.linalg.diagonal,
        np.linalg.det,
        np.linalg.svdvals,
        lambda x: np.einsum("aii->a", x),
        lambda x: np.linalg.norm(x, axis=(0, 1)),
        lambda x: np.linalg.norm(x, 1, (0, 1)),
        lambda x: np.linalg.svd(x)[1],
        lambda x: np.linalg.svd(x[..., :2])[1],
        lambda x: abs(np.linalg.svd(x[:, :2])[2][..., :2, :]),
        lambda x: abs(np.linalg.qr(x[..., :1], mode="complete")[0][..., :1]),
        np.linalg.matrix_rank,
        lambda x: np.linalg.svd(x[:, :2], full_matrices=False)[1],
        lambda x: np.linalg.vecdot(x, x, axis=0),
        lambda x: np.linalg.solve(x, x),
        lambda x: np.tensordot(x, x, 1),
        lambda x: np.linalg.matrix_power(x, -2),
    ],
)
def test_functions_of_numpy_keep_their_defaults(function: Callable[[Any], Any]) -> None:
    x = mg.randn((3, 3, 3), "float64")
    y = function(x)
    assert isinstance(y, Tensor)
    np.testing.assert_allclose(y.numpy(), function(x.numpy()), rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("ord", [-2, -1, -0.5, 0.5, 1.5, 3])
@pytest.mark.parametrize("x", [[1e-187, 2e-187, 0.5], [1e-200, 1.0, 2.0], [1e160, 1e200, 1.0]])
def test_norm_of_what_has_no_power(ord: float, x: list[float]) -> None:
    """|x|^ord overflows, the norm and its gradient do not."""
    v = mg.tensor(np.array(x), requires_grad=True)
    y = mg.linalg.vector_norm(v, ord=ord)
    (gradient,) = mg.grad(y, v)
    a = np.array(x, np.longdouble)
    norm = (a**ord).sum() ** (np.longdouble(1) / ord)
    np.testing.assert_allclose(y.item(), float(norm), rtol=1e-12)
    np.testing.assert_allclose(
        gradient.numpy(), ((a / norm) ** (ord - 1)).astype(float), rtol=1e-11, atol=1e-250
    )


@pytest.mark.parametrize("ord", [-2, -1, -0.5])
def test_norm_of_negative_order_beside_a_0(ord: float) -> None:
    v = mg.tensor(np.array([0.0, 1e-187, 2.0]), requires_grad=True)
    y = mg.linalg.vector_norm(v, ord=ord)
    assert y.item() == 0
    assert mg.grad(y, v)[0].tolist() == [0, 0, 0]
