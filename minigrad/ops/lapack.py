"""What all ops that call LAPACK share: stacks of matrices, one BLAS thread, errors of minigrad.

NumPy's `linalg` computes; a matrix it cannot take becomes a `LinAlgError` that names the op.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np

from minigrad.errors import LinAlgError, ShapeError
from minigrad.op import Cost, Op, bytes_moved
from minigrad.spec import Spec, require_floating, size_of
from minigrad.tensor import Tensor, constant
from minigrad.threads import pin_blas


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
