"""Inverses: inv, solve, pinv, matrix_power.

The derivatives are those of Giles, "An extended collection of matrix derivative results for
forward and reverse mode algorithmic differentiation" (2008). A singular matrix is a LinAlgError
where its inverse is needed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from minigrad.errors import ShapeError
from minigrad.op import Call, Cost, bytes_moved
from minigrad.ops.lapack import MatrixOp, identity, lapack, relative_tolerance, require_matrices
from minigrad.ops.linear import matmul
from minigrad.ops.movement import expand, matrix_transpose, reshape
from minigrad.spec import Spec, as_integer, broadcast_shapes, common_dtype, size_of
from minigrad.tensor import Array, Operand, Tensor, apply, as_tensor

__all__ = ["inv", "matrix_power", "pinv", "solve"]

SINGULAR = "a matrix is singular, so it has no inverse"


class Inv(MatrixOp):
    """Y = A⁻¹.  dL/dA = -Yᵀ (dL/dY) Yᵀ  (Giles 2008, section 2.2.3)."""

    name = "inv"
    reads_outputs = ((0,),)

    def infer(self, a: Spec) -> Spec:
        require_matrices("inv", a, square=True)
        return a

    def forward(self, a: Array) -> Array:
        with lapack("inv", SINGULAR):
            return np.linalg.inv(a)

    def backward(self, call: Call, cotangent: Tensor) -> Tensor:
        transposed = matrix_transpose(call.outputs[0])
        return -matmul(matmul(transposed, cotangent), transposed)

    def flops(self, m: int, n: int) -> int:
        return 2 * n**3


def inv(x: Operand) -> Tensor:
    """The inverse of each square matrix, (..., n, n). Raises LinAlgError for a singular one."""
    y: Tensor = apply(Inv(), as_tensor(x))
    return y


class Solve(MatrixOp):
    """X with A X = B, for stacks (..., n, n) and (..., n, k) of one shape.

    dL/dB = A⁻ᵀ (dL/dX), dL/dA = -(dL/dB) Xᵀ  (Giles 2008, section 2.3.1).
    """

    name = "solve"
    reads_inputs = ((0,), (0,))
    reads_outputs = ((0,), ())

    def infer(self, a: Spec, b: Spec) -> Spec:
        require_matrices("solve", a, square=True)
        require_matrices("solve", b)
        if a.shape[:-1] != b.shape[:-1]:
            raise ShapeError(
                f"solve: {a.shape[-1]} equations in the shape {a.shape} do not fit right-hand "
                f"sides of shape {b.shape}"
            )
        return Spec.of(b.shape, common_dtype("solve", a, b))

    def forward(self, a: Array, b: Array) -> Array:
        with lapack("solve", SINGULAR):
            return np.linalg.solve(a, b)

    def backward(self, call: Call, cotangent: Tensor) -> tuple[Tensor | None, ...]:
        by_b: Tensor = apply(Solve(), matrix_transpose(call.inputs[0]), cotangent)
        by_a = -matmul(by_b, matrix_transpose(call.outputs[0])) if call.needs[0] else None
        return by_a, by_b if call.needs[1] else None

    def cost(self, inputs: Sequence[Spec], outputs: Sequence[Spec]) -> Cost:
        *batch, n, k = inputs[1].shape
        flops = size_of(batch) * (2 * n**3 // 3 + 2 * n * n * k)
        return Cost(0, flops, bytes_moved(inputs, outputs))


def solve(x1: Operand, x2: Operand) -> Tensor:
    """X with x1 X = x2, for square matrices x1 (..., n, n); better than `inv(x1) @ x2`.

    x2 is one vector (n,), which gives (..., n), or matrices (..., n, k), which give (..., n, k);
    the batch axes broadcast. Raises LinAlgError for a singular matrix, ShapeError.
    """
    a, b = as_tensor(x1), as_tensor(x2)
    require_matrices("solve", a.spec, square=True)
    if b.ndim == 0:
        raise ShapeError(f"solve: takes vectors or matrices on the right, got shape {b.shape}")
    vector = b.ndim == 1
    right = reshape(b, (b.size, 1)) if vector else b
    batch = broadcast_shapes("solve (batch axes)", a.shape[:-2], right.shape[:-2])
    a, right = expand(a, batch + a.shape[-2:]), expand(right, batch + right.shape[-2:])
    x: Tensor = apply(Solve(), a, right)
    return reshape(x, x.shape[:-1]) if vector else x


@dataclass(frozen=True)
class Pinv(MatrixOp):
    """Y = A⁺, the inverse of A between its row space and its column space; singular values up to
    rtol times the largest count as 0.

    While the rank does not change, with G = dL/dY, P = I - A Y, Q = I - Y A:
    dL/dA = -Yᵀ G Yᵀ + P Gᵀ Y Yᵀ + Yᵀ Y Gᵀ Q
    (Golub and Pereyra, "The differentiation of pseudo-inverses", 1973, equation 4.12).
    """

    name: ClassVar[str] = "pinv"
    reads_inputs: ClassVar[tuple[tuple[int, ...], ...]] = ((0,),)
    reads_outputs: ClassVar[tuple[tuple[int, ...], ...]] = ((0,),)
    rtol: float

    def infer(self, a: Spec) -> Spec:
        require_matrices("pinv", a)
        *batch, m, n = a.shape
        return Spec.of((*batch, n, m), a.dtype)

    def forward(self, a: Array) -> Array:
        with lapack("pinv", "the singular values were not found"):
            return np.linalg.pinv(a, rcond=np.asarray(self.rtol, a.dtype))

    def backward(self, call: Call, cotangent: Tensor) -> Tensor:
        (a,), (y,) = call.inputs, call.outputs
        m, n = call.input_specs[0].plane
        y_t, g_t = matrix_transpose(y), matrix_transpose(cotangent)
        p = identity(m, a) - matmul(a, y)
        q = identity(n, a) - matmul(y, a)
        inverse = matmul(matmul(y_t, cotangent), y_t)
        left = matmul(matmul(matmul(p, g_t), y), y_t)
        right = matmul(y_t, matmul(y, matmul(g_t, q)))
        return left + right - inverse

    def flops(self, m: int, n: int) -> int:
        return 4 * m * n * min(m, n) + 22 * min(m, n) ** 3


def pinv(x: Operand, rtol: float | None = None) -> Tensor:
    """The Moore-Penrose inverse of each matrix, (..., m, n) to (..., n, m).

    Singular values up to `rtol` times the largest count as 0; by default max(m, n) times the
    machine epsilon, as in the array API standard. The gradient holds the rank fixed.
    """
    a = as_tensor(x)
    require_matrices("pinv", a.spec)
    y: Tensor = apply(Pinv(relative_tolerance("pinv", rtol, a.spec)), a)
    return y


def matrix_power(x: Operand, n: int) -> Tensor:
    """Each square matrix multiplied by itself n times, by repeated squaring.

    A negative n takes powers of the inverse (LinAlgError where there is none); n = 0 gives unit
    matrices, which depend on nothing.
    """
    a = as_tensor(x)
    require_matrices("matrix_power", a.spec, square=True)
    exponent = as_integer("matrix_power", "n", n)
    if exponent == 0:
        return expand(identity(a.shape[-1], a), a.shape)
    square = inv(a) if exponent < 0 else a
    exponent = abs(exponent)
    result: Tensor | None = None
    while exponent:
        if exponent & 1:
            result = square if result is None else matmul(result, square)
        exponent >>= 1
        square = matmul(square, square) if exponent else square
    return a if result is None else result
