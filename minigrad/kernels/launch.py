"""Brings Numba in, under the settings that it and OpenMP read as they are loaded, and never again.

Whatever of `minigrad.kernels` imports Numba imports this first.
"""

from __future__ import annotations

import os
import sys

from minigrad import threads

__all__ = ["numba"]

if "numba" not in sys.modules:
    os.environ[threads.POOL_VARIABLE] = str(threads.pool_size())
    if "OMP_WAIT_POLICY" not in os.environ:
        # A thread that waits for the next kernel by spinning holds up what else shares the
        # processors; one that sleeps is 0.05 ms late for it, longer than most kernels of a small
        # network take. So many turns, less than 1 ms, span what Python and small matrix products do
        # between two kernels; "passive" stops them where threads outnumber the processors.
        os.environ["OMP_WAIT_POLICY"] = "passive"
        os.environ.setdefault("GOMP_SPINCOUNT", "60000")

import numba
