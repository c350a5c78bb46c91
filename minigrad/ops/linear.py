"""Matrix products, and the linear map of a layer."""

from __future__ import annotations

from collections.abc import Sequence

from minigrad import kernels
from minigrad.errors import ShapeError
from minigrad.op import Call, Cost, Op, bytes_moved
from minigrad.ops.movement import expand, matrix_transpose, reshape, unbroadcast
from minigrad.spec import Spec, broadcast_shapes, common_dtype, require_floating, size_of
from minigrad.tensor import Array, Operand, Tensor, apply, as_tensor

__all__ = ["matmul"]


class MatMul(Op):
    """C = A B, for each matrix of a batch of shape (..., n, k) and (..., k, m).

    dL/dA = (dL/dC) Bᵀ, dL/dB = Aᵀ (dL/dC)  (Giles 2008, section 2.2.2).
    """

    name = "matmul"
    reads_inputs = ((1,), (0,))

    def infer(self, a: Spec, b: Spec) -> Spec:
        require_floating("matmul", a, b)
        dtype = common_dtype("matmul", a, b)
        stacks = a.ndim == b.ndim >= 2 and a.shape[:-2] == b.shape[:-2]
        if not stacks or a.shape[-1] != b.shape[-2]:
            raise ShapeError(
                f"matmul: shapes {a.shape} and {b.shape} do not fit: the last axis of the first "
                "must be as long as the last but one of the second"
            )
        return Spec.of((*a.shape[:-1], b.shape[-1]), dtype)

    def forward(self, a: Array, b: Array) -> Array:
        return kernels.matmul.matmul(a, b)

    def backward(self, call: Call, cotangent: Tensor) -> tuple[Tensor | None, ...]:
        a, b = call.inputs
        need_a, need_b = call.needs
        return (
            matmul(cotangent, matrix_transpose(b)) if need_a else None,
            matmul(matrix_transpose(a), cotangent) if need_b else None,
        )

    def cost(self, inputs: Sequence[Spec], outputs: Sequence[Spec]) -> Cost:
        macs = outputs[0].size * inputs[0].shape[-1]
        return Cost(macs, 2 * macs, bytes_moved(inputs, outputs))


def matmul(x1: Operand, x2: Operand) -> Tensor:
    """The matrix product, with the rules of the array API standard.

    (..., n, k) and (..., k, m) give (..., n, m), the batch axes broadcast; a 1-d operand is a row
    on the left and a column on the right, and its axis is dropped from the result.
    """
    a, b = as_tensor(x1), as_tensor(x2)
    if a.ndim == 0 or b.ndim == 0:
        raise ShapeError(f"matmul: takes at least 1 axis, got shapes {a.shape} and {b.shape}")
    row, column = a.ndim == 1, b.ndim == 1
    if (a.shape[-1]) != (b.shape[0] if column else b.shape[-2]):
        raise ShapeError(
            f"matmul: shapes {a.shape} and {b.shape} do not fit: {a.shape[-1]} columns meet "
            f"{b.shape[0] if column else b.shape[-2]} rows"
        )
    a = reshape(a, (1, -1)) if row else a
    b = reshape(b, (-1, 1)) if column else b
    c = _matmul(a, b)
    if row or column:
        batch, matrix = c.shape[:-2], c.shape[-2:]
        c = reshape(c, batch + matrix[row : 2 - column])
    return c


def _matmul(a: Tensor, b: Tensor) -> Tensor:
    """Of at least two axes each; the batch axes are made equal."""
    if a.ndim > 2 and b.ndim == 2:
        # One product of all rows is faster than one product a matrix.
        rows = reshape(a, (size_of(a.shape[:-1]), a.shape[-1]))
        return reshape(apply(MatMul(), rows, b), (*a.shape[:-1], b.shape[-1]))
    if a.shape[:-2] != b.shape[:-2]:
        batch = broadcast_shapes("matmul (batch axes)", a.shape[:-2], b.shape[:-2])
        a, b = expand(a, batch + a.shape[-2:]), expand(b, batch + b.shape[-2:])
    c: Tensor = apply(MatMul(), a, b)
    return c


class Linear(Op):
    """y = x Wᵀ + b for x (..., in), W (out, in) and, if there is one, b (out,).

    With g = dL/dy: dL/dx = g W,  dL/dW = gᵀ x  over all vectors,  dL/db = Σ g  over all vectors.
    """

    name = "linear"
    reads_inputs = ((1,), (0,), ())

    def infer(self, x: Spec, weight: Spec, *bias: Spec) -> Spec:
        if weight.ndim != 2 or x.ndim < 1 or x.shape[-1] != weight.shape[1]:
            raise ShapeError(
                "linear: takes an input (..., in_features) and a weight (out_features, "
                f"in_features), got shapes {x.shape} and {weight.shape}"
            )
        require_floating("linear", x, weight)
        features = weight.shape[:1]
        for b in bias:
            if b.shape != features:
                raise ShapeError(f"linear: the bias takes shape {features}, got {b.shape}")
        return Spec.of(x.shape[:-1] + features, common_dtype("linear", x, weight, *bias))

    def forward(self, x: Array, weight: Array, bias: Array | None = None) -> Array:
        rows = x if x.ndim == 2 else x.reshape(size_of(x.shape[:-1]), x.shape[-1])
        y = kernels.matmul.matmul(rows, weight.T)
        if bias is not None:
            y += bias
        return y if x.ndim == 2 else y.reshape(x.shape[:-1] + weight.shape[:1])

    def backward(self, call: Call, cotangent: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, *_ = call.inputs
        by_x = matmul(cotangent, weight) if call.needs[0] else None
        by_weight = None
        if call.needs[1]:
            by_weight = matmul(matrix_transpose(_vectors(cotangent)), _vectors(x))
        if len(call.needs) < 3:
            return by_x, by_weight
        features = cotangent.shape[-1:]
        return by_x, by_weight, unbroadcast(cotangent, features) if call.needs[2] else None

    def cost(self, inputs: Sequence[Spec], outputs: Sequence[Spec]) -> Cost:
        y = outputs[0]
        macs = y.size * inputs[0].shape[-1]
        additions = y.size if len(inputs) == 3 else 0
        return Cost(macs, 2 * macs + additions, bytes_moved(inputs, outputs))


def linear(input: Operand, weight: Operand, bias: Operand | None = None) -> Tensor:
    """y = x Wᵀ + b for x (..., in_features), W (out_features, in_features), b (out_features,).

    Raises ShapeError, DtypeError.
    """
    given = (input, weight) if bias is None else (input, weight, bias)
    y: Tensor = apply(Linear(), *[as_tensor(x) for x in given])
    return y


def _vectors(x: Tensor) -> Tensor:
    """(..., n) -> (N, n)"""
    return x if x.ndim == 2 else reshape(x, (size_of(x.shape[:-1]), x.shape[-1]))
