"""Matrices built to have equal eigenvalues, equal singular values or dependent columns, exactly:
rounding hides it, and no gradient may come out of what rounding left."""

from __future__ import annotations

from collections.abc import Callable
from itertools import permutations
from typing import Any

import numpy as np
import pytest

import minigrad as mg
from minigrad import linalg
from minigrad.errors import LinAlgError
from minigrad.tensor import Tensor

DTYPES = ["float32", "float64"]
EPS = {dtype: float(np.finfo(dtype).eps) for dtype in DTYPES}
Function = Callable[[Tensor], Tensor]


def gradients(function: Function, values: Any, dtype: str, order: int = 1) -> list[np.ndarray]:
    """The gradient of the sum, then that of the sum of the gradient's squares, and so on."""
    x = mg.tensor(values, dtype, requires_grad=True)
    y, found = function(x).sum(), []
    for _ in range(order):
        (g,) = mg.grad(y, x, create_graph=True)
        found.append(g.detach().numpy())
        y = (g * g).sum()
    return found


def rotation(n: int, seed: int = 0) -> np.ndarray:
    return np.linalg.qr(np.random.default_rng(seed).standard_normal((n, n)))[0]


def repeated_blocks(n: int) -> np.ndarray:
    """The same symmetric block twice, rows and columns shuffled: every eigenvalue twice."""
    rng = np.random.default_rng(n)
    block = rng.standard_normal((n, n))
    order = rng.permutation(2 * n)
    return np.kron(np.eye(2), block + block.T)[order][:, order]


def outer(m: int, n: int) -> np.ndarray:
    rng = np.random.default_rng(m + n)
    return np.outer(rng.standard_normal(m), rng.standard_normal(n))


TIED = {
    "identity": np.eye(3),
    "zeros": np.zeros((3, 3)),
    "ones": np.ones((4, 4)),
    "outer": outer(5, 1) @ outer(5, 1).T,
    "blocks": repeated_blocks(3),
    "larger_blocks": repeated_blocks(20),
    "turned": rotation(6) @ np.diag([1.0, 2, 2, 3, 3, 3]) @ rotation(6).T,
    "tiny": 1e-30 * (rotation(4) @ np.diag([1.0, 2, 2, 3]) @ rotation(4).T),
    "large": 1e15 * np.diag([1.0, 1, 2]),
}
tied = pytest.mark.parametrize("matrix", TIED.values(), ids=TIED)
over_dtypes = pytest.mark.parametrize("dtype", DTYPES)


# -- vectors ----------------------------------------------------------------------------------

VECTORS: dict[str, Function] = {
    "eigh": lambda x: linalg.eigh((x + x.mT) / 2).eigenvectors ** 2,
    "svd": lambda x: linalg.svd(x).U ** 2,
}


@over_dtypes
@tied
@pytest.mark.parametrize("name", VECTORS)
def test_vectors_of_equal_values_have_no_gradient(
    name: str, matrix: np.ndarray, dtype: str
) -> None:
    with pytest.raises(LinAlgError, match=rf"^{name}: .* \d+ and \d+, .* equal"):
        gradients(VECTORS[name], matrix, dtype)


@over_dtypes
@pytest.mark.parametrize("name", VECTORS)
def test_one_tie_in_a_stack_is_named(name: str, dtype: str) -> None:
    fine = rotation(3) @ np.diag([1.0, 2, 4]) @ rotation(3).T
    stack = np.broadcast_to(fine, (2, 3, 3, 3)).copy()
    assert np.isfinite(gradients(VECTORS[name], stack, dtype)[0]).all()
    stack[1, 2] = rotation(3) @ np.diag([1.0, 2, 2]) @ rotation(3).T
    pair = "1 and 2" if name == "eigh" else "0 and 1"
    with pytest.raises(LinAlgError, match=rf"^{name}: .* {pair} of matrix 1, 2 of the stack, 2"):
        gradients(VECTORS[name], stack, dtype)


