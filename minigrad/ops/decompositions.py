"""Factorizations of matrices into triangular ones: cholesky and qr.

The factors of `qr` are differentiable where the columns are independent. Rounding hides that they
are not, so what is left of a column counts as nothing up to `ULPS` ulps of its length.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np

from minigrad.errors import ArgumentError, LinAlgError
from minigrad.op import Call
from minigrad.ops.inverse import Inv, inv
from minigrad.ops.lapack import (
    ULPS,
    MatrixOp,
    first_place,
    lapack,
    or_zeros,
    require_matrices,
    require_nothing,
)
from minigrad.ops.linear import matmul
from minigrad.ops.movement import concat, matrix_transpose
from minigrad.ops.triangle import tril
from minigrad.spec import Spec
from minigrad.tensor import Array, Operand, Tensor, apply, as_tensor

__all__ = ["cholesky", "qr"]


class QRResult(NamedTuple):
    """What `qr` returns."""

    Q: Tensor
    R: Tensor


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


class TriangularInverse(Inv):
    """Y = R⁻¹, with R the triangular factor of a `qr`.  dL/dR = -Yᵀ (dL/dY) Yᵀ, as of `inv`.

    What R_jj says is left of column j by those before it counts as 0 up to 16 ulps of the length
    of the column, and is a LinAlgError.
    """

    name = "triangular_inverse"

    def forward(self, r: Array) -> Array:
        left = np.abs(np.diagonal(r, axis1=-2, axis2=-1))
        lengths = np.linalg.norm(r, axis=-2)
        dependent = left <= ULPS * np.finfo(r.dtype).eps * lengths
        if dependent.any():
            (column,), where = first_place(dependent, 1)
            raise LinAlgError(
                f"qr: column {column}{where} depends on those before it, to within {ULPS} ulps of "
                "its length, so the factors have no derivative there: R is singular; take them of "
                "independent columns"
            )
        return super().forward(r)


@dataclass(frozen=True)
class QR(MatrixOp):
    """Q with orthonormal columns and R upper triangular, with A = Q R, for m >= n; if `complete`,
    Q is square and R gets rows of 0.

    dL/dA = (Q̄ + Q copyltu(M)) R⁻ᵀ with M = R R̄ᵀ - Q̄ᵀ Q, where copyltu copies the lower triangle
    to the upper (Seeger et al., "Auto-differentiating linear algebra", 2017, equation 3). Where
    the rank is less than n this is a LinAlgError, as is a gradient through columns of Q behind the
    n-th, which are no function of A.
    """

    name: ClassVar[str] = "qr"
    reads_outputs: ClassVar[tuple[tuple[int, ...], ...]] = ((0, 1),)
    complete: bool = False

    def infer(self, a: Spec) -> tuple[Spec, Spec]:
        require_matrices("qr", a)
        *batch, m, n = a.shape
        if m < n:
            raise ArgumentError(f"qr: the op takes at least as many rows as columns, got {a.shape}")
        k = m if self.complete else n
        return Spec.of((*batch, m, k), a.dtype), Spec.of((*batch, k, n), a.dtype)

    def forward(self, a: Array) -> tuple[Array, Array]:
        with lapack("qr", "the factorization failed"):
            q, r = np.linalg.qr(a, mode="complete" if self.complete else "reduced")
        return q, r

    def backward(self, call: Call, by_q: Tensor | None, by_r: Tensor | None) -> Tensor:
        by_q, by_r = (or_zeros(c, s) for c, s in zip((by_q, by_r), call.output_specs, strict=True))
        n = call.input_specs[0].shape[-1]
        q, r = call.outputs
        if self.complete:
            require_nothing("qr", f"the columns of Q from {n} on", by_q[..., n:])
            q, r, by_q, by_r = q[..., :n], r[..., :n, :], by_q[..., :n], by_r[..., :n, :]
        m = matmul(r, matrix_transpose(by_r)) - matmul(matrix_transpose(by_q), q)
        mirrored = tril(m) + matrix_transpose(tril(m, -1))
        inverse: Tensor = apply(TriangularInverse(), r)
        return matmul(by_q + matmul(q, mirrored), matrix_transpose(inverse))

    def flops(self, m: int, n: int) -> int:
        thin = 4 * m * n * n - 4 * n**3 // 3
        return 4 * m * n * (m - n) + thin if self.complete else thin


def qr(x: Operand, mode: str = "reduced") -> QRResult:
    """Q (..., m, k) with orthonormal columns and R (..., k, n) upper triangular, x = Q R.

    k = min(m, n); with `mode="complete"`, k = m. The signs are LAPACK's. The gradient needs the
    first min(m, n) columns of x to be independent, and nothing to depend on the columns of Q
    behind the n-th, which x does not determine (LinAlgError). Raises ArgumentError, ShapeError.
    """
    a = as_tensor(x)
    if mode not in ("reduced", "complete"):
        raise ArgumentError(f"qr: mode takes 'reduced' or 'complete', got {mode!r}")
    require_matrices("qr", a.spec)
    m, n = a.shape[-2:]
    if m >= n:
        return QRResult(*apply(QR(mode == "complete" and m > n), a))
    # The first m columns determine Q; those after them are given in its basis.
    q, r = apply(QR(), a[..., :m])
    return QRResult(q, concat([r, matmul(matrix_transpose(q), a[..., m:])], axis=-1))
