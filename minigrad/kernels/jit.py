"""`@kernel`: a Python function with `prange` loops becomes machine code at its first call.

Kernels are entered one at a time, since Numba's plain thread pool aborts the process when two
threads meet in it, but without Python's global lock, so that other threads run on meanwhile. A
forked child runs serial code where the parent's thread pool (GNU OpenMP) would kill it.
"""

from __future__ import annotations

import os
import threading
import uuid
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from functools import cached_property
from typing import Any, TypeVar, cast, overload

import numpy as np

from minigrad import threads
from minigrad.kernels.launch import numba

# isort: split

from numba import get_thread_id, prange

from minigrad.kernels.cache import KernelCache

__all__ = [
    "Kernel",
    "entrance",
    "get_thread_id",
    "inner",
    "kernel",
    "most_threads",
    "on_compile",
    "prange",
    "threading_layer",
]

config: Any = numba.config
Function = TypeVar("Function", bound=Callable[..., Any])

# Only what says `prange` runs in parallel: an array expression inside a loop must not open
# a parallel region of its own. "contract" allows fused multiply-adds and no other liberty.
PARALLEL_PARTS = ("comprehension", "fusion", "inplace_binop", "numpy", "reduction", "setitem")
OPTIONS: dict[str, Any] = {"nogil": True, "error_model": "numpy", "fastmath": {"contract"}}

# Bytes of all arrays of a call from which on a second thread is worth handing a part to.
LIGHT = 1 << 18

_observers: list[Callable[[str], object]] = []


def _named_apart(function: Function) -> Function:
    """The function, with a name that no other has, in any process.

    A symbol in machine code is a function's name and a count that begins anew in each process:
    among kernels that several processes compiled and another loads, those made by one factory
    would have names in common, and one be called for the other.
    """
    function.__qualname__ = f"{function.__qualname__}_{uuid.uuid4().hex}"
    return function


class _Entrance:
    """The one door into compiled code, and what a fork does to it."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.threads_of_caller = threading.local()
        self.serial = False

    def before_fork(self) -> None:
        # A fork in the middle of another thread's kernel would leave the child's pool half-way.
        self.lock.acquire()

    def after_fork_in_parent(self) -> None:
        self.lock.release()

    def after_fork_in_child(self) -> None:
        self.lock = threading.RLock()
        self.serial = self.serial or _openmp_launched()

    def bring_threads(self, most: int) -> None:
        """Numba keeps its number of threads per calling thread; ours is one for all."""
        wanted = min(threads.get_num_threads(), most)
        if getattr(self.threads_of_caller, "count", None) != wanted:
            numba.set_num_threads(wanted)
            self.threads_of_caller.count = wanted


def _openmp_launched() -> bool:
    try:
        return bool(numba.threading_layer() == "omp")
    except ValueError:  # nothing launched yet
        return False


_entrance = _Entrance()
os.register_at_fork(
    before=_entrance.before_fork,
    after_in_parent=_entrance.after_fork_in_parent,
    after_in_child=_entrance.after_fork_in_child,
)


def entrance() -> AbstractContextManager[object]:
    """No other thread enters a kernel, or forks, until this context ends; its own may do both."""
    return _entrance.lock


def most_threads() -> int:
    """Threads a kernel can be run by: how many pieces scratch memory must have. The number in use
    may change until the kernel is entered."""
    return int(config.NUMBA_NUM_THREADS)


class Kernel:
    """A function over arrays and numbers, compiled on its first call for each set of types.

    Arrays must be C-contiguous; a read-only one is passed as a writeable alias, since Numba would
    compile the function a second time for it. A kernel therefore never writes to an input. One that
    is `light`, no more than a pass over memory, takes no second thread for small arrays.
    """

    def __init__(
        self, function: Callable[..., None], name: str | None = None, light: bool = False
    ) -> None:
        self.function = _named_apart(function)
        self.light = light
        module = function.__module__.rpartition(".")[2]
        self.name = name or f"{module}.{function.__name__.lstrip('_')}"
        self.__doc__ = function.__doc__

    def __call__(self, *arguments: Any) -> None:
        # `arguments` stays alive until the call returns, and with it every aliased array.
        passed: Sequence[Any] = arguments
        for a in arguments:
            if isinstance(a, np.ndarray) and not a.flags.behaved:
                passed = [_plain(b) if isinstance(b, np.ndarray) else b for b in arguments]
                break
        most = self._worth(arguments) if self.light else most_threads()
        with _entrance.lock:
            if config.DISABLE_JIT:
                self.function(*passed)
            elif _entrance.serial:
                self._serial(*passed)
            else:
                _entrance.bring_threads(most)
                self._parallel(*passed)

    def _worth(self, arguments: tuple[Any, ...]) -> int:
        """How many threads at most are worth waking."""
        size = 0
        for argument in arguments:
            if isinstance(argument, np.ndarray):
                size += argument.nbytes
        return most_threads() if size >= LIGHT else 1

    @cached_property
    def _parallel(self) -> Callable[..., None]:
        return self._dispatcher("parallel", dict.fromkeys(PARALLEL_PARTS, False))

    @cached_property
    def _serial(self) -> Callable[..., None]:
        return self._dispatcher("serial", False)

    def _dispatcher(self, variant: str, parallel: dict[str, bool] | bool) -> Callable[..., None]:
        options: dict[str, Any] = {**OPTIONS, "parallel": parallel}
        dispatcher: Any = numba.njit(**options)(self.function)
        dispatcher._cache = KernelCache(f"{self.name}.{variant}", self._announce)
        return cast(Callable[..., None], dispatcher)

    def _announce(self) -> None:
        for callback in tuple(_observers):
            callback(self.name)


@overload
def kernel(function: Callable[..., None]) -> Kernel: ...
@overload
def kernel(
    *, name: str | None = None, light: bool = False
) -> Callable[[Callable[..., None]], Kernel]: ...
def kernel(
    function: Callable[..., None] | None = None, *, name: str | None = None, light: bool = False
) -> Kernel | Callable[[Callable[..., None]], Kernel]:
    """Decorator: `function` writes its results into arrays it is given, along `prange` loops.

    A function made anew for each setting needs a `name` that tells its versions apart. One that
    is `light` is run by one thread where its arrays are small.
    """
    if function is None:
        return lambda given: Kernel(given, name, light)
    return Kernel(function)


def inner(function: Function) -> Function:
    """Decorator: `function` is a part of kernels, compiled into those that call it."""
    return cast(Function, numba.njit(**OPTIONS)(_named_apart(function)))


def on_compile(callback: Callable[[str], object]) -> Callable[[], None]:
    """Have `callback(name)` called whenever a kernel is compiled, not when it comes from the cache.

    Returns a function that ends this.
    """
    _observers.append(callback)

    def remove() -> None:
        if callback in _observers:
            _observers.remove(callback)

    return remove


def threading_layer() -> str:
    """The pool of threads that kernels run on, "omp", "tbb" or "workqueue"; starts it."""
    with _entrance.lock:
        _entrance.bring_threads(most_threads())
        return str(numba.threading_layer())


class _Alias:
    """The same memory, said to be writeable."""

    def __init__(self, array: np.ndarray) -> None:
        self.array = array
        self.__array_interface__ = {
            **array.__array_interface__,
            "data": (array.__array_interface__["data"][0], False),
        }


def _plain(array: np.ndarray) -> np.ndarray:
    """What a kernel takes for an array: one that is aligned and writeable."""
    if array.flags.behaved:
        return array
    return np.asarray(_Alias(array)) if array.flags.aligned else array.copy()