@over_dtypes
def test_null_space_counts_as_a_singular_value(dtype: str) -> None:
    """Of an oblong matrix of rank 1, which rounding gives a second singular value."""
    with pytest.raises(LinAlgError, match=r"null space, 0, is number 2\) 1 and 2"):
        gradients(lambda x: linalg.svd(x, full_matrices=False).U ** 2, outer(4, 2), dtype)
    found = gradients(lambda x: linalg.svdvals(x) ** 2, outer(4, 2), dtype)[0]
    np.testing.assert_allclose(found, 2 * outer(4, 2), rtol=100 * EPS[dtype], atol=EPS[dtype])


@over_dtypes
def test_close_values_that_differ_keep_their_gradient(dtype: str) -> None:
    """Gaps of a thousand ulps are no ties."""
    gap = 1000 * EPS[dtype]
    x = mg.tensor(np.diag([1.0, 1 + gap, 2]), dtype, requires_grad=True)
    loss = linalg.eigh(x).eigenvectors[0, 1]
    (found,) = mg.grad(loss, x)
    assert abs(found.numpy()[0, 1]) == pytest.approx(0.5 / gap, rel=0.01)


# -- values -----------------------------------------------------------------------------------


@over_dtypes
@tied
def test_symmetric_functions_of_equal_eigenvalues_have_a_gradient(
    matrix: np.ndarray, dtype: str
) -> None:
    """Of Σ λ = tr A it is I, and of Σ λ² = tr A² it is 2 A, whatever the eigenvectors."""
    scale = np.abs(matrix).max() or 1.0
    close = {"rtol": 0, "atol": 1000 * EPS[dtype]}
    (found,) = gradients(linalg.eigvalsh, matrix, dtype)
    np.testing.assert_allclose(found, np.eye(len(matrix)), **close)
    (found,) = gradients(lambda x: linalg.eigvalsh(x / scale) ** 2, matrix, dtype)
    np.testing.assert_allclose(found * scale, 2 * matrix / scale, **close)


@over_dtypes
@tied
def test_symmetric_functions_of_equal_singular_values_have_a_gradient(
    matrix: np.ndarray, dtype: str
) -> None:
    scale = np.abs(matrix).max() or 1.0
    close = {"rtol": 0, "atol": 1000 * EPS[dtype]}
    (found,) = gradients(lambda x: linalg.svdvals(x / scale) ** 2, matrix, dtype)
    np.testing.assert_allclose(found * scale, 2 * matrix / scale, **close)


@over_dtypes
def test_singular_values_of_zero_take_no_gradient(dtype: str) -> None:
    """Of the sum of all, at u vᵀ, it is u vᵀ / (|u| |v|): the null space adds nothing."""
    x = outer(4, 3)
    (found,) = gradients(linalg.svdvals, x, dtype)
    np.testing.assert_allclose(found, x / np.linalg.norm(x), rtol=0, atol=100 * EPS[dtype])
    assert not gradients(linalg.svdvals, np.zeros((3, 2)), dtype)[0].any()


# -- determinants -----------------------------------------------------------------------------


def leibniz(a: Tensor) -> Tensor:
    """The determinant as the polynomial it is."""
    total: Any = 0
    n = a.shape[-1]
    for order in permutations(range(n)):
        term: Any = float(np.linalg.det(np.eye(n)[list(order)]))
        for i, j in enumerate(order):
            term = term * a[..., i, j]
        total = total + term
    return total


