"""One number of threads for everything: Numba's parallel loops and NumPy's matrix products.

No result depends on it. BLAS may round differently with another thread count, so it is held at
one thread, and `run_all` spreads what minigrad cuts itself over a small pool of Python threads.
Neither numba nor threadpoolctl is imported before it is needed.
"""

from __future__ import annotations

import math
import os
import sys
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path

from minigrad.errors import ArgumentError

__all__ = ["cpu_quota", "get_num_threads", "pin_blas", "run_all", "set_num_threads"]

VARIABLE = "MINIGRAD_NUM_THREADS"
POOL_VARIABLE = "NUMBA_NUM_THREADS"

# Numba launches its pool once and can only mask threads of it later. Idle threads cost nothing,
# and with a few to spare one can compare 1, 2 and 4 threads on the smallest machine.
SPARE_POOL = 4

_chosen: int | None = None
_blas_pinned = False
_pool: tuple[tuple[int, int], ThreadPoolExecutor] | None = None
_pool_lock = threading.Lock()


def set_num_threads(n: int) -> None:
    """Use `n` threads from now on, in every Python thread. The results stay the same, bit for bit.

    Raises ArgumentError unless 1 <= n <= the size of Numba's pool, which is fixed when the first
    kernel is loaded (at least 4).
    """
    global _chosen
    if isinstance(n, bool) or not isinstance(n, int) or n < 1:
        raise ArgumentError(f"set_num_threads: n must be an integer of at least 1, got {n!r}")
    most = _most()
    if n > most:
        raise ArgumentError(
            f"set_num_threads: {n} threads asked for, but at most {most} can be had in this "
            f"process; set {POOL_VARIABLE}={n} in the environment before Python starts"
        )
    _chosen = n


def get_num_threads() -> int:
    """The number of threads in use.

    Unless set: `MINIGRAD_NUM_THREADS`, else the processors this process may use, counting a
    container's CPU limit and no more than `NUMBA_NUM_THREADS`. Raises ArgumentError where
    `MINIGRAD_NUM_THREADS` is not a number of at least 1.
    """
    global _chosen
    if _chosen is None:
        _chosen = min(_from_environment(VARIABLE) or _allowed(), _most())
    return _chosen


def pool_size() -> int:
    """How many threads Numba should launch: enough for the present setting, and some to spare."""
    return max(get_num_threads(), _from_environment(POOL_VARIABLE) or max(SPARE_POOL, _allowed()))


def cpu_quota(root: Path = Path("/sys/fs/cgroup")) -> float | None:
    """The processors a control group (version 2 or 1) under `root` grants, None if unlimited."""
    version_1 = root / "cpu" / "cpu.cfs_quota_us", root / "cpu" / "cpu.cfs_period_us"
    try:
        if (root / "cpu.max").exists():
            quota, period = (root / "cpu.max").read_text().split()
        else:
            quota, period = (path.read_text() for path in version_1)
        granted = int(quota) / int(period)
    except (OSError, ValueError, ZeroDivisionError):  # no such files, or the word "max"
        return None
    return granted if granted > 0 else None  # version 1 writes -1 for no limit


def pin_blas() -> None:
    """Hold NumPy's BLAS at one thread; to be called before a matrix product. A fork inherits it."""
    global _blas_pinned
    if not _blas_pinned:
        from threadpoolctl import threadpool_limits

        threadpool_limits(limits=1, user_api="blas")
        _blas_pinned = True


def run_all(tasks: Sequence[Callable[[], object]]) -> None:
    """Run all tasks on the pool and the calling thread, in any order; raises what they raise."""
    helpers = min(get_num_threads(), len(tasks)) - 1
    queue = iter(tasks)

    def drain() -> None:
        for task in queue:  # a list's iterator hands out each task once, whoever asks
            task()

    waiting = [_workers().submit(drain) for _ in range(helpers)]
    try:
        drain()
    finally:
        for future in waiting:
            future.result()


def _workers() -> ThreadPoolExecutor:
    # A forked child has none of its parent's threads, hence the process in the key. An executor
    # that is replaced ends its threads once the last caller lets go of it.
    global _pool
    key = os.getpid(), get_num_threads()
    with _pool_lock:
        if _pool is None or _pool[0] != key:
            _pool = key, ThreadPoolExecutor(max(1, key[1] - 1), thread_name_prefix="minigrad")
        return _pool[1]


def _replace_pool_lock() -> None:
    global _pool_lock
    _pool_lock = threading.Lock()


os.register_at_fork(after_in_child=_replace_pool_lock)


def _most() -> int:
    if "numba" in sys.modules:
        config = getattr(sys.modules["numba"], "config", None)
        launched = getattr(config, "NUMBA_NUM_THREADS", None)
        if launched is not None:  # None while numba is being imported
            return int(launched)
    wanted = _from_environment(VARIABLE), _from_environment(POOL_VARIABLE)
    return max(SPARE_POOL, os.cpu_count() or 1, *(n or 1 for n in wanted))


@lru_cache(maxsize=1)
def _allowed() -> int:
    processors = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None
    processors = processors or os.cpu_count() or 1
    launched = _from_environment(POOL_VARIABLE) or processors
    return max(1, min(processors, launched, math.ceil(cpu_quota() or processors)))


def _from_environment(variable: str) -> int | None:
    text = os.environ.get(variable, "").strip()
    if not text:
        return None
    if not text.isdecimal() or int(text) < 1:
        raise ArgumentError(
            f"the environment variable {variable} must be an integer of at least 1, got {text!r}"
        )
    return int(text)
