"""The most multiply-adds a second that this machine reaches, in GFLOP/s of float32.

The register-blocked product of the kernels runs over and over on operands that stay in the
innermost cache, on the threads that are set. Shares of the peak are shares of this.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from minigrad.errors import MinigradError

# First, as it sets up Numba's pool of threads.
from minigrad.kernels.jit import prange
from minigrad.kernels.target import target
from minigrad.kernels.tile import Tiling, tiling
from minigrad.threads import get_num_threads

import numba  # isort: skip

__all__ = ["measure"]

DTYPE = np.dtype(np.float32)
# Summands of a product: with these, rows and panels of a tile take less than 24 KiB.
DEPTH = 96
REPEATS = 20_000
SECONDS = 0.5
# Tiles to try, by their width in vectors, each as high as the registers allow.
WIDTHS = 2, 3


def measure() -> float:
    """GFLOP/s of the best tile, each at its fastest call of those within half a second."""
    numba.set_num_threads(get_num_threads())
    return max(_rate(tiling(width, target.rows(width))) for width in WIDTHS)


def _rate(tile: Tiling) -> float:
    wide, jobs = tile.columns(DTYPE), get_num_threads()
    source = np.random.default_rng(0)
    x = source.standard_normal(tile.rows * DEPTH, DTYPE)
    panel = source.standard_normal(DEPTH * wide, DTYPE)
    lines = np.arange(jobs * tile.rows) * wide
    out = np.zeros(lines.size * wide, DTYPE)
    starts, runs = np.arange(tile.rows) * DEPTH, np.zeros(1, np.int64)
    run = _kernel(tile)
    arguments = x, starts, runs, panel, np.zeros(wide, DTYPE), out, lines, DEPTH, wide
    run(*arguments, 1, jobs)
    flops = 2 * jobs * REPEATS * DEPTH * tile.rows * wide
    best, begun = float("inf"), time.perf_counter()
    while time.perf_counter() - begun < SECONDS:
        started = time.perf_counter()
        run(*arguments, REPEATS, jobs)
        best = min(best, time.perf_counter() - started)
    _check(out, x, panel, tile.rows)
    return flops / best / 1e9


def _check(out: np.ndarray, x: np.ndarray, panel: np.ndarray, rows: int) -> None:
    """That what was timed is the product."""
    expected = REPEATS * (x.reshape(rows, DEPTH).astype(np.float64) @ panel.reshape(DEPTH, -1))
    found = out.reshape(-1, *expected.shape)
    if not np.allclose(found, expected, rtol=1e-2, atol=1e-2 * np.abs(expected).max()):
        raise MinigradError("the product that measures the peak computed something else")


def _kernel(tile: Tiling) -> Callable[..., Any]:
    rows, start, multiply_add, save = tile.rows, tile.start, tile.multiply_add, tile.save

    @numba.njit(parallel=True, nogil=True, error_model="numpy", fastmath={"contract"})
    def products(
        x: np.ndarray,
        starts: np.ndarray,
        runs: np.ndarray,
        panel: np.ndarray,
        zeros: np.ndarray,
        out: np.ndarray,
        lines: np.ndarray,
        depth: int,
        wide: int,
        repeats: int,
        jobs: int,
    ) -> None:
        for job in prange(jobs):
            sums = start(zeros, 0)
            for _ in range(repeats):
                sums = multiply_add(sums, x, starts, 0, runs, 0, 1, depth, 1, panel, 0, wide)
            save(sums, out, lines, job * rows, rows, 0, wide, False)

    compiled: Callable[..., Any] = products
    return compiled
