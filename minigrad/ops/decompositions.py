"""Factorizations of matrices: cholesky, qr, eigh, svd, and the values of the last two.

Eigenvectors and singular vectors are differentiable where the values differ. Where two are equal
the vectors are no function of the matrix, and a backward pass that needs their derivative raises
a LinAlgError; the values alone have a gradient there too.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from minigrad.errors import ArgumentError, LinAlgError
from minigrad.op import Call, Op
from minigrad.ops.elementwise import where
from minigrad.ops.inverse import inv
from minigrad.ops.lapack import MatrixOp, identity, lapack, or_zeros, require_matrices
from minigrad.ops.linear import matmul
from minigrad.ops.movement import concat, matrix_transpose, reshape
from minigrad.ops.triangle import on_diagonal, tril
from minigrad.spec import Spec, require_floating
from minigrad.tensor import Array, Operand, Tensor, apply, as_tensor, constant


class QRResult(NamedTuple):
    """What `qr` returns."""

    Q: Tensor
    R: Tensor


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


# -- cholesky ---------------------------------------------------------------------------------


class Cholesky(MatrixOp):
    """L, lower triangular with a positive diagonal, with A = L Lᵀ.

    dL/dA = 1/2 L⁻ᵀ (Φ + Φᵀ) L⁻¹, where Φ is the lower triangle of Lᵀ (dL/dL) with its diagonal
    halved (Murray, "Differentiation of the Cholesky decomposition", 2016, equation 10; Seeger et
    al., "Auto-differentiating linear algebra", 2017). The gradient is symmetric, as A is.
    """

    name = "cholesky"
    reads_outputs = ((0,),)

    def infer(self, a: Spec) -> Spec:
        require_matrices("cholesky", a, square=True)
        return a

    def forward(self, a: Array) -> Array:
        with lapack("cholesky", "a matrix is not positive definite"):
            return np.linalg.cholesky(a)

    def backward(self, call: Call, cotangent: Tensor) -> Tensor:
        (factor,) = call.outputs
        product = matmul(matrix_transpose(factor), cotangent)
        lower = tril(product, -1)
        doubled = tril(product) + matrix_transpose(lower)  # Φ + Φᵀ
        inverse = inv(factor)
        return matmul(matmul(matrix_transpose(inverse), doubled), inverse) / 2

    def flops(self, m: int, n: int) -> int:
        return n**3 // 3


def cholesky(x: Operand, upper: bool = False) -> Tensor:
    """The lower triangular L of each symmetric positive definite matrix A = L Lᵀ, (..., n, n).

    With `upper`, Lᵀ. Only the lower triangle of x is read, and its gradient is that of a
    symmetric matrix. Raises LinAlgError for a matrix that is not positive definite.
    """
    factor: Tensor = apply(Cholesky(), as_tensor(x))
    return matrix_transpose(factor) if upper else factor


# -- qr ---------------------------------------------------------------------------------------


class QR(MatrixOp):
    """Q with orthonormal columns and R upper triangular, with A = Q R, for m >= n.

    dL/dA = (Q̄ + Q copyltu(M)) R⁻ᵀ with M = R R̄ᵀ - Q̄ᵀ Q, where copyltu copies the lower triangle
    to the upper (Seeger et al., "Auto-differentiating linear algebra", 2017, equation 3). Where
    the rank is less than n this is a LinAlgError.
    """

    name = "qr"
    reads_outputs = ((0, 1),)

    def infer(self, a: Spec) -> tuple[Spec, Spec]:
        require_matrices("qr", a)
        *batch, m, n = a.shape
        if m < n:
            raise ArgumentError(f"qr: the op takes at least as many rows as columns, got {a.shape}")
        return a, Spec.of((*batch, n, n), a.dtype)

    def forward(self, a: Array) -> tuple[Array, Array]:
        with lapack("qr", "the factorization failed"):
            q, r = np.linalg.qr(a)
        return q, r

    def backward(self, call: Call, by_q: Tensor | None, by_r: Tensor | None) -> Tensor:
        q, r = call.outputs
        by_q, by_r = (or_zeros(c, s) for c, s in zip((by_q, by_r), call.output_specs, strict=True))
        m = matmul(r, matrix_transpose(by_r)) - matmul(matrix_transpose(by_q), q)
        mirrored = tril(m) + matrix_transpose(tril(m, -1))
        return matmul(by_q + matmul(q, mirrored), matrix_transpose(inv(r)))

    def flops(self, m: int, n: int) -> int:
        return 4 * m * n * n - 4 * n**3 // 3


def qr(x: Operand, mode: str = "reduced") -> QRResult:
    """Q (..., m, k) with orthonormal columns and R (..., k, n) upper triangular, x = Q R.

    k = min(m, n): the reduced form, the only `mode` there is. The signs are LAPACK's. The
    gradient needs the first k columns to be independent (LinAlgError).
    """
    a = as_tensor(x)
    if mode != "reduced":
        raise ArgumentError(f"qr: mode takes 'reduced', got {mode!r}")
    require_matrices("qr", a.spec)
    m, n = a.shape[-2:]
    if m >= n:
        return QRResult(*apply(QR(), a))
    # The first m columns determine Q; those after them are given in its basis.
    q, r = apply(QR(), a[..., :m])
    return QRResult(q, concat([r, matmul(matrix_transpose(q), a[..., m:])], axis=-1))


# -- gaps between eigenvalues -----------------------------------------------------------------


class InverseGaps(Op):
    """F_ij = 1 / (x_j - x_i), and 0 on the diagonal: what the derivatives of eigenvectors and
    singular vectors divide by. Equal values are a LinAlgError.

    dF_ij/dx_j = -F_ij², dF_ij/dx_i = F_ij².
    """

    name = "inverse_gaps"
    reads_outputs = ((0,),)

    def infer(self, x: Spec) -> Spec:
        require_floating("inverse_gaps", x)
        return Spec.of((*x.shape, x.shape[-1]), x.dtype)

    def forward(self, x: Array) -> Array:
        gaps = x[..., None, :] - x[..., :, None]
        diagonal = np.eye(x.shape[-1], dtype=bool)
        if np.any((gaps == 0) & ~diagonal):
            raise LinAlgError(
                "inverse_gaps: two eigenvalues or singular values are equal (or one that must "
                "differ from 0 does not), so the derivative of their vectors does not exist; the "
                "values alone (eigvalsh, svdvals) have a gradient"
            )
        return np.where(diagonal, x.dtype.type(0), 1 / np.where(diagonal, x.dtype.type(1), gaps))

    def backward(self, call: Call, cotangent: Tensor) -> Tensor:
        (f,) = call.outputs
        weighted = cotangent * f * f
        return weighted.sum(axis=-1) - weighted.sum(axis=-2)


def _inverse_gaps(x: Tensor) -> Tensor:
    f: Tensor = apply(InverseGaps(), x)
    return f


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
            inner += _symmetric(_inverse_gaps(values) * matmul(transposed, by_vectors))
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


class SVD(MatrixOp):
    """U, s and Vᵀ with A = U diag(s) Vᵀ, k = min(m, n) columns in U and V, s descending.

    With S = diag(s) and F_ij = 1 / (s_j² - s_i²) off the diagonal,
    dL/dA = U (S̄ + (F ∘ (Uᵀ Ū - Ūᵀ U)) S + S (F ∘ (Vᵀ V̄ - V̄ᵀ V))) Vᵀ
    + (I - U Uᵀ) Ū S⁻¹ Vᵀ + U S⁻¹ V̄ᵀ (I - V Vᵀ)
    (Townsend, "Differentiating the singular value decomposition", 2016, section 2). Where s = 0
    its own gradient is 0 (a subgradient).
    """

    name = "svd"
    reads_outputs = ((0, 1, 2),)

    def infer(self, a: Spec) -> tuple[Spec, Spec, Spec]:
        require_matrices("svd", a)
        batch, (m, n) = a.shape[:-2], a.shape[-2:]
        k = min(m, n)
        shapes = (*batch, m, k), (*batch, k), (*batch, k, n)
        u, s, vh = (Spec.of(shape, a.dtype) for shape in shapes)
        return u, s, vh

    def forward(self, a: Array) -> tuple[Array, Array, Array]:
        with lapack("svd", "the singular values were not found"):
            u, s, vh = np.linalg.svd(a, full_matrices=False)
        return u, s, vh

    def backward(
        self, call: Call, by_u: Tensor | None, by_s: Tensor | None, by_vh: Tensor | None
    ) -> Tensor:
        u, s, vh = call.outputs
        inner = on_diagonal(where(s > 0, or_zeros(by_s, call.output_specs[1]), 0))
        if by_u is None and by_vh is None:
            return matmul(matmul(u, inner), vh)
        m, n = call.input_specs[0].plane
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

    def flops(self, m: int, n: int) -> int:
        return 6 * m * n * min(m, n) + 20 * min(m, n) ** 3


def _gaps_of_squares(s: Tensor, null_space: bool) -> tuple[Tensor, Tensor]:
    """1 / (s_j² - s_i²) off the diagonal, and 1 / s where there is a null space besides: its
    singular value is 0, from which the others must differ as well."""
    k = s.shape[-1]
    sums = _rows(s) + _columns(s) + identity(k, s)
    if not null_space:
        return _inverse_gaps(s) / sums, s
    zero = constant(np.zeros((*s.shape[:-1], 1), s.dtype))
    f = _inverse_gaps(concat([s, zero], axis=-1))
    return f[..., :k, :k] / sums, f[..., k, :k]


def svd(x: Operand, full_matrices: bool = False) -> SVDResult:
    """U (..., m, k), S (..., k), descending, and Vh (..., k, n), with x = U diag(S) Vh.

    k = min(m, n): the reduced form, the only one there is. The signs of the vectors are LAPACK's,
    so a loss should not depend on them. The gradient through the vectors needs distinct singular
    values, and none of 0 unless x is square (LinAlgError).
    """
    if full_matrices:
        raise ArgumentError(f"svd: full_matrices takes False, got {full_matrices!r}")
    return SVDResult(*apply(SVD(), as_tensor(x)))


def svdvals(x: Operand) -> Tensor:
    """The singular values (..., min(m, n)) of each matrix, descending.

    Of a singular value of 0 the gradient is 0; for equal ones see `eigvalsh`.
    """
    a = as_tensor(x)
    require_matrices("svdvals", a.spec)
    return svd(a).S
