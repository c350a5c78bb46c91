"""Determinants: det, slogdet, and the derivatives of a determinant.

A determinant is a polynomial, so `det` has a gradient, and a second one, at singular matrices as
well; `slogdet` has one where the matrix is regular. Rounding hides singularity: see
`RegularInverse` for where it is drawn.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from minigrad.errors import LinAlgError, ShapeError
from minigrad.op import Call
from minigrad.ops.inverse import Inv
from minigrad.ops.lapack import (
    ULPS,
    MatrixOp,
    first_place,
    lapack,
    or_zeros,
    require_matrices,
)
from minigrad.ops.linear import matmul
from minigrad.ops.movement import matrix_transpose, reshape
from minigrad.spec import Spec, common_dtype
from minigrad.tensor import Array, Operand, Tensor, apply, as_tensor

__all__ = ["det", "slogdet"]


@dataclass(frozen=True)
class RegularInverse(Inv):
    """Y = A⁻¹ for the gradient of `function`; A singular to working precision is a LinAlgError.
    dL/dA = -Yᵀ (dL/dY) Yᵀ, as of `inv`.

    A counts as singular where an element on the diagonal of |A⁻¹| |A| reaches 1 / (16 ε), with the
    machine epsilon ε: then changes of the elements by 16 ulps can make it so (from the condition by
    components of Bauer, "Genauigkeitsfragen bei der Lösung linearer Gleichungssysteme", 1966). The
    scale of rows and columns does not matter.
    """

    name: ClassVar[str] = "regular_inverse"
    function: str = "inv"

    def forward(self, a: Array) -> Array:
        with lapack(self.function, "the matrices have no inverse"):
            singular = np.linalg.slogdet(a)[0] == 0
            unit = np.eye(a.shape[-1], dtype=a.dtype)
            y = np.linalg.inv(np.where(singular[..., None, None], unit, a))
        with np.errstate(all="ignore"):
            sums = np.sum(np.abs(y) * np.abs(np.swapaxes(a, -2, -1)), axis=-1)
            singular |= np.max(sums, axis=-1, initial=0) * (ULPS * np.finfo(a.dtype).eps) >= 1
        if singular.any():
            _, matrix = first_place(singular, 0)
            which = matrix.removeprefix(" of ") or "the matrix"
            raise LinAlgError(
                f"{self.function}: {which} is singular, or so nearly that rounding decides, and "
                "this derivative needs its inverse"
            )
        return y


def _regular_inverse(function: str, a: Tensor) -> Tensor:
    y: Tensor = apply(RegularInverse(function), a)
    return y


class Det(MatrixOp):
    """y = det A.  dL/dA = (dL/dy) C with the cofactors C, which are det(A) A⁻ᵀ where A is
    regular (Giles 2008, section 2.2.4), and exist where it is singular."""

    name = "det"
    reads_inputs = ((0,),)

    def infer(self, a: Spec) -> Spec:
        require_matrices("det", a, square=True)
        return Spec.of(a.shape[:-2], a.dtype)

    def forward(self, a: Array) -> Array:
        with lapack("det", "the factorization failed"):
            return np.asarray(np.linalg.det(a), a.dtype)

    def backward(self, call: Call, cotangent: Tensor) -> Tensor:
        return _as_matrices(cotangent) * apply(Cofactor(), call.inputs[0])

    def flops(self, m: int, n: int) -> int:
        return 2 * n**3 // 3


def _svd_with_sign(op: str, a: Array) -> tuple[Array, Array, Array, Array]:
    """U, s, Vᵀ and det(U) det(V), (..., 1, 1)."""
    with lapack(op, "the singular values were not found"):
        u, s, vh = np.linalg.svd(a)
        sign = np.linalg.det(u) * np.linalg.det(vh)
    return u, s, vh, sign[..., None, None]


def _products_of_others(s: Array) -> Array:
    """p_k = Π_{l≠k} s_l along the last axis, as the product of all before by that of all behind."""
    one = np.ones_like(s[..., :1])
    before = np.cumprod(np.concatenate([one, s[..., :-1]], axis=-1), axis=-1)
    behind = np.cumprod(np.concatenate([one, s[..., :0:-1]], axis=-1), axis=-1)
    return np.asarray(before * behind[..., ::-1])


def _products_without_two(s: Array) -> Array:
    """P_ij = Π_{l≠i,j} s_l, and 0 on the diagonal: (..., n) to (..., n, n)."""
    n = s.shape[-1]
    products = np.zeros((*s.shape, n), s.dtype)
    for i in range(n if n > 1 else 0):
        others = np.arange(n) != i
        products[..., i, others] = _products_of_others(s[..., others])
    return products


class Cofactor(MatrixOp):
    """C_ij = d det(A) / dA_ij = det(U) det(V) Σ_k U_ik V_jk Π_{l≠k} s_l, with A = U diag(s) Vᵀ.

    dL/dA is the second derivative of the determinant, `cofactor_derivative`.
    """

    name = "cofactor"
    reads_inputs = ((0,),)

    def infer(self, a: Spec) -> Spec:
        require_matrices("cofactor", a, square=True)
        return a

    def forward(self, a: Array) -> Array:
        u, s, vh, sign = _svd_with_sign("cofactor", a)
        if s.shape[-1] == 0:
            return a.copy()
        return np.asarray((u * (_products_of_others(s)[..., None, :] * sign)) @ vh, a.dtype)

    def backward(self, call: Call, cotangent: Tensor) -> Tensor:
        y: Tensor = apply(CofactorDerivative(), call.inputs[0], cotangent)
        return y

    def flops(self, m: int, n: int) -> int:
        return 22 * n**3


class CofactorDerivative(MatrixOp):
    """H = d <G, C(A)> / dA, with the cofactors C, for A and G (..., n, n).

    With A = U diag(s) Vᵀ, T = Uᵀ G V and P_ij = Π_{l≠i,j} s_l off the diagonal:
    H = det(U) det(V) U (diag(P diag(T)) - P ∘ Tᵀ) Vᵀ, from the expansion of the cofactors of
    diag(s) + E to the first order in E. It is symmetric as a form, <W, H(A, G)> = <G, H(A, W)>,
    so dL/dG = H(A, dL/dH). By A, with W = dL/dH, B = A⁻ᵀ, g = B Gᵀ B, w = B Wᵀ B:
    dL/dA = <W, H> B + det(A) (B Gᵀ w + B Wᵀ g - <B, W> g - <B, G> w),
    from <W, H> = det(A) (<B, G> <B, W> - <g, W>): the third derivative of a determinant needs a
    regular matrix, and is a LinAlgError elsewhere.
    """

    name = "cofactor_derivative"
    reads_inputs = ((0, 1), (0,))

    def infer(self, a: Spec, g: Spec) -> Spec:
        require_matrices("cofactor_derivative", a, square=True)
        if g.shape != a.shape:
            raise ShapeError(f"cofactor_derivative: shapes differ: {a.shape} and {g.shape}")
        return Spec.of(a.shape, common_dtype("cofactor_derivative", a, g))

    def forward(self, a: Array, g: Array) -> Array:
        u, s, vh, sign = _svd_with_sign("cofactor_derivative", a)
        products = _products_without_two(s)
        turned = np.swapaxes(u, -2, -1) @ g @ np.swapaxes(vh, -2, -1)
        inner = -products * np.swapaxes(turned, -2, -1)
        diagonal = np.diagonal(turned, axis1=-2, axis2=-1)[..., None]
        inner += np.eye(s.shape[-1], dtype=a.dtype) * (products @ diagonal)
        return np.asarray((u * sign) @ inner @ vh, a.dtype)

    def backward(self, call: Call, cotangent: Tensor) -> tuple[Tensor | None, Tensor | None]:
        a, g = call.inputs[0], call.inputs[1]
        by_g: Tensor | None = apply(self, a, cotangent) if call.needs[1] else None
        if not call.needs[0]:
            return None, by_g
        inverse = matrix_transpose(_regular_inverse("det", a))
        turned_g = matmul(matrix_transpose(g), inverse)
        turned_w = matmul(matrix_transpose(cotangent), inverse)
        small_g, small_w = matmul(inverse, turned_g), matmul(inverse, turned_w)
        inner_g, inner_w = _inner(inverse, g), _inner(inverse, cotangent)
        pairing = inner_g * inner_w - _inner(small_g, cotangent)
        mixed = matmul(small_g, turned_w) + matmul(small_w, turned_g)
        by_a = pairing * inverse + mixed - inner_w * small_g - inner_g * small_w
        return _as_matrices(det(a)) * by_a, by_g

    def flops(self, m: int, n: int) -> int:
        return 32 * n**3


def _inner(x: Tensor, y: Tensor) -> Tensor:
    """The sum of the products of the elements of each matrix, (..., 1, 1)."""
    return (x * y).sum(axis=(-2, -1), keepdims=True)


def _as_matrices(x: Tensor) -> Tensor:
    """(...) as (..., 1, 1)."""
    return reshape(x, (*x.shape, 1, 1))


def det(x: Operand) -> Tensor:
    """The determinant of each square matrix, (..., n, n) to (...).

    Differentiable twice at singular matrices too; a third time at regular ones only (LinAlgError).
    """
    y: Tensor = apply(Det(), as_tensor(x))
    return y


class SLogDet(MatrixOp):
    """sign(det A) and y = ln |det A|.  dL/dA = (dL/dy) A⁻ᵀ (Giles 2008, section 2.2.4); the sign
    is constant where it has a derivative. A singular to working precision is a LinAlgError."""

    name = "slogdet"
    reads_inputs = ((0,),)

    def infer(self, a: Spec) -> tuple[Spec, Spec]:
        require_matrices("slogdet", a, square=True)
        spec = Spec.of(a.shape[:-2], a.dtype)
        return spec, spec

    def forward(self, a: Array) -> tuple[Array, Array]:
        with lapack("slogdet", "the factorization failed"):
            sign, logarithm = np.linalg.slogdet(a)
        return np.asarray(sign, a.dtype), np.asarray(logarithm, a.dtype)

    def backward(self, call: Call, sign: Tensor | None, logarithm: Tensor | None) -> Tensor:
        cotangent = or_zeros(logarithm, call.output_specs[1])
        return _as_matrices(cotangent) * matrix_transpose(
            _regular_inverse("slogdet", call.inputs[0])
        )

    def flops(self, m: int, n: int) -> int:
        return 2 * n**3 // 3


def slogdet(x: Operand) -> tuple[Tensor, Tensor]:
    """The sign (-1, 0 or 1) and the logarithm of the absolute value of each determinant.

    (..., n, n) to two tensors (...). A singular matrix has 0 and -inf, and no gradient
    (LinAlgError in the backward pass).
    """
    sign, logarithm = apply(SLogDet(), as_tensor(x))
    return sign, logarithm
