"""The machine's peak, measured in a process of its own: `python -m benchmarks.peak`.

Prints GFLOP/s in float32, on the threads of `MINIGRAD_NUM_THREADS`.
"""

from __future__ import annotations

from minigrad.kernels.peak import measure

if __name__ == "__main__":
    print(measure())
