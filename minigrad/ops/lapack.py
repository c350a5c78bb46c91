"""What all ops that call LAPACK share: stacks of matrices, one BLAS thread, errors of minigrad.

NumPy's `linalg` computes; a matrix it cannot take becomes a `LinAlgError` that names the op.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np

from minigrad.errors import LinAlgError, ShapeError
from minigrad.op import Cost, Op, bytes_moved
from minigrad.ops.number import as_number
from minigrad.spec import Spec, require_floating, size_of
from minigrad.tensor import Array, Tensor, constant
from minigrad.threads import pin_blas

ULPS = 16
"""Numbers that differ by up to this many units in the last place of the largest count as equal.
LAPACK leaves exactly equal eigenvalues of matrices of up to 128 rows at most 9 apart."""


class MatrixOp(Op):
    """An op of each matrix of a stack (..., m, n). `flops` counts one matrix; the counts are
    those of Golub and Van Loan, "Matrix Computations" (4th edition, 2013)."""

    def flops(self, m: int, n: int) -> int:
        return m * n

    def cost(self, inputs: Sequence[Spec], outputs: Sequence[Spec]) -> Cost:
        *batch, m, n = inputs[0].shape
        return Cost(0, size_of(batch) * self.flops(m, n), bytes_moved(inputs, outputs))


def require_matrices(op: str, x: Spec, square: bool = False) -> None:
    """Raise unless x is a stack of floating-point matrices, square ones if so asked."""
    require_floating(op, x)
    if x.ndim < 2:
        raise ShapeError(f"{op}: takes matrices, of at least 2 axes, got shape {x.shape}")
    if square and x.shape[-1] != x.shape[-2]:
        raise ShapeError(
            f"{op}: takes square matrices, got shape {x.shape}, of {x.shape[-2]} rows and "
            f"{x.shape[-1]} columns"
        )


@contextmanager
def lapack(op: str, problem: str) -> Iterator[None]:
    """LAPACK on one thread, so that nothing is rounded by the number of threads; what it refuses
    is a LinAlgError that tells the problem."""
    pin_blas()
    try:
        yield
    except np.linalg.LinAlgError as error:
        raise LinAlgError(f"{op}: {problem} ({error})") from None


def identity(n: int, like: Tensor) -> Tensor:
    """The n x n unit matrix in the dtype of `like`."""
    return constant(np.eye(n, dtype=like.dtype))


def or_zeros(cotangent: Tensor | None, spec: Spec) -> Tensor:
    """The cotangent of an output, zeros where nothing depends on that."""
    return constant(np.zeros(spec.shape, spec.dtype)) if cotangent is None else cotangent


def rounding(x: Array) -> Array:
    """What counts as nothing beside the numbers of the last axis: `ULPS` ulps of the largest."""
    return ULPS * np.finfo(x.dtype).eps * np.max(np.abs(x), axis=-1, initial=0)


def relative_tolerance(op: str, rtol: float | None, x: Spec) -> float:
    """`rtol`, or by default max(m, n) times the machine epsilon (array API standard)."""
    if rtol is None:
        return max(x.shape[-2:]) * float(np.finfo(x.dtype).eps)
    return as_number(op, "rtol", rtol, 0)


def first_place(flags: Array, axes: int) -> tuple[tuple[int, ...], str]:
    """Of the first True: its indices along the last `axes`, and which matrix of the stack it
    belongs to, in words ("" where there is but one)."""
    place = tuple(int(i) for i in np.argwhere(flags)[0])
    batch, inner = place[: len(place) - axes], place[len(place) - axes :]
    return inner, f" of matrix {', '.join(map(str, batch))} of the stack" if batch else ""


def require_nothing(op: str, part: str, cotangent: Tensor) -> None:
    """Raise unless the cotangent of a part of a result that the input does not determine is 0."""
    if not cotangent.is_abstract and cotangent.detach().numpy().any():
        raise LinAlgError(
            f"{op}: {part} are an arbitrary basis of what the others leave, so there is no "
            "gradient through them; let the loss depend on the others alone"
        )
