"""Products of two matrices of middling size, on all threads: a tile of the output at a time.

Handing a block of them to BLAS in another thread takes as long as the block, and where a whole
matrix lies in the caches nothing has to be packed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache, partial

import numpy as np

from minigrad.kernels import buffers
from minigrad.kernels.jit import kernel, prange
from minigrad.kernels.parallel import TYPES
from minigrad.kernels.simd import lanes
from minigrad.kernels.target import target
from minigrad.kernels.tile import MOST_ROWS, tiling

__all__ = ["examples", "product", "suits"]

FORM = tiling(2, min(MOST_ROWS, target.rows(2)))
ROWS, WIDE = FORM.rows, FORM.vectors
start, multiply_add, save = FORM.start, FORM.multiply_add, FORM.save

# Multiply-adds from which on BLAS, which packs, takes less.
MOST = 1 << 24
# Longer sums in one go would round more than BLAS's, which are cut.
LONGEST_SUM = 512


def suits(a: np.ndarray, b: np.ndarray) -> bool:
    """Whether the product of a (M, K) and b (K, N) is one for `product`."""
    (M, K), N = a.shape, b.shape[1]
    if a.dtype not in TYPES or a.dtype != b.dtype or M * K * N >= MOST:
        return False
    return M >= ROWS and FORM.columns(a.dtype) <= N and 0 < K <= LONGEST_SUM


def product(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """a (M, K) times b (K, N), of a shape that `suits`."""
    (M, K), N = a.shape, b.shape[1]
    a = a if a.flags.c_contiguous or a.flags.f_contiguous else _laid_out(a)
    b = b if b.flags.c_contiguous else _laid_out(b)
    turned = not a.flags.c_contiguous
    out = buffers.empty((M, N), a.dtype)
    places = _places(M, K, N, FORM.columns(a.dtype), turned)
    flat = (a.T if turned else a).reshape(-1), b.reshape(-1)
    _product(*flat, out.reshape(-1), *places, K, M if turned else 1)
    return out


def _laid_out(x: np.ndarray) -> np.ndarray:
    """A contiguous copy."""
    copied = buffers.empty(x.shape, x.dtype)
    copied[...] = x
    return copied


@lru_cache(maxsize=256)
def _places(M: int, K: int, N: int, wide: int, turned: bool) -> tuple[np.ndarray, ...]:
    """Where rows of a and of the output begin, and a tile's first rows and columns: the last of
    each begin where they end with the output, and what they share they compute alike."""
    rows = np.arange(M)
    across, down = -(-N // wide), -(-M // ROWS)
    first_rows = np.minimum(np.arange(down) * ROWS, M - ROWS)
    first_columns = np.minimum(np.arange(across) * wide, N - wide)
    return rows * (1 if turned else K), rows * N, first_rows, first_columns


@kernel
def _product(
    a: np.ndarray,
    b: np.ndarray,
    out: np.ndarray,
    begins: np.ndarray,
    ends: np.ndarray,
    first_rows: np.ndarray,
    first_columns: np.ndarray,
    length: int,
    step: int,
) -> None:
    # a: flat, row i from begins[i] on, its numbers `step` apart; b: flat (length, N);
    # out: flat (M, N), row i from ends[i] on
    wide, N, down = WIDE * lanes(b), len(b) // length, len(first_rows)
    zeros, origin = np.zeros(wide, a.dtype), np.zeros(1, np.int64)
    for job in prange(down * len(first_columns)):
        row, column = first_rows[job % down], first_columns[job // down]
        sums = multiply_add(
            start(zeros, 0), a, begins, row, origin, 0, 1, length, step, b, column, N
        )
        save(sums, out, ends, row, ROWS, column, wide, False)


def examples(dtype: np.dtype) -> Iterator[Callable[[], object]]:
    """A product of one tile."""
    wide = FORM.columns(dtype)
    yield partial(product, np.zeros((ROWS, 1), dtype), np.zeros((1, wide), dtype))