SINGULAR = {
    "rank_2_of_3": np.arange(1.0, 10).reshape(3, 3),
    "rank_1_of_2": np.array([[1.0, 2], [3, 6]]),
    "rank_1_of_3": np.outer([1.0, -2, 0.3], [0.7, 3, 1]),
    "rank_1_of_4": outer(4, 4),
    "rank_2_of_4": outer(4, 4) + np.outer([1.0, 2, 0, 1], [1.0, 0, 3, 1]),
    "zeros_2": np.zeros((2, 2)),
    "zeros_3": np.zeros((3, 3)),
    "ones": np.ones((3, 3)),
    "permuted": np.eye(4)[[1, 0, 3, 2]] * [1, 1, 1, 0.0],
    "regular": np.array([[1.0, 2, 0], [0, 1, 4], [2, 0, 1]]),
}
singular = pytest.mark.parametrize("matrix", SINGULAR.values(), ids=SINGULAR)


@over_dtypes
@singular
def test_determinant_is_the_polynomial_twice(matrix: np.ndarray, dtype: str) -> None:
    stack = np.stack([np.eye(len(matrix)) * 2, matrix])
    scale = max(1.0, np.abs(matrix).max()) ** (2 * len(matrix))
    found = gradients(linalg.det, stack, dtype, order=2)
    expected = gradients(leibniz, stack, "float64", order=2)
    for got, wanted in zip(found, expected, strict=True):
        np.testing.assert_allclose(got, wanted, rtol=0, atol=100 * EPS[dtype] * scale)


def test_third_derivative_of_a_determinant() -> None:
    regular = SINGULAR["regular"]
    found = gradients(linalg.det, regular, "float64", order=3)
    expected = gradients(leibniz, regular, "float64", order=3)
    np.testing.assert_allclose(found[2], expected[2], rtol=1e-11, atol=1e-11)
    with pytest.raises(LinAlgError, match=r"^det: matrix 1 of the stack is singular"):
        gradients(linalg.det, np.stack([regular, SINGULAR["rank_2_of_3"]]), "float64", order=3)


DEFICIENT = {name: a for name, a in SINGULAR.items() if name != "regular"}


@over_dtypes
@pytest.mark.parametrize("matrix", DEFICIENT.values(), ids=DEFICIENT)
def test_logarithm_of_a_determinant_of_zero_has_no_gradient(matrix: np.ndarray, dtype: str) -> None:
    with pytest.raises(LinAlgError, match=r"^slogdet: the matrix is singular"):
        gradients(lambda x: linalg.slogdet(x)[1], matrix, dtype)
    stack = np.stack([np.eye(len(matrix)), np.eye(len(matrix)), matrix])
    with pytest.raises(LinAlgError, match=r"^slogdet: matrix 2 of the stack is singular"):
        gradients(lambda x: linalg.slogdet(x)[1], stack, dtype)


@over_dtypes
def test_scales_of_rows_and_columns_make_no_matrix_singular(dtype: str) -> None:
    """Of ln |det A| the gradient is A⁻ᵀ, however far apart the numbers are."""
    (found,) = gradients(lambda x: linalg.slogdet(x)[1], np.diag([1.0, 1e-12, 1e12]), dtype)
    np.testing.assert_allclose(found, np.diag([1.0, 1e12, 1e-12]), rtol=10 * EPS[dtype])


# -- qr ---------------------------------------------------------------------------------------


def _with_copy(m: int, n: int, column: int) -> np.ndarray:
    """Random columns, of which one is the sum of two others."""
    x = np.random.default_rng(m).standard_normal((m, n)).astype(np.float32).astype(np.float64)
    x[:, column] = x[:, column - 1] + x[:, column - 2]
    return x


DEPENDENT = {
    "zeros": (np.zeros((3, 2)), 0),
    "ones": (np.ones((3, 2)), 1),
    "outer": (outer(5, 3), 1),
    "sum": (_with_copy(6, 4, 3), 3),
    "wide": (_with_copy(3, 5, 2), 2),
    "square": (np.arange(1.0, 10).reshape(3, 3), 2),
}


