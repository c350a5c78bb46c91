"""Matrix products on several threads that round the same whatever the number of threads.

BLAS runs on one thread. A large product is cut into blocks of its output, along lines that
depend on the shapes alone, and the blocks are handed to a pool of threads. One of middling size is
left to `products`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import partial
from itertools import product

import numpy as np

from minigrad.errors import ShapeError
from minigrad.kernels import buffers
from minigrad.kernels.parallel import TYPES
from minigrad.threads import pin_blas, run_all

__all__ = ["matmul"]

# Below so many multiply-adds (about 0.6 ms on one thread) a second thread does not pay.
LARGE = 1 << 25
# From so many on one for `products` does.
MIDDLING = 1 << 20
# A large product becomes about this many blocks: BLAS packs its operands once per block, so
# more blocks cost more, and fewer would leave processors idle.
BLOCKS = 8
# No block is cut narrower than this.
NARROWEST = 64

ALL = slice(None)


def matmul(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The matrix products of a (..., M, K) and b (..., K, N) -> (..., M, N), as `np.matmul`.

    Leading axes are broadcast. Raises ShapeError if the shapes do not fit.
    """
    if a.ndim < 2 or b.ndim < 2 or a.shape[-1] != b.shape[-2]:
        raise ShapeError(
            f"matmul: shapes {a.shape} and {b.shape} do not fit; expected (..., M, K) and "
            "(..., K, N)"
        )
    try:
        batch = np.broadcast_shapes(a.shape[:-2], b.shape[:-2]) if a.ndim + b.ndim > 4 else ()
    except ValueError:
        raise ShapeError(
            f"matmul: the leading axes of {a.shape} and {b.shape} do not broadcast"
        ) from None
    pin_blas()
    shape = (*batch, a.shape[-2], b.shape[-1])
    work = math.prod(shape) * a.shape[-1]
    if work < LARGE:
        if a.ndim == b.ndim == 2 and work >= MIDDLING and a.dtype in TYPES:
            from minigrad.kernels import products  # brings in Numba

            if products.suits(a, b):
                return products.product(a, b)
        return np.matmul(a, b)
    out = buffers.empty(shape, np.result_type(a, b))
    run_all(
        [
            partial(
                np.matmul,
                _part(a, (*block[:-1], ALL)),
                _part(b, (*block[:-2], ALL, block[-1])),
                out=out[block],
            )
            for block in _blocks(shape)
        ]
    )
    return out


def _part(operand: np.ndarray, block: tuple[slice, ...]) -> np.ndarray:
    """The part of an operand that a block of the output needs; an axis of 1 is broadcast."""
    own = block[len(block) - operand.ndim :]
    return operand[tuple(ALL if n == 1 else s for n, s in zip(operand.shape, own, strict=True))]


def _blocks(shape: tuple[int, ...]) -> Iterator[tuple[slice, ...]]:
    """Cut an output in halves, along the longest leading axis, or else along its matrices."""
    pieces = [1] * len(shape)
    M, N = shape[-2:]
    # A vector times a matrix reads the matrix row by row: narrower rows are slower.
    lengths = [*shape[:-2], M // NARROWEST, N // NARROWEST if M > 1 else 0]
    while math.prod(pieces) < BLOCKS:
        left = [length // (2 * n) for length, n in zip(lengths, pieces, strict=True)]
        axis = max(range(len(shape)), key=lambda i: (left[i] > 0, i < len(shape) - 2, left[i]))
        if not left[axis]:
            break
        pieces[axis] *= 2
    edges = [
        [n * i // count for i in range(count + 1)] for n, count in zip(shape, pieces, strict=True)
    ]
    return product(*(list(map(slice, e, e[1:])) for e in edges))
