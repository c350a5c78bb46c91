"""Small kernels over every primitive of vectors and tiles, to be run compiled and as Python.

Run as a program it writes what each of them gives to the file that is named. The two must agree:
the Python function of a primitive says what its machine code does.
"""

from __future__ import annotations

import sys
from collections.abc import Callable

import numpy as np

from minigrad.kernels.constant_matrix import linear_map
from minigrad.kernels.convolution import convolve, convolve_input_grad, convolve_weight_grad
from minigrad.kernels.jit import kernel, prange
from minigrad.kernels.simd import (
    bend,
    fill,
    fma,
    lanes,
    larger,
    load,
    load_some,
    store,
    store_some,
)
from minigrad.kernels.target import target
from minigrad.kernels.tile import tiling
from minigrad.kernels.vector_tuples import load_at, loads, store_each
from minigrad.kernels.winograd_points import FILTERINGS

__all__ = ["DTYPES", "MATRICES", "results"]

DTYPES = np.float32, np.float64
# Rows that differ in signs, columns that do, both, and neither.
MATRICES = (
    FILTERINGS[3, 1, False].B,
    FILTERINGS[5, 1, False].G,
    FILTERINGS[3, 1, False].A.T,
    FILTERINGS[3, 2, False].B,
    FILTERINGS[3, 2, True].A.T,
    FILTERINGS[3, 2, False].G.T,
    np.array([[1, 1, 2], [1, -1, 2], [-1.5, 1.5, 0], [0, 0, -1]]),
    np.array([[1, 0], [-1, 0], [0, 3], [2, 5]]),
)
six_in, five_taps, four_out, strided_in, strided_out, strided_taps, both_ways, signs = (
    linear_map(matrix) for matrix in MATRICES
)
load_from_two = load_at(2)
load_two, load_three, load_five, load_six, load_nine = (loads(n) for n in (2, 3, 5, 6, 9))
TILE = tiling(2, 3)
start, multiply_add, add = TILE.start, TILE.multiply_add, TILE.add
bend_tile, save = TILE.bend, TILE.save


@kernel
def vectors(x: np.ndarray, out: np.ndarray, counts: np.ndarray) -> None:
    """Every primitive of `simd`, each into a place of its own."""
    n = lanes(x)
    for _ in prange(1):
        a, b, c = load(x, 0), load(x, 1), load(x, n + 3)
        store(out, 0, a + b)
        store(out, n, a - b)
        store(out, 2 * n, a * b)
        store(out, 3 * n, fma(a, b, c))
        store(out, 4 * n, larger(a, b))
        store(out, 5 * n, fill(x, 3) + fill(x, 0.5))
        store(out, 6 * n, bend(a, 0.0, np.inf))
        store(out, 7 * n, bend(a, 0.25, 2.0))
        store(out, 8 * n, bend(a, 1.0, np.inf))
        store_each(out, 9 * n, n + 1, load_three(x, 2, 5))
        store_each(out, 12 * n + 3, 1, load_from_two(x, 4, counts))
        for i in range(len(counts)):
            place = (13 + 2 * i) * n
            store(out, place, load_some(x, 1, counts[i]))
            store_some(out, place + n, a, counts[i])
        out[(13 + 2 * len(counts)) * n] = n


@kernel
def tiles(
    x: np.ndarray, panel: np.ndarray, starts: np.ndarray, runs: np.ndarray, out: np.ndarray
) -> None:
    """Every primitive of a tile, with whole and cut rows and columns."""
    wide = 2 * lanes(x)
    for _ in prange(1):
        tile = start(panel, 1)
        tile = multiply_add(tile, x, starts, 1, runs, 1, 2, 3, 2, panel, 2, wide + 1)
        save(tile, out, starts, 0, 3, 0, wide, False)
        tile = add(tile, x, starts, 0, 2, 1, wide - 3)
        tile = add(tile, x, starts, 1, 5, 0, -1)
        save(tile, out, starts, 3, 2, 4, wide - 1, False)
        save(bend_tile(tile, 0.5, 9.0), out, starts, 6, 3, 1, 3, False)
        save(tile, out, starts, 6, 0, 0, wide, False)


