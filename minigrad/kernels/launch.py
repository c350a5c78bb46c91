"""Brings Numba in, under the settings that it and OpenMP read as they are loaded, and never again.

Whatever of `minigrad.kernels` imports Numba imports this first.
"""

from __future__ import annotations

import os
import sys

from minigrad import threads

__all__ = ["numba"]

# A thread that waits for the next kernel by spinning holds up whatever else shares the processors,
# one that sleeps is late for it. So many turns are a fraction of a millisecond.
SPINS = 10_000

if "numba" not in sys.modules:
    os.environ[threads.POOL_VARIABLE] = str(threads.pool_size())
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", str(SPINS))

import numba  # noqa: E402
