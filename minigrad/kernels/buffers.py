"""Memory of large arrays, recycled: what an op lets go of, the next one takes.

Memory that comes fresh from the system costs a page fault every 4 KiB, which for a pass over a
large array is as long as the pass itself. The base of an array made here is a loan; when the last
view has died, the loan gives the memory back to the pool, which keeps it up to a limit.
"""

from __future__ import annotations

import contextlib
import itertools
import math
import mmap
import operator
import os
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from minigrad.errors import ArgumentError

__all__ = [
    "LEAST",
    "MemoryStats",
    "Pool",
    "empty",
    "empty_like",
    "lends",
    "memory_stats",
    "release_memory",
]

VARIABLE = "MINIGRAD_POOL_BYTES"

LEAST = 1 << 16
"""Bytes from which on an array is worth recycling; smaller ones are NumPy's own."""

# Unless set, so much idle memory is kept, and never more than a quarter of the machine's.
USUAL_LIMIT = 1 << 30
# From here on the system is asked for large pages, as NumPy does.
HUGE = 1 << 22

_BYTE = np.dtype(np.uint8)

Shape = tuple[int, ...]


class MemoryStats(NamedTuple):
    """What the pool holds, in bytes, and how often it could help."""

    used_bytes: int
    idle_bytes: int
    limit_bytes: int
    hits: int
    misses: int


class _Memory(mmap.mmap):
    """Pages of the system, private to this process; their pool, and since when they are idle."""

    __slots__ = ("pool", "since")
    pool: Pool
    since: int


class _Loan(np.ndarray):
    """Stands between an array and its memory; all views of the array keep it alive."""

    __slots__ = ()

    def __del__(self) -> None:
        # Uses no name of the module: at the interpreter's end they may be gone.
        memory: Any = self.base
        memory.pool.take_back(memory)


class Pool:
    """Idle memory by size.

    A finalizer runs at any point of any thread, so there is no lock that it could find held: every
    change is one operation that Python does not interrupt, and in any order they do no harm.
    """

    def __init__(self, limit: int | None = None) -> None:
        self._limit = limit
        self._clock = itertools.count()
        self._lent: dict[int, int] = {}  # bytes by identity
        self._reset()

    def _reset(self) -> None:
        self._idle: dict[int, list[_Memory]] = {}  # by size, oldest first
        self._idle_bytes = self._hits = self._misses = 0

    @property
    def limit(self) -> int:
        """The most bytes kept idle. Raises ArgumentError if the environment says nonsense."""
        if self._limit is None:
            self._limit = _limit_from_environment()
        return self._limit

    def empty(self, shape: Shape, dtype: Any) -> np.ndarray:
        """An array of unset elements, C-contiguous. Raises MemoryError if it cannot be had."""
        dtype = np.dtype(dtype)
        wanted = math.prod(shape) * dtype.itemsize
        if wanted < LEAST:
            return np.empty(shape, dtype)
        memory = self._take(wanted)
        if memory is None:
            memory = self._fresh(size_class(wanted), shape, dtype)
            self._misses += 1
        else:
            self._hits += 1
            self._idle_bytes -= len(memory)
        self._lent[id(memory)] = size = len(memory)
        return np.ndarray(shape, dtype, _Loan(size, _BYTE, memory))

    def _take(self, wanted: int) -> _Memory | None:
        """Idle memory for so many bytes, of the nearest size that there is."""
        for size in _serving(wanted):
            idle = self._idle.get(size)
            if idle:
                try:
                    return idle.pop()
                except IndexError:  # another thread was first
                    continue
        return None

    def take_back(self, memory: _Memory) -> None:
        """Keep memory whose array has died. Callable from a finalizer."""
        size = self._lent.pop(id(memory), 0) or len(memory)
        memory.since = next(self._clock)
        try:
            self._idle[size].append(memory)
        except KeyError:
            self._idle.setdefault(size, []).append(memory)
        self._idle_bytes += size
        if self._idle_bytes > self.limit:
            self._shrink(self.limit)

    def stats(self) -> MemoryStats:
        """How much is lent and idle, and how often a request was met from idle memory."""
        used = sum(self._lent.copy().values())
        return MemoryStats(used, self._count_idle(), self.limit, self._hits, self._misses)

    def release(self) -> int:
        """Give all idle memory back to the system; returns how many bytes that was."""
        return self._shrink(0)

    def after_fork_in_child(self) -> None:
        """Start empty: what the parent keeps idle would be copied page by page."""
        self._reset()

    def _fresh(self, size: int, shape: Shape, dtype: np.dtype[Any]) -> _Memory:
        try:
            memory = _from_system(size)
        except (OSError, OverflowError, ValueError):
            self._shrink(0)
            try:
                memory = _from_system(size)
            except (OSError, OverflowError, ValueError):
                raise MemoryError(
                    f"an array of shape {shape} and dtype {dtype} takes {size:,} bytes, more "
                    "than the system has; use smaller batches or images"
                ) from None
        self._limit = self.limit  # a bad setting is told here, not in a finalizer
        memory.pool = self
        return memory

    def _count_idle(self) -> int:
        # Adding to a number is not one operation: two threads could lose a step of the running
        # count, so it is set right whenever it matters.
        self._idle_bytes = sum([size * len(idle) for size, idle in self._idle.copy().items()])
        return self._idle_bytes

    def _shrink(self, limit: int) -> int:
        """Let go of the oldest idle memory until no more than `limit` bytes are left."""
        released = 0
        while self._count_idle() > limit:
            ages = []
            for idle in self._idle.copy().values():
                with contextlib.suppress(IndexError):  # empty, perhaps since a moment ago
                    ages.append((idle[0].since, idle))
            with contextlib.suppress(IndexError, ValueError):
                released += len(min(ages, key=operator.itemgetter(0))[1].pop(0))
        return released