@kernel
def transforms(x: np.ndarray, out: np.ndarray) -> None:
    """Products with each of `MATRICES`, one below the other."""
    n = lanes(x)
    for _ in prange(1):
        store_each(out, 0, n, six_in(x, load_six(x, 0, n)))
        store_each(out, 6 * n, n, five_taps(x, load_five(x, 0, n)))
        store_each(out, 12 * n, n, four_out(x, load_six(x, 0, n)))
        store_each(out, 16 * n, n, strided_in(x, load_nine(x, 0, n)))
        store_each(out, 25 * n, n, strided_out(x, load_nine(x, 0, n)))
        store_each(out, 33 * n, n, strided_taps(x, load_nine(x, 0, n)))
        store_each(out, 36 * n, n, both_ways(x, load_three(x, 0, n)))
        store_each(out, 40 * n, n, signs(x, load_two(x, 0, n)))


def whole_numbers(dtype: type, *shape: int) -> np.ndarray:
    return np.random.default_rng(len(shape)).integers(-3, 4, shape).astype(dtype)


def of_vectors(dtype: type) -> np.ndarray:
    """What `vectors` writes, over counts from negative to more than there are lanes."""
    n = target.lanes(np.dtype(dtype).itemsize)
    counts = np.arange(-2, n + 3)
    out = np.full((14 + 2 * len(counts)) * n, -99, dtype)
    x = whole_numbers(dtype, 4 * n + 20)
    vectors(x, out, counts)
    x[:3] = np.nan, np.inf, -np.inf
    special = np.full_like(out, -99)
    vectors(x, special, counts)
    return np.stack([out, special])


def of_tiles(dtype: type) -> np.ndarray:
    """What `tiles` writes."""
    wide = 2 * target.lanes(np.dtype(dtype).itemsize)
    x, panel = whole_numbers(dtype, 12 * wide), whole_numbers(dtype, 9 * (wide + 1))
    starts = np.arange(9) * (wide + 3)
    out = np.full(10 * (wide + 3), -99, dtype)
    tiles(x, panel, starts, np.array([0, 2, 7, 1]), out)
    return out


def of_transforms(dtype: type) -> np.ndarray:
    """What `transforms` writes."""
    n = target.lanes(np.dtype(dtype).itemsize)
    out = np.zeros(44 * n, dtype)
    transforms(whole_numbers(dtype, 9 * n), out)
    return out


def of_convolutions(dtype: type) -> np.ndarray:
    """The three passes of small convolutions by each algorithm."""
    wide = target.lanes(4)
    ones, around, none = (1, 1), ((1, 1), (1, 1)), ((0, 0), (0, 0))
    deep = 2 * wide + 3
    results = []
    for x, weight, out, padding, groups in (
        ((1, 3, 4, 5), (3, 1, 2, 2), (3, 4), none, 3),
        ((1, deep, 3, 9), (deep, 1, 2, 3), (4, 9), around, deep),
        ((1, wide, 4, 3), (wide + 1, wide, 3, 3), (4, 3), around, 1),
        ((1, wide, 3, 2), (wide, wide, 5, 5), (3, 2), ((2, 2), (2, 2)), 1),
        ((2, 3, 3, 2), (5, 3, 1, 1), (3, 2), none, 1),
        ((1, 4, 4, 5), (6, 2, 2, 3), (5, 5), around, 2),
        ((2, 1, 5, 17), (wide + 1, 1, 2, 3), (4, 15), none, 1),
        ((1, 1, 4, 16), (2, 1, 2, 5), (5, 14), around, 1),
        ((3, 1, 3, 2 * wide + 1), (wide, 1, 2, 2 * wide), (4, 4), around, 1),
    ):
        window = ones, padding, ones, groups
        images, filters = whole_numbers(dtype, *x), whole_numbers(dtype, *weight)
        grad, bias = whole_numbers(dtype, x[0], weight[0], *out), whole_numbers(dtype, weight[0])
        results += [
            convolve(images, filters, bias, out, *window, grad, "relu6"),
            convolve_input_grad(grad, filters, x[2:], *window),
            convolve_weight_grad(images, grad, weight[2:], *window),
        ]
    return np.concatenate([result.ravel() for result in results])


PROGRAMS: dict[str, Callable[[type], np.ndarray]] = {
    "vectors": of_vectors,
    "tiles": of_tiles,
    "transforms": of_transforms,
}


def results(convolutions: bool = False) -> dict[str, np.ndarray]:
    """What every program gives, by its name and dtype; "lanes" of float32 are of the target."""
    programs = PROGRAMS | ({"convolutions": of_convolutions} if convolutions else {})
    given = {
        f"{name} {np.dtype(dtype)}": program(dtype)
        for name, program in programs.items()
        for dtype in DTYPES
    }
    return given | {"lanes": np.array(target.lanes(4))}


if __name__ == "__main__":
    np.savez(sys.argv[1], **results(convolutions=len(sys.argv) > 2))
