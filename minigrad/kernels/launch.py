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
    # A thread that waits for another by spinning holds up whatever else shares the processors.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")

import numba