@over_dtypes
@pytest.mark.parametrize(("matrix", "column"), DEPENDENT.values(), ids=DEPENDENT)
@pytest.mark.parametrize("factor", ["Q", "R"])
def test_factors_of_dependent_columns_have_no_gradient(
    matrix: np.ndarray, column: int, factor: str, dtype: str
) -> None:
    def loss(x: Tensor) -> Tensor:
        return getattr(linalg.qr(x), factor) ** 2

    with pytest.raises(LinAlgError, match=rf"^qr: column {column} depends"):
        gradients(loss, matrix, dtype)
    fine = np.eye(*matrix.shape) + 0.1
    with pytest.raises(LinAlgError, match=rf"^qr: column {column} of matrix 1 of the stack"):
        gradients(loss, np.stack([fine, matrix, fine]), dtype)


# -- the vectors that complete a basis ---------------------------------------------------------


@over_dtypes
@pytest.mark.parametrize("shape", [(4, 2), (2, 4), (3, 3), (2, 5, 3), (3, 0), (0, 3)])
def test_complete_factors_are_those_of_numpy(shape: tuple[int, ...], dtype: str) -> None:
    x = mg.randn(shape, dtype)
    for ours, theirs in [
        (linalg.svd(x), np.linalg.svd(x.numpy())),
        (linalg.svd(x, full_matrices=True), np.linalg.svd(x.numpy(), full_matrices=True)),
        (linalg.qr(x, mode="complete"), np.linalg.qr(x.numpy(), mode="complete")),
    ]:
        for y, z in zip(ours, theirs, strict=True):
            assert (y.shape, y.dtype) == (z.shape, z.dtype)
            np.testing.assert_allclose(y.numpy(), z, rtol=0, atol=100 * EPS[dtype])


@pytest.mark.parametrize(
    ("function", "shape", "part"),
    [
        (lambda x: linalg.svd(x).U, (3, 2), "columns of U from 2"),
        (lambda x: linalg.svd(x).Vh, (2, 3), "rows of Vh from 2"),
        (lambda x: linalg.qr(x, mode="complete").Q, (3, 2), "columns of Q from 2"),
    ],
)
def test_what_completes_a_basis_has_no_gradient(
    function: Function, shape: tuple[int, ...], part: str
) -> None:
    x = np.random.default_rng(0).standard_normal(shape)
    with pytest.raises(LinAlgError, match=part):
        gradients(lambda t: function(t) ** 2, x, "float64")


@pytest.mark.parametrize("shape", [(4, 2), (2, 4), (2, 3, 2)])
def test_complete_factors_have_the_gradient_of_the_reduced_ones(shape: tuple[int, ...]) -> None:
    x = np.random.default_rng(1).standard_normal(shape)
    k = min(shape[-2:])

    def left(full: bool) -> Function:
        return lambda t: linalg.svd(t, full_matrices=full).U[..., :k] ** 3

    def basis(mode: str) -> Function:
        return lambda t: linalg.qr(t, mode=mode).Q[..., :k] ** 3

    for whole, reduced in [(left(True), left(False)), (basis("complete"), basis("reduced"))]:
        pairs = zip(
            gradients(whole, x, "float64", 2), gradients(reduced, x, "float64", 2), strict=True
        )
        for got, expected in pairs:
            np.testing.assert_allclose(got, expected, rtol=1e-9, atol=1e-10)


# -- rank -------------------------------------------------------------------------------------


@over_dtypes
def test_rank_is_that_of_numpy(dtype: str) -> None:
    for matrix in [*TIED.values(), *SINGULAR.values(), outer(4, 2), np.zeros((0, 3))]:
        x = matrix.astype(dtype)
        rank = linalg.matrix_rank(x)
        assert rank.dtype == np.int64
        assert rank.item() == np.linalg.matrix_rank(x)
    stack = mg.tensor(np.stack([np.eye(2), np.ones((2, 2)), np.zeros((2, 2))]))
    assert linalg.matrix_rank(stack).tolist() == [2, 1, 0]
    assert linalg.matrix_rank(np.diag([1.0, 0.1]), rtol=0.2).item() == 1
