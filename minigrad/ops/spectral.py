"""Eigenvalues and singular values, with their vectors: eigh, eigvalsh, svd, svdvals.

The vectors are differentiable where the values differ. Where two are equal the vectors are no
function of the matrix, and a backward pass that needs their derivative raises a LinAlgError; the
values alone have a gradient there too. Rounding hides ties, so values up to `ULPS` ulps of the
largest apart count as equal.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np

from minigrad.errors import LinAlgError
from minigrad.op import Call, Op
from minigrad.ops.elementwise import where
from minigrad.ops.lapack import (
    ULPS,
    MatrixOp,
    first_place,
    identity,
    lapack,
    or_zeros,
    relative_tolerance,
    require_matrices,
    require_nothing,
    rounding,
)
from minigrad.ops.linear import matmul
from minigrad.ops.movement import concat, matrix_transpose, reshape
from minigrad.ops.statistics import count_nonzero
from minigrad.ops.triangle import on_diagonal
from minigrad.spec import Spec, require_floating
from minigrad.tensor import Array, Operand, Tensor, apply, as_tensor, constant

__all__ = ["eigh", "eigvalsh", "matrix_rank", "svd", "svdvals"]


class EighResult(NamedTuple):
    """What `eigh` returns."""

    eigenvalues: Tensor
    eigenvectors: Tensor


class SVDResult(NamedTuple):
    """What `svd` returns."""

    U: Tensor
    S: Tensor
    Vh: Tensor


def _symmetric(x: Tensor) -> Tensor:
    return (x + matrix_transpose(x)) / 2


def _rows(x: Tensor) -> Tensor:
    """(..., k) as (..., 1, k)."""
    return reshape(x, (*x.shape[:-1], 1, x.shape[-1]))


def _columns(x: Tensor) -> Tensor:
    """(..., k) as (..., k, 1)."""
    return reshape(x, (*x.shape, 1))


# -- gaps between values ----------------------------------------------------------------------


@dataclass(frozen=True)
class InverseGaps(Op):
    """F_ij = 1 / (x_j - x_i), and 0 on the diagonal: what the derivatives of eigenvectors and
    singular vectors divide by. Values that are equal, or up to 16 ulps of the largest apart, are
    a LinAlgError; `values` says what they are in its text.

    dF_ij/dx_j = -F_ij², dF_ij/dx_i = F_ij².
    """

    name: ClassVar[str] = "inverse_gaps"
    reads_outputs: ClassVar[tuple[tuple[int, ...], ...]] = ((0,),)
    values: str = "eigh: eigenvalues"

    def infer(self, x: Spec) -> Spec:
        require_floating("inverse_gaps", x)
        return Spec.of((*x.shape, x.shape[-1]), x.dtype)

    def forward(self, x: Array) -> Array:
        gaps = x[..., None, :] - x[..., :, None]
        diagonal = np.eye(x.shape[-1], dtype=bool)
        ties = (np.abs(gaps) <= rounding(x)[..., None, None]) & ~diagonal
        if ties.any():
            self._refuse(x, ties)
        return np.where(diagonal, x.dtype.type(0), 1 / np.where(diagonal, x.dtype.type(1), gaps))

    def _refuse(self, x: Array, ties: Array) -> None:
        (i, j), matrix = first_place(ties, 2)
        first, second = x[tuple(np.argwhere(ties)[0][:-2])][[i, j]]
        raise LinAlgError(
            f"{self.values} {i} and {j}{matrix}, {first:.9g} and {second:.9g}, are equal to within "
            f"{ULPS} ulps of the largest, so the derivative of their vectors does not exist; the "
            "values alone (eigvalsh, svdvals) have a gradient"
        )

    def backward(self, call: Call, cotangent: Tensor) -> Tensor:
        (f,) = call.outputs
        weighted = cotangent * f * f
        return weighted.sum(axis=-1) - weighted.sum(axis=-2)


# -- eigh -------------------------------------------------------------------------------------


class Eigh(MatrixOp):
    """λ and V with A = V diag(λ) Vᵀ, A symmetric, λ ascending, V orthogonal.

    dL/dA = V (diag(λ̄) + sym(F ∘ Vᵀ V̄)) Vᵀ, with F_ij = 1 / (λ_j - λ_i) off the diagonal
    (Giles 2008, section 3.1, for a symmetric matrix). The gradient is symmetric, as A is.
    """

    name = "eigh"
    reads_outputs = ((0, 1),)

    def infer(self, a: Spec) -> tuple[Spec, Spec]:
        require_matrices("eigh", a, square=True)
        return Spec.of(a.shape[:-1], a.dtype), a

    def forward(self, a: Array) -> tuple[Array, Array]:
        with lapack("eigh", "the eigenvalues were not found"):
            values, vectors = np.linalg.eigh(a)
        return values, vectors

    def backward(self, call: Call, by_values: Tensor | None, by_vectors: Tensor | None) -> Tensor:
        values, vectors = call.outputs
        transposed = matrix_transpose(vectors)
        inner = on_diagonal(or_zeros(by_values, call.output_specs[0]))
        if by_vectors is not None:
            inner += _symmetric(apply(InverseGaps(), values) * matmul(transposed, by_vectors))
        return matmul(matmul(vectors, inner), transposed)

    def flops(self, m: int, n: int) -> int:
        return 9 * n**3


def eigh(x: Operand) -> EighResult:
    """Eigenvalues (..., n), ascending, and eigenvectors (..., n, n), as columns, of symmetric x.

    Only the lower triangle of x is read, and its gradient is that of a symmetric matrix. The sign
    of an eigenvector is LAPACK's, so a loss should not depend on it. The gradient through the
    vectors needs distinct eigenvalues (LinAlgError).
    """
    return EighResult(*apply(Eigh(), as_tensor(x)))


def eigvalsh(x: Operand) -> Tensor:
    """The eigenvalues (..., n) of symmetric matrices (..., n, n), ascending; see `eigh`.

    Where eigenvalues are equal their gradient is that along LAPACK's choice of eigenvectors:
    right for functions that treat equal ones alike.
    """
    a = as_tensor(x)
    require_matrices("eigvalsh", a.spec, square=True)
    return eigh(a).eigenvalues


# -- svd --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class SVD(MatrixOp):
    """U, s and Vᵀ with A = U diag(s) Vᵀ, k = min(m, n) columns in U and V, s descending; if
    `full`, U and V are square.

    With S = diag(s) and F_ij = 1 / (s_j² - s_i²) off the diagonal,
    dL/dA = U (S̄ + (F ∘ (Uᵀ Ū - Ūᵀ U)) S + S (F ∘ (Vᵀ V̄ - V̄ᵀ V))) Vᵀ
    + (I - U Uᵀ) Ū S⁻¹ Vᵀ + U S⁻¹ V̄ᵀ (I - V Vᵀ)
    (Townsend, "Differentiating the singular value decomposition", 2016, section 2). Where s = 0,
    to within 16 ulps of the largest, its own gradient is 0 (a subgradient). A gradient through
    vectors behind the k-th, which are no function of A, is a LinAlgError.
    """

    name: ClassVar[str] = "svd"
    reads_outputs: ClassVar[tuple[tuple[int, ...], ...]] = ((0, 1, 2),)
    full: bool = False

    def infer(self, a: Spec) -> tuple[Spec, Spec, Spec]:
        require_matrices("svd", a)
        batch, (m, n) = a.shape[:-2], a.shape[-2:]
        k = min(m, n)
        left, right = (m, n) if self.full else (k, k)
        shapes = (*batch, m, left), (*batch, k), (*batch, right, n)
        u, s, vh = (Spec.of(shape, a.dtype) for shape in shapes)
        return u, s, vh

    def forward(self, a: Array) -> tuple[Array, Array, Array]:
        with lapack("svd", "the singular values were not found"):
            u, s, vh = np.linalg.svd(a, full_matrices=self.full)
        return u, s, vh

    def backward(
        self, call: Call, by_u: Tensor | None, by_s: Tensor | None, by_vh: Tensor | None
    ) -> Tensor:
        (m, n), k = call.input_specs[0].plane, call.output_specs[1].shape[-1]
        u, s, vh = call.outputs
        u, vh, by_u, by_vh = self._reduced(k, u, vh, by_u, by_vh)
        inner = on_diagonal(where(_above_zero(s), or_zeros(by_s, call.output_specs[1]), 0))
        if by_u is None and by_vh is None:
            return matmul(matmul(u, inner), vh)
        f, inverse = _gaps_of_squares(s, m != n)
        v = matrix_transpose(vh)
        if by_u is not None:
            by_u_t = matrix_transpose(by_u)
            inner += f * (matmul(matrix_transpose(u), by_u) - matmul(by_u_t, u)) * _rows(s)
        if by_vh is not None:
            by_v = matrix_transpose(by_vh)
            inner += _columns(s) * f * (matmul(vh, by_v) - matmul(by_vh, v))
        gradient = matmul(matmul(u, inner), vh)
        if by_u is not None and m > n:
            outside = by_u - matmul(u, matmul(matrix_transpose(u), by_u))
            gradient += matmul(outside * _rows(inverse), vh)
        if by_vh is not None and n > m:
            outside = by_vh - matmul(matmul(by_vh, v), vh)
            gradient += matmul(u, _columns(inverse) * outside)
        return gradient

    def _reduced(
        self, k: int, u: Tensor, vh: Tensor, by_u: Tensor | None, by_vh: Tensor | None
    ) -> tuple[Tensor, Tensor, Tensor | None, Tensor | None]:
        """The k vectors that A determines, on either side, and their cotangents."""
        if not self.full:
            return u, vh, by_u, by_vh
        if by_u is not None:
            require_nothing("svd", f"the columns of U from {k} on", by_u[..., k:])
            by_u = by_u[..., :k]
        if by_vh is not None:
            require_nothing("svd", f"the rows of Vh from {k} on", by_vh[..., k:, :])
            by_vh = by_vh[..., :k, :]
        return u[..., :k], vh[..., :k, :], by_u, by_vh

    def flops(self, m: int, n: int) -> int:
        small, large = sorted((m, n))
        full = 4 * large * small * (large - small) if self.full else 0
        return 6 * m * n * small + 20 * small**3 + full


def _above_zero(s: Tensor) -> Tensor:
    """Which singular values, descending, are more than rounding of the largest."""
    return s > s[..., :1] * (ULPS * float(np.finfo(s.dtype).eps))


def _gaps_of_squares(s: Tensor, null_space: bool) -> tuple[Tensor, Tensor]:
    """1 / (s_j² - s_i²) off the diagonal, and 1 / s where there is a null space besides: its
    singular value is 0, from which the others must differ as well."""
    k = s.shape[-1]
    sums = _rows(s) + _columns(s) + identity(k, s)
    if not null_space:
        f: Tensor = apply(InverseGaps("svd: singular values"), s)
        return f / sums, s
    zero = constant(np.zeros((*s.shape[:-1], 1), s.dtype))
    named = f"svd: singular values (that of the null space, 0, is number {k})"
    f = apply(InverseGaps(named), concat([s, zero], axis=-1))
    return f[..., :k, :k] / sums, f[..., k, :k]


def svd(x: Operand, full_matrices: bool = True) -> SVDResult:
    """U, S and Vh with x = U[..., :k] diag(S) Vh[..., :k, :], k = min(m, n), S descending.

    U is (..., m, m), S (..., k) and Vh (..., n, n); without `full_matrices` U is (..., m, k) and
    Vh (..., k, n), which is less work for oblong matrices. The signs of the vectors are LAPACK's,
    so a loss should not depend on them. The gradient through the vectors needs distinct singular
    values, none of 0 unless x is square, and nothing to depend on the vectors behind the k-th,
    which x does not determine (LinAlgError). Raises ShapeError, DtypeError.
    """
    a = as_tensor(x)
    require_matrices("svd", a.spec)
    return SVDResult(*apply(SVD(bool(full_matrices) and a.shape[-1] != a.shape[-2]), a))


def svdvals(x: Operand) -> Tensor:
    """The singular values (..., min(m, n)) of each matrix, descending.

    Of a singular value of 0 the gradient is 0; for equal ones see `eigvalsh`.
    """
    a = as_tensor(x)
    require_matrices("svdvals", a.spec)
    return svd(a, full_matrices=False).S


def matrix_rank(x: Operand, rtol: float | None = None) -> Tensor:
    """How many singular values of each matrix lie above `rtol` times the largest, (..., m, n) to
    int64 (...). Has no gradient.

    By default rtol is max(m, n) times the machine epsilon, as in the array API standard. Raises
    ArgumentError, ShapeError, DtypeError.
    """
    a = as_tensor(x).detach()
    require_matrices("matrix_rank", a.spec)
    share = relative_tolerance("matrix_rank", rtol, a.spec)
    values = svdvals(a)
    return count_nonzero(values > values[..., :1] * share, axis=-1)