def size_class(wanted: int) -> int:
    """The bytes set aside for an array: eight steps to each power of two, so at most 12.5 % more.

    Every step is a multiple of 4 KiB.
    """
    step = 1 << (max(wanted, LEAST) - 1).bit_length() - 4
    return -(-max(wanted, LEAST) // step) * step


@lru_cache(maxsize=4096)
def _serving(wanted: int) -> tuple[int, ...]:
    """The sizes of memory that may serve for so many bytes, up to twice as large.

    What is idle is resident all the same, so that an array in too large memory costs nothing until
    a larger one has to go without; a higher bound saved no more on any of the networks.
    """
    sizes = [size_class(wanted)]
    while sizes[-1] < 2 * sizes[0]:
        sizes.append(size_class(sizes[-1] + 1))
    return tuple(sizes)


def memory_limit(root: Path = Path("/sys/fs/cgroup")) -> int | None:
    """The bytes a control group (version 2 or 1) under `root` grants, None if unlimited."""
    for path in (root / "memory.max", root / "memory" / "memory.limit_in_bytes"):
        try:
            return int(path.read_text())
        except (OSError, ValueError):  # no such file, or the word "max"
            continue
    return None


def _limit_from_environment() -> int:
    text = os.environ.get(VARIABLE, "").strip()
    if text and not text.isdecimal():
        raise ArgumentError(
            f"the environment variable {VARIABLE} must be a number of bytes, 0 or more, got "
            f"{text!r}"
        )
    if text:
        return int(text)
    machine = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return min(USUAL_LIMIT, min(machine, memory_limit() or machine) // 4)


def _from_system(size: int) -> _Memory:
    memory = _Memory(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    if size >= HUGE and hasattr(mmap, "MADV_HUGEPAGE"):
        with contextlib.suppress(OSError):  # a kernel without large pages
            memory.madvise(mmap.MADV_HUGEPAGE)
    return memory


POOL = Pool()
os.register_at_fork(after_in_child=POOL.after_fork_in_child)


def empty(shape: Shape, dtype: Any) -> np.ndarray:
    """As `np.empty`: C-contiguous, with recycled memory on 64-byte boundaries if it is large.

    Raises MemoryError if there is no such memory.
    """
    return POOL.empty(shape, dtype)


def empty_like(x: np.ndarray, dtype: Any = None) -> np.ndarray:
    """As `np.empty_like`: the axes lie in memory in the order that those of `x` do."""
    dtype = x.dtype if dtype is None else dtype
    if x.nbytes < LEAST:
        return np.empty_like(x, dtype)
    if x.flags.c_contiguous:
        return POOL.empty(x.shape, dtype)
    in_memory, axes = _order(x.shape, x.strides)
    return POOL.empty(in_memory, dtype).transpose(axes)


@lru_cache(maxsize=1024)
def _order(shape: Shape, strides: Shape) -> tuple[Shape, Shape]:
    """The shape with the farthest strides first, and the axes that lead back from there."""
    order = sorted(range(len(shape)), key=lambda axis: -abs(strides[axis]))
    return tuple([shape[axis] for axis in order]), tuple(map(order.index, range(len(shape))))


def lends(thing: object) -> bool:
    """Whether this is memory of a pool: what stands below all views of a large array."""
    return isinstance(thing, _Memory)


def memory_stats() -> MemoryStats:
    """The memory of large arrays: bytes in use, bytes idle and ready for the next array, the
    limit on idle bytes, and how many requests idle memory met (hits) or not (misses).

    What `torch.cuda.memory_stats` is to PyTorch's caching allocator.
    """
    return POOL.stats()


def release_memory() -> int:
    """Give all idle memory back to the system, and return how many bytes that was.

    What `torch.cuda.empty_cache` is to PyTorch's caching allocator: arrays in use stay, nothing
    computes faster for it, but other programs can have the memory.
    """
    return POOL.release()
